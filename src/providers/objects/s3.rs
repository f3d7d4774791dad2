//! Amazon S3 and compatible services.

use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::signer::{Method, Signer as _};
use url::Url;

use super::bucket::{Bucket, Names, Service};
use super::connector::{Connector, no_credentials, no_retries};
use super::{BUCKET, CAN, CONDITIONAL, METADATA, PREFIX, credential, flag, object_path, place, xml};
use crate::error::{Error, Kind, Result};
use crate::filter::Equality;
use crate::http::{Problem, Reply, Request};
use crate::model::StatusWords;
use crate::providers::{Connection, Dialect, NameSlash, Provider, Setting, Spec};

const BASE_URL: &str = "https://s3.amazonaws.com";

pub(in crate::providers) static SPEC: Spec = Spec {
    name: "s3",
    title: "Amazon S3",
    token_variables: &[],
    base_url_variables: &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
    base_url: BASE_URL,
    upload_base_url: None,
    base_path: "",
    docs_url: "https://docs.aws.amazon.com/AmazonS3/latest/API/",
    token_page: "",
    settings: &[
        BUCKET,
        PREFIX,
        Setting { key: "region", help: "region of the bucket [default: us-east-1]", secret: false },
        Setting {
            key: "addressing",
            help: "path or virtual: whether the bucket is in the path or the host name of a URL",
            secret: false,
        },
        Setting {
            key: "aws_profile",
            help: "profile in ~/.aws/credentials and ~/.aws/config",
            secret: false,
        },
        METADATA,
        CONDITIONAL,
    ],
    dialects: &[Dialect { name: "s3", title: "only dialect", can: &CAN }],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem,
    status: StatusWords::NONE,
    request_ids: &[],
    scheme: Some("s3"),
    open,
};

static NAMES: Names = Names {
    spec: &SPEC,
    can: &CAN,
    metadata: "x-amz-meta-",
    put: &[],
    if_absent: ("if-none-match", "*"),
    exists: 412,
    if_same: "if-match",
    version: "etag",
    copy_source: "x-amz-copy-source",
    copy_if_same: "x-amz-copy-source-if-match",
    copy_directive: "x-amz-metadata-directive",
    storage_class: "x-amz-storage-class",
};

/// Variables for credentials that haul passes to `object_store`.
const CREDENTIALS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// The host name suffixes of services that support conditional writes.
const CONDITIONAL_HOSTS: &[&str] =
    &[".amazonaws.com", ".amazonaws.com.cn", ".r2.cloudflarestorage.com", ".googleapis.com"];

struct S3 {
    store: AmazonS3,
    region: String,
    has_credentials: bool,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let (name, prefix) = place(&connection, "s3", "bucket")?;
    let text = |key: &str| credential(&connection, key);
    let region = connection.setting("region").map(str::to_owned);
    let region = region.or_else(|| text("AWS_REGION")).or_else(|| text("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::usage(format!("region: {region:?} is not a valid region")));
    }
    let url = bucket_url(&connection, &name, &region)?;
    let host = url.host_str().unwrap_or_default();
    let is_conditional = CONDITIONAL_HOSTS.iter().any(|end| host.ends_with(end));
    let looks_first = !flag(&connection, "conditional")?.unwrap_or(is_conditional);
    let http = connection.http.trusting(&url);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&name)
        .with_region(&region)
        .with_endpoint(url.as_str().trim_end_matches('/'))
        .with_virtual_hosted_style_request(true)
        .with_allow_http(true)
        .with_retry(no_retries())
        .with_http_connector(Connector(http.clone()));
    for key in CREDENTIALS {
        if let (Some(value), Ok(key)) = (text(key), key.to_ascii_lowercase().parse()) {
            builder = builder.with_config(key, value);
        }
    }
    let has_credentials = flag(&connection, "metadata")?.unwrap_or(false)
        || ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"].iter().any(|key| text(key).is_some())
        || CREDENTIALS.iter().any(|key| key.ends_with("_URI") && text(key).is_some());
    let store = builder.build().map_err(|error| no_credentials(SPEC.name, error))?;
    Ok(Box::new(Bucket {
        service: Box::new(S3 { store, region, has_credentials }),
        profile: connection.profile,
        http,
        clock: connection.clock,
        url,
        name,
        prefix,
        looks_first,
    }))
}

/// The URL of a bucket. On AWS, the host name contains the region and, by default, the bucket, unless a dot in the
/// bucket's name would keep the certificate from matching.
fn bucket_url(connection: &Connection, bucket: &str, region: &str) -> Result<Url> {
    let is_aws = connection.base_url.as_str().trim_end_matches('/') == BASE_URL;
    let mut url = connection.base_url.clone();
    if is_aws {
        let end = if region.starts_with("cn-") { ".cn" } else { "" };
        let regional = format!("https://s3.{region}.amazonaws.com{end}");
        url = regional
            .parse()
            .map_err(|_| Error::usage(format!("region: {region:?} is not a valid region")))?;
    }
    let is_virtual = match connection.choice("addressing", &["path", "virtual"])? {
        Some(word) => word == "virtual",
        None => is_aws && !bucket.contains('.'),
    };
    if is_virtual {
        let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
        let set = url.set_host(Some(&host));
        set.map_err(|_| Error::usage(format!("{bucket:?} cannot be part of a host name")))?;
    } else {
        url.set_path(&format!("{}/{bucket}", url.path().trim_end_matches('/')));
    }
    Ok(url)
}

