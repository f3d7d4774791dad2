//! A profile by hand: what opening a provider needs.

use std::collections::BTreeMap;
use std::time::Duration;

use haul::http::{Client, Config, Policy};
use haul::model::{Clock, Warn};
use haul::providers::{Connection, Spec};
use haul::secret::Secret;
use jiff::Timestamp;

/// A connection to `base_url` that tries everything once, on 12 August 2025.
pub fn connection(
    spec: &'static Spec,
    base_url: &str,
    token: &str,
    dialect: &str,
    set: &[(&str, &str)],
) -> Connection {
    let base_url: url::Url = base_url.parse().expect("a URL");
    let http = Client::new(Config {
        platform: spec.name,
        own: vec![base_url.clone()],
        token: Some(Secret::new(token)),
        token_hints: Vec::new(),
        timeout: Duration::from_secs(10),
        policy: Policy { attempts: 1, ..Policy::default() },
        cacert: None,
        insecure_http: false,
        rate: None,
        headers: Vec::new(),
        read_problem: spec.read_problem,
    });
    Connection {
        profile: "work".to_owned(),
        upload_base_url: base_url.clone(),
        base_url,
        dialect: dialect.to_owned(),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        secrets: BTreeMap::new(),
        http,
        clock: Clock(Some(Timestamp::from_second(1_755_000_000).expect("a time"))),
        data: std::path::PathBuf::new(),
        warn: Warn::default(),
    }
}
