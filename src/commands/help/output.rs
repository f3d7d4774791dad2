//! `haul help output`

use serde_json::Value;

use super::schema;
use crate::model::File;

/// The text of the topic.
pub(super) fn text() -> String {
    include_str!("output.txt")
        .replace("{version}", &schema::VERSION.to_string())
        .replace("{fields}\n", &fields())
}

/// The fields of a file with their types, from the schema of [`File`].
fn fields() -> String {
    let schema = schemars::schema_for!(File);
    let properties =
        File::FIELDS.into_iter().filter_map(|name| Some((name, schema.get("properties")?.get(name)?)));
    let line = |(name, property): (&str, &Value)| {
        let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = about.lines().next().unwrap_or_default().trim_end_matches('.');
        format!("  {name:<12}  {:<15}  {about}\n", kind(property))
    };
    properties.map(line).collect()
}

/// Describes a JSON type, such as `integer or null`.
fn kind(property: &Value) -> String {
    let is_time = property.get("format").and_then(Value::as_str) == Some("date-time");
    let word = |name: &Value| match name.as_str() {
        Some("string") if is_time => "time".to_owned(),
        Some("string") => "text".to_owned(),
        name => name.unwrap_or("any").to_owned(),
    };
    match property.get("type") {
        Some(Value::Array(several)) => several.iter().map(word).collect::<Vec<_>>().join(" or "),
        Some(one) => word(one),
        None => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_listed_with_its_type() {
        let text = text();
        for name in File::FIELDS {
            let line = text.lines().find(|line| line.starts_with(&format!("  {name} "))).expect(name);
            assert!(!line.contains("  any  "), "{line}");
        }
        for line in
            ["  size          integer or null", "  created_at    time or null", "  metadata      object "]
        {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains('{') || !text.contains("{fields}"));
    }
}
