//! LlamaCloud on the wire: requests compared with captured ones, and every reply that its contract has.

// Helpers of a test may panic as the test may; the lint knows only functions that are marked as tests.
#![allow(clippy::unwrap_used)]

#[path = "wire/llamacloud/support.rs"]
mod support;

#[path = "wire/llamacloud/errors.rs"]
mod errors;
#[path = "wire/llamacloud/legacy.rs"]
mod legacy;
#[path = "wire/llamacloud/listing.rs"]
mod listing;
#[path = "wire/llamacloud/reading.rs"]
mod reading;
#[path = "wire/llamacloud/uploads.rs"]
mod uploads;
