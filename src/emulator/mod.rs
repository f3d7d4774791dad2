//! The platforms' wire formats on top of the Store, written from the platforms' contracts and from nothing in
//! `providers/`: the two meet over a socket only.
//!
//! A platform is one [`Platform`] value in a file or folder of its name. Its handlers get an `Arc<Site>` as state,
//! receive bodies with [`receive`], [`receive_raw`] and [`receive_json`], read queries with [`Params`], send files with
//! [`Content`], reach the store through [`Site::blocking`], and build every URL from [`Site::root`]. Faults, the log,
//! unknown routes, refusals that a sending client can read, and stopping are done for them here.

mod activeloop;
mod body;
mod content;
mod disposition;
mod fastapi;
mod faults;
pub mod ids;
mod llamacloud;
mod metorial;
mod multipart;
pub mod openai;
mod options;
mod replicate;
mod request;
mod server;
mod site;
mod wire;
mod xai;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;

pub use crate::model::hex as to_hex;
pub use crate::signing::{Signer, from_hex};
pub use body::{
    Field, Form, Head, Limits, Refused, Take, Upload, receive, receive_json, receive_raw, receive_text,
};
pub use content::{Content, Sending};
pub use disposition::content_disposition;
pub use faults::{Faults, KEYS as FAULT_KEYS, WORDS as FAULT_WORDS};
pub use options::Options;
pub use request::{Denied, Gate, Params, Rate, RateLimiter};
pub use server::serve;
pub use site::Site;

/// Every emulated platform.
pub static PLATFORMS: &[&Platform] = &[
    &replicate::REPLICATE,
    &activeloop::ACTIVELOOP,
    &metorial::METORIAL,
    &llamacloud::LLAMACLOUD,
    &xai::XAI,
];

/// One emulated platform.
pub struct Platform {
    /// Its name, which is also its prefix (`/xai/v1/files`) and its space in the store.
    pub name: &'static str,
    /// What follows the prefix in the base URL that its official clients want: `/v1`, or nothing.
    pub base_path: &'static str,
    /// Wire dialects of `--dialect NAME=WORD`, the default first; empty where there is one.
    pub dialects: &'static [&'static str],
    /// Whether it states the MD5 of content; computing it costs time.
    pub md5: bool,
    /// What `--quirk` can turn on.
    pub quirks: &'static [Quirk],
    /// Environment variables that point its official clients here: name and value, given the platform's root URL
    /// (`http://127.0.0.1:8787/xai`) and the token. A name that two platforms claim is exported only where one of them is
    /// served alone.
    pub variables: fn(root: &str, token: &str) -> Vec<(&'static str, String)>,
    /// Its routes, without the prefix. Unknown paths and methods are answered by `error`, so no fallback is needed.
    pub routes: fn(Arc<Site>) -> Router,
    /// An error with this status as the platform words it. The message is empty where the platform has words of its own
    /// for the status; else it is one of [`Refused`], or of a scripted fault.
    pub error: fn(&Site, StatusCode, message: &str) -> Response,
}

/// A switch that a contract names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// The word after `--quirk`.
    pub name: &'static str,
    /// What its value is, such as `id|created`; empty where it takes none.
    pub value: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
}
