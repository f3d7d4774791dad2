//! A platform that is served, and takes one token unless a test wants it otherwise.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::ops::Deref;

use haul::emulator::Options;
use haul::model::Clock;
use haul::secret::Secret;

use crate::support::raw::{Answer, JSON, Served};

/// The token that every server here takes.
pub const TOKEN: &str = "xai-a-token-of-tests";
/// A header that says it.
pub const AUTH: &str = "Authorization: Bearer xai-a-token-of-tests";

/// How a platform is served.
#[derive(Clone, Default)]
pub struct Setup<'a> {
    pub platform: &'a str,
    pub dialect: Option<&'a str>,
    pub quirks: &'a [&'a str],
    pub any_token: bool,
    /// All platforms are served, this one below its prefix.
    pub beside_others: bool,
    /// Seconds since 1970; the real time without.
    pub now: Option<i64>,
}

impl Setup<'_> {
    fn options(&self) -> Options {
        let clock = Clock(self.now.map(|seconds| jiff::Timestamp::from_second(seconds).unwrap()));
        let token = (!self.any_token).then(|| Secret::new(TOKEN));
        let mut options = Options { clock, token, ..Options::default() };
        if !self.beside_others {
            options.set_only(self.platform).unwrap();
        }
        self.quirks.iter().for_each(|quirk| options.set_quirk(quirk).unwrap());
        if let Some(dialect) = self.dialect {
            options.set_dialect(&format!("{}={dialect}", self.platform)).unwrap();
        }
        options
    }
}

/// A platform that is served, alone at the root unless the setup says otherwise.
pub struct Server(Served);

impl Server {
    pub fn start(setup: &Setup) -> Self {
        Self(Served::start(setup.options(), &[]))
    }

    /// Stops it and serves the same store otherwise.
    pub fn again(self, setup: &Setup) -> Self {
        Self(Served::start_in(self.0.end(), setup.options(), &[]))
    }

    /// Sends a request with the token and a body of known length.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.ask_bare(method, path, &[&[AUTH], headers].concat(), body)
    }

    /// The same without the token.
    pub fn ask_bare(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.0.ask(method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], b"")
    }

    pub fn post_json(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[JSON], body.as_bytes())
    }
}

impl Deref for Server {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.0
    }
}
