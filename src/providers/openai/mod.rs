//! OpenAI's Files API: its wire format, and one provider for OpenAI and for vendors and gateways with the same API.

mod parts;
mod provider;
mod store;
mod uploads;
mod vector_stores;
mod vendors;
mod wire;

pub(super) use vendors::*;
pub(super) use wire::{Format, List, direction, error_message, order};
