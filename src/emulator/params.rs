//! Query parameters in every form that real clients send them.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// A query's parameters, decoded, in their order. Extract it in a handler; nothing in it is ever refused.
///
/// A list may come as `id=a&id=b`, `id[]=a&id[]=b` or `id[0]=a&id[1]=b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Parses what follows the `?`. A `+` and `%20` are both a space.
    pub fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The last value of that very name, as most servers take it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a list, whichever of the three forms it has.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let listed = |key: &str| match key.strip_prefix(name).map(str::as_bytes) {
            Some([]) => true,
            Some([b'[', index @ .., b']']) => index.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        self.0.iter().filter(|(key, _)| listed(key)).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of `name[key]`, such as `created_at[gt]`.
    pub fn nested(&self, name: &str, key: &str) -> Option<&str> {
        self.get(&format!("{name}[{key}]"))
    }

    /// Whether the name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_three_forms() {
        for query in ["id=a&x=1&id=b", "id[]=a&id[]=b", "id%5B0%5D=a&id%5B1%5D=b"] {
            assert_eq!(Params::parse(query).all("id"), ["a", "b"], "{query}");
        }
        assert!(Params::parse("id[gt]=a&ids=b").all("id").is_empty());
    }

    #[test]
    fn single_values_and_nested_ones() {
        let params = Params::parse("a=1&a=2&created_at[gt]=2026-01-01&q=x+y%20z&download");
        assert_eq!(params.get("a"), Some("2"));
        assert_eq!(params.nested("created_at", "gt"), Some("2026-01-01"));
        assert_eq!(params.get("q"), Some("x y z"));
        assert!(params.has("download") && !params.has("b"));
    }
}
