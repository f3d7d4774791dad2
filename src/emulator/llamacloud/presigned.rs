//! URLs that carry their own permission, in the manner of S3's: made here, honoured in `store`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::gate::{Caller, Service};
use super::object::time;
use super::refusal::{Problem, Refusal};
use crate::emulator::{Params, Signer};
use crate::model::FileId;

/// Seconds that a URL lives unless asked otherwise, and at most. Inferred; the maximum is S3's.
const DEFAULT_LIFE: i64 = 3600;
const MAX_LIFE: i64 = 604_800;

/// A presigned URL, or the URL and fields of a presigned form.
pub(super) struct Presigned {
    url: String,
    expires_at: Timestamp,
    form_fields: Option<Value>,
}

/// What a URL says, and its signature.
pub(super) struct Claim<'a> {
    /// The file's id.
    pub(super) key: &'a str,
    /// When it was signed, as `20260102T030405Z`.
    pub(super) date: &'a str,
    /// Seconds that it lives.
    pub(super) expires: &'a str,
    /// In hex.
    pub(super) signature: &'a str,
}

/// Why a claim is not honoured.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The signature is another's.
    Forged,
    /// It was good until then.
    Expired(Timestamp),
}

impl Presigned {
    /// A URL for one method on one file.
    pub(super) fn new(service: &Service, caller: &Caller, method: &str, id: &FileId, seconds: i64) -> Self {
        let (date, expires, expires_at, signature) = sign(service, method, id, seconds);
        let url = format!(
            "{}/_store/{id}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={expires}\
             &X-Amz-SignedHeaders=host&X-Amz-Signature={signature}",
            caller.root
        );
        Self { url, expires_at, form_fields: None }
    }

    /// A form whose fields go before its `file`.
    pub(super) fn form(service: &Service, caller: &Caller, id: &FileId, seconds: i64) -> Self {
        let (date, expires, expires_at, signature) = sign(service, "POST", id, seconds);
        let fields = json!({
            "key": id,
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-date": date,
            "x-amz-expires": expires.to_string(),
            "x-amz-signature": signature,
        });
        Self { url: format!("{}/_store", caller.root), expires_at, form_fields: Some(fields) }
    }

    /// `{"expires_at", "url", "form_fields"}`.
    pub(super) fn to_json(&self) -> Value {
        json!({ "expires_at": time(self.expires_at), "url": self.url, "form_fields": self.form_fields })
    }
}

/// When, for how many seconds, until when, and the signature of all that.
fn sign(service: &Service, method: &str, id: &FileId, seconds: i64) -> (String, i64, Timestamp, String) {
    let now = Timestamp::from_second(service.site.clock.now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let life = SignedDuration::from_secs(seconds);
    let signed_at = if service.next_link_is_stale() { now.saturating_sub(life) } else { Ok(now) };
    let signed_at = signed_at.unwrap_or(now);
    let date = signed_at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let signature =
        service.site.signer.sign_hex(&signed_text(method, id.as_str(), &date, &seconds.to_string()));
    let expires_at = signed_at.saturating_add(life).unwrap_or(Timestamp::MAX);
    (date, seconds, expires_at, signature)
}

fn signed_text(method: &str, key: &str, date: &str, expires: &str) -> String {
    format!("{method}\n{key}\n{date}\n{expires}")
}

impl<'a> Claim<'a> {
    /// What a URL's query claims for `key`; None where something is missing.
    pub(super) fn of_query(key: &'a str, params: &'a Params) -> Option<Self> {
        let (date, expires) = (params.get("X-Amz-Date")?, params.get("X-Amz-Expires")?);
        Some(Self { key, date, expires, signature: params.get("X-Amz-Signature")? })
    }

    /// Whether it is ours, for this method, and still good.
    pub(super) fn check(&self, signer: &Signer, method: &str, now: Timestamp) -> Result<(), Unfit> {
        let Self { key, date, expires, signature } = self;
        if !signer.verify_hex(&signed_text(method, key, date, expires), signature) {
            return Err(Unfit::Forged);
        }
        let signed_at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC));
        let (Ok(signed_at), Ok(seconds)) = (signed_at, expires.parse()) else { return Err(Unfit::Forged) };
        let life = SignedDuration::from_secs(seconds);
        let expires_at = signed_at.timestamp().saturating_add(life).unwrap_or(Timestamp::MAX);
        if now >= expires_at { Err(Unfit::Expired(expires_at)) } else { Ok(()) }
    }
}

/// The life asked for, in seconds.
pub(super) fn life(params: &Params) -> Result<i64, Refusal> {
    let Some(text) = params.get("expires_at_seconds") else { return Ok(DEFAULT_LIFE) };
    let seconds: i64 = text.trim().parse().map_err(|_| not_an_integer(&["query", "expires_at_seconds"]))?;
    // The schema has neither minimum nor maximum, so nothing is refused.
    Ok(seconds.clamp(0, MAX_LIFE))
}

/// What is said of text that is no integer.
pub(super) fn not_an_integer(loc: &[&str]) -> Problem {
    let msg = "Input should be a valid integer, unable to parse string as an integer";
    Problem::new(loc, "int_parsing", msg)
}
