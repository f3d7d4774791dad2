//! The settings of the emulator, and the environment variables that make clients use it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{CLIENT_ARGUMENTS, Hosts, Log, PLATFORMS, Platform, Tokens};
use crate::error::{Error, Result};
use crate::model::{Clock, Warn};
use crate::secret::Secret;

/// The token in the official clients' variables if any token is accepted.
const ANY_TOKEN: &str = "any-token";

/// The settings of the emulator.
#[derive(Clone)]
pub struct Options {
    /// All platforms that can be served.
    pub platforms: &'static [&'static Platform],
    /// If set, only this platform is served, with and without its prefix.
    pub only: Option<String>,
    /// The wire dialects, by platform. Set with [`set_dialect`](Self::set_dialect).
    pub dialects: BTreeMap<String, String>,
    /// The values of quirks, by `NAME` or `PLATFORM.NAME`. Set with [`set_quirk`](Self::set_quirk).
    pub quirks: BTreeMap<String, String>,
    /// The accepted token; `None` accepts any token.
    pub token: Option<Secret>,
    /// The accepted tokens of several spaces, which replace `token`.
    pub tokens: Option<Tokens>,
    /// The clock.
    pub clock: Clock,
    /// Receives an entry for each request.
    pub log: Option<Log>,
    /// The accepted hosts; `None` accepts any host.
    pub hosts: Option<Hosts>,
    /// Time limit for receiving the head of a request, including the first one on a connection, and between two
    /// pieces of a body.
    pub silence: Duration,
    /// Prints a warning if the store is not available.
    pub warn: Warn,
    /// Time for running requests to finish once shutdown starts.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            platforms: PLATFORMS,
            only: None,
            dialects: BTreeMap::new(),
            quirks: BTreeMap::new(),
            token: None,
            tokens: None,
            clock: Clock::default(),
            log: None,
            hosts: None,
            silence: Duration::from_mins(1),
            warn: Warn::default(),
            drain: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// Sets `--only PLATFORM`.
    pub fn set_only(&mut self, name: &str) -> Result<()> {
        self.only = Some(self.platform(name)?.name.to_owned());
        Ok(())
    }

    /// Adds a `--dialect NAME=WORD` option.
    pub fn set_dialect(&mut self, text: &str) -> Result<()> {
        let Some((name, word)) = text.split_once('=') else {
            return Err(Error::usage(format!("dialect `{text}`: must have the form PLATFORM=WORD"))
                .hint(self.dialect_list()));
        };
        let platform = self.platform(name)?;
        if !platform.dialects.contains(&word) {
            return Err(Error::usage(format!("dialect `{text}`: {name} has no dialect `{word}`"))
                .did_you_mean(word, platform.dialects.iter().copied())
                .hint(self.dialect_list()));
        }
        self.dialects.insert(name.to_owned(), word.to_owned());
        Ok(())
    }

    /// Adds a `--quirk NAME[=VALUE]` option. `PLATFORM.NAME` applies to only one platform.
    pub fn set_quirk(&mut self, text: &str) -> Result<()> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let (only, name) = match key.split_once('.') {
            Some((platform, name)) => (Some(self.platform(platform)?.name), name),
            None => (None, key),
        };
        let wrong = |what: String| {
            let list: Vec<_> = self.platforms.iter().flat_map(|p| p.quirks.iter().map(quirk_form)).collect();
            Error::usage(format!("quirk `{text}`: {what}")).hint(listed("quirks", list))
        };
        let known = self.platforms.iter().filter(|platform| only.is_none_or(|only| only == platform.name));
        let known: Vec<_> = known.flat_map(|platform| platform.quirks).filter(|q| q.name == name).collect();
        match known.first() {
            None => {
                let names =
                    self.platforms.iter().flat_map(|platform| platform.quirks).map(|quirk| quirk.name);
                return Err(wrong("unknown name".to_owned()).did_you_mean(name, names));
            }
            Some(quirk) if quirk.value.is_empty() && !value.is_empty() => {
                return Err(wrong("does not take a value".to_owned()));
            }
            Some(quirk) if !quirk.value.is_empty() && value.is_empty() => {
                return Err(wrong(format!("requires a value: `{}`", quirk_form(quirk))));
            }
            Some(_) => {}
        }
        self.quirks.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// The platforms to serve.
    pub fn served(&self) -> impl Iterator<Item = &'static Platform> {
        let only = self.only.as_deref();
        self.platforms.iter().copied().filter(move |platform| only.is_none_or(|only| only == platform.name))
    }

    /// The wire dialect of a platform: the selected one or the default; empty if there is only one.
    pub(super) fn dialect(&self, platform: &Platform) -> String {
        let chosen = self.dialects.get(platform.name).map(String::as_str);
        chosen.or(platform.dialects.first().copied()).unwrap_or_default().to_owned()
    }

    /// The active quirks of a platform.
    pub(super) fn quirks_of(&self, platform: &Platform) -> BTreeMap<String, String> {
        let on = platform.quirks.iter().filter_map(|quirk| {
            let own = self.quirks.get(&format!("{}.{}", platform.name, quirk.name));
            let value = own.or_else(|| self.quirks.get(quirk.name))?;
            Some((quirk.name.to_owned(), value.clone()))
        });
        on.collect()
    }

    /// The path prefix of a platform: `/xai`, or empty if it is served alone.
    pub(super) fn prefix(&self, platform: &Platform) -> String {
        if self.only.is_some() { String::new() } else { format!("/{}", platform.name) }
    }

    /// The root URL of each served platform, for a server listening on `address`.
    pub fn roots(&self, address: SocketAddr) -> Vec<(&'static Platform, String)> {
        let host = reachable(address);
        self.served().map(|platform| (platform, format!("http://{host}{}", self.prefix(platform)))).collect()
    }

    /// The environment variables that make official clients, and haul itself, use a server listening on `address`. With
    /// the tokens of several spaces, the variables for tokens are omitted.
    pub fn variables(&self, address: SocketAddr) -> Vec<(String, String)> {
        let token = self.token.as_ref().map_or(ANY_TOKEN, Secret::expose);
        let roots = self.roots(address);
        let claimed = roots.iter().flat_map(|(platform, root)| {
            (platform.variables)(root, token).into_iter().map(|(name, value)| (platform.name, name, value))
        });
        // The tokens of several spaces are not known here.
        let claimed = claimed.filter(|(.., value)| self.tokens.is_none() || value != token);
        let claimed: Vec<_> = claimed.collect();
        // A shared variable belongs to the platform that it is named after.
        let is_kept = |(platform, name, _): &&(&str, &'static str, String)| {
            claimed.iter().filter(|(_, other, _)| other == name).count() == 1
                || name.to_lowercase().starts_with(&format!("{platform}_"))
        };
        let clients =
            claimed.iter().filter(is_kept).map(|(_, name, value)| ((*name).to_owned(), value.clone()));
        let own = roots.iter().map(|(platform, root)| {
            let name = format!("HAUL_PROFILE_{}_BASE_URL", platform.name.to_ascii_uppercase());
            (name, format!("{root}{}", platform.base_path))
        });
        clients.chain(own).collect()
    }

    /// For official clients that do not read the URL from a variable: the arguments that make them use a server listening
    /// on `address`.
    pub fn client_arguments(&self, address: SocketAddr) -> Vec<(&'static str, String)> {
        let roots = self.roots(address).into_iter();
        let arguments = |(platform, root): (&'static Platform, String)| {
            let (_, arguments) = CLIENT_ARGUMENTS.iter().find(|(of, _)| of.name == platform.name)?;
            Some((platform.name, arguments(&root)))
        };
        roots.filter_map(arguments).collect()
    }

    fn platform(&self, name: &str) -> Result<&'static Platform> {
        self.platforms.iter().copied().find(|platform| platform.name == name).ok_or_else(|| {
            let names = self.platforms.iter().map(|platform| platform.name.to_owned()).collect();
            Error::usage(format!("unknown platform `{name}`"))
                .did_you_mean(name, self.platforms.iter().map(|platform| platform.name))
                .hint(listed("platforms", names))
        })
    }

    fn dialect_list(&self) -> String {
        let of =
            |p: &&Platform| p.dialects.iter().map(|word| format!("{}={word}", p.name)).collect::<Vec<_>>();
        listed("dialects", self.platforms.iter().flat_map(of).collect())
    }
}

