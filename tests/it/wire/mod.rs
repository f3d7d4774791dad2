//! Every platform over a socket: what the provider sends, byte for byte, and what it makes of each reply.

mod activeloop;
mod llamacloud;
mod local;
mod metorial;
mod replicate;
mod xai;
