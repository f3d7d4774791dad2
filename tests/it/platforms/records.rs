//! The records of the emulator, and the fields that a platform shows.

use haul::model::File;

use crate::support::rig::Case;

/// The data source of some files.
pub const SOURCE: &str = "11111111-1111-4111-8111-111111111111";

/// A platform's records in the emulator.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// Changes the platform-specific fields of the record with this number, so that records differ.
    pub vary: fn(&Case, usize, &mut File),
    /// Changes the record into the file that haul would show if the platform returned every field.
    pub show: fn(&Case, &mut File),
    /// Values of [`Case::wire`] whose server shows the public link of a file in its listings.
    pub show_links: &'static [&'static str],
}

impl Records {
    /// Records without platform-specific fields.
    pub const PLAIN: Self = Self { vary: |_, _, _| {}, show: |_, _| {}, show_links: &[] };
}
