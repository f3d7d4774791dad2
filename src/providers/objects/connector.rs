//! Sends `object_store`'s own requests, which obtain credentials, with haul's client.

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::{ClientOptions, RetryConfig};

use crate::error::{Error, Kind};
use crate::http::{Body, Client, Piece, Request};

/// Uses haul's proxies, certificate authorities, time limits, retries and traces.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) Client);

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, asked: HttpRequest) -> Result<HttpResponse, HttpError> {
        let failed = |error: Error| HttpError::new(HttpErrorKind::Unknown, error);
        let url =
            asked.uri().to_string().parse().map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        // Requests for credentials change nothing, so they are repeatable.
        let mut request = Request { method: asked.method().clone(), ..Request::get(url) }.anonymous();
        for (name, value) in asked.headers() {
            if let Ok(value) = value.to_str()
                && name != "content-length"
            {
                request = request.header(name.to_string(), value);
            }
        }
        let body = asked.body().as_bytes().cloned().unwrap_or_default();
        if !body.is_empty() {
            request.body = Body { content_type: None, pieces: vec![Piece::Text(body)] };
        }
        let reply = self.0.send(&request).await.map_err(failed)?;
        let mut response = HttpResponse::new(HttpResponseBody::from(reply.body));
        if let Ok(status) = reply.status.try_into() {
            *response.status_mut() = status;
        }
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

/// Disables `object_store`'s retries, because haul's client retries by its own rules.
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// The error for credentials that cannot be obtained.
pub(super) fn no_credentials(platform: &str, error: object_store::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(own) = cause.downcast_ref::<Error>() {
            let kind = if own.is_unanswered() { own.kind() } else { Kind::Auth };
            return own.clone().with_kind(kind).cause(format!("{platform} needs credentials"));
        }
        source = cause.source();
    }
    Error::new(Kind::Auth, format!("cannot get credentials for {platform}")).caused_by(error)
}
