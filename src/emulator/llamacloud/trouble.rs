//! What the object store says when it refuses: S3's XML.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};

use crate::emulator::{Refused, ids};
use crate::error::{Error, Kind};

/// An error as S3 words it.
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    /// Further elements, as XML.
    pub(super) more: String,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, more: String::new() }
    }

    pub(super) fn no_such_key() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
    }

    pub(super) fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let request_id = ids::hex(8).to_uppercase();
        let Self { status, code, message, more } = self;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}\
             <RequestId>{request_id}</RequestId></Error>"
        );
        let request_id = (HeaderName::from_static("x-amz-request-id"), request_id);
        (status, [(CONTENT_TYPE, "application/xml".to_owned()), request_id], body).into_response()
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => Self::no_such_key(),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "We encountered an internal error. Please try again.",
            ),
        }
    }
}

impl From<Refused<Trouble>> for Trouble {
    fn from(refused: Refused<Self>) -> Self {
        match refused {
            Refused::Malformed(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "IncompleteBody",
                "The body is not whole or not of the form that its headers say.",
            ),
            Refused::TooLarge(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
            ),
            Refused::Rule(trouble) => trouble,
            Refused::Store(error) => error.into(),
        }
    }
}
