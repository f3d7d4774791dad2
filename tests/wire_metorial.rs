//! Metorial over a socket: every dialect's spelling and objects, errors, links and who sees the token.

#[path = "wire/metorial/changes.rs"]
mod changes;
#[path = "wire/metorial/links.rs"]
mod links;
#[path = "wire/metorial/listing.rs"]
mod listing;
#[path = "wire/metorial/reading.rs"]
mod reading;
#[path = "wire/script.rs"]
mod script;
#[path = "wire/metorial/uploads.rs"]
mod uploads;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use haul::error::{Error, Kind};
use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::http::{Client, Config, Policy};
use haul::model::{Clock, FileId, Link, NewFile, Patch};
use haul::progress::silent;
use haul::providers::{Connection, Listing, Provider, Query, Sort, Spec, find};
use haul::secret::Secret;
use jiff::SignedDuration;
use script::{Answer, Server};
use serde_json::json;

const SEED: &str = include_str!("wire/metorial/file-seed.json");
const PULSAR: &str = include_str!("wire/metorial/file-pulsar.json");
const MAGNETAR: &str = include_str!("wire/metorial/file-magnetar.json");
const UPLOADED: &str = include_str!("wire/metorial/file-magnetar-uploaded.json");
const DELETED: &str = include_str!("wire/metorial/file-deleted.json");
const LINK: &str = include_str!("wire/metorial/link.json");
const EMPTY_LIST: &str = include_str!("wire/metorial/list-empty.json");
const ID: &str = "fil_0mabc12defGHIJKLMNOPQR";
const FILES_HOST: &str = "https://files.metorial.com";

fn spec() -> &'static Spec {
    find("metorial").expect("registered")
}

fn connection(api: &Server, uploads: &Server, dialect: &str, set: &[(&str, &str)]) -> Connection {
    let (base_url, upload_base_url) = (api.url(), uploads.url());
    Connection {
        profile: "metorial".to_owned(),
        http: Client::new(Config {
            platform: "metorial",
            own: vec![base_url.clone(), upload_base_url.clone()],
            token: Some(Secret::new("metorial_sk_TEST")),
            token_hints: Vec::new(),
            timeout: Duration::from_secs(10),
            policy: Policy { attempts: 1, ..Policy::default() },
            cacert: None,
            insecure_http: false,
            rate: None,
            headers: Vec::new(),
            read_problem: spec().read_problem,
        }),
        base_url,
        upload_base_url,
        dialect: dialect.to_owned(),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        secrets: BTreeMap::new(),
        clock: Clock(Some("2026-01-31T23:00:00Z".parse().expect("a time"))),
        data: std::path::PathBuf::new(),
    }
}

fn open_with(api: &Server, uploads: &Server, dialect: &str, set: &[(&str, &str)]) -> Box<dyn Provider> {
    (spec().open)(connection(api, uploads, dialect, set)).expect("opens")
}

fn open(api: &Server, dialect: &str) -> Box<dyn Provider> {
    open_with(api, api, dialect, &[])
}

fn hello() -> NewFile {
    NewFile { content_type: "text/plain".to_owned(), ..NewFile::from_bytes("hello.txt", "hello world") }
}

fn titled(title: &serde_json::Value) -> NewFile {
    let mut file = hello();
    file.metadata.insert("title".to_owned(), title.clone());
    file
}

async fn upload(provider: &dyn Provider, file: NewFile) -> Result<haul::model::File, Error> {
    provider.upload(&[file], &[silent()]).await.map(|mut files| files.remove(0))
}

async fn bytes_of(content: haul::http::Content) -> Vec<u8> {
    content.stream.try_collect::<Vec<Bytes>>().await.expect("all bytes").concat()
}

fn id() -> FileId {
    ID.into()
}

/// An answer of a server that speaks the dialect.
fn magnetar(body: &str) -> Answer {
    Answer::json(body).header("metorial-version", "2026-01-01")
}

fn pulsar(body: &str) -> Answer {
    Answer::json(body).header("metorial-version", "2025-01-01")
}

fn filter(field: &str, op: Op, value: Value) -> Filter {
    Filter { expr: Expr::Compare(Comparison { field: field.to_owned(), op, value }) }
}

fn asking(filter: Filter) -> Query {
    Query { filter: Some(filter), ..Query::default() }
}
