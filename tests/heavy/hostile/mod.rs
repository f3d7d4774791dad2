//! The program where the machine it runs on is broken and where the server is hostile: it is run as its users run it,
//! against real servers on loopback, and what is looked at is the status, the words, what is stored on both sides
//! afterwards and what a terminal was sent.

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
