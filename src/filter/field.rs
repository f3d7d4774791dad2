//! The fields, their aliases and the comparators that they support.

use super::Op;
use super::problem::clipped;
use crate::error::nearest;
use crate::model::File;

/// The type of a field, which determines how it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, in which `:` searches for a part.
    Text,
    /// A word or an id, for which `:` is equivalent to `=`.
    Exact,
    /// A checksum in lowercase hex.
    Hex,
    /// A number of bytes.
    Size,
    /// An instant.
    Time,
    /// A boolean.
    Bool,
    /// A JSON value of any type.
    Json,
}

impl Kind {
    /// Whether values of this type are ordered.
    pub(super) const fn is_ordered(self) -> bool {
        matches!(self, Self::Size | Self::Time | Self::Json)
    }

    /// Whether `:` differs from `=`.
    pub(super) const fn has_parts(self) -> bool {
        matches!(self, Self::Text | Self::Json)
    }

    /// Whether this type can be compared with this comparator.
    pub(super) const fn takes(self, op: Op) -> bool {
        match op {
            Op::Has | Op::Eq | Op::Ne => true,
            Op::Lt | Op::Le | Op::Gt | Op::Ge => self.is_ordered(),
            Op::Glob => matches!(self, Self::Text | Self::Exact | Self::Hex),
        }
    }
}

/// The platforms' names for common fields, with the names used in filters.
const ALIASES: [(&str, &str); 4] =
    [("size_bytes", "size"), ("file_name", "name"), ("file_id", "id"), ("public_url", "url")];

/// Fields that consist of keys.
const OBJECTS: [&str; 2] = ["metadata", "extra"];

/// The fields for checksums.
const CHECKSUMS: [&str; 3] = ["checksums.sha256", "checksums.md5", "checksums.blake3"];

/// The name of a field that may be typed as an alias.
fn canonical(typed: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == typed).map_or(typed, |(_, name)| name)
}

/// The name and type of a field as typed by the user. The error consists of a message and hints.
pub(super) fn resolve(typed: &str, platform: &[&str]) -> Result<(String, Kind), (String, Vec<String>)> {
    let name = canonical(typed);
    if let Some(kind) = known(name) {
        return Ok((name.to_owned(), kind));
    }
    if platform.contains(&name) {
        return Ok((name.to_owned(), platform_kind(name)));
    }
    let mut hints = Vec::new();
    let shown = clipped(typed);
    if OBJECTS.contains(&name.trim_end_matches('.')) {
        hints.push(format!("use one of its keys: `{}.KEY`", name.trim_end_matches('.')));
        return Err((format!("`{shown}` is an object and cannot be compared"), hints));
    }
    if name == "checksums" || name.starts_with("checksums.") {
        hints.push(format!("checksums: {}", CHECKSUMS.join(", ")));
        return Err((format!("unknown checksum `{shown}`"), hints));
    }
    let is_key = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
    match near(typed, platform) {
        Some(near) => hints.push(format!("did you mean `{near}`?")),
        None if is_key(typed) => hints.push(format!("for a metadata key: `metadata.{shown} = …`")),
        None => {}
    }
    hints.push(format!(
        "fields: {}, metadata.KEY, extra.KEY, {}",
        names(platform).join(", "),
        CHECKSUMS.join(", ")
    ));
    Err((format!("unknown field `{shown}`"), hints))
}

/// The type of a common field; `None` for a platform's own field.
pub(super) fn known(name: &str) -> Option<Kind> {
    Some(match name {
        "name" | "content_type" | "purpose" | "path" | "url" => Kind::Text,
        "provider" | "profile" | "id" | "status" => Kind::Exact,
        "size" => Kind::Size,
        "created_at" | "updated_at" | "expires_at" => Kind::Time,
        "downloadable" => Kind::Bool,
        _ if CHECKSUMS.contains(&name) => Kind::Hex,
        _ => match name.split_once('.') {
            Some(("metadata" | "extra", key)) if !key.is_empty() => Kind::Json,
            _ => return None,
        },
    })
}

/// Whether this is a common field or an alias of one.
pub(super) fn is_field(typed: &str) -> bool {
    known(canonical(typed)).is_some()
}

/// A comparison of a common field, as an example.
pub(super) fn example(typed: &str) -> String {
    let name = canonical(typed);
    let comparison = match (name, known(name)) {
        (_, Some(Kind::Size)) => "> 1MB",
        (_, Some(Kind::Time)) => "> -7d",
        (_, Some(Kind::Bool)) => "= true",
        ("name" | "path", _) => "~ *.pdf",
        _ => "= VALUE",
    };
    format!("{typed} {comparison}")
}

/// Whether a common field can be compared with a pattern.
pub(super) fn takes_patterns(name: &str) -> bool {
    known(name).is_some_and(|kind| kind.takes(Op::Glob))
}

/// The type of a platform's own field: an instant if the name ends in `_at`, otherwise a word or id.
pub(super) fn platform_kind(name: &str) -> Kind {
    if name.ends_with("_at") { Kind::Time } else { Kind::Exact }
}

/// All names that can be used without a key: the fields that are not objects, and the platform's own fields.
fn names<'a>(platform: &[&'a str]) -> Vec<&'a str> {
    let mut names: Vec<&'a str> = Vec::from(File::FIELDS);
    names.retain(|name| known(name).is_some());
    names.extend(platform);
    names
}

/// The field that the user probably meant.
fn near(typed: &str, platform: &[&str]) -> Option<String> {
    let mut candidates = names(platform);
    candidates.extend(ALIASES.map(|(alias, _)| alias));
    candidates.extend(CHECKSUMS);
    if let Some(name) = nearest(typed, candidates) {
        return Some(name.to_owned());
    }
    let (object, key) = typed.split_once('.')?;
    nearest(object, OBJECTS).map(|object| format!("{object}.{}", clipped(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_can_be_compared_or_contains_keys() {
        for name in File::FIELDS {
            let keyed = ["checksums", "metadata", "extra"].contains(&name);
            assert_eq!(known(name).is_none(), keyed, "{name}");
        }
    }

    #[test]
    fn only_a_similar_name_is_suggested() {
        assert_eq!(near("creatd_at", &[]).as_deref(), Some("created_at"));
        assert_eq!(near("Size", &[]).as_deref(), Some("size"));
        assert_eq!(near("user_defind_id", &["user_defined_id"]).as_deref(), Some("user_defined_id"));
        assert_eq!(near("metdata.author", &[]).as_deref(), Some("metadata.author"));
        assert_eq!(near("zebra_crossing", &[]).as_deref(), None);
    }
}
