//! Azure Blob Storage.
//!
//! - A blob is uploaded in one request, or in blocks, which a final request combines. Azure discards uncommitted blocks
//!   after a week.
//! - Metadata and media type are changed in place, each with its own request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use object_store::azure::{AzureAuthorizer, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::signer::{Method, Signer as _};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::Url;

use super::bucket::{Bucket, KEPT, NATIVE, Names, Service};
use super::connector::{Connector, no_credentials, no_retries};
use super::s3::{draft, finished};
use super::{
    METADATA, PARALLEL, PREFIX, SINGLE, changed, credential, exists, flag, metadata, object_path, part_size,
    place, require_unchanged, upload_of, xml,
};
use crate::error::{Error, Kind, Result};
use crate::filter::{Equality, Expr, Filter};
use crate::http::{Body, Client, ContentStream, HeaderMap, Piece, Problem, Range, Reply, Request};
use crate::model::{Checksums, File, FileId, Link, NewFile, Object, Patch, StatusWords, later};
use crate::progress::Progress;
use crate::providers::listing::page_size;
use crate::providers::pushdown::Pushed;
use crate::providers::{
    Capabilities, Connection, Dialect, ListAbility, Multipart, NameSlash, Page, PartRange, Provider, Query,
    Session, Setting, Spec, UploadAbility,
};

const BASE_URL: &str = "https://blob.core.windows.net";
/// Azure discards uncommitted blocks after seven days; one day is left as a margin.
const SESSION: SignedDuration = SignedDuration::from_hours(6 * 24);

pub(in crate::providers) static SPEC: Spec = Spec {
    name: "azblob",
    title: "Azure Blob Storage",
    token_variables: &[],
    base_url_variables: &["AZURE_STORAGE_ENDPOINT"],
    base_url: BASE_URL,
    upload_base_url: None,
    base_path: "",
    docs_url: "https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-rest-api",
    token_page: "",
    settings: &[
        Setting { key: "bucket", help: "container", secret: false },
        PREFIX,
        Setting { key: "account", help: "storage account [default: from the credentials]", secret: false },
        METADATA,
    ],
    dialects: &[Dialect { name: "blob", title: "only dialect", can: &CAN }],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem,
    status: StatusWords::NONE,
    request_ids: &["x-ms-request-id"],
    scheme: Some("az"),
    open,
};

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        // 50,000 blocks.
        max_bytes: Some(190 * 1024 * 1024 * 1024 * 1024),
        ..super::UPLOAD
    },
    list: ListAbility {
        max_page: 5000,
        stated: &[
            "size",
            "content_type",
            "created_at",
            "updated_at",
            "checksums.sha256",
            "checksums.md5",
            "metadata",
            "downloadable",
            "extra.etag",
            "extra.storage_class",
        ],
        ..super::LIST
    },
    checksums: &["sha256", "md5"],
    ..super::CAN
};

static NAMES: Names = Names {
    spec: &SPEC,
    can: &CAN,
    metadata: "x-ms-meta-",
    put: &[("x-ms-blob-type", "BlockBlob")],
    if_absent: ("if-none-match", "*"),
    exists: 409,
    if_same: "if-match",
    version: "etag",
    copy_source: "",
    copy_if_same: "",
    copy_directive: "",
    storage_class: "x-ms-access-tier",
};

