//! Protects a server on this machine from web pages: a page can send requests to a loopback address, directly or
//! through a name that resolves to one.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};

/// The hosts that requests may be addressed to.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Whether to accept loopback names and addresses.
    pub loopback: bool,
    /// Additional names, without ports.
    pub names: Vec<String>,
}

impl Hosts {
    /// The status and reason for rejecting a request; `None` if the request is acceptable.
    pub(super) fn refuse(&self, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let misdirected = Some((StatusCode::MISDIRECTED_REQUEST, "unknown host: see --allow-host"));
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return misdirected };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        if !host.is_some_and(|host| self.accepts(host.host())) {
            return misdirected;
        }
        let foreign =
            Some((StatusCode::FORBIDDEN, "requests from other sites are rejected: see --allow-host"));
        if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
            return foreign;
        }
        let is_own = |origin: &axum::http::HeaderValue| {
            let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
            origin.is_some_and(|origin| origin.host().is_some_and(|host| self.accepts(host)))
        };
        if headers.get_all(ORIGIN).iter().all(is_own) { None } else { foreign }
    }

    fn accepts(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_local = host == "localhost"
            || host.ends_with(".localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback());
        self.loopback && is_local || self.names.iter().any(|name| name.eq_ignore_ascii_case(&host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_and_names_of_this_machine_are_accepted() {
        let hosts = Hosts { loopback: true, names: vec!["Box.test".to_owned()] };
        let status = |lines: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            hosts.refuse(&headers).map_or(200, |(status, _)| status.as_u16())
        };
        for host in [
            "127.0.0.1:8787",
            "localhost",
            "LOCALHOST.:1",
            "a.localhost",
            "[::1]:80",
            "box.test:9",
            "127.9.9.9",
        ] {
            assert_eq!(status(&[("host", host)]), 200, "{host}");
        }
        for host in
            ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "10.0.0.1", "[::2]:80", "", "a b"]
        {
            assert_eq!(status(&[("host", host)]), 421, "{host}");
        }
        assert_eq!(status(&[]), 421);
        assert_eq!(status(&[("host", "localhost"), ("host", "localhost")]), 421);
        for (origin, expected) in [
            ("http://localhost:3000", 200),
            ("http://[::1]", 200),
            ("https://box.test", 200),
            ("https://evil.test", 403),
            ("null", 403),
        ] {
            assert_eq!(status(&[("host", "localhost"), ("origin", origin)]), expected, "{origin}");
        }
        assert_eq!(status(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(status(&[("host", "localhost"), ("sec-fetch-site", "same-origin")]), 200);
    }
}
