//! Metorial over a socket: field names and objects of every dialect, errors, links, and which servers receive the token.

mod changes;
mod links;
mod listing;
mod reading;
mod targets;
mod uploads;

use crate::support::clock;
use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};
use bytes::Bytes;
use futures_util::TryStreamExt;
use haul::error::{Error, Kind};
use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::model::{FileId, Link, NewFile, Patch};
use haul::progress::silent;
use haul::providers::{Listing, Provider, Query, Sort, Spec, find};
use jiff::SignedDuration;
use serde_json::json;

const SEED: &str = include_str!("file-seed.json");
const PULSAR: &str = include_str!("file-pulsar.json");
const MAGNETAR: &str = include_str!("file-magnetar.json");
const UPLOADED: &str = include_str!("file-magnetar-uploaded.json");
const DELETED: &str = include_str!("file-deleted.json");
const LINK: &str = include_str!("link.json");
const EMPTY_LIST: &str = include_str!("list-empty.json");
const ID: &str = "fil_0mabc12defGHIJKLMNOPQR";
const FILES_HOST: &str = "https://files.metorial.com";

fn spec() -> &'static Spec {
    find("metorial").expect("registered")
}

fn open_with(api: &Server, uploads: &Server, dialect: &str, set: &[(&str, &str)]) -> Box<dyn Provider> {
    let clock = clock("2026-01-31T23:00:00Z");
    let upload_base_url = uploads.url.clone();
    let token = Some("metorial_sk_TEST");
    let profile = Profile { name: "metorial", upload_base_url, token, ..Profile::new(spec(), &api.url) };
    Profile { dialect, set, clock, ..profile }.open().expect("opens")
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
    provider.upload(&file, silent()).await
}

async fn bytes_of(content: haul::http::ContentStream) -> Vec<u8> {
    content.stream.try_collect::<Vec<Bytes>>().await.expect("all bytes").concat()
}

fn id() -> FileId {
    ID.into()
}

/// A response in the dialect `magnetar`.
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
