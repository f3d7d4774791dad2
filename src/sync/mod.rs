//! `haul sync`: the lock file, and the comparison of a folder, the lock file and a listing.

mod lock;
mod plan;

pub use lock::{Hold, Lock, Origin, Row, Target};
pub use plan::{Present, Remote, State, state_of};
