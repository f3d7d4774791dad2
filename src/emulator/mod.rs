//! The platforms' wire formats on top of the Store, written from the platforms' contracts and from nothing in
//! `providers/`: the two meet over a socket only.

mod content;
mod faults;
mod form;
mod signing;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;

pub use content::{Sending, serve_content};
pub use faults::Faults;
pub use form::{Field, Form, Refused, Upload, receive, receive_raw};
pub use signing::Signer;

use crate::error::Result;
use crate::model::Clock;
use crate::secret::Secret;
use crate::store::Store;

/// Every emulated platform.
pub static PLATFORMS: &[&Platform] = &[];

/// One emulated platform.
pub struct Platform {
    /// Its name, which is also its prefix (`/xai/v1/files`) and its space in the store.
    pub name: &'static str,
    /// What follows the prefix in the base URL that its official clients want: `/v1`, or nothing.
    pub base_path: &'static str,
    /// Wire dialects of `--dialect NAME=WORD`, the default first; empty where there is one.
    pub dialects: &'static [&'static str],
    /// What `--quirk` can turn on.
    pub quirks: &'static [Quirk],
    /// Environment variables that point its official clients here: name and value, given the platform's root URL
    /// (`http://127.0.0.1:8787/xai`) and the token.
    pub variables: fn(root: &str, token: &str) -> Vec<(&'static str, String)>,
    /// Its routes, without the prefix.
    pub routes: fn(Arc<Site>) -> Router,
}

/// A switch that a contract names.
pub struct Quirk {
    /// The word after `--quirk`.
    pub name: &'static str,
    /// What it does, in a few words; says what `=VALUE` means if it takes one.
    pub help: &'static str,
}

/// What a platform's handlers are handed.
pub struct Site {
    /// The platform's name: its space in the store.
    pub platform: &'static str,
    /// The store.
    pub store: Store,
    /// Root URL of this platform as clients reach it, without a trailing slash: `http://127.0.0.1:8787/xai`.
    pub root: String,
    /// The wire dialect chosen.
    pub dialect: String,
    /// Quirks turned on, with their values (empty for none).
    pub quirks: BTreeMap<String, String>,
    /// The only token accepted; None accepts any.
    pub token: Option<Secret>,
    /// Signs and checks links.
    pub signer: Signer,
    /// The clock.
    pub clock: Clock,
}

impl Site {
    /// Whether a quirk is on.
    pub fn quirk(&self, name: &str) -> bool {
        self.quirks.contains_key(name)
    }

    /// A quirk's value.
    pub fn quirk_value(&self, name: &str) -> Option<&str> {
        self.quirks.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the `Authorization` header says, compared in constant time. `schemes` are the accepted words before the
    /// token, compared without regard to case.
    pub fn check_token(&self, _headers: &HeaderMap, _schemes: &[&str]) -> TokenCheck {
        todo!()
    }
}

/// What a request's token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    /// Good.
    Accepted,
    /// No header, or one of another form.
    Missing,
    /// Not the token.
    Wrong,
}

/// What is served and how.
#[derive(Clone, Default)]
pub struct Options {
    /// Serve only this platform, at the root too.
    pub only: Option<String>,
    /// The wire dialect by platform.
    pub dialects: BTreeMap<String, String>,
    /// Quirks and their values.
    pub quirks: BTreeMap<String, String>,
    /// The only token accepted.
    pub token: Option<Secret>,
    /// The clock.
    pub clock: Clock,
    /// One JSON line a request goes here.
    pub log: Option<tokio::sync::mpsc::UnboundedSender<String>>,
}

/// Serves the platforms on `listener` until `shutdown`, then lets running requests end.
pub async fn serve(
    _listener: TcpListener,
    _store: Store,
    _options: Options,
    _faults: Faults,
    _shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    todo!()
}
