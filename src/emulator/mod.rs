//! The platforms' wire formats on top of the store. They follow the platforms' contracts and share no code with
//! `providers/`: client and emulator communicate only over a socket.
//!
//! A platform is one [`Platform`] value in a file or folder with its name. Its handlers have an `Arc<Site>` as state,
//! receive bodies with [`receive`], [`receive_raw`] and [`receive_json`], read queries with [`Params`], send files
//! with [`Content`], access their [`Space`] in the store through [`Site::blocking`], and build every URL from
//! [`Site::root`]. The core handles faults, the log, tokens of several spaces, unknown routes, early rejection of
//! uploads, and shutdown.

mod activeloop;
mod anthropic;
mod body;
mod content;
mod disposition;
mod fastapi;
mod faults;
mod gemini;
mod guard;
mod health;
pub mod ids;
mod llamacloud;
mod local;
mod metorial;
mod mistral;
mod multipart;
pub mod openai;
mod options;
mod outages;
mod parts;
mod replicate;
mod request;
mod server;
mod site;
mod space;
mod tenants;
mod together;
mod tokens;
mod wire;
mod xai;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;

pub use crate::model::hex as to_hex;
pub use crate::signing::{Signer, from_hex};
pub use body::{
    Field, Form, Head, Limits, Refused, Take, Upload, media_type, receive, receive_json, receive_raw,
    receive_text,
};
pub use content::{Content, Sending};
pub use disposition::content_disposition;
pub use faults::{Faults, KEYS as FAULT_KEYS, WORDS as FAULT_WORDS};
pub use guard::Hosts;
pub use options::Options;
pub use request::{Denied, Gate, Params, Rate, RateLimiter};
pub use server::serve;
pub use site::Site;
pub use space::Space;
pub use tokens::{Tokens, check_space, new_token};
pub use wire::{Log, LoggedRequest};

/// All emulated platforms.
pub static PLATFORMS: &[&Platform] = &[
    &replicate::REPLICATE,
    &activeloop::ACTIVELOOP,
    &metorial::METORIAL,
    &llamacloud::LLAMACLOUD,
    &xai::XAI,
    &anthropic::ANTHROPIC,
    &gemini::GEMINI,
    &openai::OPENAI,
    &openai::AZURE,
    &openai::DEEPSEEK,
    &openai::GROQ,
    &openai::DASHSCOPE,
    &openai::OPENROUTER,
    &openai::PERPLEXITY,
    &openai::MOONSHOT,
    &openai::ZHIPU,
    &openai::UPSTAGE,
    &openai::DEEPINFRA,
    &openai::NOVITA,
    &openai::SILICONFLOW,
    &openai::ARK,
    &mistral::MISTRAL,
    &together::TOGETHER,
];

/// The platforms whose official clients do not read the URL from a variable.
pub static CLIENT_ARGUMENTS: &[ClientArguments] = &[(&mistral::MISTRAL, mistral::client_arguments)];

/// A platform, and the arguments that make its clients use its root URL.
pub type ClientArguments = (&'static Platform, fn(root: &str) -> String);

/// An emulated platform.
pub struct Platform {
    /// The name, which is also the path prefix (`/xai/v1/files`) and the name of the platform's space in the store. If
    /// each token has a space, the name in the store starts with the token's space and a slash.
    pub name: &'static str,
    /// The path that follows the prefix in the base URL of official clients: `/v1`, or empty.
    pub base_path: &'static str,
    /// The places where clients send their token.
    pub gate: Gate,
    /// The paths, without the prefix, at which a POST changes no file, such as `/files/*/links`: `*` stands for one
    /// segment. Read-only tokens permit these requests.
    pub reads: &'static [&'static str],
    /// Wire dialects for `--dialect NAME=WORD`, starting with the default; empty if there is only one.
    pub dialects: &'static [&'static str],
    /// Whether the platform reports the MD5 of content, which takes time to compute.
    pub md5: bool,
    /// The deviations that `--quirk` can enable.
    pub quirks: &'static [Quirk],
    /// The environment variables that make official clients use the emulator, given the platform's root URL
    /// (`http://127.0.0.1:8787/xai`) and the token. If several served platforms share a variable, it is exported only
    /// for the platform that it is named after.
    pub variables: fn(root: &str, token: &str) -> Vec<(&'static str, String)>,
    /// The routes, without the prefix. They need no fallback: `error` handles unknown paths and methods.
    pub routes: fn(Arc<Site>) -> Router,
    /// The platform's error response for a status. An empty message is replaced with the platform's own.
    pub error: fn(&Site, StatusCode, message: &str) -> Response,
}

/// A documented or observed deviation that can be enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// The name used with `--quirk`.
    pub name: &'static str,
    /// The form of the value, such as `id|created`; empty if the quirk takes none.
    pub value: &'static str,
    /// A one-line description.
    pub help: &'static str,
}