/// The address at which a client on this machine reaches a server listening on `address`.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

fn quirk_form(quirk: &super::Quirk) -> String {
    let equals = if quirk.value.is_empty() { "" } else { "=" };
    format!("{}{equals}{}", quirk.name, quirk.value)
}

fn listed(what: &str, mut list: Vec<String>) -> String {
    list.sort_unstable();
    list.dedup();
    if list.is_empty() { format!("{what}: none") } else { format!("{what}: {}", list.join(", ")) }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::response::IntoResponse;

    use super::*;
    use crate::emulator::{Gate, Quirk};

    const RANGES: Quirk = Quirk { name: "ranges", value: "", help: "honors ranges" };
    const ORDER: Quirk = Quirk { name: "order", value: "id|created", help: "lists in this order" };

    static ONE: Platform = Platform {
        name: "one",
        base_path: "/v1",
        gate: Gate::BEARER,
        reads: &[],
        dialects: &["old", "new"],
        md5: false,
        quirks: &[RANGES, ORDER],
        variables: |root, token| vec![("ONE_URL", format!("{root}/v1")), ("SHARED_TOKEN", token.to_owned())],
        routes: |_| Router::new(),
        error: |_, status, _| status.into_response(),
    };
    static TWO: Platform = Platform {
        name: "two",
        quirks: &[RANGES],
        variables: |root, _| vec![("SHARED_TOKEN", root.to_owned()), ("ONE_URL", root.to_owned())],
        ..ONE
    };

    static BOTH: [&Platform; 2] = [&ONE, &TWO];

    fn options() -> Options {
        Options { platforms: &BOTH, ..Options::default() }
    }

    #[test]
    fn unknown_words_are_usage_errors_that_list_the_valid_ones() {
        let mut options = options();
        let text_of = |result: Result<()>| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Usage);
            format!("{} | {}", error.message(), error.hints().join(" "))
        };
        let only = text_of(options.set_only("three"));
        assert_eq!(only, "unknown platform `three` | platforms: one, two");
        let dialect = text_of(options.set_dialect("one=newest"));
        assert!(dialect.contains("one has no dialect `newest` | dialects: one=new, one=old"), "{dialect}");
        let quirk = text_of(options.set_quirk("rangez"));
        assert!(
            quirk.ends_with("unknown name | did you mean `ranges`? quirks: order=id|created, ranges"),
            "{quirk}"
        );
        assert!(text_of(options.set_quirk("order")).contains("requires a value"));
        assert!(text_of(options.set_quirk("ranges=1")).contains("does not take a value"));
        assert!(text_of(options.set_quirk("two.order=id")).contains("unknown name"));
    }

    #[test]
    fn dialects_and_quirks_reach_their_platforms() {
        let mut options = options();
        options.set_dialect("one=new").unwrap();
        options.set_quirk("two.ranges").unwrap();
        options.set_quirk("order=id").unwrap();
        assert_eq!((options.dialect(&ONE).as_str(), options.dialect(&TWO).as_str()), ("new", "old"));
        assert_eq!(options.quirks_of(&ONE), BTreeMap::from([("order".to_owned(), "id".to_owned())]));
        assert_eq!(options.quirks_of(&TWO), BTreeMap::from([("ranges".to_owned(), String::new())]));
    }

    #[test]
    fn no_variable_is_set_twice() {
        let variables = Options::default().variables("127.0.0.1:80".parse().unwrap());
        let names: BTreeMap<_, _> = variables.iter().cloned().collect();
        assert_eq!(names.len(), variables.len(), "{variables:?}");
        assert_eq!(names["OPENAI_API_KEY"], ANY_TOKEN);
        assert_eq!(names["OPENAI_BASE_URL"], "http://127.0.0.1:80/openai/v1");
    }

    #[test]
    fn a_shared_variable_belongs_to_its_platform_or_to_one_that_is_served_alone() {
        let mut options = options();
        let address = "0.0.0.0:80".parse().unwrap();
        let variables = |options: &Options| {
            let all = options.variables(address).into_iter();
            all.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            variables(&options),
            [
                "ONE_URL=http://127.0.0.1:80/one/v1",
                "HAUL_PROFILE_ONE_BASE_URL=http://127.0.0.1:80/one/v1",
                "HAUL_PROFILE_TWO_BASE_URL=http://127.0.0.1:80/two/v1"
            ]
        );
        options.set_only("two").unwrap();
        assert_eq!(
            variables(&options),
            [
                "SHARED_TOKEN=http://127.0.0.1:80",
                "ONE_URL=http://127.0.0.1:80",
                "HAUL_PROFILE_TWO_BASE_URL=http://127.0.0.1:80/v1"
            ]
        );
    }
}
