//! Scripted trouble.

/// What goes wrong, and when.
#[derive(Clone, Debug, Default)]
pub struct Faults {}
