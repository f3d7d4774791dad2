//! The rows of the table: what haul does, and the commands that do the same.

mod large;
mod listing;
mod serve;
mod small;
mod start_up;

use crate::job::Job;
use crate::place::Place;

/// Makes one group of rows, with what they need on the disk.
type Group = fn(&Place, usize) -> Vec<Job>;

/// All groups. Each is made when the one before it is done, for some start servers and write gigabytes. The number
/// divides the sizes.
pub const GROUPS: [Group; 6] =
    [start_up::rows, large::rows, large::checked, small::rows, listing::rows, serve::rows];
