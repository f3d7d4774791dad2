//! The configuration of a platform in the soak test.

use crate::support::rig::Case;

#[derive(Debug)]
pub struct Soak {
    /// The possible cases; the seed selects one. Quirks have the platform's name as a prefix. The dialect is the one that
    /// `auto` detects.
    pub cases: &'static [Case],
    /// Faults for this platform only, in the syntax of `--fault`.
    pub faults: &'static [&'static str],
    /// Whether a file has at most one link, so that `link --revoke` needs no URL.
    pub one_link: bool,
}

impl Soak {
    /// A platform without specific faults.
    pub const fn of(cases: &'static [Case]) -> Self {
        Self { cases, faults: &[], one_link: false }
    }
}
