//! An in-memory server with the S3 API for tests: objects with metadata, conditions, ranges, copies, multipart uploads,
//! listings, and signatures in headers and URLs. It has one bucket, `bucket`.

#![allow(clippy::result_large_err, reason = "an error is a response like any other")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use haul::emulator::{Gate, Platform, Site, to_hex};
use haul::signing::Signer;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Digest as _;

/// The only access key.
pub const KEY_ID: &str = crate::support::rig::TOKEN;
/// Its secret.
pub const SECRET: &str = "a secret of tests";
const BUCKET: &str = "bucket";
/// The smallest part other than the last.
const MIN_PART: usize = 5 * 1024 * 1024;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The server as a platform of the emulator, which adds faults and the request log.
pub static SERVER: Platform = Platform {
    name: "s3",
    base_path: "",
    gate: Gate::BEARER,
    reads: &[],
    dialects: &[],
    md5: false,
    quirks: &[],
    variables: |_, _| Vec::new(),
    routes,
    error: |_, status, message| problem(status, "InternalError", message),
};

/// The servers of platforms that the program does not emulate.
pub static SERVERS: &[&Platform] = &[&SERVER];

#[derive(Clone)]
struct Object {
    content: Bytes,
    etag: String,
    modified: Timestamp,
    /// The headers that are stored with the object.
    headers: Vec<(String, String)>,
}

struct Upload {
    key: String,
    headers: Vec<(String, String)>,
    parts: BTreeMap<u32, Bytes>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    count: u64,
}

type Shared = Arc<Mutex<Bucket>>;

/// A request with its whole body and its parsed query.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    query: Vec<(String, String)>,
}

type Answer = Result<Response, Response>;

fn routes(_: Arc<Site>) -> Router {
    let state = Shared::default();
    Router::new().route("/{*path}", any(serve)).with_state(state)
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    xml(status, body)
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [("content-type", "application/xml")], body).into_response()
}

fn refuse(status: u16, code: &str, message: &str) -> Response {
    problem(StatusCode::from_u16(status).unwrap(), code, message)
}

fn missing() -> Response {
    refuse(404, "NoSuchKey", "The specified key does not exist.")
}

fn precondition() -> Response {
    refuse(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

async fn serve(State(state): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return refuse(400, "IncompleteBody", "") };
    let uri = head.uri;
    let query = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    });
    let asked = Asked { method: head.method, query: query.collect(), uri, headers: head.headers, body };
    let is_head = asked.method == Method::HEAD;
    let response = answer(&state, &asked).unwrap_or_else(|refused| refused);
    // The response to HEAD has no body but states the length of the object.
    if is_head && !response.status().is_success() { response.map(|_| Body::empty()) } else { response }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The headers that are stored with an object.
    fn stored(&self) -> Vec<(String, String)> {
        let is_stored =
            |name: &str| name == "content-type" || name == "cache-control" || name.starts_with("x-amz-meta-");
        let headers = self.headers.iter().filter(|(name, _)| is_stored(name.as_str()));
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().trim().to_owned())).collect()
    }

    /// Verifies the signature of the request, in its headers or its URL.
    fn authorize(&self) -> Result<(), Response> {
        let denied = |code: &str| Err(refuse(403, code, "The request is not signed as it should be."));
        let in_url = self.parameter("X-Amz-Signature").map(|_| {
            let get = |name: &str| self.parameter(name).unwrap_or_default().to_owned();
            (get("X-Amz-Credential"), get("X-Amz-SignedHeaders"), get("X-Amz-Signature"), get("X-Amz-Date"))
        });
        let in_header = self.header("authorization").and_then(|text| {
            let text = text.strip_prefix("AWS4-HMAC-SHA256 ")?;
            let get = |name: &str| {
                let found = text.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
                found.unwrap_or_default().to_owned()
            };
            let date = self.header("x-amz-date").unwrap_or_default().to_owned();
            Some((get("Credential"), get("SignedHeaders"), get("Signature"), date))
        });
        let is_link = in_url.is_some();
        let Some((credential, names, signature, date)) = in_url.or(in_header) else {
            return denied("AccessDenied");
        };
        let Some((key, scope)) = credential.split_once('/') else {
            return denied("AuthorizationHeaderMalformed");
        };
        if key != KEY_ID {
            return denied("InvalidAccessKeyId");
        }
        let mut pairs: Vec<String> = self
            .query
            .iter()
            .filter(|(key, _)| key != "X-Amz-Signature")
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        pairs.sort();
        let headers =
            names.split(';').map(|name| format!("{name}:{}\n", self.header(name).unwrap_or_default().trim()));
        let digest = if is_link {
            "UNSIGNED-PAYLOAD"
        } else {
            self.header("x-amz-content-sha256").unwrap_or_default()
        };
        // The router has removed the prefix of the platform.
        let canonical = format!(
            "{}\n/s3{}\n{}\n{}\n{names}\n{digest}",
            self.method,
            self.uri.path(),
            pairs.join("&"),
            headers.collect::<String>()
        );
        let hash = to_hex(&sha2::Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let key = scope.split('/').fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            Signer::with_key(&key).sign(part).to_vec()
        });
        if Signer::with_key(&key).sign_hex(&text) != signature {
            return denied("SignatureDoesNotMatch");
        }
        let begun = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &date)
            .unwrap()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .unwrap();
        let seconds = self.parameter("X-Amz-Expires").map_or(900, |seconds| seconds.parse().unwrap());
        if begun.timestamp() + SignedDuration::from_secs(seconds) < Timestamp::now() {
            return denied(if is_link { "AccessDenied" } else { "RequestTimeTooSkewed" });
        }
        let is_signed = digest.len() == 64;
        if is_signed && digest != to_hex(&sha2::Sha256::digest(&self.body)) {
            return Err(refuse(400, "XAmzContentSHA256Mismatch", "The provided checksum does not match."));
        }
        Ok(())
    }
}

