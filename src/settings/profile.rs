//! Resolves profiles from flags, the environment, the config file and the variables of the platforms' own clients.

use std::collections::BTreeMap;
use std::time::Duration;

use url::{Host, Url};

use super::{Origin, Settings, Sourced, check_reserved, env, file, parse_lifetime, profile_variable};
use crate::error::{Error, Result, word};
use crate::providers::{self, REGISTRY, Spec};
use crate::secret::Secret;

/// A resolved profile.
#[derive(Clone)]
pub struct Profile {
    /// The profile's name.
    pub name: String,
    /// The profile's platform.
    pub spec: &'static Spec,
    /// The base URL of the API.
    pub base_url: Sourced<Url>,
    /// The base URL for uploads.
    pub upload_base_url: Sourced<Url>,
    /// The wire dialect.
    pub dialect: Sourced<String>,
    /// The maximum total number of bytes to download for comparing files, if configured.
    pub compare_limit: Option<Sourced<u64>>,
    /// How long a new file may be missing from listings, if configured.
    pub appears_within: Option<Sourced<Duration>>,
    /// The platform settings (`--set`) that are not secret.
    pub set: BTreeMap<String, Sourced<String>>,
    /// The platform settings that are secret.
    pub secrets: BTreeMap<String, Sourced<Secret>>,
    /// The profile's table in the config file.
    pub file: file::Profile,
}

impl Profile {
    /// The settings that select the scope of the profile's files, such as a workspace.
    pub fn scope(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let keys = self.spec.dialect(&self.dialect.value).can.scope;
        keys.iter().filter_map(|key| Some((*key, self.set.get(*key)?.value.as_str())))
    }

    /// Whether this is the platform's built-in profile.
    pub fn is_built_in(&self) -> bool {
        self.name == self.spec.name
    }

    /// Whether the profile uses the vendor's own host. Otherwise, a named profile cannot use the vendor's token
    /// variables.
    pub fn is_vendors(&self) -> bool {
        let vendors = |url: &Url| {
            [Some(self.spec.base_url), self.spec.upload_base_url]
                .into_iter()
                .flatten()
                .filter_map(|own| Url::parse(own).ok())
                .any(|own| own.origin() == url.origin())
        };
        vendors(&self.base_url.value) && vendors(&self.upload_base_url.value)
    }
}

