//! Object storage: S3 and compatible services, Google Cloud Storage and Azure Blob Storage.
//!
//! - The key of an object is both the id and the name of its file. Therefore an upload creates an object only if no
//!   object has the key, and new content replaces an object only if it has not changed in the meantime.
//! - haul builds the requests itself, because the paths of `object_store` cannot express every key. The crate obtains
//!   credentials, signs requests and creates signed URLs; its own requests, for credentials, go through haul's
//!   [`connector`].
//! - The SHA-256 of the content is stored as metadata.

pub(super) mod azblob;
mod bucket;
mod connector;
pub(super) mod gcs;
mod metadata;
pub(super) mod s3;
mod xml;

use std::time::Duration;

use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::{
    Annotate, Capabilities, Connection, Download, Duplicates, LinkAbility, ListAbility, NameLimit, Op,
    Session, Setting, UploadAbility,
};
use crate::error::{Error, Kind, Result};
use crate::model::{Checksums, FileId, NewFile};

/// Files up to this size are sent in one request.
const SINGLE: u64 = 16 * 1024 * 1024;
/// The minimum size of a part. A file that would have more than [`PARTS`] parts has larger ones.
const PART: u64 = 8 * 1024 * 1024;
/// The maximum size of an object that is uploaded in one request.
const MAX_SINGLE: u64 = 5 * 1024 * 1024 * 1024;
/// The maximum number of parts, below the limit of the services.
const PARTS: u64 = 9_000;
/// The maximum number of parts in flight.
const PARALLEL: usize = 4;
/// The longest lifetime of a signed URL in seconds: seven days.
const LINK_LIFETIME: i64 = 7 * 24 * 60 * 60;
/// The lifetime of a signed URL without `--expires`, in seconds.
const USUAL_LIFETIME: i64 = 60 * 60;

const BUCKET: Setting = Setting { key: "bucket", help: "bucket", secret: false };
const PREFIX: Setting =
    Setting { key: "prefix", help: "prefix of all keys; ids and names omit it", secret: false };
const METADATA: Setting = Setting {
    key: "metadata",
    help: "true: ask the instance metadata service for credentials",
    secret: false,
};
const CONDITIONAL: Setting = Setting {
    key: "conditional",
    help: "true or false: whether the service supports conditional writes [default: true for the vendor's own service]",
    secret: false,
};

/// The limits for uploads that the services share.
const UPLOAD: UploadAbility = UploadAbility {
    // 5 TiB.
    max_bytes: Some(5 * 1024 * 1024 * 1024 * 1024),
    warn_bytes: None,
    empty: true,
    name: NameLimit::Bytes(1024),
    forbidden: &[],
    forbids_control: false,
    purpose: false,
    purposes: &[],
    default_purpose: None,
    metadata: true,
    lifetime: None,
    files_per_request: 1,
    mark: false,
};

const LIST: ListAbility = ListAbility {
    max_page: 1000,
    stated: &["size", "created_at", "updated_at", "downloadable", "extra.etag", "extra.storage_class"],
    native: bucket::NATIVE,
    sort: &["+name", "+id"],
    newest_first: false,
};

const CAN: Capabilities = Capabilities {
    upload: UPLOAD,
    download: Download::Any,
    ranges: true,
    list: LIST,
    annotate: Some(Annotate { metadata: true, keys: &[], name: false, content_type: true, path: false }),
    link: Some(LinkAbility {
        lifetime: Some((1, LINK_LIFETIME)),
        list: false,
        list_all: false,
        revoke: false,
        for_downloads: false,
    }),
    delete: true,
    replace: true,
    checksums: &["sha256"],
    scope: &["bucket", "prefix"],
    duplicates: Duplicates::Possible,
    // A new object is listed at once.
    appears_within: Duration::from_secs(1),
    rate: None,
    instead: &[
        (Op::Links, "signed URLs are not recorded; each one works until it expires"),
        (Op::Unlink, "to create a link that expires soon: `haul link {ref} --expires 10m`"),
    ],
};

/// Encodes all characters except the unreserved characters of RFC 3986 and `/`, as signatures require.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The size of the parts of a file of this size.
fn part_size(size: u64) -> u64 {
    const MIB: u64 = 1024 * 1024;
    size.div_ceil(PARTS).div_ceil(MIB).saturating_mul(MIB).max(PART)
}

/// A setting that is `true` or `false`.
fn flag(connection: &Connection, key: &str) -> Result<Option<bool>> {
    Ok(connection.choice(key, &["true", "false"])?.map(|word| word == "true"))
}

