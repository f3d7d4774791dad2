//! `haul sync`: the lock file, and the comparison of a folder, the lock file and a listing.

mod lock;
mod plan;
mod state;

pub use lock::{Hold, Lock, Origin, Row, Sha256, Target};
pub use plan::{Ids, Named, Remote, state_of};
pub use state::{Present, State};
