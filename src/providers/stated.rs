//! The fields that a platform returns, and the errors for filters and orders on other fields.
//!
//! A field that is not returned is unknown: neither a comparison with it nor the negation of that comparison is true.
//! Such a filter is rejected before any request, unless the platform evaluates the field itself and its result can be
//! trusted.

use super::Provider;
use crate::error::{Error, Kind, Message, Result, word};
use crate::filter::{Filter, Precision};
use crate::model::File;

/// Fields that every file has: the platform returns the first two, and haul sets the others.
const ALWAYS: [&str; 4] = ["id", "name", "provider", "profile"];

/// Whether a list of returned fields contains this field, or the object that contains it as a key.
pub fn states(stated: &[&str], field: &str) -> bool {
    let contains = |known: &str, field: &str| {
        field.strip_prefix(known).is_some_and(|key| key.is_empty() || key.starts_with('.'))
    };
    // A platform's own field is a key in `extra`.
    let is_own = |known: &str| !known.contains('.') && !File::FIELDS.contains(&known);
    let key = field.strip_prefix("extra.");
    ALWAYS.contains(&field)
        || stated.iter().any(|known| {
            contains(known, field) || key.is_some_and(|key| is_own(known) && contains(known, key))
        })
}

/// The part of a filter to evaluate locally: the conditions on returned fields. Other conditions are errors, unless
/// the platform decides them.
pub fn left_to_check(provider: &dyn Provider, filter: &Filter) -> Result<Filter> {
    let (stated, decided) = (provider.stated(), provider.decides(filter));
    let mut left = Filter::default();
    for condition in filter.conditions() {
        match condition.fields().into_iter().find(|field| !states(stated, field)) {
            None => left = left.and(Filter { expr: condition.clone() }),
            Some(_) if decided.contains(&condition) => {}
            Some(field) => return Err(undecided(provider, field)),
        }
    }
    Ok(left)
}

/// Rejects a use of a field that is not returned. `purpose` names the use, such as `sort by it`.
pub fn require_stated(provider: &dyn Provider, field: &str, purpose: &str) -> Result<()> {
    if states(provider.stated(), field) { Ok(()) } else { Err(unstated(provider, field, purpose)) }
}

/// Rejects selecting the newest of several files if the creation time of one of them is unknown.
pub fn require_ages(provider: &dyn Provider, files: &[File]) -> Result<()> {
    if files.len() < 2 {
        return Ok(());
    }
    if !states(provider.stated(), "created_at") {
        return Err(unstated(provider, "created_at", "find the newest file"));
    }
    let unknown = files.iter().find(|file| file.created_at.is_none());
    unknown.map_or(Ok(()), |file| {
        let platform = provider.spec().name;
        Err(Error::new(
            Kind::Unsupported,
            Message::about(&format!("{platform} does not report when "), &file.id, " was created"),
        ))
    })
}

/// The error for a condition on a field that is not returned and that the platform does not decide.
fn undecided(provider: &dyn Provider, field: &str) -> Error {
    let mut natives = provider.capabilities().list.native.iter();
    let native = natives.find(|native| native.field == field && native.precision == Precision::Exact);
    let Some(native) = native else { return unstated(provider, field, "filter by it") };
    let ops: Vec<String> = native.ops.iter().map(|op| format!("`{}`", op.symbol())).collect();
    let message = format!("{} cannot filter by {field} this way", provider.spec().name);
    let error = Error::new(Kind::Unsupported, message).hint(format!(
        "supported: {field} followed by {} and a value; use AND to add other conditions",
        ops.join(" ")
    ));
    others(provider, field).into_iter().fold(error, Error::hint)
}

/// The error for a field that is not returned.
fn unstated(provider: &dyn Provider, field: &str, purpose: &str) -> Error {
    let platform = provider.spec().name;
    let message = format!("{platform} does not return {field} in this dialect, so haul cannot {purpose}");
    let error = Error::new(Kind::Unsupported, message);
    let hints = others(provider, field);
    if !hints.is_empty() {
        return hints.into_iter().fold(error, Error::hint);
    }
    let stated = ALWAYS[..2].iter().chain(provider.stated()).copied().collect::<Vec<_>>().join(", ");
    error.hint(format!("no dialect of {platform} returns it; this one returns {stated}"))
}

/// Hints for the dialects that return the field. If the profile's dialect does, the server has responded in a
/// different dialect.
fn others(provider: &dyn Provider, field: &str) -> Vec<String> {
    if states(provider.capabilities().list.stated, field) {
        return vec!["the server does not use the dialect of this profile".to_owned()];
    }
    let dialects = provider.spec().dialects.iter().filter(|dialect| states(dialect.can.list.stated, field));
    let profile = word(provider.profile());
    dialects
        .map(|dialect| format!("`-p {profile} --wire-dialect {}` returns {field}", dialect.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::REGISTRY;

    #[test]
    fn a_returned_object_includes_its_keys() {
        let stated = ["size", "metadata.title", "extra.urls", "upload_status", "checksums.md5"];
        for field in [
            "id",
            "name",
            "profile",
            "size",
            "metadata.title",
            "metadata.title.x",
            "extra.urls.get",
            "upload_status",
            "extra.upload_status",
            "checksums.md5",
        ] {
            assert!(states(&stated, field), "{field}");
        }
        for field in [
            "created_at",
            "metadata.titles",
            "metadata.author",
            "extra.size",
            "extra.url",
            "checksums.sha256",
            "sizes",
        ] {
            assert!(!states(&stated, field), "{field}");
        }
        assert!(states(&["extra", "metadata"], "extra.anything") && states(&["metadata"], "metadata.a.b"));
    }

    #[test]
    fn listings_return_only_checksums_of_the_platform() {
        for dialect in REGISTRY.iter().flat_map(|spec| spec.dialects) {
            let stated = dialect.can.list.stated.iter().filter_map(|field| field.strip_prefix("checksums."));
            for checksum in stated {
                assert!(dialect.can.checksums.contains(&checksum), "{} {checksum}", dialect.name);
            }
        }
    }
}
