//! Hand-made profiles: the connection of a provider and the configuration of its client.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use haul::error::Result;
use haul::http::{Client, Config, Policy, Trace};
use haul::model::{Clock, Warn};
use haul::providers::{Connection, Provider, Spec};
use haul::secret::Secret;
use url::Url;

/// A profile. A test starts from [`new`](Self::new) and names the fields that differ.
#[derive(Clone)]
pub struct Profile<'a> {
    pub spec: &'static Spec,
    pub name: &'a str,
    pub base_url: Url,
    pub upload_base_url: Url,
    pub token: Option<&'a str>,
    pub dialect: &'a str,
    /// The values of `--set`, including secret ones.
    pub set: &'a [(&'a str, &'a str)],
    pub credentials: BTreeMap<String, Secret>,
    pub policy: Policy,
    pub timeout: Duration,
    pub clock: Clock,
    pub data: &'a Path,
}

impl Profile<'_> {
    /// The profile `work` at a base URL, without retries and with the system clock.
    pub fn new(spec: &'static Spec, base_url: &Url) -> Self {
        Self {
            spec,
            name: "work",
            base_url: base_url.clone(),
            upload_base_url: base_url.clone(),
            token: None,
            dialect: "auto",
            set: &[],
            credentials: BTreeMap::new(),
            policy: Policy { attempts: 1, ..Policy::default() },
            timeout: Duration::from_secs(10),
            clock: Clock::default(),
            data: Path::new(""),
        }
    }

    /// The configuration of the profile's client.
    pub fn config(&self) -> Config {
        let mut own = vec![self.base_url.clone()];
        if self.upload_base_url != self.base_url {
            own.push(self.upload_base_url.clone());
        }
        Config {
            token: self.token.map(Secret::new),
            timeout: self.timeout,
            policy: self.policy,
            read_problem: self.spec.read_problem,
            request_ids: self.spec.request_ids,
            ..config(self.spec.name, own)
        }
    }

    /// The connection for opening the provider.
    pub fn connection(&self) -> Connection {
        let is_secret = |key: &str| {
            let setting = self.spec.settings.iter().find(|setting| setting.has_key(key));
            setting.unwrap_or_else(|| panic!("{} has no setting {key}", self.spec.name)).secret
        };
        let (secrets, set): (Vec<_>, Vec<_>) = self.set.iter().partition(|(key, _)| is_secret(key));
        let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Connection {
            profile: self.name.to_owned(),
            base_url: self.base_url.clone(),
            upload_base_url: self.upload_base_url.clone(),
            dialect: self.dialect.to_owned(),
            set: set.into_iter().map(text).collect(),
            secrets: secrets.into_iter().map(|(key, value)| (key.to_owned(), Secret::new(value))).collect(),
            credentials: self.credentials.clone(),
            http: Client::new(self.config()),
            appears_within: None,
            token_variable: None,
            clock: self.clock,
            data: self.data.to_owned(),
            warn: Warn::default(),
        }
    }

    /// The provider.
    pub fn open(&self) -> Result<Box<dyn Provider>> {
        (self.spec.open)(self.connection())
    }
}

/// A client configuration without a token, for a platform at these base URLs.
pub fn config(platform: &'static str, own: Vec<Url>) -> Config {
    Config {
        platform,
        own,
        token: None,
        auth_header: None,
        token_hints: vec![format!("`haul auth login {platform}`")],
        timeout: Duration::from_secs(10),
        policy: Policy::default(),
        bundle: None,
        cacert: None,
        insecure_http: false,
        rate: None,
        trace: Trace::default(),
        read_problem: |_| None,
        request_ids: &[],
    }
}