fn answer(state: &Shared, asked: &Asked) -> Answer {
    asked.authorize()?;
    let path = asked.uri.path().trim_start_matches('/');
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    if name != BUCKET {
        return Err(refuse(404, "NoSuchBucket", "The specified bucket does not exist"));
    }
    let mut bucket = state.lock().unwrap();
    let key = decode(key);
    if key.is_empty() {
        return bucket.list(asked);
    }
    match (asked.method.as_str(), asked.parameter("uploadId")) {
        ("POST", None) => Ok(bucket.begin(key, asked)),
        ("PUT", Some(id)) => bucket.part(id, asked),
        ("POST", Some(id)) => bucket.complete(id, asked),
        ("DELETE", Some(id)) => {
            bucket.uploads.remove(id).map(|_| StatusCode::NO_CONTENT.into_response()).ok_or_else(no_upload)
        }
        ("PUT", None) if asked.header("x-amz-copy-source").is_some() => bucket.copy(&key, asked),
        ("PUT", None) => {
            bucket.check(&key, asked)?;
            let etag = bucket.put(key, asked.body.clone(), asked.stored());
            Ok([("etag", etag)].into_response())
        }
        ("GET" | "HEAD", None) => bucket.get(&key, asked),
        ("DELETE", None) => {
            bucket.objects.remove(&key);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(refuse(405, "MethodNotAllowed", "")),
    }
}

fn no_upload() -> Response {
    refuse(404, "NoSuchUpload", "The specified upload does not exist.")
}

impl Bucket {
    /// Checks the conditions of a write.
    fn check(&self, key: &str, asked: &Asked) -> Result<(), Response> {
        let found = self.objects.get(key);
        if asked.header("if-none-match") == Some("*") && found.is_some() {
            return Err(precondition());
        }
        match (asked.header("if-match"), found) {
            (Some(_), None) => Err(missing()),
            (Some(etag), Some(object)) if object.etag != etag => Err(precondition()),
            _ => Ok(()),
        }
    }

    fn put(&mut self, key: String, content: Bytes, headers: Vec<(String, String)>) -> String {
        let etag = format!("\"{}\"", to_hex(&md5::Md5::digest(&content)));
        self.objects.insert(key, Object { content, etag: etag.clone(), modified: Timestamp::now(), headers });
        etag
    }

    fn get(&self, key: &str, asked: &Asked) -> Answer {
        let object = self.objects.get(key).ok_or_else(missing)?;
        let length = object.content.len();
        let start = asked
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let is_same = asked.header("if-range").is_none_or(|etag| etag == object.etag);
        let start: Option<usize> = start.filter(|_| is_same);
        if start.is_some_and(|start| start >= length) {
            let range = format!("bytes */{length}");
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [("content-range", range)]).into_response());
        }
        let mut response = Response::builder().header("etag", &object.etag).header("accept-ranges", "bytes");
        response = response
            .header("last-modified", object.modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        for (name, value) in &object.headers {
            response = response.header(name, value);
        }
        if let Some(start) = start {
            let range = format!("bytes {start}-{}/{length}", length - 1);
            response = response.status(StatusCode::PARTIAL_CONTENT).header("content-range", range);
        }
        let content = object.content.slice(start.unwrap_or(0)..);
        response = response.header("content-length", content.len());
        let body = if asked.method == Method::HEAD { Body::empty() } else { Body::from(content) };
        Ok(response.body(body).unwrap())
    }

    fn copy(&mut self, key: &str, asked: &Asked) -> Answer {
        let source = decode(asked.header("x-amz-copy-source").unwrap());
        let source = source.trim_start_matches('/').strip_prefix("bucket/").ok_or_else(missing)?;
        let object = self.objects.get(source).cloned().ok_or_else(missing)?;
        let replaces = asked.header("x-amz-metadata-directive") == Some("REPLACE");
        if source == key && !replaces {
            return Err(refuse(400, "InvalidRequest", "This copy request is illegal"));
        }
        if asked.header("x-amz-copy-source-if-match").is_some_and(|etag| etag != object.etag) {
            return Err(precondition());
        }
        let headers = if replaces { asked.stored() } else { object.headers };
        let etag = self.put(key.to_owned(), object.content, headers);
        Ok(xml(StatusCode::OK, format!("<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>")))
    }

    fn begin(&mut self, key: String, asked: &Asked) -> Response {
        self.count += 1;
        let id = format!("upload+{}/=", self.count);
        self.uploads.insert(id.clone(), Upload { key, headers: asked.stored(), parts: BTreeMap::new() });
        xml(
            StatusCode::OK,
            format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ),
        )
    }

    fn part(&mut self, id: &str, asked: &Asked) -> Answer {
        let upload = self.uploads.get_mut(id).ok_or_else(no_upload)?;
        let number = asked.parameter("partNumber").unwrap().parse().unwrap();
        upload.parts.insert(number, asked.body.clone());
        Ok([("etag", part_tag(&asked.body))].into_response())
    }

    fn complete(&mut self, id: &str, asked: &Asked) -> Answer {
        let upload = self.uploads.get(id).ok_or_else(no_upload)?;
        self.check(&upload.key, asked)?;
        let wanted: String = String::from_utf8_lossy(&asked.body).replace("&quot;", "\"");
        let parts = || upload.parts.iter();
        let listed = parts().map(|(number, part)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", part_tag(part))
        });
        if wanted
            != format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", listed.collect::<String>())
        {
            return Err(refuse(400, "InvalidPart", "One or more of the specified parts could not be found."));
        }
        let count = upload.parts.len();
        if parts().take(count - 1).any(|(_, part)| part.len() < MIN_PART) {
            return Err(refuse(
                400,
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            ));
        }
        let content: Vec<u8> = parts().flat_map(|(_, part)| part.to_vec()).collect();
        let Upload { key, headers, .. } = self.uploads.remove(id).unwrap();
        self.put(key.clone(), content.into(), headers);
        let object = self.objects.get_mut(&key).unwrap();
        object.etag = format!("{}-{count}\"", object.etag.trim_end_matches('"'));
        Ok(xml(
            StatusCode::OK,
            format!(
                "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
                object.etag
            ),
        ))
    }

    fn list(&self, asked: &Asked) -> Answer {
        if asked.method != Method::GET || asked.parameter("list-type") != Some("2") {
            return Err(refuse(400, "InvalidRequest", "only listings of version 2"));
        }
        let (prefix, after) = (asked.parameter("prefix").unwrap_or_default(), asked.parameter("start-after"));
        let most = asked.parameter("max-keys").map_or(1000, |most| most.parse().unwrap());
        let found: Vec<_> = self
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after))
            .collect();
        let mut body = format!(
            "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{}</IsTruncated>",
            found.len() > most
        );
        for (key, object) in found.into_iter().take(most) {
            let (key, etag) = (encode(key).replace("%20", "+"), object.etag.replace('"', "&quot;"));
            let (modified, size) = (format!("{:.3}", object.modified), object.content.len());
            write!(
                body,
                "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag>\
                <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
            .unwrap();
        }
        Ok(xml(StatusCode::OK, body + "</ListBucketResult>"))
    }
}

fn part_tag(part: &Bytes) -> String {
    format!("\"{}\"", to_hex(&md5::Md5::digest(part)))
}
