//! Google Cloud Storage, through its XML API. Experimental: no emulator implements enough of it to test against.

use std::time::Duration;

use async_trait::async_trait;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::signer::{Method, Signer as _};
use url::Url;

use super::bucket::{Bucket, Names, Service};
use super::connector::{Connector, no_credentials, no_retries};
use super::{BUCKET, CAN, METADATA, PREFIX, credential, flag, object_path, place, xml};
use crate::error::{Error, Kind, Result};
use crate::filter::Equality;
use crate::http::{Problem, Reply, Request, is_loopback};
use crate::model::StatusWords;
use crate::providers::{Connection, Dialect, NameSlash, Provider, Spec};

pub(in crate::providers) static SPEC: Spec = Spec {
    name: "gcs",
    title: "Google Cloud Storage (experimental)",
    token_variables: &[],
    base_url_variables: &["STORAGE_EMULATOR_HOST"],
    base_url: "https://storage.googleapis.com",
    upload_base_url: None,
    base_path: "",
    docs_url: "https://cloud.google.com/storage/docs/xml-api/overview",
    token_page: "",
    settings: &[BUCKET, PREFIX, METADATA],
    dialects: &[Dialect { name: "xml", title: "only dialect", can: &CAN }],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem,
    status: StatusWords::NONE,
    request_ids: &["x-guploader-uploadid"],
    scheme: Some("gs"),
    open,
};

static NAMES: Names = Names {
    spec: &SPEC,
    can: &CAN,
    metadata: "x-goog-meta-",
    put: &[],
    if_absent: ("x-goog-if-generation-match", "0"),
    exists: 412,
    if_same: "x-goog-if-generation-match",
    version: "x-goog-generation",
    copy_source: "x-goog-copy-source",
    copy_if_same: "x-goog-copy-source-if-generation-match",
    copy_directive: "x-goog-metadata-directive",
    storage_class: "x-goog-storage-class",
};

/// Variables with credentials that haul passes to `object_store`.
const CREDENTIALS: &[&str] = &[
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_BEARER_TOKEN",
];

struct Gcs {
    /// `None` without credentials.
    store: Option<GoogleCloudStorage>,
    bearer: Option<String>,
    /// Whether requests may be sent without credentials, because the server is an emulator on this machine.
    is_local: bool,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let (name, prefix) = place(&connection, "gs", "bucket")?;
    let text = |key: &str| credential(&connection, key);
    let mut url = connection.base_url.clone();
    url.set_path(&format!("{}/{name}", url.path().trim_end_matches('/')));
    let bearer = text("GOOGLE_BEARER_TOKEN");
    let has_credentials =
        flag(&connection, "metadata")?.unwrap_or(false) || CREDENTIALS.iter().any(|key| text(key).is_some());
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&name)
        .with_base_url(connection.base_url.as_str().trim_end_matches('/'))
        .with_retry(no_retries())
        .with_http_connector(Connector(connection.http.clone()));
    for key in CREDENTIALS {
        if let (Some(value), Ok(key)) = (text(key), key.to_ascii_lowercase().parse()) {
            builder = builder.with_config(key, value);
        }
    }
    let store = has_credentials.then(|| builder.build()).transpose();
    let store = store.map_err(|error| no_credentials(SPEC.name, error))?;
    let is_local = is_loopback(&connection.base_url);
    Ok(Box::new(Bucket {
        service: Box::new(Gcs { store, bearer, is_local }),
        profile: connection.profile,
        http: connection.http,
        clock: connection.clock,
        url,
        name,
        prefix,
        looks_first: false,
    }))
}

#[async_trait]
impl Service for Gcs {
    fn names(&self) -> &'static Names {
        &NAMES
    }

    async fn sign(&self, request: Request, _sha256: Option<&str>) -> Result<Request> {
        let bearer = match (&self.bearer, &self.store) {
            (Some(bearer), _) => bearer.clone(),
            (None, Some(store)) => {
                let credential = store.credentials().get_credential().await;
                credential.map_err(|error| no_credentials(SPEC.name, error))?.bearer.clone()
            }
            (None, None) if self.is_local => return Ok(request.signed()),
            (None, None) => return Err(missing_credentials()),
        };
        Ok(request.header("authorization", format!("Bearer {bearer}")).signed())
    }

    async fn signed_url(&self, key: &str, lifetime: Duration) -> Result<Url> {
        let store = self.store.as_ref().ok_or_else(missing_credentials)?;
        let signed = store.signed_url(Method::GET, &object_path(key)?, lifetime).await;
        signed.map_err(|error| no_credentials(SPEC.name, error))
    }
}

fn missing_credentials() -> Error {
    Error::new(Kind::Auth, "no credentials for gcs")
        .hint("run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the path of a service account key file")
        .hint("on a Google Cloud VM: `--set metadata=true`")
}

/// Reads the XML errors.
fn read_problem(reply: &Reply) -> Option<Problem> {
    let failure = xml::failure(&String::from_utf8_lossy(&reply.body))?;
    let (kind, hint) = match failure.code.as_str() {
        "NoSuchBucket" => (Some(Kind::Failed), None),
        "AuthenticationRequired" | "InvalidSecurity" | "ExpiredToken" => (Some(Kind::Auth), None),
        "AccessDenied" => {
            (Some(Kind::Auth), Some("the credentials are invalid or do not allow this operation".to_owned()))
        }
        "RequestTimeTooSkewed" => {
            (Some(Kind::Failed), Some("the clock of this machine is wrong: set it, and try again".to_owned()))
        }
        _ => (None, None),
    };
    Some(Problem { message: failure.sentence(), kind, hint, ..Problem::default() })
}
