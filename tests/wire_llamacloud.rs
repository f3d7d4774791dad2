//! LlamaCloud on the wire: requests compared with captured ones, and every reply that its contract has.

#[path = "wire/llamacloud/support.rs"]
mod support;

#[path = "wire/llamacloud/errors.rs"]
mod errors;
#[path = "wire/llamacloud/listing.rs"]
mod listing;
#[path = "wire/llamacloud/reading.rs"]
mod reading;
#[path = "wire/llamacloud/uploads.rs"]
mod uploads;
