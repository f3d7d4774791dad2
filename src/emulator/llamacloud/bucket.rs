//! `/_store`: the object store behind presigned URLs, in the manner of S3.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    LAST_MODIFIED,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::create::MAX_SIZE;
use super::expected::accept;
use super::gate::Service;
use super::object::time;
use super::presigned::{Claim, Unfit};
use super::trouble::Trouble;
use crate::emulator::{
    Content, Form, Limits, Params, Sending, Take, content_disposition, receive, receive_raw,
};
use crate::model::{File, FileId};

/// `/_store/ID`: whatever its signature is for, to read with GET and to write with PUT.
pub(super) async fn object(
    State(service): State<Arc<Service>>,
    method: Method,
    key: Result<Path<String>, PathRejection>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    no_authorization(&headers)?;
    let Ok(Path(key)) = key else { return Err(Trouble::no_such_key()) };
    // A signature is for one method, so that no other one than GET and PUT gets beyond this.
    check(&service, Claim::of_query(&key, &params), method.as_str())?;
    let id = FileId(key);
    if method == Method::PUT {
        // Nobody knows how much would come, and so nobody takes it.
        if !headers.contains_key(CONTENT_LENGTH) {
            return Err(Trouble::new(
                StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            ));
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let blob = receive_raw(&service.site, &headers, body, Some(MAX_SIZE)).await?;
        let file = accept(&service, id, content_type, blob).await?;
        return Ok((StatusCode::OK, [(ETAG, etag(&file))]).into_response());
    }
    send(&service, &headers, &id).await
}

/// `/_store`: a form with a signature in its fields and the `file` after them. What follows the file is ignored.
pub(super) async fn form(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    no_authorization(&headers)?;
    let limits = Limits { file: Some(MAX_SIZE), body: None };
    let received = receive(&service.site, &headers, body, limits, |before, head| {
        if before.has_file() {
            return Ok(Take::Nothing);
        }
        if head.name != "file" {
            return Ok(Take::Text);
        }
        check(&service, claim_of(before), "POST")?;
        Ok(Take::File)
    });
    let mut form = received.await?;
    let key = form.text("key").unwrap_or_default().to_owned();
    let content_type = form.text("Content-Type").map(str::to_owned);
    let Some(upload) = form.take_files().pop() else {
        return Err(Trouble::new(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "POST requires exactly one file upload per request.",
        ));
    };
    let file = accept(&service, FileId(key), content_type, upload.blob).await?;
    Ok((StatusCode::NO_CONTENT, [(ETAG, etag(&file))]).into_response())
}

fn claim_of(form: &Form) -> Option<Claim<'_>> {
    Some(Claim {
        key: form.text("key")?,
        date: form.text("x-amz-date")?,
        expires: form.text("x-amz-expires")?,
        signature: form.text("x-amz-signature")?,
    })
}

/// Refuses a request that carries the key of the API as well: whoever sends it there gives it to a third party.
fn no_authorization(headers: &HeaderMap) -> Result<(), Trouble> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    Err(Trouble {
        more: "<ArgumentName>Authorization</ArgumentName>".to_owned(),
        ..Trouble::new(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        )
    })
}

fn check(service: &Service, claim: Option<Claim<'_>>, method: &str) -> Result<(), Trouble> {
    let now = service.site.clock.now();
    match claim.ok_or_else(Trouble::denied)?.check(&service.site.signer, method, now) {
        Ok(()) => Ok(()),
        Err(Unfit::Forged) => Err(Trouble::new(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method.",
        )),
        Err(Unfit::Expired(expired_at)) => Err(Trouble {
            message: "Request has expired",
            more: format!("<Expires>{}</Expires><ServerTime>{}</ServerTime>", time(expired_at), time(now)),
            ..Trouble::denied()
        }),
    }
}

async fn send(service: &Service, headers: &HeaderMap, id: &FileId) -> Result<Response, Trouble> {
    let content = Content::open(&service.site, id).await?;
    let file = &content.file;
    let modified = file.updated_at.or(file.created_at).unwrap_or_default();
    let how = Sending {
        ranges: true,
        length: true,
        etag: file.checksums.sha256.clone(),
        content_type: file.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()),
        headers: vec![
            (LAST_MODIFIED, modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            // What somebody uploaded must not run in a browser as a page of this server.
            (CONTENT_DISPOSITION, content_disposition("attachment", &file.name)),
            (HeaderName::from_static("x-content-type-options"), "nosniff".to_owned()),
        ],
    };
    let response = content.send(headers, how);
    if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(response);
    }
    let mut refusal =
        Trouble::new(response.status(), "InvalidRange", "The requested range is not satisfiable")
            .into_response();
    refusal
        .headers_mut()
        .extend(response.headers().get(CONTENT_RANGE).map(|size| (CONTENT_RANGE, size.clone())));
    Ok(refusal)
}

fn etag(file: &File) -> String {
    format!("\"{}\"", file.checksums.sha256.as_deref().unwrap_or_default())
}