impl Settings {
    /// Resolves a profile. Flags and the general variables (`HAUL_BASE_URL`, …) apply only to the command's profile,
    /// so that they do not change other profiles on the same command line.
    ///
    /// An object address such as `s3://BUCKET` also names a profile: the command's profile if it uses this platform,
    /// otherwise the platform's built-in profile, with the bucket and the prefix from the address.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        let own = self.profile_name().value;
        let Some((spec, bucket, prefix)) = providers::bucket_of(name) else {
            return self.profile_as(name, own == name);
        };
        let is_platform = |name: &str| {
            let file = self.file.profiles.get(name).cloned().unwrap_or_default();
            self.spec_of(name, &file).is_ok_and(|known| known.name == spec.name)
        };
        let base = if providers::bucket_of(&own).is_none() && is_platform(&own) { &own } else { spec.name };
        let mut profile = self.profile_as(base, own == base || own == name)?;
        let given = |value: &str| Sourced { value: value.to_owned(), origin: Origin::Flag("address") };
        profile.set.insert("bucket".to_owned(), given(bucket));
        profile.set.insert("prefix".to_owned(), given(prefix));
        name.clone_into(&mut profile.name);
        Ok(profile)
    }

    fn profile_as(&self, name: &str, is_own: bool) -> Result<Profile> {
        let file = self.file.profiles.get(name).cloned().unwrap_or_default();
        let spec = self.spec_of(name, &file)?;
        let dialect = self.dialect(name, spec, &file, is_own)?;
        let base_url = self.base_url(name, spec, &file, is_own)?;
        let upload_base_url = self.upload_base_url(name, spec, &file, is_own, &base_url)?;
        let (set, secrets) = self.set(name, spec, &file, is_own)?;
        let compare_limit = self.compare_limit(name, &file, is_own)?;
        let appears_within = self.appears_within(name, &file, is_own)?;
        let name = name.to_owned();
        Ok(Profile {
            name,
            spec,
            base_url,
            upload_base_url,
            dialect,
            compare_limit,
            appears_within,
            set,
            secrets,
            file,
        })
    }

    fn spec_of(&self, name: &str, file: &file::Profile) -> Result<&'static Spec> {
        let variable = profile_variable(name, "PROVIDER");
        let of_file = || Some((file.provider.as_deref()?, self.file.origin(&["profiles", name, "provider"])));
        let provider = self.env.get(&variable).map(|provider| (provider, Origin::Variable(variable.clone())));
        if let Some((provider, origin)) = provider.or_else(of_file) {
            check_reserved(name, &format!("{origin}: "))?;
            return providers::find(provider).ok_or_else(|| no_such_provider(provider, &origin));
        }
        providers::find(name).ok_or_else(|| {
            if self.file.profiles.contains_key(name) {
                let place = self.file.origin(&["profiles", name]);
                return Error::usage(format!("{place}: profile {name} has no provider"))
                    .hint("add a line such as `provider = \"xai\"`");
            }
            let names = self.profile_names();
            let own = self.profile_name();
            let error = Error::usage(if own.value == name && !matches!(own.origin, Origin::Flag(_)) {
                format!("{}: unknown profile {name:?}", own.origin)
            } else {
                format!("unknown profile {name:?}")
            });
            error
                .did_you_mean(platform_of(name), names.iter().map(String::as_str))
                .hint(format!("profiles: {}", names.join(", ")))
        })
    }

    /// The first value found in this order: flag, variable for the command's profile, variable for the named profile,
    /// config file.
    fn pick(
        &self,
        name: &str,
        is_own: bool,
        part: Part,
        in_file: Option<&String>,
    ) -> Option<Sourced<String>> {
        let flag = part.flag.filter(|_| is_own).map(|value| (value.clone(), Origin::Flag(part.flag_name)));
        let variable = |name: &str| Some((self.env.get(name)?.to_owned(), Origin::Variable(name.to_owned())));
        let (value, origin) = flag
            .or_else(|| if is_own { variable(part.variable) } else { None })
            .or_else(|| variable(&profile_variable(name, part.suffix)))
            .or_else(|| Some((in_file?.clone(), self.file.origin(&["profiles", name, part.key]))))?;
        Some(Sourced { value, origin })
    }

    fn dialect(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
    ) -> Result<Sourced<String>> {
        let part = Part {
            flag: self.flags.dialect.as_ref(),
            flag_name: "--wire-dialect",
            variable: env::DIALECT,
            suffix: "DIALECT",
            key: "dialect",
        };
        let Some(picked) = self.pick(name, is_own, part, file.dialect.as_ref()) else {
            return Ok(Sourced { value: "auto".to_owned(), origin: Origin::BuiltIn });
        };
        if spec.dialect_names().contains(&picked.value.as_str()) {
            return Ok(picked);
        }
        Err(spec.no_such_dialect(&picked.origin.to_string(), &picked.value))
    }

    fn compare_limit(&self, name: &str, file: &file::Profile, is_own: bool) -> Result<Option<Sourced<u64>>> {
        let (suffix, key) = ("COMPARE_LIMIT", "compare_limit");
        let part = Part { flag: None, flag_name: "", variable: env::COMPARE_LIMIT, suffix, key };
        let Some(picked) = self.pick(name, is_own, part, file.compare_limit.as_ref()) else {
            return Ok(None);
        };
        match picked.value.parse::<bytesize::ByteSize>() {
            Ok(size) => Ok(Some(Sourced { value: size.0, origin: picked.origin })),
            Err(_) => Err(Error::usage(format!("{}: invalid size {:?}", picked.origin, picked.value))
                .hint("for example `256MB` or `1GiB`")),
        }
    }

    fn appears_within(
        &self,
        name: &str,
        file: &file::Profile,
        is_own: bool,
    ) -> Result<Option<Sourced<Duration>>> {
        let (suffix, key) = ("APPEARS_WITHIN", "appears_within");
        let part = Part { flag: None, flag_name: "", variable: env::APPEARS_WITHIN, suffix, key };
        let Some(picked) = self.pick(name, is_own, part, file.appears_within.as_ref()) else {
            return Ok(None);
        };
        match parse_lifetime(&picked.value).and_then(|span| Duration::try_from(span).ok()) {
            Some(value) => Ok(Some(Sourced { value, origin: picked.origin })),
            None => Err(Error::usage(format!("{}: invalid duration {:?}", picked.origin, picked.value))
                .hint("for example `30s` or `10m`")),
        }
    }

    fn base_url(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
    ) -> Result<Sourced<Url>> {
        let part = Part {
            flag: self.flags.base_url.as_ref(),
            flag_name: "--base-url",
            variable: env::BASE_URL,
            suffix: "BASE_URL",
            key: "base_url",
        };
        let vendors = || -> Result<Option<Sourced<String>>> {
            // The vendor's variable also applies to a named profile without a base URL.
            let Some(variable) = spec.base_url_variables.iter().find(|name| self.env.is_set(name)) else {
                return Ok(None);
            };
            let origin = Origin::Variable((*variable).to_owned());
            Ok(self.env.text(variable)?.map(|text| Sourced { value: text.to_owned(), origin }))
        };
        if spec.base_url.is_empty() {
            let value = Url::parse("local:").map_err(|error| Error::failed(error.to_string()))?;
            return Ok(Sourced { value, origin: Origin::BuiltIn });
        }
        let picked = match self.pick(name, is_own, part, file.base_url.as_ref()) {
            Some(picked) => Some(picked),
            None => vendors()?,
        };
        let picked =
            picked.unwrap_or_else(|| Sourced { value: spec.base_url.to_owned(), origin: Origin::BuiltIn });
        Ok(Sourced { value: parse_base_url(&picked, spec.base_path)?, origin: picked.origin })
    }

    fn upload_base_url(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
        base: &Sourced<Url>,
    ) -> Result<Sourced<Url>> {
        let part = Part {
            flag: None,
            flag_name: "",
            variable: env::UPLOAD_BASE_URL,
            suffix: "UPLOAD_BASE_URL",
            key: "upload_base_url",
        };
        if let Some(picked) = self.pick(name, is_own, part, file.upload_base_url.as_ref()) {
            return Ok(Sourced { value: parse_base_url(&picked, spec.base_path)?, origin: picked.origin });
        }
        match spec.upload_base_url {
            // If the API host is not the default, uploads must not go to the vendor's default upload host.
            Some(default) if base.origin == Origin::BuiltIn => {
                let default = Sourced { value: default.to_owned(), origin: Origin::BuiltIn };
                Ok(Sourced { value: parse_base_url(&default, spec.base_path)?, origin: Origin::BuiltIn })
            }
            _ => Ok(base.clone()),
        }
    }

    #[allow(clippy::type_complexity, reason = "two maps, named by the fields that hold them")]
    fn set(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
    ) -> Result<(BTreeMap<String, Sourced<String>>, BTreeMap<String, Sourced<Secret>>)> {
        let mut found: BTreeMap<String, Sourced<String>> = BTreeMap::new();
        for (key, value) in &file.set {
            found.insert(
                key.clone(),
                Sourced { value: value.clone(), origin: self.file.origin_of_setting(name, key) },
            );
        }
        // Variables apply to all platforms, so keys that this platform does not have are ignored.
        let prefixes = [env::SET_PREFIX.to_owned(), format!("{}SET_", profile_variable(name, ""))];
        for prefix in &prefixes {
            for (key, value) in self.env.with_prefix(prefix) {
                let (key, origin) = (key.to_lowercase(), Origin::Variable(format!("{prefix}{key}")));
                if spec.settings.iter().any(|setting| setting.has_key(&key)) {
                    found.insert(key, Sourced { value: value.to_owned(), origin });
                }
            }
        }
        if is_own {
            for (key, value) in &self.flags.set {
                found.insert(key.clone(), Sourced { value: value.clone(), origin: Origin::Flag("--set") });
            }
        }
        if let Some(link) = self.flags.link.as_ref().filter(|_| is_own) {
            found.insert("link".to_owned(), Sourced { value: link.clone(), origin: Origin::Flag("--link") });
        }
        let mut secrets = BTreeMap::new();
        for (key, sourced) in &found {
            let Some(setting) = spec.settings.iter().find(|setting| setting.has_key(key)) else {
                return Err(unknown_setting(spec, key, &sourced.origin));
            };
            if setting.secret {
                if sourced.origin == Origin::Flag("--set") {
                    let hint = match key.split_once('.') {
                        // The name of a variable cannot contain a dot.
                        Some((table, _)) => {
                            format!("write it to the config file, in `[profiles.{name}.{table}]`")
                        }
                        None => {
                            format!("set the environment variable {}{}", env::SET_PREFIX, key.to_uppercase())
                        }
                    };
                    return Err(Error::usage(format!(
                        "{key} is a secret, and other processes can read arguments"
                    ))
                    .hint(hint));
                }
                if let Origin::File(..) = sourced.origin
                    && self.file.is_shared()
                {
                    let origin = &sourced.origin;
                    return Err(Error::usage(format!(
                        "{origin}: {key} is a secret, and other users can access this file"
                    ))
                    .hint(format!(
                        "run `chmod 600 {}`, and replace the secret: it may have leaked",
                        word(&self.file.path.display().to_string())
                    )));
                }
                let value = Secret::new(&sourced.value);
                // The value of a header may contain spaces.
                if let Some(why) = value.problem().filter(|_| !key.contains('.')) {
                    return Err(Error::usage(format!("{}: invalid {key}: {why}", sourced.origin)));
                }
                let secret = Sourced { value, origin: sourced.origin.clone() };
                secrets.insert(key.clone(), secret);
            }
        }
        found.retain(|key, _| !secrets.contains_key(key));
        Ok((found, secrets))
    }
}

