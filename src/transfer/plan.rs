//! Determines the local files to upload, and their names.

use std::fs;
use std::path::Path;

use super::selection::{Planned, Selection, named};
use super::special::refuse_special;
use super::walk::{LeftOut, walk};
use crate::error::{Error, Result, word};

/// The files that an argument refers to, found lazily. `left_out` receives the files skipped in folders.
pub fn plan(
    argument: &Path,
    selection: &Selection,
    left_out: LeftOut,
) -> Box<dyn Iterator<Item = Result<Planned>>> {
    let found = match fs::metadata(argument) {
        Ok(found) => found,
        Err(error) => {
            return once(Err(
                Error::io("read the metadata", argument, error).about(argument.display().to_string())
            ));
        }
    };
    if found.is_dir() && !selection.recursive {
        return once(Err(Error::usage(format!("{}: is a directory", argument.display()))
            .hint(format!(
                "to upload the folder: `{} -r {}`",
                selection.command,
                word(&argument.to_string_lossy())
            ))
            .about(argument.display().to_string())));
    }
    if let Err(error) = refuse_special(argument, &found, &selection.command, None) {
        return once(Err(error));
    }
    if found.is_dir() {
        return Box::new(walk(argument, selection, left_out));
    }
    if selection.report.as_deref().is_some_and(|report| is_same(report, argument)) {
        left_out.skip(argument, "skipped: it is the report of this command");
        return Box::new(std::iter::empty());
    }
    once(named(argument, argument.file_name()).map(|name| Planned {
        path: argument.to_owned(),
        name,
        size: found.len(),
    }))
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn once(result: Result<Planned>) -> Box<dyn Iterator<Item = Result<Planned>>> {
    Box::new(std::iter::once(result))
}
