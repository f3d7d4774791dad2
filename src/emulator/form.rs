//! Receives `multipart/form-data` as real clients send it, in constant memory: file parts stream into the store on a
//! thread of their own, which hashes them.

use axum::body::Body;
use axum::http::HeaderMap;

use super::Site;
use crate::store::Blob;

/// A form that has arrived whole, parts in their order.
pub struct Form {
    /// The fields.
    pub fields: Vec<Field>,
}

/// One part.
pub enum Field {
    /// A part without a file name, or one that `is_file` took for text.
    Text {
        /// The part's name.
        name: String,
        /// Its text.
        value: String,
        /// Its `Content-Type`, if it had one.
        content_type: Option<String>,
    },
    /// A file.
    File(Upload),
}

/// A file part whose bytes are in the store, not referred to yet.
pub struct Upload {
    /// The part's name.
    pub field: String,
    /// The file name with `%22`, `%0D`, `%0A` and backslash escapes decoded and `filename*` understood; None where the
    /// part had none.
    pub file_name: Option<String>,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// The bytes.
    pub blob: Blob,
}

/// What a form was refused for.
#[derive(Debug)]
pub enum Refused {
    /// Not a form, or a broken one: why.
    Malformed(String),
    /// A file part is larger than allowed: the limit in bytes.
    TooLarge(u64),
    /// The part was refused by `check`: the platform's own reason.
    Part(String),
    /// The store failed.
    Store(crate::error::Error),
}

/// Receives a form. `is_file` says of a part (its field name, whether it has a file name) whether its bytes go to the
/// store. `check` sees each part's head (field name, file name) before its bytes and the fields before it, and may
/// refuse it. A text part is at most 1 MiB.
pub async fn receive(
    _site: &Site,
    _headers: &HeaderMap,
    _body: Body,
    _max_file: Option<u64>,
    _is_file: impl Fn(&str, bool) -> bool,
    _check: impl Fn(&[Field], &str, Option<&str>) -> std::result::Result<(), String>,
) -> std::result::Result<Form, Refused> {
    todo!()
}

/// Receives a raw body into the store.
pub async fn receive_raw(_site: &Site, _body: Body, _max: Option<u64>) -> std::result::Result<Blob, Refused> {
    todo!()
}

impl Form {
    /// The first text field of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|field| match field {
            Field::Text { name: n, value, .. } if n == name => Some(value.as_str()),
            _ => None,
        })
    }

    /// The files, taken out.
    pub fn take_files(&mut self) -> Vec<Upload> {
        let (files, rest) =
            std::mem::take(&mut self.fields).into_iter().partition(|f| matches!(f, Field::File(_)));
        self.fields = rest;
        let files: Vec<Field> = files;
        files
            .into_iter()
            .filter_map(|f| if let Field::File(upload) = f { Some(upload) } else { None })
            .collect()
    }
}
