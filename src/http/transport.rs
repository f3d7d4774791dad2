//! Connection pools: reqwest clients, created on the first request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use url::{Host, Url};

use super::Config;
use super::tls::{self, Authorities};
use crate::error::{Error, Result};

/// How long an idle connection is kept. Servers close idle connections after a minute or more, and a request sent at
/// that moment is lost.
const IDLE: Duration = Duration::from_secs(20);

/// Up to eight pools: with or without TLS, for file content or small requests, for this machine or others. A command
/// rarely uses more than two.
#[derive(Debug, Default)]
pub(super) struct Transport {
    pools: [OnceLock<reqwest::Client>; 8],
    authorities: OnceLock<Arc<Authorities>>,
}

impl Transport {
    /// The pool for a URL. File content (`bulk`) uses HTTP/1.1 and is not decompressed.
    pub(super) fn pool(&self, url: &Url, bulk: bool, config: &Config) -> Result<&reqwest::Client> {
        let (secure, local) = (url.scheme() == "https", is_loopback(url));
        let pool = &self.pools[usize::from(secure) | usize::from(bulk) << 1 | usize::from(local) << 2];
        if let Some(client) = pool.get() {
            return Ok(client);
        }
        // Loading the authorities takes milliseconds and is not needed for plain HTTP.
        let authorities = if secure { Some(self.authorities(config)?) } else { None };
        let client = build(tls::config(authorities, bulk)?, bulk, local, config.timeout)?;
        Ok(pool.get_or_init(|| client))
    }

    fn authorities(&self, config: &Config) -> Result<Arc<Authorities>> {
        if let Some(authorities) = self.authorities.get() {
            return Ok(Arc::clone(authorities));
        }
        let authorities = Arc::new(Authorities::load(config.bundle.as_deref(), config.cacert.as_deref())?);
        Ok(Arc::clone(self.authorities.get_or_init(|| authorities)))
    }
}

fn build(tls: ClientConfig, bulk: bool, local: bool, timeout: Duration) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        // haul handles redirects and retries itself: a redirect must not send the token to another host.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // Shorter than the limit for a small request, to distinguish a failed connection from a missing response.
        .connect_timeout(timeout.mul_f64(0.9).min(Duration::from_secs(30)))
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true);
    if bulk {
        builder = builder.http1_only().no_gzip();
    }
    if local {
        // Local requests and their tokens must not go through a proxy.
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| Error::failed("cannot initialize the HTTP client").caused_by(error.without_url()))
}

/// The reason why a proxy variable's value cannot be used; `None` if it can.
pub fn proxy_problem(value: &str) -> Option<&'static str> {
    let any = "http://host.invalid/".parse().ok()?;
    match Matcher::builder().all(value).build().intercept(&any) {
        None => Some("invalid proxy URL"),
        Some(proxy) if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) => {
            Some("unsupported proxy: the scheme must be http or https")
        }
        Some(_) => None,
    }
}

/// The proxy for a URL, without user name and password, chosen the way reqwest chooses it.
pub(super) fn proxy_of(url: &Url) -> Option<String> {
    if is_loopback(url) {
        return None;
    }
    let proxy = Matcher::from_system().intercept(&url.as_str().parse().ok()?)?;
    let (scheme, host) = (proxy.uri().scheme_str()?, proxy.uri().host()?);
    Some(
        proxy
            .uri()
            .port_u16()
            .map_or_else(|| format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}")),
    )
}

/// Whether a URL points to this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_proxy_has_a_reason() {
        for value in ["http://proxy:3128", "proxy.example.com:3128", "https://user:secret@[::1]:8080/"] {
            assert_eq!(proxy_problem(value), None, "{value}");
        }
        for value in ["ht!tp://%%%", "ftp://proxy", "http://", "/proxy"] {
            assert_eq!(proxy_problem(value), Some("invalid proxy URL"), "{value}");
        }
        let unsupported = Some("unsupported proxy: the scheme must be http or https");
        assert_eq!(proxy_problem("socks5://proxy:1080"), unsupported);
    }
}
