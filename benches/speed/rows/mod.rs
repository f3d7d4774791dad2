//! The rows of the table: the jobs of haul, and the equivalent commands of other programs.

mod large;
mod listing;
mod repeated;
mod serve;
mod small;
mod start_up;
mod storage;

pub use repeated::synced;

use crate::job::Job;
use crate::setup::Setup;

/// The maximum peak memory of a command, in MiB. Nearly all of it is the program itself: pages of the executable that are in
/// use, shared by all processes. What a command allocates is 1 to 2 MiB.
const PEAK: f64 = 20.0;

/// Creates a group of rows and its files.
type Group = fn(&Setup, usize) -> Vec<Job>;

/// All groups. Each is created after the previous one has run, because some start servers and write gigabytes. The number
/// divides the sizes.
pub const GROUPS: [Group; 10] = [
    start_up::rows,
    large::rows,
    large::checked,
    large::in_parts,
    large::copied,
    small::rows,
    repeated::rows,
    storage::rows,
    listing::rows,
    serve::rows,
];
