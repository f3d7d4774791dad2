//! What is said beside the data, for programs.

use schemars::JsonSchema;
use serde::Serialize;

/// A line on stderr beside the data.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "talk_line")]
pub enum Talk<'a> {
    /// Something that is good to know.
    Note(&'a str),
    /// Something that may not be as it was meant.
    Warning(&'a str),
}
