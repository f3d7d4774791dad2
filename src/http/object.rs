//! An answer that has to be a JSON object, and not of too many.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Objects in one answer at most. Read, each takes up to a kilobyte: ten bytes on the wire would be a hundred times as
/// much in memory, and an answer of the longest length more than most machines have.
pub(super) const MOST: usize = 1 << 20;

/// Whether an answer holds more objects than may be read at once. Braces in texts count, too: they change nothing for
/// any answer that a platform would give.
pub(super) fn are_too_many(body: &[u8]) -> bool {
    body.len() > MOST && memchr::memchr_iter(b'{', body).take(MOST + 1).count() > MOST
}

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
    fn a_million_objects_are_not_too_many() {
        assert!(!are_too_many("{}".repeat(MOST).as_bytes()));
        assert!(are_too_many("{}".repeat(MOST + 1).as_bytes()));
        assert!(!are_too_many("x".repeat(MOST + 1).as_bytes()));
    }

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
