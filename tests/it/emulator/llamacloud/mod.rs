//! The emulated LlamaCloud, over real sockets.

mod support;

mod beta;
mod bucket;
mod captured;
mod legacy;
mod listing;
mod quirks;
