//! Text to expression.
use super::Filter;
use crate::error::Result;
use jiff::Timestamp;
pub(super) fn parse(_text: &str, _now: Timestamp) -> Result<Filter> {
    todo!()
}