/// Variables with a credential, and their names in `object_store`.
const CREDENTIALS: &[(&str, &str)] = &[
    ("AZURE_STORAGE_ACCOUNT_KEY", "azure_storage_account_key"),
    ("AZURE_STORAGE_ACCESS_KEY", "azure_storage_account_key"),
    ("AZURE_STORAGE_KEY", "azure_storage_account_key"),
    ("AZURE_STORAGE_SAS_TOKEN", "azure_storage_sas_token"),
    ("AZURE_STORAGE_SAS_KEY", "azure_storage_sas_token"),
    ("AZURE_STORAGE_TOKEN", "azure_storage_token"),
    ("AZURE_CLIENT_SECRET", "azure_client_secret"),
    ("AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
    ("AZURE_USE_AZURE_CLI", "azure_use_azure_cli"),
];
/// Variables that complete a credential but are not sufficient by themselves.
const PARTS_OF_CREDENTIALS: &[(&str, &str)] = &[
    ("AZURE_CLIENT_ID", "azure_client_id"),
    ("AZURE_TENANT_ID", "azure_tenant_id"),
    ("AZURE_AUTHORITY_HOST", "azure_authority_host"),
    ("AZURE_MSI_ENDPOINT", "azure_msi_endpoint"),
];

struct Azure {
    store: MicrosoftAzure,
    account: String,
    has_credentials: bool,
}

/// A container: a bucket with its own listings, changes and multipart uploads.
struct Container {
    bucket: Bucket,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let (name, prefix) = place(&connection, "az", "container")?;
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    let text = |key: &str| credential(&connection, key);
    for (variable, key) in CREDENTIALS.iter().chain(PARTS_OF_CREDENTIALS) {
        if let Some(value) = text(variable) {
            values.entry(key).or_insert(value);
        }
    }
    let mut account = connection.setting("account").map(str::to_owned);
    account =
        account.or_else(|| text("AZURE_STORAGE_ACCOUNT_NAME")).or_else(|| text("AZURE_STORAGE_ACCOUNT"));
    let mut base = connection.base_url.clone();
    if let Some(words) = text("AZURE_STORAGE_CONNECTION_STRING") {
        for (key, value) in words.split(';').filter_map(|word| word.split_once('=')) {
            match key {
                "AccountName" if account.is_none() => account = Some(value.to_owned()),
                "AccountKey" => drop(values.insert("azure_storage_account_key", value.to_owned())),
                "SharedAccessSignature" => drop(values.insert("azure_storage_sas_token", value.to_owned())),
                "BlobEndpoint" if is_default(&base) => {
                    base = value.parse().map_err(|_| {
                        Error::usage("AZURE_STORAGE_CONNECTION_STRING: BlobEndpoint is not a URL")
                    })?;
                }
                _ => {}
            }
        }
    }
    let account = account.or_else(|| account_of(&base)).ok_or_else(|| {
        Error::usage(format!("{}: no storage account", connection.profile))
            .hint("set AZURE_STORAGE_ACCOUNT, or use `--set account=NAME`")
    })?;
    if is_default(&base) {
        let host = format!("https://{account}.blob.core.windows.net");
        base = host
            .parse()
            .map_err(|_| Error::usage(format!("{account:?} is not a valid storage account name")))?;
    }
    let has_credentials = flag(&connection, "metadata")?.unwrap_or(false)
        || CREDENTIALS.iter().any(|(_, key)| values.contains_key(key));
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&account)
        .with_container_name(&name)
        .with_endpoint(base.as_str().trim_end_matches('/').to_owned())
        .with_allow_http(true)
        .with_retry(no_retries())
        .with_http_connector(Connector(connection.http.clone()));
    for (key, value) in values {
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let store = builder.build().map_err(|error| no_credentials(SPEC.name, error))?;
    let mut url = base.clone();
    url.set_path(&format!("{}/{name}", base.path().trim_end_matches('/')));
    Ok(Box::new(Container {
        bucket: Bucket {
            service: Box::new(Azure { store, account, has_credentials }),
            profile: connection.profile,
            http: connection.http.trusting(&url),
            clock: connection.clock,
            url,
            name,
            prefix,
            looks_first: false,
        },
    }))
}

fn is_default(base: &Url) -> bool {
    base.as_str().trim_end_matches('/') == BASE_URL
}

/// The account in a base URL: the start of the host name, or the path of an emulator.
fn account_of(base: &Url) -> Option<String> {
    let path = base.path().trim_matches('/');
    if !path.is_empty() {
        return Some(path.to_owned());
    }
    let (account, rest) = base.host_str()?.split_once('.')?;
    rest.starts_with("blob.").then(|| account.to_owned())
}

#[async_trait]
impl Service for Azure {
    fn names(&self) -> &'static Names {
        &NAMES
    }

    async fn sign(&self, mut request: Request, _sha256: Option<&str>) -> Result<Request> {
        if !self.has_credentials {
            return Err(missing_credentials());
        }
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(|error| no_credentials(SPEC.name, error))?;
        let mut signed = HttpRequest::new(HttpRequestBody::empty());
        draft(&request, &mut signed, true)?;
        AzureAuthorizer::new(&credential, &self.account)
            .try_authorize(&mut signed)
            .map_err(|error| no_credentials(SPEC.name, error))?;
        // A shared access signature is added to the query.
        let url = signed.uri().to_string().parse();
        request.url = url.map_err(|_| Error::usage("invalid URL in a request"))?;
        request.query = Vec::new();
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

fn missing_credentials() -> Error {
    Error::new(Kind::Auth, "no credentials for azblob")
        .hint("set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, or AZURE_STORAGE_CONNECTION_STRING")
        .hint("after `az login`: `export AZURE_USE_AZURE_CLI=true`")
        .hint("on an Azure VM: `--set metadata=true`")
}

/// Reads the XML errors. Responses to HEAD have only the code, in a header.
fn read_problem(reply: &Reply) -> Option<Problem> {
    let failure = xml::failure(&String::from_utf8_lossy(&reply.body)).or_else(|| {
        let code = reply.header("x-ms-error-code")?.to_owned();
        Some(xml::Failure { code, ..xml::Failure::default() })
    })?;
    let (kind, hint) = match failure.code.as_str() {
        "ContainerNotFound" | "ContainerBeingDeleted" => (Some(Kind::Failed), None),
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => (
            Some(Kind::Auth),
            Some("check the credentials of the storage account, and the clock of this machine"),
        ),
        "AuthorizationFailure" | "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" => {
            (Some(Kind::Auth), Some("the credentials are valid, but do not allow this operation"))
        }
        _ => (None, None),
    };
    // The message continues with the id and the time of the request.
    let message = failure.message.lines().next().unwrap_or_default().to_owned();
    let message = xml::Failure { message, ..failure }.sentence();
    Some(Problem { message, kind, hint: hint.map(str::to_owned), ..Problem::default() })
}

/// A page of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    blobs: Blobs,
    next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Blobs {
    blob: Vec<Blob>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: Name,
    properties: BTreeMap<String, Option<String>>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Option<String>>>,
}

/// A name, percent-encoded if XML cannot express it.
#[derive(Debug, Deserialize)]
struct Name {
    #[serde(rename = "@Encoded", default)]
    encoded: Option<bool>,
    #[serde(rename = "$text", default)]
    text: String,
}

impl Name {
    fn decoded(&self) -> String {
        if self.encoded == Some(true) {
            percent_decode_str(&self.text).decode_utf8_lossy().into_owned()
        } else {
            self.text.clone()
        }
    }
}

/// The properties and metadata of a listed blob, as the headers that a response to HEAD would have.
fn headers_of(blob: &Blob) -> HeaderMap {
    let names = [("Access-Tier", NAMES.storage_class), ("AccessTier", NAMES.storage_class)];
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &Option<String>| {
        let value = value.as_deref().unwrap_or_default();
        if let (Ok(name), Ok(value)) = (name.parse::<object_store::signer::HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    };
    let has_value = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
    for (name, value) in blob.properties.iter().filter(|(_, value)| has_value(value)) {
        let header = names.iter().find(|(known, _)| known == name).map(|(_, header)| *header);
        add(header.unwrap_or(name), value);
    }
    for (key, value) in blob.metadata.iter().flatten() {
        add(&format!("{}{key}", NAMES.metadata), value);
    }
    headers
}

/// Sets the file's MD5, which the service computes for an upload in one request, unless the SHA-256 is known.
fn with_md5(mut file: File, headers: &HeaderMap) -> File {
    let md5 = headers.get("content-md5").and_then(|value| STANDARD.decode(value.as_bytes()).ok());
    let md5 = md5.filter(|digest| digest.len() == 16).map(|digest| crate::model::hex(&digest));
    file.checksums.md5 = md5.filter(|_| file.checksums.sha256.is_none());
    file
}

impl Container {
    async fn head(&self, id: &FileId) -> Result<(File, HeaderMap)> {
        let (file, headers) = self.bucket.head(id).await?;
        Ok((with_md5(file, &headers), headers))
    }

    /// Changes a part of a blob's description if the blob still has this version. Returns the new version.
    async fn change(&self, id: &FileId, part: &str, request: Request, version: &str) -> Result<String> {
        let request = request.query("comp", part).header("if-match", version).expecting(412).repeatable();
        let reply = self.bucket.send(request).await?;
        if reply.status == 412 {
            return Err(changed(SPEC.name, id.as_str()));
        }
        Ok(reply.header("etag").unwrap_or("*").to_owned())
    }

    fn empty_put(&self, id: &FileId) -> Result<Request> {
        Ok(Request::put(self.bucket.object(id)?, Body::empty()))
    }
}

#[async_trait]
impl Provider for Container {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        self.bucket.profile()
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAN
    }

    fn client(&self) -> Option<&Client> {
        self.bucket.client()
    }

    fn asks_for_sha256(&self) -> bool {
        true
    }

    fn decides<'a>(&self, filter: &'a Filter) -> Vec<&'a Expr> {
        self.bucket.decides(filter)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let pushed = Pushed::of(query.filter.as_ref(), NATIVE, None);
        if let Some(key) = pushed.parameter("key") {
            let found = self.bucket.find(&key.into()).await?;
            let files = found.into_iter().map(|(file, headers)| with_md5(file, &headers));
            return Ok(Page { files: files.collect(), next: None });
        }
        let prefix = format!("{}{}", self.bucket.prefix, pushed.parameter("prefix").unwrap_or_default());
        let size = page_size(query, CAN.list.max_page, CAN.list.max_page);
        let request = Request::get(self.bucket.url.clone())
            .query("restype", "container")
            .query("comp", "list")
            .query("include", "metadata")
            .query("maxresults", size)
            .maybe_query("prefix", Some(prefix).filter(|prefix| !prefix.is_empty()))
            .maybe_query("marker", cursor);
        let list: List = xml::read(SPEC.name, &self.bucket.send(request).await?, "list of blobs")?;
        let files = list.blobs.blob.iter().filter_map(|blob| {
            let name = blob.name.decoded();
            let id = name.strip_prefix(&self.bucket.prefix).filter(|id| !id.is_empty())?;
            let is_folder =
                blob.properties.get("ResourceType").is_some_and(|kind| kind.as_deref() == Some("directory"));
            let headers = headers_of(blob);
            (!is_folder).then(|| with_md5(self.bucket.described(&id.into(), &headers), &headers))
        });
        Ok(Page { files: files.collect(), next: list.next_marker.filter(|marker| !marker.is_empty()) })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        self.head(id).await.map(|(file, _)| file)
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        self.bucket.upload(file, progress).await
    }

    fn adds_once(&self) -> bool {
        true
    }

    async fn upload_unless_named(
        &self,
        file: &NewFile,
        known: &[FileId],
        progress: Arc<dyn Progress>,
    ) -> Result<Option<File>> {
        self.bucket.upload_unless_named(file, known, progress).await
    }

    async fn replace(&self, id: &FileId, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        self.bucket.replace(id, file, progress).await
    }

    fn multipart(&self) -> Option<&dyn Multipart> {
        Some(self)
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        self.bucket.delete(id).await
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let Some(range) = range else { return self.bucket.download(id, None).await };
        // The range is signed, so haul's client cannot drop it if the blob has changed in the meantime.
        let (file, headers) = self.head(id).await?;
        let etag = self.bucket.unchanged(&headers);
        let range = Some(range).filter(|range| range.continues(etag.as_deref(), file.size));
        self.bucket.download(id, range).await
    }

    async fn annotate(&self, id: &FileId, patch: &Patch) -> Result<File> {
        self.bucket.refuse_rename(id, patch)?;
        let (before, headers) = self.head(id).await?;
        let mut version = self.bucket.unchanged(&headers).unwrap_or_else(|| "*".to_owned());
        if patch.touches_metadata() {
            let metadata: Object = metadata::texts(&patch.apply(&before.metadata));
            let pairs = metadata::pairs(SPEC.name, &metadata, before.checksums.sha256.as_deref())?;
            let request = self.bucket.with_metadata(self.empty_put(id)?, pairs);
            version = self.change(id, "metadata", request, &version).await?;
        }
        if let Some(kind) = &patch.content_type {
            let mut request = self.empty_put(id)?.header("x-ms-blob-content-type", kind);
            // The properties that the request omits would be removed.
            for name in KEPT.into_iter().chain(["content-md5"]) {
                let value = headers.get(name).and_then(|value| value.to_str().ok());
                let header = value.map(|value| (format!("x-ms-blob-{name}").into(), value.to_owned()));
                request.headers.extend(header.filter(|_| name != "expires"));
            }
            self.change(id, "properties", request, &version).await?;
        }
        self.stat(id).await
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        self.bucket.link(id, lifetime).await
    }
}

