//! A minimal S3 endpoint: `nFILES-sBYTES` is a bucket with this number of objects of this size. It discards uploads and checks
//! no signatures.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{LazyLock, Mutex};

use md5::{Digest as _, Md5};

use crate::plain::{Head, PIECE, discard, head, listen};
use crate::world::BYTE;

/// The time of all objects. It is later than any change of a local file, so that no program finds a newer one.
const TIME: &str = "2038-01-01T00:00:00.000Z";
const HTTP_TIME: &str = "Fri, 01 Jan 2038 00:00:00 GMT";

/// The objects of a bucket.
#[derive(Clone, Copy, Default)]
struct Bucket {
    objects: u64,
    size: u64,
}

/// The key of an object. The order of keys is that of their numbers.
pub fn key(number: u64) -> String {
    format!("{number:06}.bin")
}

/// Starts the server, which runs until the process exits.
pub fn start() -> SocketAddr {
    listen(serve)
}

/// Serves requests until the connection ends, and then returns `None`.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(PIECE, stream);
    loop {
        let request = head(&mut reader)?;
        if request.waits {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let mut body = String::new();
        if request.method == "POST" {
            (&mut reader).take(request.length).read_to_string(&mut body).ok()?;
        } else {
            discard(&mut reader, request.length, |_| {})?;
        }
        writer.write_all(&respond(&request, &body)).ok()?;
    }
}

/// The response, as it is sent. `sent` is the body of a request with the method POST.
fn respond(request: &Head, sent: &str) -> Vec<u8> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_matches('/'), ""));
    let bucket = Bucket::of(bucket);
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let (method, is_part) = (request.method.as_str(), has("partNumber"));
    let mut text = String::from("HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n");
    let mut body = String::new();
    match (method, key) {
        ("GET", "") => body = bucket.page(query),
        ("HEAD" | "GET", key) if !key.is_empty() => match bucket.number_of(key) {
            Some(_) => {
                let (size, etag) = (bucket.size, etag(bucket.size));
                let _ = write!(
                    text,
                    "Last-Modified: {HTTP_TIME}\r\nETag: \"{etag}\"\r\nContent-Length: {size}\r\n\r\n"
                );
                return text.into_bytes();
            }
            None => text = String::from("HTTP/1.1 404 Not Found\r\n"),
        },
        ("POST", _) if has("uploads") => {
            body = String::from(
                "<InitiateMultipartUploadResult><UploadId>upload-1</UploadId></InitiateMultipartUploadResult>",
            );
        }
        ("POST", _) => {
            body = format!(
                "<CompleteMultipartUploadResult><ETag>&quot;{}&quot;</ETag></CompleteMultipartUploadResult>",
                etag_of_parts(sent)
            );
        }
        ("PUT", key) if is_part || !key.is_empty() => {
            let _ = write!(text, "ETag: \"{}\"\r\n", etag(request.content));
        }
        _ => {}
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

impl Bucket {
    fn of(name: &str) -> Self {
        let number = |start: char| {
            let part = name.split('-').find_map(|part| part.strip_prefix(start));
            part.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Self { objects: number('n'), size: number('s') }
    }

    fn number_of(self, object: &str) -> Option<u64> {
        let number = object.strip_suffix(".bin").and_then(|number| number.parse().ok())?;
        (number < self.objects && key(number) == object).then_some(number)
    }

    /// A page of a listing of all objects, of either version.
    fn page(self, query: &str) -> String {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let last = ["start-after", "continuation-token", "marker"].iter().find_map(|name| value(name));
        let from = last.and_then(|last| self.number_of(last)).map_or(0, |last| last + 1);
        let limit = value("max-keys").and_then(|number| number.parse().ok()).unwrap_or(1000);
        let to = (from + limit).min(self.objects);
        let is_truncated = to < self.objects;
        let (size, etag) = (self.size, etag(self.size));
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><Prefix></Prefix><KeyCount>{}</KeyCount>\
             <MaxKeys>{limit}</MaxKeys><EncodingType>url</EncodingType><IsTruncated>{is_truncated}</IsTruncated>",
            to - from
        );
        if is_truncated {
            let last = key(to - 1);
            let _ = write!(
                text,
                "<NextContinuationToken>{last}</NextContinuationToken><NextMarker>{last}</NextMarker>"
            );
        }
        for number in from..to {
            let _ = write!(
                text,
                "<Contents><Key>{}</Key><LastModified>{TIME}</LastModified><ETag>&quot;{etag}&quot;</ETag>\
                 <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                key(number)
            );
        }
        text.push_str("</ListBucketResult>");
        text
    }
}

/// The MD5 of content of this size.
fn etag(size: u64) -> String {
    static KNOWN: LazyLock<Mutex<HashMap<u64, String>>> = LazyLock::new(Mutex::default);
    let compute = || {
        let (piece, mut hasher, mut left) = (vec![BYTE; PIECE], Md5::new(), size);
        while left > 0 {
            let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            hasher.update(&piece[..count]);
            left -= count as u64;
        }
        haul::model::hex(&hasher.finalize())
    };
    KNOWN.lock().unwrap().entry(size).or_insert_with(compute).clone()
}

/// The `ETag` of a multipart object: the MD5 of the MD5s of the parts in this list, and their number.
fn etag_of_parts(list: &str) -> String {
    let (mut hasher, mut parts) = (Md5::new(), 0);
    for tag in list.split("<ETag>").skip(1) {
        let tag = tag.split('<').next().unwrap_or_default();
        let digits = tag.replace("&quot;", "").replace("&#34;", "").replace('"', "");
        for pair in digits.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).unwrap();
            hasher.update([u8::from_str_radix(pair, 16).unwrap()]);
        }
        parts += 1;
    }
    format!("{}-{parts}", haul::model::hex(&hasher.finalize()))
}
