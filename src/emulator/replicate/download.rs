//! `GET /v1/files/{id}/download`: signed links. The signature is the credential; a token that comes along means nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::files::{self, Id};
use super::problem::Problem;
use super::{RANGES, SIGNING_SECRET, owner};
use crate::emulator::{Content, Params, Sending, Signer, Site};
use crate::error::Kind;

pub(super) async fn download(
    State(site): State<Arc<Site>>,
    path: Id,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = files::id(path)?;
    let needed = |name: &str| {
        let value = params.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Problem::bad_request(format!("{name} is missing")))
    };
    let (asked, expiry, signature) = (needed("owner")?, needed("expiry")?, needed("signature")?);
    let ends: i64 = expiry.parse().map_err(|_| Problem::bad_request("expiry is not a number"))?;
    if !signer(&site).verify(&format!("{asked} {id} {ends}"), &decode(signature)) {
        return Err(Problem::no_download("wrong signature"));
    }
    if asked != owner(&site) {
        return Err(Problem::no_download("another owner"));
    }
    if site.clock.now().as_second() > ends {
        return Err(Problem::no_download("expired link"));
    }
    let content = match Content::open(&site, &id).await {
        Err(error) if error.kind() == Kind::NotFound => return Err(Problem::no_download("no such file")),
        content => content?,
    };
    let sending = Sending::default();
    let how = Sending {
        ranges: site.quirk(RANGES),
        etag: content.file.checksums.md5.clone(),
        content_type: content.file.content_type.clone().unwrap_or(sending.content_type),
        ..Sending::default()
    };
    Ok(content.send(&headers, how))
}

fn signer(site: &Site) -> Signer {
    match site.quirk_value(SIGNING_SECRET) {
        Some(secret) => Signer::with_key(secret.as_bytes()),
        None => site.signer.derive("download links"),
    }
}

/// A signature's bytes. The query has been decoded once; the service itself writes links that are encoded twice. A plus
/// sign that was not encoded at all has become a space. What is no base64 is no signature.
fn decode(text: &str) -> Vec<u8> {
    let text = percent_decode_str(text).decode_utf8_lossy().replace(' ', "+");
    STANDARD.decode(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's vector, made with another program.
    #[test]
    fn a_signature_is_read_whether_encoded_once_twice_or_not_at_all() {
        let signer = Signer::with_key(b"local-signing-secret");
        let text = "mattt cneqzikepnug6xezperrr4z55o 1708515345";
        let plain = "H+ubBSURpGllqUrZ/zbzlHSGD1CUjVnS8cwnXjfyhzE=";
        let once = plain.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for query in [plain.to_owned(), once.clone(), once.replace('%', "%25")] {
            let params = Params::parse(&format!("signature={query}"));
            assert!(signer.verify(text, &decode(params.get("signature").unwrap())), "{query}");
        }
        assert!(!signer.verify(text, &decode("nonsense!")));
    }
}