/// A part of a profile, with its name in each source.
#[derive(Clone, Copy)]
struct Part<'a> {
    flag: Option<&'a String>,
    flag_name: &'static str,
    variable: &'static str,
    suffix: &'static str,
    key: &'static str,
}

/// The platform of a product with this name, such as `claude`; otherwise the name itself.
fn platform_of(name: &str) -> &str {
    match name.to_ascii_lowercase().as_str() {
        "claude" => "anthropic",
        "chatgpt" | "gpt" => "openai",
        "google" => "gemini",
        "grok" => "xai",
        _ => name,
    }
}

/// The error for an unknown provider. `origin` is where it was named.
pub fn no_such_provider(provider: &str, origin: &Origin) -> Error {
    let names: Vec<&str> = REGISTRY.iter().map(|spec| spec.name).collect();
    Error::usage(format!("{origin}: unknown provider {provider:?}"))
        .did_you_mean(platform_of(provider), names.iter().copied())
        .hint(format!("providers: {}", names.join(", ")))
}

fn unknown_setting(spec: &Spec, key: &str, origin: &Origin) -> Error {
    let keys: Vec<&str> = spec.settings.iter().map(|setting| setting.key).collect();
    if *origin == Origin::Flag("--link") {
        return Error::usage(format!("--link: {} does not download through signed links", spec.name));
    }
    let error = Error::usage(format!("{origin}: {} has no setting {key:?}", spec.name));
    if keys.is_empty() {
        return error.hint(format!("{} has no settings", spec.name));
    }
    error.did_you_mean(key, keys.iter().copied()).hint(format!(
        "settings of {}: {}",
        spec.name,
        keys.join(", ")
    ))
}

