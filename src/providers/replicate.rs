//! Replicate: inputs for predictions, stored for a day.
//!
//! - The API can create, list, get and delete files, but not change them. A file is deleted 24 hours after its
//!   creation.
//! - A file's `urls.get` returns its metadata, not its bytes. The bytes are meant for the platform's models:
//!   downloading them requires a link signed with a secret that no endpoint returns. Such links appear in the `input`
//!   of a prediction. If the secret is known, haul signs links itself; the dialect is then `signed`, otherwise `api`.
//! - The listing has no parameters. It is documented as newest first, but recorded responses are ordered by id;
//!   `next` is an absolute URL.
//! - The size limit is documented as "100MB" in one sentence and "100MiB" in another.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::lenient::{self, Fields, Known};
use super::{
    Capabilities, Download, Duplicates, LinkAbility, ListAbility, NameLimit, NameSlash, Op, USUAL_DELAY,
    UploadAbility,
};
use super::{Connection, ContentStream, Dialect, Page, Provider, Query, Range, Setting, Spec};
use crate::error::{Error, Kind, Message, Result, reference};
use crate::filter::Equality;
use crate::http::{Client, Part, RateLimit, Reply, Request, form};
use crate::model::{Checksums, File, FileId, Link, NewFile, StatusWords};
use crate::progress::Progress;
use crate::secret::Secret;
use crate::signing;

pub(super) static SPEC: Spec = Spec {
    name: "replicate",
    title: "Replicate",
    token_variables: &["REPLICATE_API_TOKEN"],
    base_url_variables: &["REPLICATE_BASE_URL"],
    base_url: "https://api.replicate.com/v1",
    upload_base_url: None,
    base_path: "/v1",
    docs_url: "https://replicate.com/docs/reference/http",
    token_page: "https://replicate.com/account/api-tokens",
    settings: &[
        Setting { key: "link", help: "signed link to use for downloads", secret: false },
        Setting { key: "owner", help: "user or organization in a signed link", secret: false },
        Setting { key: "expiry", help: "expiry of a signed link, in Unix seconds", secret: false },
        Setting { key: "signature", help: "signature of a signed link", secret: false },
        Setting { key: "signing_secret", help: "secret that signs links", secret: true },
    ],
    dialects: &[
        Dialect { name: "api", title: "without the signing secret", can: &API },
        Dialect { name: "signed", title: "with owner and signing_secret set", can: &SIGNED },
    ],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    // Errors are problem documents (RFC 7807) or, from the CDN, HTML. The common reader handles both.
    read_problem: |_| None,
    status: StatusWords::NONE,
    request_ids: &[],
    scheme: None,
    open,
};

const API: Capabilities = Capabilities {
    upload: UploadAbility {
        max_bytes: Some(100 * 1024 * 1024),
        warn_bytes: Some(100_000_000),
        empty: true,
        name: NameLimit::Bytes(255),
        forbidden: &[],
        forbids_control: false,
        purpose: false,
        purposes: &[],
        default_purpose: None,
        metadata: true,
        lifetime: None,
        files_per_request: 1,
        mark: false,
    },
    download: Download::SignedLinks,
    ranges: false,
    list: ListAbility {
        // Not documented and not configurable. Other listings of this API have 100 items per page.
        max_page: 100,
        // `downloadable` depends on the settings.
        stated: &[
            "size",
            "content_type",
            "created_at",
            "expires_at",
            "checksums.sha256",
            "checksums.md5",
            "metadata",
            "downloadable",
            "extra.etag",
            "extra.urls",
        ],
        native: &[],
        sort: &[],
        newest_first: false,
    },
    annotate: None,
    link: None,
    delete: true,
    replace: false,
    checksums: &["sha256", "md5"],
    scope: &[],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    rate: Some(RateLimit { requests: 3000, per: Duration::from_mins(1) }),
    instead: &[
        (Op::Download, "to show the metadata of the file: `haul info {ref}`"),
        (
            Op::Download,
            "to use a signed link, such as one from a prediction's input: `haul get {ref} --link URL`",
        ),
        (
            Op::Annotate,
            "to upload the file again with other metadata: `haul upload FILE --metadata KEY=VALUE`",
        ),
        (
            Op::Link,
            "to sign links, set HAUL_SET_SIGNING_SECRET to the account's signing secret, and add `--set owner=NAME`",
        ),
    ],
};