#[async_trait]
impl Multipart for Container {
    fn applies(&self, file: &NewFile) -> bool {
        file.size > SINGLE
    }

    fn parallel(&self) -> usize {
        PARALLEL
    }

    fn checksum(&self) -> Option<&'static str> {
        Some("sha256")
    }

    async fn begin(&self, file: &NewFile) -> Result<Session> {
        let id = FileId::from(file.name.as_str());
        if self.bucket.find(&id).await?.is_some() {
            return Err(exists(SPEC.name, &file.name));
        }
        self.bucket.pairs(file)?;
        Ok(Session {
            id: format!("{} {id}", uuid::Uuid::new_v4().simple()),
            secret: None,
            part_size: part_size(file.size),
            expires_at: Some(later(self.bucket.clock.now(), SESSION)),
        })
    }

    async fn put_part(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<String> {
        let (upload, id) = upload_of(session)?;
        // All block ids of a blob must have the same length.
        let block = STANDARD.encode(format!("{upload}{:06}", part.index));
        let put = Request::put(self.bucket.object(&id)?, part.body(file))
            .query("comp", "block")
            .query("blockid", &block)
            .bulk()
            .repeatable();
        let put = self.bucket.service.sign(put, None).await?;
        self.bucket.http.upload(&put, progress).await?.acknowledges("part")?;
        Ok(block)
    }

    async fn complete(
        &self,
        session: &Session,
        file: &NewFile,
        tags: &[String],
        checksums: &Checksums,
    ) -> Result<File> {
        let (_, id) = upload_of(session)?;
        require_unchanged(file, checksums)?;
        let blocks = tags.join("</Latest><Latest>");
        let piece = Piece::Text(format!("<BlockList><Latest>{blocks}</Latest></BlockList>").into());
        let body = Body { content_type: Some("application/xml".to_owned()), pieces: vec![piece] };
        let request = Request::put(self.bucket.object(&id)?, body)
            .query("comp", "blocklist")
            .header("x-ms-blob-content-type", &file.content_type)
            .header("if-none-match", "*")
            .expecting(409)
            .bulk();
        let reply = self.bucket.send(self.bucket.with_metadata(request, self.bucket.pairs(file)?)).await?;
        if reply.status == 409 {
            return Err(exists(SPEC.name, id.as_str()));
        }
        Ok(self.bucket.stored(file, reply.header("etag"), &reply.headers))
    }

    async fn abort(&self, _session: &Session) -> Result<()> {
        // There is no request that discards blocks; they expire.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_names_properties_and_metadata() {
        let page = r#"<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs>
<Blob><Name>a &amp; b.txt</Name><Properties><Last-Modified>Sun, 29 Nov 2026 19:16:05 GMT</Last-Modified>
<Etag>0x8D</Etag><Content-Length>5</Content-Length><Content-Type>text/plain</Content-Type><Content-Encoding/>
<Content-MD5>XrY7u+Ae7tCTyyK7j1rNww==</Content-MD5><AccessTier>Hot</AccessTier></Properties>
<Metadata><author>%C3%84</author><empty/></Metadata></Blob>
<Blob><Name Encoded="true">x%EF%BF%BF</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>
</Blobs><NextMarker>2!92</NextMarker></EnumerationResults>"#;
        let list: List = quick_xml::de::from_str(page).unwrap();
        let names: Vec<String> = list.blobs.blob.iter().map(|blob| blob.name.decoded()).collect();
        assert_eq!(names, ["a & b.txt", "x\u{ffff}"]);
        assert_eq!(list.next_marker.as_deref(), Some("2!92"));
        let headers = headers_of(&list.blobs.blob[0]);
        for (name, value) in [
            ("content-type", "text/plain"),
            ("etag", "0x8D"),
            ("x-ms-access-tier", "Hot"),
            ("x-ms-meta-author", "%C3%84"),
            ("content-length", "5"),
        ] {
            assert_eq!(
                headers.get(name).map(object_store::HeaderValue::as_bytes),
                Some(value.as_bytes()),
                "{name}"
            );
        }
        assert!(headers.get("content-encoding").is_none());
        let file = with_md5(File::default(), &headers);
        assert_eq!(file.checksums.md5.as_deref(), Some("5eb63bbbe01eeed093cb22bb8f5acdc3"));
        let end = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
        let list: List = quick_xml::de::from_str(end).unwrap();
        assert!(list.blobs.blob.is_empty() && list.next_marker.unwrap_or_default().is_empty());
    }

    #[test]
    fn the_account_is_part_of_a_base_url() {
        let account = |url: &str| account_of(&url.parse().unwrap());
        assert_eq!(account("https://acc.blob.core.windows.net").as_deref(), Some("acc"));
        assert_eq!(account("http://127.0.0.1:10000/devstoreaccount1").as_deref(), Some("devstoreaccount1"));
        assert_eq!((account("https://proxy.example.com"), account(BASE_URL)), (None, None));
    }
}
