//! A command's context: output, settings, clock, cancellation and opened providers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::error::{Error, Result, word};
use crate::http::{self, Client, Config, Event, Policy, Trace};
use crate::interrupt::Interrupt;
use crate::model::{Address, Clock, Warn};
use crate::providers::{Connection, Provider, REGISTRY, Spec};
use crate::settings::{Origin, Profile, Settings, env};
use crate::ui::{TerminalSettings, Ui};
use crate::vault::{self, Timeout, Token};

/// The context that a command runs in.
pub struct Context {
    /// The output streams.
    pub ui: Ui,
    /// All settings.
    pub settings: Settings,
    /// The clock.
    pub clock: Clock,
    /// Cancellation by a signal.
    pub interrupt: Interrupt,
    opened: RefCell<BTreeMap<String, Arc<dyn Provider>>>,
    noted: RefCell<BTreeSet<String>>,
}

impl Context {
    /// Creates a context. Opens nothing.
    pub fn new(ui: Ui, settings: Settings, clock: Clock, interrupt: Interrupt) -> Self {
        Self { ui, settings, clock, interrupt, opened: RefCell::default(), noted: RefCell::default() }
    }

    /// Asks a question on the terminal. A signal cancels the prompt immediately.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Ui) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _settings = TerminalSettings::keep();
        let ui = self.ui.clone();
        let answer = self.interrupt.unblock(move || question(&ui)).await;
        if answer.as_ref().is_err_and(Error::is_interrupted) {
            self.ui.end_question();
        }
        answer
    }

    /// Prints a note unless it has already been printed.
    pub fn note_once(&self, text: &str) {
        if self.noted.borrow_mut().insert(text.to_owned()) {
            self.ui.note(text);
        }
    }

    /// Parses `[profile:]ref`.
    pub fn address(&self, text: &str) -> Address {
        Address::parse(text, |name| self.settings.is_profile(name))
    }

    /// Resolves a profile by name; by default, the command's profile.
    pub fn profile(&self, name: Option<&str>) -> Result<Profile> {
        match name {
            Some(name) => self.settings.profile(name),
            None => self.settings.profile(&self.settings.profile_name().value),
        }
    }

    /// The beginning of a command in a hint, with `-p` unless the command would use the profile without it.
    pub fn command(&self, verb: &str, profile: Option<&str>) -> String {
        let chosen = self.settings.profile_name();
        match profile.unwrap_or(&chosen.value) {
            name if name == chosen.value && !matches!(chosen.origin, Origin::Flag(_)) => {
                format!("haul {verb}")
            }
            name => format!("haul {verb} -p {}", word(name)),
        }
    }

    /// Opens the provider for a profile; by default, for the command's profile. Each provider is opened only once.
    pub fn open(&self, name: Option<&str>) -> Result<Arc<dyn Provider>> {
        let is_default = name.is_none();
        let name = name.map_or_else(|| self.settings.profile_name().value, str::to_owned);
        if let Some(provider) = self.opened.borrow().get(&name) {
            return Ok(Arc::clone(provider));
        }
        let profile = self.settings.profile(&name)?;
        if is_default {
            self.hint_default_profile();
        }
        let token = self.token(&profile)?;
        let retries = self.settings.retries()?.value;
        let provider: Arc<dyn Provider> = Arc::from(self.open_with(&profile, token, retries)?);
        self.warn_of_real_address(&profile);
        self.opened.borrow_mut().insert(name, Arc::clone(&provider));
        Ok(provider)
    }

    /// Prints a hint if the default profile is used even though the environment contains a token for a platform.
    fn hint_default_profile(&self) {
        let chosen = self.settings.profile_name();
        if chosen.origin != Origin::BuiltIn || !self.opened.borrow().is_empty() {
            return;
        }
        let has_token =
            |spec: &&&Spec| spec.token_variables.iter().any(|name| self.settings.env.get(name).is_some());
        if let Some(spec) = REGISTRY.iter().find(has_token) {
            self.ui.hint(&format!(
                "using profile {}; to use {1}: `-p {1}` or HAUL_PROFILE={1}",
                chosen.value, spec.name
            ));
        }
    }

    /// Prints a warning if `haul serve` replaces the addresses of other platforms, but not that of this profile.
    fn warn_of_real_address(&self, profile: &Profile) {
        let Some(scheme) = profile.spec.scheme else { return };
        // The connection string of Azure can contain an address.
        let words = self.settings.env.get("AZURE_STORAGE_CONNECTION_STRING");
        let has_own = scheme == "az" && words.is_some_and(|words| words.contains("BlobEndpoint="));
        if profile.base_url.origin == Origin::BuiltIn && !has_own && self.settings.is_served() {
            let name = profile.spec.name;
            self.ui
                .warn(&format!("`haul serve` does not emulate {name}: this command uses its real address"));
        }
    }

    /// The number of responses with status 429 from the opened platforms.
    pub fn throttled(&self) -> u64 {
        self.opened.borrow().values().filter_map(|provider| Some(provider.client()?.throttled())).sum()
    }

    /// Opens the provider for a profile with this token and number of retries.
    pub fn open_with(
        &self,
        profile: &Profile,
        token: Option<Token>,
        retries: u32,
    ) -> Result<Box<dyn Provider>> {
        (profile.spec.open)(self.connection(profile, token, retries)?)
    }

    /// Finds the token for a profile. Returns `None` if no source is configured.
    pub fn token(&self, profile: &Profile) -> Result<Option<Token>> {
        self.with_timeout(|timeout| vault::token(&self.settings, profile, timeout))
    }

    /// Runs `work` with the time limit for keyrings, which is long only if the user can respond to a prompt.
    pub fn with_timeout<T>(&self, work: impl FnOnce(&Timeout) -> T) -> T {
        if self.ui.can_ask() && self.settings.env.has_display() {
            work(&Timeout::after(Duration::from_mins(1)).with_notice(&|text: &str| self.ui.note(text)))
        } else {
            work(&Timeout::after(Duration::from_secs(3)))
        }
    }

    /// A [`Warn`] that prints to stderr.
    pub fn warn(&self) -> Warn {
        let ui = self.ui.clone();
        Warn::by(move |text| ui.warn(text))
    }

    /// A [`Trace`] that prints delays before retries, the client's requests with `-vv`, and their headers with `-vvv`.
    fn trace(&self) -> Trace {
        let (ui, verbosity) = (self.ui.clone(), self.ui.verbosity());
        let print = move |event: &Event| match event {
            Event::Header { .. } if verbosity < 3 => {}
            event => ui.note(&event.to_string()),
        };
        if verbosity < 2 { Trace::of_pauses(print) } else { Trace::to(print) }
    }

    /// Checks the proxy variables. The HTTP client would ignore an invalid one and connect directly.
    fn check_proxies(&self) -> Result<()> {
        let env = &self.settings.env;
        for name in env::PROXIES {
            let Some(why) = env.text(name)?.and_then(http::proxy_problem) else { continue };
            // The value can contain a password.
            return Err(Error::usage(format!("{name}: {why}")).hint(format!(
                "for example `export {name}=http://proxy.example.com:3128`, or `unset {name}`"
            )));
        }
        Ok(())
    }

    fn connection(&self, profile: &Profile, token: Option<Token>, retries: u32) -> Result<Connection> {
        let spec = profile.spec;
        let can = spec.dialect(&profile.dialect.value).can;
        let is_remote = |url: &Url| url.has_host() && !http::is_loopback(url);
        if is_remote(&profile.base_url.value) || is_remote(&profile.upload_base_url.value) {
            self.check_proxies()?;
        }
        let token_variable = token.as_ref().and_then(|token| match &token.source {
            vault::Source::Variable(name) => Some(name.clone()),
            _ => None,
        });
        let config = Config {
            platform: spec.name,
            own: vec![profile.base_url.value.clone(), profile.upload_base_url.value.clone()],
            token_hints: vault::hints(profile, token.as_ref()),
            token: token.map(|token| token.secret),
            auth_header: None,
            timeout: self.settings.timeout()?.value,
            policy: Policy {
                attempts: retries.saturating_add(1),
                elapsed: Duration::from_mins(5),
                ..Policy::default()
            },
            bundle: self.settings.env.certificate_bundle(),
            cacert: self.settings.cacert().map(|path| path.value),
            insecure_http: self.settings.flags.insecure_http,
            rate: can.rate,
            trace: self.trace(),
            read_problem: spec.read_problem,
            request_ids: spec.request_ids,
        };
        Ok(Connection {
            profile: profile.name.clone(),
            base_url: profile.base_url.value.clone(),
            upload_base_url: profile.upload_base_url.value.clone(),
            dialect: profile.dialect.value.clone(),
            set: profile.set.iter().map(|(key, sourced)| (key.clone(), sourced.value.clone())).collect(),
            secrets: profile
                .secrets
                .iter()
                .map(|(key, sourced)| (key.clone(), sourced.value.clone()))
                .collect(),
            credentials: vault::object_credentials(&self.settings, profile)?,
            http: Client::new(config),
            appears_within: profile.appears_within.as_ref().map(|time| time.value),
            token_variable,
            clock: self.clock,
            data: self.settings.folders.data.clone(),
            warn: self.warn(),
        })
    }
}