const SIGNED: Capabilities = Capabilities {
    download: Download::Any,
    link: Some(LinkAbility {
        lifetime: Some((1, i64::MAX)),
        list: false,
        list_all: false,
        revoke: false,
        for_downloads: false,
    }),
    ..API
};

/// Default lifetime of a link, the same as that of the platform's own links.
const LINK_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// Lifetime of a link created for a download.
const OWN_LINK: SignedDuration = SignedDuration::from_mins(15);

/// Characters that are percent-encoded in a query: all except the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

struct Replicate {
    connection: Connection,
    /// Set in the `signed` dialect.
    signer: Option<Signer>,
}

/// Signs links: `expiry` is in Unix seconds, and `signature` covers `{owner} {id} {expiry}`.
struct Signer {
    owner: String,
    secret: Secret,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let secret = connection.secrets.get("signing_secret").filter(|secret| !secret.expose().is_empty());
    let signer = connection
        .setting("owner")
        .zip(secret)
        .map(|(owner, secret)| Signer { owner: owner.to_owned(), secret: secret.clone() });
    let signer = match connection.dialect.as_str() {
        "api" => None,
        "signed" if signer.is_none() => {
            return Err(Error::usage("the `signed` dialect requires an owner and a signing secret")
                .hint("set HAUL_SET_SIGNING_SECRET, and add `--set owner=NAME`"));
        }
        _ => signer,
    };
    Ok(Box::new(Replicate { connection, signer }))
}

#[async_trait]
impl Provider for Replicate {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        if self.signer.is_some() { &SIGNED } else { &API }
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.connection.http)
    }

    async fn list(&self, _query: &Query, cursor: Option<&str>) -> Result<Page> {
        let first = self.connection.url(&["files"])?;
        let url = match cursor {
            None => first,
            Some(next) => next_page(&first, next)?,
        };
        let listing: Listing = self.connection.http.json(&Request::get(url), "list of files").await?;
        Ok(Page {
            files: listing.results.into_iter().map(|file| self.translate(file)).collect(),
            next: listing.next.filter(|next| !next.is_empty()),
        })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let request = Request::get(self.connection.url(&["files", id.as_str()])?);
        Ok(self.translate(self.connection.http.json(&request, "file").await?))
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let mut parts = vec![Part::file("content", file)];
        if !file.metadata.is_empty() {
            parts.push(Part::json("metadata", &Value::Object(file.metadata.clone())));
        }
        let request = Request::post(self.connection.url(&["files"])?, form(parts)).bulk();
        let reply: Reply = self.connection.http.upload(&request, progress).await?;
        Ok(self.translate(reply.json("file")?))
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = Request::delete(self.connection.url(&["files", id.as_str()])?);
        self.connection.http.send(&request).await?.acknowledges("deletion")
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let url = match (self.given_link(id)?, &self.signer) {
            (Some(url), _) => url,
            (None, Some(signer)) => self.sign(signer, id, OWN_LINK)?.0,
            (None, None) => {
                let (spec, about) = (self.spec(), format!("id:{id}"));
                return Err(super::capabilities::refusal(spec, Op::Download, &about, self.profile()));
            }
        };
        let request = Request::get(url).anonymous().bulk().range(range);
        self.connection.http.content(&request).await.map_err(|error| rejected(self.profile(), id, error))
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        let Some(signer) = &self.signer else { return Err(self.unsupported(Op::Link)) };
        let (url, ends) = self.sign(signer, id, lifetime.unwrap_or(LINK_LIFETIME))?;
        Ok(Link { id: None, url: url.into(), expires_at: Some(ends) })
    }
}

