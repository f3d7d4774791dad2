//! The columns of the matrix, and the request and the arguments of each verb.

use haul::providers::supports;

pub use crate::platforms::Reason;
use crate::platforms::all;
pub use crate::platforms::faults::{Class, Column, Requests, Target, Verb};
use crate::support::rig::TOKEN as RIG_TOKEN;

pub const TOKEN: &str = RIG_TOKEN;

/// The columns of all platforms; those of alternative upload routes come last.
pub fn columns() -> Vec<&'static Column> {
    let columns = || all().flat_map(|platform| platform.columns);
    let is_route = |column: &&Column| matches!(column.requests, Requests::Route { .. });
    columns().filter(|column| !is_route(column)).chain(columns().filter(is_route)).collect()
}

/// Why the column of an upload route has only one verb.
pub const ROUTE: Reason = "an upload route: the other verbs are the same without it";
pub const REFUSED: Reason = "refused before any request: the platform lacks the operation";

/// The request of a verb in a column, or the reason for a missing one.
pub fn target(column: &Column, verb: Verb) -> Result<Target, Reason> {
    let (files, file, others) = match column.requests {
        Requests::Route { upload, .. } if verb == Verb::Upload => return Ok(upload),
        Requests::Route { .. } => return Err(ROUTE),
        Requests::Verbs { files, file, others } => (files, file, others),
    };
    if !supports(column.case.can(), verb.needs()) {
        return Err(REFUSED);
    }
    let other = others.iter().find(|(verbs, _)| verbs.contains(&verb)).map(|(_, target)| *target);
    let target = other.unwrap_or_else(|| match verb {
        Verb::Upload | Verb::Replace => Ok(Target::of(Class::Send, "POST", files)),
        Verb::Skip | Verb::Ls => Ok(Target::of(Class::Read, "GET", files)),
        Verb::Info => Ok(Target::of(Class::Read, "GET", file)),
        Verb::Rm | Verb::Retire => Ok(Target::of(Class::Delete, "DELETE", file)),
        Verb::To | Verb::Get | Verb::Presign | Verb::Stdout | Verb::Meta | Verb::Link | Verb::Revoke => {
            panic!("the column {} has no request for `{}`", column.name, verb.name())
        }
    })?;
    // The same request as a download to a file, but standard output cannot be rewound.
    let class = if verb == Verb::Stdout { Class::Stdout } else { target.class };
    Ok(Target { class, ..target })
}

/// The program's arguments for a file with this name, and this id on the platform.
pub fn arguments(column: &Column, verb: Verb, name: &str, id: &str) -> Vec<String> {
    let reference = format!("id:{id}");
    let words: Vec<&str> = match verb {
        Verb::Upload => vec!["upload", name],
        Verb::Skip => vec!["upload", name, "--if-exists", "skip"],
        Verb::Replace | Verb::Retire => vec!["upload", name, "--if-exists", "replace"],
        Verb::To => vec!["upload", name, "--to", &reference],
        Verb::Ls => vec!["ls", name],
        Verb::Info => vec!["info", &reference],
        Verb::Get | Verb::Presign => vec!["get", &reference],
        Verb::Stdout => vec!["get", &reference, "-o", "-"],
        Verb::Rm => vec!["rm", &reference, "--yes"],
        Verb::Meta if column.case.can().annotate.is_some_and(|can| can.metadata) => {
            vec!["meta", "set", &reference, "title=changed"]
        }
        Verb::Meta => vec!["meta", "set", &reference, "--type", "text/x-changed"],
        Verb::Link => vec!["link", &reference],
        Verb::Revoke => vec!["link", &reference, "--revoke"],
    };
    words.into_iter().map(str::to_owned).collect()
}
