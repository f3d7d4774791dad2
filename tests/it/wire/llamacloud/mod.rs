//! LlamaCloud on the wire: requests compared with captured ones, and every response in its contract.

// Test helpers may panic; the lint exempts only functions that are marked as tests.
mod support;

mod errors;
mod legacy;
mod listing;
mod reading;
mod unknown;
mod uploads;
