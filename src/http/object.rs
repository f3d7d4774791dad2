//! An answer that has to be a JSON object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What a JSON object says. Serde takes an array for a struct, too, one element for each field: `[null,null]` would be
/// a list of nothing.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        from.deserialize_map(Members(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_no_object() {
        #[derive(serde::Deserialize)]
        struct Page {
            data: Option<Vec<u8>>,
        }
        let read = |text: &str| serde_json::from_str::<Object<Page>>(text).map(|page| page.0.data);
        assert_eq!(read(r#"{"data":[1]}"#).unwrap(), Some(vec![1]));
        for other in ["[null]", "[[1]]", "null", "1", "\"data\""] {
            assert!(read(other).unwrap_err().to_string().contains("expected an object"), "{other}");
        }
    }
}