/// The bucket, and the prefix of all keys.
fn place(connection: &Connection, scheme: &str, what: &str) -> Result<(String, String)> {
    let Some(bucket) = connection.setting("bucket") else {
        return Err(Error::usage(format!("{}: no {what}", connection.profile))
            .hint(format!("use an address, such as `{scheme}://{}/KEY`", what.to_uppercase()))
            .hint("or use a setting: `--set bucket=NAME`"));
    };
    if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._$".contains(&byte)) {
        return Err(Error::usage(format!("{bucket:?} is not a valid {what} name")));
    }
    Ok((bucket.to_owned(), connection.setting("prefix").unwrap_or_default().to_owned()))
}

/// The URL of an object in the bucket at `bucket`.
fn object_url(bucket: &Url, key: &str) -> Result<Url> {
    let invalid = |why: &str| Error::usage(format!("{key:?} is not a valid key: {why}"));
    if key.is_empty() {
        return Err(invalid("it is empty"));
    }
    if key.len() > 1024 {
        return Err(invalid("it is longer than 1,024 bytes"));
    }
    let path = format!("{}/{}", bucket.path().trim_end_matches('/'), utf8_percent_encode(key, KEY));
    let mut url = bucket.clone();
    url.set_path(&path);
    // A URL cannot contain these segments.
    if url.path() == path { Ok(url) } else { Err(invalid("it contains `.` or `..` between slashes")) }
}

/// A key as a path of `object_store`, for a signed URL. Not every key can be expressed.
fn object_path(key: &str) -> Result<Path> {
    Path::parse(key)
        .ok()
        .filter(|path| path.as_ref() == key)
        .ok_or_else(|| Error::new(Kind::Unsupported, format!("{key:?}: haul cannot sign a URL for this key")))
}

/// The key of a file.
fn key_of(prefix: &str, id: &FileId) -> String {
    format!("{prefix}{id}")
}

/// A credential from the profile or the environment.
fn credential(connection: &Connection, key: &str) -> Option<String> {
    connection.credentials.get(key).map(|secret| secret.expose().to_owned())
}

/// The ids of the multipart upload and of its file, which a space separates. An upload id contains no space.
fn upload_of(session: &Session) -> Result<(&str, FileId)> {
    let ids = session.id.split_once(' ');
    let (upload, id) = ids.ok_or_else(|| Error::platform("the upload session has no id"))?;
    Ok((upload, id.into()))
}

/// Fails if the content that was sent in parts is not the content that was hashed before.
fn require_unchanged(file: &NewFile, sent: &Checksums) -> Result<()> {
    if file.sha256.is_some() && sent.sha256.is_some() && file.sha256 != sent.sha256 {
        return Err(Error::failed(format!("{}: changed during the upload", file.name)));
    }
    Ok(())
}

/// The error for an object that already exists.
fn exists(platform: &str, id: &str) -> Error {
    Error::failed(format!("{id} already exists on {platform}"))
        .hint("to replace it if its content differs: `--if-exists update`")
        .with_status(412)
}

/// The error for an object that has changed since it was read.
fn changed(platform: &str, id: &str) -> Error {
    Error::new(Kind::Conflict, format!("{id} was changed on {platform} by another program"))
        .hint("run the same command again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_url() {
        let bucket = Url::parse("http://host/bucket").unwrap();
        for (key, path) in [
            ("a.txt", "/bucket/a.txt"),
            ("dir/a b+c.txt", "/bucket/dir/a%20b%2Bc.txt"),
            ("a//b/", "/bucket/a//b/"),
            ("/a", "/bucket//a"),
            ("%2e%2e/ü?#", "/bucket/%252e%252e/%C3%BC%3F%23"),
            ("a\tb\\", "/bucket/a%09b%5C"),
        ] {
            assert_eq!(object_url(&bucket, key).unwrap().path(), path);
        }
        for key in ["", ".", "..", "a/../b", "a/./b", &"x".repeat(1025)] {
            assert_eq!(object_url(&bucket, key).unwrap_err().kind(), Kind::Usage, "{key}");
        }
        let whole = Url::parse("https://bucket.host").unwrap();
        assert_eq!(object_url(&whole, "a").unwrap().as_str(), "https://bucket.host/a");
    }

    #[test]
    fn a_large_file_has_a_limited_number_of_parts() {
        for size in [1, PART, 1024 * PART, 5 * 1024 * MAX_SINGLE] {
            let part = part_size(size);
            assert!(part >= PART && size.div_ceil(part) <= 10_000, "{size}");
        }
        assert_eq!((part_size(1), part_size(1024 * PART)), (PART, PART));
    }
}
