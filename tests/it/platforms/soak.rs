//! How the soak test serves a platform.

use crate::support::rig::Case;

#[derive(Debug)]
pub struct Soak {
    /// Ways to serve it, of which the seed selects one. Quirks carry the platform's name as a prefix. The dialect is the
    /// one that `auto` detects.
    pub cases: &'static [Case],
    /// Faults of this platform alone, in the syntax of `--fault`.
    pub faults: &'static [&'static str],
    /// Whether a file has at most one link, so that `link --revoke` needs no URL.
    pub one_link: bool,
}

impl Soak {
    /// A platform without faults of its own.
    pub const fn of(cases: &'static [Case]) -> Self {
        Self { cases, faults: &[], one_link: false }
    }
}
