//! The embedded store on this machine.

use async_trait::async_trait;

use super::{Annotate, Download, LinkAbility, ListAbility, NameLimit, UploadAbility};
use super::{Capabilities, Connection, Dialect, Page, Provider, Query, Spec};
use crate::error::Result;
use crate::model::{File, FileId, NewFile};
use crate::progress::Progress;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "local",
    title: "embedded store on this machine",
    token_variables: &[],
    base_url_variables: &[],
    base_url: "",
    upload_base_url: None,
    base_path: "",
    docs_url: "",
    settings: &[],
    dialects: &[Dialect { name: "store", title: "the embedded store", can: &CAN }],
    read_problem: |_| None,
    open,
};

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        max_bytes: None,
        warn_bytes: None,
        empty: true,
        name: NameLimit::Unlimited,
        forbidden: &[],
        forbids_control: false,
        purpose: true,
        purposes: &[],
        default_purpose: None,
        metadata: true,
        lifetime: Some((1, i64::MAX)),
        files_per_request: 1,
    },
    download: Download::Any,
    ranges: true,
    list: ListAbility {
        max_page: 1000,
        native: &[],
        sort: &["created_at", "name", "size", "id"],
        newest_first: true,
    },
    annotate: Some(Annotate { metadata: true, keys: &[], name: true, content_type: true, path: true }),
    link: Some(LinkAbility { lifetime: None, list: true, revoke: true }),
    replace: true,
    checksums: &["blake3", "sha256"],
    scope: &[],
    rate: None,
    instead: &[],
};

struct Local {
    connection: Connection,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    Ok(Box::new(Local { connection }))
}

#[async_trait]
impl Provider for Local {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAN
    }

    async fn list(&self, _query: &Query, _cursor: Option<&str>) -> Result<Page> {
        todo!()
    }

    async fn stat(&self, _id: &FileId) -> Result<File> {
        todo!()
    }

    async fn upload(&self, _files: &[NewFile], _progress: &[Arc<dyn Progress>]) -> Result<Vec<File>> {
        todo!()
    }

    async fn delete(&self, _id: &FileId) -> Result<()> {
        todo!()
    }
}
