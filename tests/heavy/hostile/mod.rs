//! The program on a faulty machine and with hostile servers. The tests run the binary against real servers on loopback,
//! and check the exit code, the messages, the stored files of both sides and the bytes sent to a terminal.

mod disk;
mod endless;
mod names;
mod numbers;
mod proxies;
mod replies;
mod resumed;
mod served;
mod targets;
mod tls;
mod transfers;
mod twice;
mod world;
