//! `--fields`: which columns, in which order.

use serde_json::Value;

use super::Columns;
use crate::error::{Error, Result};

/// Checks what the user asked for. A name is a column, or a key inside one (`metadata.author`).
pub fn check(asked: &[String], columns: Columns) -> Result<Vec<String>> {
    let mut chosen: Vec<String> = Vec::with_capacity(asked.len());
    for field in asked.iter().map(|field| field.trim()).filter(|field| !field.is_empty()) {
        let column = field.split_once('.').map_or(field, |(column, _)| column);
        if !columns.all.contains(&field) && !columns.all.contains(&column) {
            return Err(unknown(field, columns.all));
        }
        if !chosen.iter().any(|known| known == field) {
            chosen.push(field.to_owned());
        }
    }
    if chosen.is_empty() {
        return Err(Error::usage("--fields: no field is named").hint(valid(columns.all)));
    }
    Ok(chosen)
}

fn unknown(field: &str, all: &[&str]) -> Error {
    Error::usage(format!("{field}: no such field")).did_you_mean(field, all.iter().copied()).hint(valid(all))
}

fn valid(all: &[&str]) -> String {
    format!("the fields are {}", all.join(", "))
}

/// The value that `field` names inside `row`; null where there is none. A key may itself hold dots.
pub fn pick<'a>(row: &'a Value, field: &str) -> &'a Value {
    find(row, field).unwrap_or(&Value::Null)
}

fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| find(object.get(&path[..dot])?, &path[dot + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: Columns =
        Columns { all: &["id", "name", "content_type", "metadata"], shown: &["id"], piped: None };

    fn asked(fields: &str) -> Result<Vec<String>> {
        check(&fields.split(',').map(str::to_owned).collect::<Vec<_>>(), COLUMNS)
    }

    #[test]
    fn keeps_the_order_and_drops_repeats() {
        assert_eq!(asked("name, id,name").unwrap(), ["name", "id"]);
        assert_eq!(asked("metadata.a.b").unwrap(), ["metadata.a.b"]);
    }

    #[test]
    fn an_unknown_field_lists_the_valid_ones_and_suggests_the_nearest() {
        let error = asked("id,nmae").unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Usage);
        assert_eq!(error.message(), "nmae: no such field");
        assert_eq!(
            error.hints(),
            ["did you mean `name`?", "the fields are id, name, content_type, metadata"]
        );
        assert_eq!(asked("xyzzy").unwrap_err().hints().len(), 1);
        assert_eq!(asked("type").unwrap_err().hints()[0], "did you mean `content_type`?");
        assert_eq!(asked(",").unwrap_err().message(), "--fields: no field is named");
    }

    #[test]
    fn a_path_reaches_into_objects_even_past_dots_in_keys() {
        let row = json!({"id": "f1", "metadata": {"author": "kim", "a.b": {"c": 1}}});
        assert_eq!(pick(&row, "metadata.author"), "kim");
        assert_eq!(pick(&row, "metadata.a.b.c"), 1);
        assert_eq!(pick(&row, "metadata.none"), &Value::Null);
        assert_eq!(pick(&row, "id.none"), &Value::Null);
    }
}
