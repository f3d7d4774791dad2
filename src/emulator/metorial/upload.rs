//! `POST /files`: a form with the file, or JSON for a presigned upload.

use axum::Json;
use axum::body::Body;
use jiff::Timestamp;

use super::Answer;
use super::body;
use super::call::{Call, Key};
use super::dialect::Dialect;
use super::files::{ACTIVE, SPACE};
use super::objects::{self, TITLE};
use super::presigned;
use super::problem::Problem;
use crate::emulator::{Form, Limits, Take, ids, receive};
use crate::model::{File, FileId};

/// A directly uploaded file and its form may have so many bytes; magnetar's numbers, taken for all.
const LIMITS: Limits = Limits { file: Some(100 * MIB), body: Some(101 * MIB) };
const MIB: u64 = 1024 * 1024;

pub(super) async fn upload(call: Call, body: Body) -> Answer {
    if body::is_json(&call.headers) {
        return presigned::prepare(&call, body).await;
    }
    let received = receive(&call.site, &call.headers, body, LIMITS, |before, head| {
        Ok::<_, Problem>(match (head.name.as_str(), &head.file_name) {
            // Only a part with a file name is a file.
            ("file", Some(_)) if before.has_file() => Take::Nothing,
            ("file", Some(_)) => Take::File,
            _ => Take::Text,
        })
    });
    let mut form = received.await?;
    let Some(upload) = form.take_files().into_iter().next() else {
        return Err(Problem::bad_request("there is no file: send a part `file` with a filename"));
    };
    for (name, text) in form.texts() {
        body::short(name, text)?;
    }
    let dialect = call.dialect;
    if let Some(mode) = form.text("mode").filter(|mode| dialect != Dialect::Pulsar && *mode != "direct") {
        return Err(Problem::bad_request(format!("a form cannot have the mode {mode}")));
    }
    let purpose = form.text("purpose").ok_or_else(|| Problem::bad_request("there is no purpose"))?;
    check_purpose(&call, purpose, Owner::of(&call, |name| form.text(name)))?;
    check_size(dialect, upload.blob.size, LIMITS.file.unwrap_or(u64::MAX))?;
    let place = Place::checked(dialect, |name| form.text(name))?;
    let name = name(dialect, upload.head.file_name.as_deref().unwrap_or_default(), &form)?;
    let mut file = new_file(&call, call.site.clock.now());
    file.name = name;
    file.content_type = upload.head.content_type.or(file.content_type);
    file.purpose = Some(purpose.to_owned());
    file.status = Some(ACTIVE.to_owned());
    place.put_into(&mut file);
    if dialect == Dialect::Magnetar
        && let Some(title) = form.text("title")
    {
        file.extra.insert(TITLE.to_owned(), title.into());
    }
    let file = call.store(move |store| store.put(SPACE, file, upload.blob)).await?;
    Ok(Json(objects::uploaded(dialect, &file)))
}

/// The record of a file that begins now, without what is said of it. Times have the milliseconds that are shown, so
/// that a strict bound on the time that was shown excludes it.
pub(super) fn new_file(call: &Call, now: Timestamp) -> File {
    let id = match call.dialect {
        Dialect::Seed => format!("file_{}", ids::time_sorted(now, 11)),
        Dialect::Pulsar | Dialect::Magnetar => format!("fil_{}", ids::time_sorted(now, 13)),
    };
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    File {
        id: FileId(id),
        content_type: Some("application/octet-stream".to_owned()),
        created_at: Some(now),
        updated_at: Some(now),
        ..File::default()
    }
}

/// The name: the part's file name; in magnetar else the last part of the path, else the title.
fn name(dialect: Dialect, file_name: &str, form: &Form) -> Result<String, Problem> {
    let empty = || Problem::bad_request("the file has no name");
    if dialect != Dialect::Magnetar {
        return if file_name.is_empty() { Err(empty()) } else { Ok(file_name.to_owned()) };
    }
    let path = form.text("path").and_then(|path| path.rsplit('/').next());
    let names = [Some(file_name), path, form.text("title")];
    names
        .into_iter()
        .flatten()
        .map(str::trim)
        .find(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or_else(empty)
}

/// Who a new file belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Instance,
    Organization,
    User,
    /// An organization's key without a word on which instance is meant.
    Nobody,
}

impl Owner {
    /// The owner that a form's or a body's fields name, else the key's.
    pub(super) fn of<'a>(call: &Call, field: impl Fn(&str) -> Option<&'a str>) -> Self {
        if field("organization_id").is_some() {
            Self::Organization
        } else if field("instance_id").is_some() || call.key == Key::Instance || call.has_instance {
            Self::Instance
        } else if call.key == Key::User {
            Self::User
        } else {
            Self::Nobody
        }
    }
}

/// Checks that there is such a purpose and that it goes with the owner. Before magnetar an instance owned no files:
/// there any owner will do.
pub(super) fn check_purpose(call: &Call, purpose: &str, owner: Owner) -> Result<(), Problem> {
    if !call.dialect.purposes().contains(&purpose) {
        return Err(Problem::bad_request(format!("there is no purpose {purpose}")));
    }
    if call.dialect != Dialect::Magnetar {
        return Ok(());
    }
    let fits = match purpose {
        "user_image" => owner == Owner::User,
        "organization_image" => owner == Owner::Organization,
        _ => owner == Owner::Instance,
    };
    match owner {
        Owner::Nobody => Err(Problem::bad_request("this key needs an instance: send `instance_id`")),
        _ if !fits => {
            Err(Problem::bad_request(format!("the purpose {purpose} is for another kind of owner")))
        }
        _ => Ok(()),
    }
}

/// Checks a size against the largest that is allowed. Magnetar takes no empty files.
pub(super) fn check_size(dialect: Dialect, size: u64, largest: u64) -> Result<(), Problem> {
    if size > largest {
        return Err(Problem::bad_request(format!("the file has more than {largest} bytes")));
    }
    if size == 0 && dialect == Dialect::Magnetar {
        return Err(Problem::bad_request("the file is empty"));
    }
    Ok(())
}

/// Where in a store, in Metorial's sense of the word, a file goes.
pub(super) struct Place(Option<(String, String)>);

impl Place {
    /// Reads `store_id` and `path`, which come together or not at all, and `store_replace`, which needs both.
    pub(super) fn checked<'a>(
        dialect: Dialect,
        field: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, Problem> {
        if dialect != Dialect::Magnetar {
            return Ok(Self(None));
        }
        let place = match (field("store_id"), field("path")) {
            (Some(store), Some(path)) => Some((store.to_owned(), path.to_owned())),
            (None, None) => None,
            _ => return Err(Problem::bad_request("store_id and path go together")),
        };
        match field("store_replace") {
            None => {}
            Some("true" | "false") if place.is_some() => {}
            Some("true" | "false") => {
                return Err(Problem::bad_request("store_replace needs store_id and path"));
            }
            Some(_) => return Err(Problem::bad_request("store_replace is true or false")),
        }
        Ok(Self(place))
    }

    /// Notes the place on the file, by which listings filter.
    pub(super) fn put_into(self, file: &mut File) {
        if let Some((store, path)) = self.0 {
            file.extra.insert("store_id".to_owned(), store.into());
            file.path = Some(path);
        }
    }
}
