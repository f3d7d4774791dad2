//! JSON messages as the gateway reads them: protobuf's rendering, in which integers may be text and bytes are base64.

use std::io::Write as _;

use axum::body::Body;
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::refusal::Refusal;
use crate::emulator::receive_json;
use crate::error::Error;
use crate::model::Object;
use crate::store::Incoming;

/// Bytes of a message: content of 50 MiB in base64, and something beside it.
pub(super) const MOST: usize = 72 * 1024 * 1024;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Receives one message; an empty body is an empty one.
pub(super) async fn message(body: Body) -> Result<Object, Refusal> {
    match receive_json(body, MOST).await? {
        None => Ok(Object::new()),
        Some(Value::Object(message)) => Ok(message),
        Some(_) => Err(Refusal::invalid("The request body must be a JSON object")),
    }
}

/// A text that may be missing or null.
pub(super) fn text<'a>(message: &'a Object, name: &str) -> Result<Option<&'a str>, Refusal> {
    match message.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::invalid(format!("{name} must be a string"))),
    }
}

/// A text that must be there.
pub(super) fn required<'a>(message: &'a Object, name: &str) -> Result<&'a str, Refusal> {
    let value = text(message, name)?.filter(|text| !text.is_empty());
    value.ok_or_else(|| Refusal::invalid(format!("{name} is required")))
}

/// A 64-bit integer, as a number or as text.
pub(super) fn integer(message: &Object, name: &str) -> Result<Option<i64>, Refusal> {
    let value = match message.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    value.map(Some).ok_or_else(|| Refusal::invalid(format!("{name} must be an integer")))
}

/// Decodes base64 of either alphabet, with or without padding, into the store. Holds one piece of it. The inner error is
/// that it is no base64.
pub(super) fn decode(text: &str, incoming: &mut Incoming) -> Result<Result<(), Refusal>, Error> {
    let engine = if text.contains(['-', '_']) { &BASE64_URL } else { &BASE64 };
    let mut piece = vec![0; 48 * 1024];
    for text in text.as_bytes().chunks(piece.len() / 3 * 4) {
        let Ok(length) = engine.decode_slice(text, &mut piece) else {
            return Ok(Err(Refusal::invalid("The content is not base64")));
        };
        incoming
            .write_all(&piece[..length])
            .map_err(|error| Error::failed("the store cannot take more content").caused_by(error))?;
    }
    Ok(Ok(()))
}