/// A page. `next` is an absolute URL.
#[derive(Deserialize)]
struct Listing {
    results: Vec<Known>,
    #[serde(default, deserialize_with = "lenient::text")]
    next: Option<String>,
}

/// A file in a response. `name`, `etag` and `checksums.md5` are returned but not documented.
fn translated(Known { id, mut fields }: Known) -> File {
    let checksums = fields.take(&["checksums"], lenient::as_object);
    let mut stated = Fields::from(checksums.unwrap_or_default());
    let sha256 = stated.take(&["sha256"], lenient::as_hex(64));
    let md5 = stated.take(&["md5"], lenient::as_hex(32));
    fields.put_back("checksums", stated);
    File {
        provider: SPEC.name.to_owned(),
        id: FileId(id),
        name: fields.take(&["name"], lenient::as_text).unwrap_or_default(),
        size: fields.take(&["size"], lenient::as_count),
        content_type: fields.take(&["content_type"], lenient::as_text),
        created_at: fields.take(&["created_at"], lenient::as_time),
        expires_at: fields.take(&["expires_at"], lenient::as_time),
        checksums: Checksums { blake3: None, sha256, md5 },
        metadata: fields.take(&["metadata"], lenient::as_object).unwrap_or_default(),
        extra: fields.rest(),
        ..File::default()
    }
}

impl Replicate {
    fn translate(&self, file: Known) -> File {
        let has_link = ["link", "signature"].iter().any(|key| self.connection.setting(key).is_some());
        let downloadable = Some(has_link || self.signer.is_some());
        File { profile: self.connection.profile.clone(), downloadable, ..translated(file) }
    }

    /// The signed link from the settings, given as a URL or as its three parts.
    fn given_link(&self, id: &FileId) -> Result<Option<Url>> {
        if let Some(link) = self.connection.setting("link") {
            let url = Url::parse(link).map_err(|error| Error::usage(format!("link: {error}")))?;
            return match linked_id(&url) {
                Some(other) if other != id.as_str() => Err(Error::usage(Message::about(
                    &format!("the link is for the file {other}, not for "),
                    id,
                    "",
                ))),
                _ => Ok(Some(url)),
            };
        }
        let part = |key| self.connection.setting(key);
        match (part("owner"), part("expiry"), part("signature")) {
            (_, None, None) => Ok(None),
            (Some(owner), Some(expiry), Some(signature)) => {
                // Signatures in links can be encoded once or twice. A decoded signature contains no `%`.
                let mut signature = signature.to_owned();
                while signature.contains('%') {
                    let decoded = percent_decode_str(&signature).decode_utf8_lossy().into_owned();
                    if decoded == signature {
                        break;
                    }
                    signature = decoded;
                }
                self.signed_url(id, owner, expiry, &signature).map(Some)
            }
            (owner, expiry, signature) => {
                let parts = [("owner", owner), ("expiry", expiry), ("signature", signature)];
                let missing = parts.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key);
                let missing: Vec<&str> = missing.collect();
                Err(Error::usage(format!("a signed link also requires {}", missing.join(" and ")))
                    .hint("`--set owner=NAME --set expiry=SECONDS --set signature=TEXT`, or `--link URL`"))
            }
        }
    }

    /// A link signed by haul, and its expiry.
    fn sign(&self, signer: &Signer, id: &FileId, lifetime: SignedDuration) -> Result<(Url, Timestamp)> {
        let ends = self.connection.clock.now().checked_add(lifetime);
        let seconds = ends.map_err(|_| Error::usage("a link cannot expire after the year 9999"))?.as_second();
        let signature = signature(&signer.secret, &signer.owner, id, seconds);
        let ends = Timestamp::from_second(seconds)
            .map_err(|error| Error::usage("the lifetime of the link is too long").caused_by(error))?;
        Ok((self.signed_url(id, &signer.owner, &seconds.to_string(), &signature)?, ends))
    }

    fn signed_url(&self, id: &FileId, owner: &str, expiry: &str, signature: &str) -> Result<Url> {
        let mut url = self.connection.url(&["files", id.as_str(), "download"])?;
        let encode = |text| utf8_percent_encode(text, RESERVED);
        let query =
            format!("expiry={}&owner={}&signature={}", encode(expiry), encode(owner), encode(signature));
        url.set_query(Some(&query));
        Ok(url)
    }
}

