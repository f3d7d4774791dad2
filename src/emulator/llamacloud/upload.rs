//! Receives the form of an upload. Parts come in any order; of several of one name the last counts.

use axum::body::Body;
use axum::http::HeaderMap;

use super::create::{MAX_SIZE, check_name};
use super::gate::Service;
use super::refusal::{Problem, Refusal};
use crate::emulator::{Form, Limits, Take, Upload, receive};

/// What a form may hold beyond its file's bytes.
const SLACK: u64 = 1024 * 1024;

/// A form whose file is there, has a name and is not empty.
pub(super) struct Uploaded {
    /// The file's name.
    pub(super) name: String,
    /// The file.
    pub(super) file: Upload,
    texts: Form,
}

impl Uploaded {
    /// The last text of that name; an empty one counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        last_text(&self.texts, name)
    }
}

fn last_text<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.texts().filter(|(key, value)| *key == name && !value.is_empty()).last().map(|(_, value)| value)
}

/// Receives a form with a file in the part `part`; `required` texts must be there and `texts` may.
pub(super) async fn receive_form(
    service: &Service,
    headers: &HeaderMap,
    body: Body,
    part: &str,
    required: &[&str],
    texts: &[&str],
) -> Result<Uploaded, Refusal> {
    let limits = Limits { file: Some(MAX_SIZE), body: Some(MAX_SIZE + SLACK) };
    let mut form = receive(&service.site, headers, body, limits, |_, head| {
        if head.name == part {
            let problem = || {
                let msg = "Value error, Expected UploadFile, received: <class 'str'>";
                Refusal::from(Problem::new(&["body", part], "value_error", msg))
            };
            return if head.file_name.is_some() { Ok(Take::File) } else { Err(problem()) };
        }
        let is_known = required.iter().chain(texts).any(|name| *name == head.name);
        Ok(if is_known { Take::Text } else { Take::Nothing })
    })
    .await?;
    let file = form.take_files().pop();
    let missing = file.is_none().then_some(&part).into_iter();
    let missing = missing.chain(required.iter().filter(|name| last_text(&form, name).is_none()));
    let problems: Vec<_> = missing.map(|name| Problem::missing(&["body", name])).collect();
    let Some(file) = file.filter(|_| problems.is_empty()) else { return Err(Refusal::Invalid(problems)) };
    let name = file.head.file_name.clone().unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::bad_request("File must have a filename"));
    }
    check_name(&["body", part], &name)?;
    // Documented without a status, which is inferred.
    if file.blob.size == 0 {
        return Err(Refusal::bad_request("File must not be empty"));
    }
    Ok(Uploaded { name, file, texts: form })
}