#[async_trait]
impl Service for S3 {
    fn names(&self) -> &'static Names {
        &NAMES
    }

    async fn sign(&self, request: Request, sha256: Option<&str>) -> Result<Request> {
        if !self.has_credentials {
            return Err(missing_credentials());
        }
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(|error| no_credentials(SPEC.name, error))?;
        let digest = match sha256 {
            Some(digest) => crate::signing::from_hex(digest),
            None => None,
        };
        let is_empty = request.body.is_empty();
        let mut signed = HttpRequest::new(HttpRequestBody::empty());
        draft(&request, &mut signed, false)?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .with_sign_payload(is_empty || digest.is_some())
            .try_authorize(&mut signed, digest.as_deref())
            .map_err(|error| no_credentials(SPEC.name, error))?;
        Ok(finished(request, &signed))
    }

    async fn signed_url(&self, key: &str, lifetime: Duration) -> Result<Url> {
        if !self.has_credentials {
            return Err(missing_credentials());
        }
        let signed = self.store.signed_url(Method::GET, &object_path(key)?, lifetime).await;
        signed.map_err(|error| no_credentials(SPEC.name, error))
    }
}

/// Copies the method, URL and headers of a request into one that can be signed. With `all`, this includes the headers
/// that haul's client adds when it sends the request.
pub(super) fn draft(request: &Request, signed: &mut HttpRequest, all: bool) -> Result<()> {
    let invalid = |what: &str| Error::usage(format!("invalid {what} in a request"));
    *signed.method_mut() = request.method.clone();
    *signed.uri_mut() = request.full_url().as_str().parse().map_err(|_| invalid("URL"))?;
    for (name, value) in request.all_headers() {
        let name: object_store::signer::HeaderName = name.parse().map_err(|_| invalid("header"))?;
        // haul's client adds these headers, and may drop the range of a download.
        if !all && ["range", "if-range", "content-length"].contains(&name.as_str()) {
            continue;
        }
        signed.headers_mut().append(name, value.parse().map_err(|_| invalid("header"))?);
    }
    Ok(())
}

/// The request with the headers that signing added.
pub(super) fn finished(mut request: Request, signed: &HttpRequest) -> Request {
    let known: Vec<String> = request.all_headers().into_iter().map(|(name, _)| name.to_lowercase()).collect();
    for (name, value) in signed.headers() {
        if let Ok(value) = value.to_str()
            && !known.iter().any(|known| known == name.as_str())
        {
            request = request.header(name.to_string(), value);
        }
    }
    request.signed()
}

fn missing_credentials() -> Error {
    Error::new(Kind::Auth, "no credentials for s3")
        .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them to ~/.aws/credentials")
        .hint("after `aws sso login`: `eval \"$(aws configure export-credentials --format env)\"`")
        .hint("on an EC2 instance: `--set metadata=true`")
}

/// Reads S3's XML errors.
pub(super) fn read_problem(reply: &Reply) -> Option<Problem> {
    let failure = xml::failure(&String::from_utf8_lossy(&reply.body));
    let region = reply.header("x-amz-bucket-region").map(str::to_owned);
    let Some(failure) = failure else {
        // The response to HEAD has no body.
        let region = region.filter(|_| matches!(reply.status, 301 | 400))?;
        return Some(other_region("the bucket is in another region", &region));
    };
    let region = region.or_else(|| failure.region.clone());
    let sentence = failure.sentence();
    let problem = |kind: Option<Kind>, hint: Option<&str>| Problem {
        message: sentence.clone(),
        kind,
        hint: hint.map(str::to_owned),
        ..Problem::default()
    };
    Some(match (failure.code.as_str(), region) {
        (
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "TemporaryRedirect",
            Some(region),
        ) => other_region(&sentence, &region),
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", None) => {
            problem(Some(Kind::Failed), Some("to specify the region of the bucket: `--set region=NAME`"))
        }
        ("NoSuchBucket", _) => problem(Some(Kind::Failed), None),
        ("RequestTimeTooSkewed", _) => {
            problem(Some(Kind::Failed), Some("the clock of this machine is wrong: set it, and try again"))
        }
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken", _) => problem(
            Some(Kind::Auth),
            Some(
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile in ~/.aws",
            ),
        ),
        ("AccessDenied", _) => {
            problem(Some(Kind::Auth), Some("the credentials are valid, but do not allow this operation"))
        }
        ("EntityTooLarge", _) => problem(Some(Kind::Unsupported), None),
        _ => problem(None, None),
    })
}

fn other_region(message: &str, region: &str) -> Problem {
    Problem {
        message: message.to_owned(),
        kind: Some(Kind::Failed),
        hint: Some(format!("the bucket is in the region {region}: `--set region={region}`")),
        ..Problem::default()
    }
}
