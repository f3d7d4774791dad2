//! The store in one process, in several processes, and after a kill.

mod changes;
mod crash;
mod damage;
mod files;
#[cfg(feature = "shared")]
mod kills;
mod listing;
#[cfg(feature = "shared")]
mod place;
mod processes;
#[cfg(feature = "shared")]
mod shared;
mod support;
