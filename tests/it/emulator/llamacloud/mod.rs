//! The emulated LlamaCloud, over real sockets.

mod support;

mod at_once;
mod beta;
mod bucket;
mod captured;
mod legacy;
mod listing;
mod quirks;
