//! Base URLs as users write them.

use url::Url;

use super::Sourced;
use crate::error::{Error, Result};

/// Parses a base URL with or without a scheme, with or without the version path.
pub(super) fn parse_base_url(picked: &Sourced<String>, base_path: &str) -> Result<Url> {
    let text = picked.value.trim().trim_end_matches('/');
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        let local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
            text.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        let scheme = if local { "http" } else { "https" };
        format!("{scheme}://{text}")
    };
    let wrong = |why: &str| {
        Error::usage(format!("{}: {:?} is not a base URL: {why}", picked.origin, picked.value))
            .hint("write it like https://api.example.com")
    };
    let url = Url::parse(&with_scheme).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http and https can be reached"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::usage(format!(
            "{}: a base URL has no place for a user name or password",
            picked.origin
        )));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or a fragment"));
    }
    if base_path.is_empty() || url.path().trim_end_matches('/').ends_with(base_path) {
        return Ok(url);
    }
    let longer = format!("{}{base_path}", url.as_str().trim_end_matches('/'));
    Url::parse(&longer).map_err(|error| wrong(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::*;

    fn url(text: &str, path: &str) -> Result<String> {
        let picked = Sourced { value: text.to_owned(), origin: Origin::Flag("--base-url") };
        parse_base_url(&picked, path).map(|url| url.to_string())
    }

    #[test]
    fn a_base_url_is_taken_as_people_write_it() {
        let ok = |text, path| url(text, path).expect("a base URL");
        assert_eq!(ok("https://api.example.com", "/v1"), "https://api.example.com/v1");
        assert_eq!(ok("https://api.example.com/v1/", "/v1"), "https://api.example.com/v1");
        assert_eq!(ok("api.cloud.eu.example.com", ""), "https://api.cloud.eu.example.com/");
        assert_eq!(ok("127.0.0.1:8787/xai", "/v1"), "http://127.0.0.1:8787/xai/v1");
        assert_eq!(ok("[::1]:8787/", ""), "http://[::1]:8787/");
        assert_eq!(ok("localhost.example.com/v1", "/v1"), "https://localhost.example.com/v1");
        assert!(url("ftp://x", "").is_err());
        assert!(url("https://user:secret@x", "").is_err_and(|error| !error.to_string().contains("secret")));
    }
}