/// Parses a base URL. The scheme and the version path are optional. This is stricter than the URL standard, which
/// reads `https:///v1` as the host `v1`, because a typo must not send a token to another host.
fn parse_base_url(picked: &Sourced<String>, base_path: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::usage(format!("{}: invalid base URL {:?}: {why}", picked.origin, picked.value))
            .hint("for example https://api.example.com")
    };
    let text = picked.value.trim();
    let (scheme, rest) = if let Some((scheme, rest)) = text.split_once("://") {
        (scheme.to_ascii_lowercase(), rest)
    } else {
        let local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
            text.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        (if local { "http" } else { "https" }.to_owned(), text)
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    if host.contains('@') {
        return Err(Error::usage(format!(
            "{}: a base URL must not contain a user name or password",
            picked.origin
        )));
    }
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(wrong("the scheme must be http or https"));
    }
    if host.is_empty() || host.starts_with(':') {
        return Err(wrong("it has no host"));
    }
    if host.ends_with(':') {
        return Err(wrong("it has no port after the colon"));
    }
    if path.contains(['?', '#']) {
        return Err(wrong("it must not contain a query or a fragment"));
    }
    let path = path.trim_end_matches('/');
    if rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(wrong("it must not contain a space, a control character or a backslash"));
    }
    if path.contains("//") {
        return Err(wrong("a part of its path is empty"));
    }
    let path = if path.ends_with(base_path) { path.to_owned() } else { format!("{path}{base_path}") };
    let url = Url::parse(&format!("{scheme}://{host}{path}")).map_err(|error| wrong(&error.to_string()))?;
    let is_host = match url.host() {
        // The URL standard also accepts addresses such as `1` and `0x7f.1`.
        Some(Host::Ipv4(address)) => host.split(':').next() == Some(address.to_string().as_str()),
        Some(Host::Domain(name)) => !host.contains('%') && name.contains(|c: char| c.is_ascii_alphanumeric()),
        Some(Host::Ipv6(_)) => true,
        None => false,
    };
    if is_host { Ok(url) } else { Err(wrong("it has no valid host")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str, path: &str) -> Result<String> {
        let picked = Sourced { value: text.to_owned(), origin: Origin::Flag("--base-url") };
        parse_base_url(&picked, path).map(|url| url.to_string())
    }

    #[test]
    fn scheme_and_path_of_a_base_url_are_optional() {
        let ok = |text, path| url(text, path).expect("a base URL");
        assert_eq!(ok("https://api.example.com", "/v1"), "https://api.example.com/v1");
        assert_eq!(ok("https://api.example.com/v1/", "/v1"), "https://api.example.com/v1");
        assert_eq!(ok("api.cloud.eu.example.com", ""), "https://api.cloud.eu.example.com/");
        assert_eq!(ok("127.0.0.1:8787/xai", "/v1"), "http://127.0.0.1:8787/xai/v1");
        assert_eq!(ok("[::1]:8787/", ""), "http://[::1]:8787/");
        assert_eq!(ok("localhost.example.com/v1", "/v1"), "https://localhost.example.com/v1");
        assert_eq!(ok(" HTTPS://API.example.com:8443// ", "/v1"), "https://api.example.com:8443/v1");
        assert_eq!(ok("files", ""), "https://files/");
        let why = |text: &str| {
            let error = url(text, "/v1").expect_err(text);
            error.message().rsplit_once("\": ").map(|(_, why)| why.to_owned()).unwrap_or_default()
        };
        for text in ["", "https://", "https:///v1", "https:////v1", "http://:8080", ":8080"] {
            assert_eq!(why(text), "it has no host", "{text}");
        }
        assert_eq!(why("ftp://x"), "the scheme must be http or https");
        for text in ["https:", "https:/x", "https:\\\\host", "host:/v1", "https://host:/v1"] {
            assert_eq!(why(text), "it has no port after the colon", "{text}");
        }
        assert_eq!(why("https://host?x=1"), "it must not contain a query or a fragment");
        assert_eq!(why("https://host//v1"), "a part of its path is empty");
        for text in ["a b.example.com", "https://ho\tst", "https://host\\x"] {
            assert!(why(text).contains("a backslash"), "{text}");
        }
        for text in ["8080", "https://0x7f.1", "https://..", "https://%61pi.example.com"] {
            assert_eq!(why(text), "it has no valid host", "{text}");
        }
        assert_eq!(why("https://host:99999"), "invalid port number");
        assert!(url("https://user:secret@x", "").is_err_and(|error| !error.to_string().contains("secret")));
    }
}
