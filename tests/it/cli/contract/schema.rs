//! Validates output against the published `haul.schema.json`.

use boon::{Compiler, Schemas};
use serde_json::Value;

const PLACE: &str = "file:///haul.schema.json";

/// The published schema.
pub struct Schema {
    document: Value,
    compiled: Schemas,
    compiler: Compiler,
}

impl Schema {
    pub fn published() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/haul.schema.json");
        let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, document.clone()).unwrap();
        Self { document, compiled: Schemas::new(), compiler }
    }

    /// Checks a whole row or line: valid, with all keys of its shape and no others.
    #[track_caller]
    pub fn holds(&mut self, shape: &str, value: &Value) {
        self.valid(&format!("#/$defs/{shape}"), value);
        let Some(properties) = self.document["$defs"][shape]["properties"].as_object() else { return };
        let printed: Vec<&String> = value.as_object().expect("an object").keys().collect();
        assert_eq!(printed, properties.keys().collect::<Vec<_>>(), "{shape}");
    }

    /// Checks a row of selected fields: each value is valid for its field.
    #[track_caller]
    pub fn holds_fields(&mut self, shape: &str, row: &Value) {
        for (field, value) in row.as_object().expect("an object") {
            // A key of a user's object has any type.
            if !field.contains('.') {
                self.valid(&format!("#/$defs/{shape}/properties/{field}"), value);
            }
        }
    }

    #[track_caller]
    pub fn valid(&mut self, pointer: &str, value: &Value) {
        let place = format!("{PLACE}{pointer}");
        let index = self.compiler.compile(&place, &mut self.compiled).unwrap_or_else(|e| panic!("{e:#}"));
        if let Err(error) = self.compiled.validate(value, index) {
            panic!("{pointer}: {error}\n{value}");
        }
    }
}

#[test]
fn violations_of_the_schema_are_found() {
    use serde_json::json;
    let holds = |shape: &str, value: &Value| {
        let (shape, value) = (shape.to_owned(), value.clone());
        std::panic::catch_unwind(move || Schema::published().holds(&shape, &value)).is_ok()
    };
    let quirk = json!({"platform": "any", "quirk": "x", "value": null, "help": "h"});
    assert!(holds("quirk", &quirk));
    let with = |key: &str, value: Value| {
        let mut changed = quirk.clone();
        changed[key] = value;
        changed
    };
    assert!(!holds("quirk", &with("value", json!(1))));
    assert!(!holds("quirk", &with("more", json!(1))));
    assert!(!holds("quirk", &json!({"platform": "any"})));
    let login = json!({"profile": "p", "provider": "any", "token": "***", "checked": true, "stored_in": "file",
        "expires_at": "tomorrow"});
    assert!(!holds("login", &login));
}
