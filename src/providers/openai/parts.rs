//! The settings for multipart uploads.

use super::super::{Connection, Setting};
use crate::error::{Error, Result};

const MIB: u64 = 1024 * 1024;
/// The range of default part sizes, in MiB. The platform accepts no larger parts.
const PART: (u64, u64) = (16, 64);
/// The maximum number of parts of the default size: the largest file in parts of the largest size.
const MOST_PARTS: u64 = 128;

pub(super) const VIA: Setting = Setting {
    key: "via",
    help: "`uploads` sends every file in parts, not only those above 512 MB",
    secret: false,
};
pub(super) const PART_SIZE: Setting = Setting {
    key: "part_size",
    help: "size of the parts in MiB, 1 to 64 [default: 16, or more for a large file]",
    secret: false,
};
pub(super) const MD5: Setting = Setting {
    key: "md5",
    help: "`true` sends the MD5 of a file that is uploaded in parts, so that the platform verifies the content",
    secret: false,
};

/// Checks the settings.
pub(super) fn check(connection: &Connection) -> Result<()> {
    // Other platforms accept other values for settings with these names.
    connection.choice(VIA.key, &["uploads"])?;
    connection.choice(MD5.key, &["true", "false"])?;
    part_size(connection.setting(PART_SIZE.key), 0).map(drop)
}

/// The part size for a file of this size.
pub(super) fn part_size(setting: Option<&str>, size: u64) -> Result<u64> {
    let (least, most) = PART;
    let mib = match setting {
        None => size.div_ceil(MOST_PARTS).div_ceil(MIB).clamp(least, most),
        Some(text) => text.parse().ok().filter(|mib| (1..=most).contains(mib)).ok_or_else(|| {
            Error::usage(format!("{}: `{text}` is not a whole number from 1 to {most}", PART_SIZE.key))
        })?,
    };
    Ok(mib * MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_no_more_parts_than_the_largest_one() {
        let size = |text, size| part_size(text, size).map(|bytes| bytes / MIB);
        let gib = 1024 * MIB;
        for (bytes, mib) in [(1, 16), (gib, 16), (2 * gib, 16), (2 * gib + 1, 17), (8 * gib, 64)] {
            assert_eq!(size(None, bytes).unwrap(), mib, "{bytes}");
            assert!(bytes.div_ceil(mib * MIB) <= MOST_PARTS);
        }
        assert_eq!(size(None, u64::MAX).unwrap(), 64);
        assert_eq!((size(Some("1"), gib).unwrap(), size(Some("64"), 1).unwrap()), (1, 64));
        for wrong in ["0", "65", "-1", "1.5", "8MiB"] {
            let error = size(Some(wrong), 1).unwrap_err();
            assert_eq!(error.message(), format!("part_size: `{wrong}` is not a whole number from 1 to 64"));
        }
    }
}
