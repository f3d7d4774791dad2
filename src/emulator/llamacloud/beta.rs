//! `/api/v1/beta/files`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::gate::{Caller, Service};
use super::listing::{MAX_PAGE, Order, PAGE, Selection, find, remove};
use super::presigned::{Presigned, life, not_an_integer};
use super::query::Query;
use super::refusal::{Problem, Refusal};
use super::upload::receive_form;
use super::{create, json, object};
use crate::emulator::Params;
use crate::model::{File, FileId};

/// What a file can be for.
const PURPOSES: [&str; 7] = ["user_data", "parse", "extract", "split", "classify", "sheet", "agent_app"];
/// Seconds that a `download_url` lives: as long as one that is asked for without a life.
const DOWNLOAD_LIFE: i64 = 3600;

type Answer = Result<Json<Value>, Refusal>;

pub(super) async fn upload(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    service.count_upload(&caller)?;
    let form = receive_form(&service, &headers, body, "file", &["purpose"], &["external_file_id"]).await?;
    let purpose = form.text("purpose").unwrap_or_default();
    if !PURPOSES.contains(&purpose) {
        // Inferred: clients type it as free text, and what the service says of another word is not known.
        let [first @ .., last] = PURPOSES.map(|word| format!("'{word}'"));
        let msg = format!("Input should be {} or {last}", first.join(", "));
        return Err(Problem::new(&["body", "purpose"], "enum", msg).into());
    }
    let external_id = form.text("external_file_id");
    let mut file = create::record(&service, &caller, &form.name, external_id);
    file.purpose = Some(purpose.to_owned());
    file.expires_at = create::expiry(&service, purpose);
    file.content_type.clone_from(&form.file.head.content_type);
    let file = create::keep(&service, file, form.file.blob).await?;
    Ok(Json(show(&service, &caller, &file, false)))
}

pub(super) async fn list(State(service): State<Arc<Service>>, caller: Caller, params: Params) -> Answer {
    let text = |name| params.get(name).map(str::to_owned);
    let size = match params.get("page_size").map(|text| text.trim().parse::<i64>()) {
        None => PAGE,
        Some(Err(_)) => return Err(not_an_integer(&["query", "page_size"]).into()),
        Some(Ok(size)) => page_size(size)?,
    };
    let order = if service.site.quirk("old-order-by") {
        Order::parse_old(&["query", "order_by"], params.get("order_by"))?
    } else {
        Order::parse(params.get("order_by"))?
    };
    let selection = Selection {
        project: caller.project.clone(),
        file_ids: params.all("file_ids").into_iter().map(str::to_owned).collect(),
        file_name: text("file_name"),
        external_file_id: text("external_file_id"),
        order,
        ..Selection::default()
    };
    let page = selection.page(&service, size, params.get("page_token")).await?;
    Ok(show_page(&service, &caller, page, wants_url(&params)))
}

/// 1 to 1000, and nothing else.
fn page_size(size: i64) -> Result<usize, Problem> {
    let wrong = |kind, what, bound| {
        let msg = format!("Input should be {what} than or equal to {bound}");
        Problem::new(&["query", "page_size"], kind, msg)
    };
    match usize::try_from(size) {
        Ok(size) if size > MAX_PAGE => Err(wrong("less_than_equal", "less", MAX_PAGE)),
        Ok(size) if size > 0 => Ok(size),
        _ => Err(wrong("greater_than_equal", "greater", 1)),
    }
}

/// The listing's deprecated elder.
pub(super) async fn query(State(service): State<Arc<Service>>, caller: Caller, body: Body) -> Answer {
    let Query { selection, size, token } = Query::parse(json::read(body).await?, &caller)?;
    let page = selection.page(&service, size, token.as_deref()).await?;
    Ok(show_page(&service, &caller, page, false))
}

pub(super) async fn retrieve(
    State(service): State<Arc<Service>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    let file = find(&service, &caller, &file_id(id)?).await?;
    Ok(Json(show(&service, &caller, &file, wants_url(&params))))
}

pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    remove(&service, &caller, &file_id(id)?).await
}

pub(super) async fn content(
    State(service): State<Arc<Service>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    let life = life(&params)?;
    let file = find(&service, &caller, &file_id(id)?).await?;
    Ok(Json(Presigned::new(&service, &caller, "GET", &file.id, life).to_json()))
}

/// The id of a path. Declared as plain text: whatever is none of ours is not found, also what is no text at all.
fn file_id(path: Result<Path<String>, PathRejection>) -> Result<FileId, Refusal> {
    path.map(|Path(id)| FileId(id)).map_err(|_| Refusal::no_such_file())
}

fn wants_url(params: &Params) -> bool {
    params.all("expand").contains(&"download_url")
}

fn show(service: &Service, caller: &Caller, file: &File, with_url: bool) -> Value {
    let url = with_url.then(|| Presigned::new(service, caller, "GET", &file.id, DOWNLOAD_LIFE));
    object::short(file, url.as_ref(), service.site.quirk("strict-seed"))
}

fn show_page(
    service: &Service,
    caller: &Caller,
    (files, next): (Vec<File>, Option<String>),
    with_url: bool,
) -> Json<Value> {
    let items: Vec<_> = files.iter().map(|file| show(service, caller, file, with_url)).collect();
    Json(serde_json::json!({ "items": items, "next_page_token": next, "total_size": null }))
}
