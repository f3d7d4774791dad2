//! `multipart/form-data`, framed as browsers do.
//!
//! Names are raw UTF-8 with `%22`, `%0D` and `%0A` for the three characters that would break the header; the whole
//! has a known length. reqwest's own form writes a raw line feed into the part header.

use bytes::Bytes;
use serde_json::Value;

use super::request::{Body, Piece};
use crate::model::NewFile;

/// One part of a form.
#[derive(Clone, Debug)]
pub struct Part {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
    content: Piece,
}

impl Part {
    /// A plain text field.
    pub fn text(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            file_name: None,
            content_type: None,
            content: Piece::Text(Bytes::from(value.into())),
        }
    }

    /// A JSON field with its content type and no file name.
    pub fn json(name: &str, value: &Value) -> Self {
        Self { content_type: Some("application/json".to_owned()), ..Self::text(name, value.to_string()) }
    }

    /// A file with its name and content type.
    pub fn file(name: &str, file: &NewFile) -> Self {
        Self {
            name: name.to_owned(),
            file_name: Some(file.name.clone()),
            content_type: Some(file.content_type.clone()),
            content: Piece::Whole { source: file.source.clone(), size: file.size },
        }
    }

    fn head(&self, boundary: &str) -> String {
        let mut head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&self.name));
        if let Some(name) = &self.file_name {
            head.push_str(&format!("; filename=\"{}\"", quoted(name)));
        }
        if let Some(kind) = &self.content_type {
            // A content type is typed by the user: a line end in it must not become a header.
            let kind: String = kind.chars().filter(|c| !c.is_control()).collect();
            head.push_str(&format!("\r\nContent-Type: {kind}"));
        }
        head.push_str("\r\n\r\n");
        head
    }
}

/// The body of a form with these parts in this order.
pub fn form(parts: Vec<Part>) -> Body {
    form_with_boundary(parts, &uuid::Uuid::new_v4().simple().to_string())
}

fn form_with_boundary(parts: Vec<Part>, boundary: &str) -> Body {
    let mut pieces = Vec::with_capacity(parts.len() * 2 + 1);
    let mut text = String::new();
    for part in parts {
        text.push_str(&part.head(boundary));
        pieces.push(Piece::Text(Bytes::from(std::mem::take(&mut text))));
        pieces.push(part.content);
        text.push_str("\r\n");
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    pieces.push(Piece::Text(Bytes::from(text)));
    Body { content_type: Some(format!("multipart/form-data; boundary={boundary}")), pieces }
}

fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