/// The URL of the next page. The request contains the token, so the URL must have the API's own origin.
fn next_page(first: &Url, next: &str) -> Result<Url> {
    let url = first.join(next).map_err(|_| {
        Error::usage(format!("{next:?} is not a replicate cursor")).hint("a cursor is a complete URL")
    })?;
    if url.origin() != first.origin() {
        return Err(Error::platform(format!(
            "the next page is at {} instead of {}; haul does not send the token to another host",
            url.origin().ascii_serialization(),
            first.origin().ascii_serialization()
        )));
    }
    Ok(url)
}

/// The id in the path of a signed link.
fn linked_id(url: &Url) -> Option<String> {
    let steps: Vec<&str> = url.path_segments()?.collect();
    match steps.as_slice() {
        [.., "files", id, "download"] => Some(percent_decode_str(id).decode_utf8_lossy().into_owned()),
        _ => None,
    }
}

/// The base64 encoding of the HMAC-SHA256 of `{owner} {id} {expiry}`.
fn signature(secret: &Secret, owner: &str, id: &FileId, expiry: i64) -> String {
    let signer = signing::Signer::with_key(secret.expose().as_bytes());
    BASE64.encode(signer.sign(&format!("{owner} {id} {expiry}")))
}

/// The error for a failed download. An invalid signature, an expired signature and a deleted file all result in the
/// same response.
fn rejected(profile: &str, id: &FileId, error: Error) -> Error {
    match error.status() {
        Some(status @ (400 | 401 | 403 | 404 | 410)) => Error::new(
            Kind::NotFound,
            Message::file(id, ": the link was rejected or has expired, or the file was deleted"),
        )
        .cause(error.message())
        .with_status(status)
        .with_request_id(error.request_id().map(str::to_owned))
        .hint(format!("to check whether the file exists: `haul info {}`", reference(profile, id))),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::properties::nothing_is_lost;

    #[test]
    fn properties_no_field_of_a_reply_is_lost() {
        let replies = [
            include_str!("../../tests/it/wire/replicate/recorded.json"),
            include_str!("../../tests/it/wire/replicate/file-documented.json"),
        ];
        let fields = &[
            ("id", "id"),
            ("name", "name"),
            ("content_type", "content_type"),
            ("size", "size"),
            ("checksums", "checksums"),
            ("metadata", "metadata"),
            ("created_at", "created_at"),
            ("expires_at", "expires_at"),
        ];
        nothing_is_lost("replicate", &replies, fields, |reply| {
            serde_json::from_slice(reply).ok().map(translated)
        });
    }

    #[test]
    fn the_signature_matches_the_test_vector() {
        let id = FileId::from("cneqzikepnug6xezperrr4z55o");
        assert_eq!(
            signature(&Secret::new("local-signing-secret"), "mattt", &id, 1_708_515_345),
            "H+ubBSURpGllqUrZ/zbzlHSGD1CUjVnS8cwnXjfyhzE="
        );
    }

    #[test]
    fn the_id_in_a_link_is_found() {
        let id = |url: &str| linked_id(&Url::parse(url).unwrap());
        assert_eq!(id("https://x/v1/files/a%20b/download?expiry=1"), Some("a b".to_owned()));
        assert_eq!(id("https://bucket/a/b"), None);
    }
}
