//! LlamaCloud on the wire: requests compared with captured ones, and every response in its contract.

mod support;

mod errors;
mod legacy;
mod listing;
mod reading;
mod unknown;
mod uploads;
