//! The rows of the table: the jobs of haul, and the equivalent commands of other programs.

mod large;
mod listing;
mod serve;
mod small;
mod start_up;

use crate::job::Job;
use crate::setup::Setup;

/// Creates a group of rows and its files.
type Group = fn(&Setup, usize) -> Vec<Job>;

/// All groups. Each is created after the previous one has run, because some start servers and write gigabytes. The number
/// divides the sizes.
pub const GROUPS: [Group; 6] =
    [start_up::rows, large::rows, large::checked, small::rows, listing::rows, serve::rows];
