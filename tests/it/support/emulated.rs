//! A server that emulates one platform, and a client that sends and shows every byte.

use std::ops::Deref;

use haul::emulator::Options;
use haul::model::Clock;
use haul::secret::Secret;

use crate::support::raw::Served;

/// What a test wants of its server.
#[derive(Default)]
pub struct Setup<'a> {
    pub platform: &'a str,
    pub dialect: Option<&'a str>,
    pub quirks: &'a [&'a str],
    pub faults: &'a [&'a str],
    pub token: Option<&'a str>,
    /// Served at the root, too.
    pub alone: bool,
    pub clock: Clock,
}

impl Setup<'_> {
    fn options(&self) -> Options {
        let token = self.token.map(Secret::new);
        let mut options = Options { clock: self.clock, token, ..Options::default() };
        if let Some(dialect) = self.dialect {
            options.set_dialect(&format!("{}={dialect}", self.platform)).unwrap();
        }
        self.quirks.iter().for_each(|quirk| options.set_quirk(quirk).unwrap());
        if self.alone {
            options.set_only(self.platform).unwrap();
        }
        options
    }
}

/// A server on a port of its own, with a store of its own.
pub struct Server(Served);

impl Server {
    pub fn start(setup: &Setup) -> Self {
        Self(Served::start(setup.options(), setup.faults))
    }

    /// Stops, and starts another server over the same store.
    #[allow(dead_code, reason = "each test binary uses a part of it")]
    pub fn again(self, setup: &Setup) -> Self {
        Self(Served::start_in(self.0.end(), setup.options(), setup.faults))
    }
}

impl Deref for Server {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.0
    }
}

/// A clock that stands.
pub fn clock(time: &str) -> Clock {
    Clock(Some(time.parse().unwrap()))
}
