//! LlamaCloud on the wire: requests compared with captured ones, and every reply that its contract has.

// Helpers of a test may panic as the test may; the lint knows only functions that are marked as tests.
mod support;

mod errors;
mod legacy;
mod listing;
mod reading;
mod unknown;
mod uploads;
