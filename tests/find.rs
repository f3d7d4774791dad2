//! Finding files: listings, filters, names and patterns, on every platform, over sockets.
#![allow(clippy::unwrap_used)] // A test fails by panicking, its helpers too.

#[path = "find/ls.rs"]
mod ls;
#[path = "find/million.rs"]
mod million;
#[path = "find/minus.rs"]
mod minus;
#[path = "filter/naive.rs"]
mod naive;
#[path = "find/pushdown.rs"]
mod pushdown;
#[path = "conformance/rig.rs"]
mod rig;
#[path = "find/several.rs"]
mod several;
#[path = "find/support.rs"]
mod support;
#[path = "find/unknown.rs"]
mod unknown;
#[path = "find/verbs.rs"]
mod verbs;
