//! Decodes the platform's responses.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::SPEC;
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Part, Problem, Reply, Request, form};
use crate::model::{File, FileId, Link, NewFile, Object};
use crate::providers::lenient::{self, Known};

/// A file: the short object of the beta endpoints or the long object of the legacy endpoints. Only the id is always
/// present.
///
/// Fields that are not translated stay in `extra`: `project_id`, `external_file_id`, `data_source_id`, `file_type`
/// (an extension, not a media type), `last_modified_at` (the original's date, not this file's), `resource_info`,
/// `permission_info` and `download_url`.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct FileReply(Known);

impl FileReply {
    pub(super) fn into_file(self, profile: &str) -> File {
        let Known { id, mut fields } = self.0;
        File {
            provider: SPEC.name.to_owned(),
            profile: profile.to_owned(),
            id: FileId(id),
            name: fields.take(&["name"], lenient::as_text).unwrap_or_default(),
            size: fields.take(&["file_size"], lenient::as_count),
            purpose: fields.take(&["purpose"], text),
            created_at: fields.take(&["created_at"], lenient::as_time),
            updated_at: fields.take(&["updated_at"], lenient::as_time),
            expires_at: fields.take(&["expires_at"], lenient::as_time),
            url: fields.get("download_url").and_then(download_url),
            extra: fields.rest(),
            ..File::default()
        }
    }
}

/// A page of files. On the last page, the token is missing, null or empty.
#[derive(Deserialize)]
pub(super) struct ListReply {
    pub(super) items: Vec<FileReply>,
    #[serde(default, deserialize_with = "lenient::word")]
    pub(super) next_page_token: Option<String>,
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The `url` in a presigned URL object, if a GET request returns the bytes.
fn download_url(value: &Value) -> Option<String> {
    PresignedUrl::deserialize(value).ok()?.into_link().map(|link| link.url)
}

/// Reads an error about the id in the path. For an id in a different format, the platform returns 422 instead of 404;
/// the file does not exist in either case.
pub(super) fn read_problem(reply: &Reply) -> Option<Problem> {
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    let of_id = |complaint: &&Value| {
        complaint["loc"].as_array().and_then(|place| place.last()).is_some_and(|last| last == "file_id")
    };
    let complaint = body["detail"].as_array()?.iter().find(of_id)?;
    let message = format!("file_id: {}", complaint["msg"].as_str().unwrap_or("invalid id"));
    Some(Problem { message, kind: Some(Kind::NotFound), ..Problem::default() })
}

/// A URL of an object store that allows one operation for a limited time, without a token.
#[derive(Deserialize)]
pub(super) struct PresignedUrl {
    url: String,
    expires_at: Option<Value>,
    /// The form fields, in the order in which they are sent.
    form_fields: Option<Object>,
    /// The id of the file to upload.
    pub(super) file_id: Option<String>,
}

impl PresignedUrl {
    /// Whether the URL requires a form instead of a GET or PUT.
    pub(super) fn is_form(&self) -> bool {
        self.form_fields.as_ref().is_some_and(|fields| !fields.is_empty())
    }

    /// The request that downloads the bytes.
    pub(super) fn fetch(&self) -> Result<Request> {
        let url = self.parsed()?;
        let request = if self.is_form() {
            Request::post(url, form(self.fields())).repeatable()
        } else {
            Request::get(url)
        };
        Ok(request.anonymous().bulk())
    }

    /// The request that stores the bytes of `file`. An object store rejects a content type that was not signed, and
    /// ignores form fields that follow the file. The request may be repeated.
    pub(super) fn store(&self, file: &NewFile) -> Result<Request> {
        let url = self.parsed()?;
        let request = if self.is_form() {
            let mut parts = self.fields();
            parts.push(Part::file("file", file));
            Request::post(url, form(parts))
        } else {
            Request::put(url, Body::raw(&file.source, file.size, None))
        };
        Ok(request.anonymous().bulk().repeatable())
    }

    /// The link, unless it requires a form.
    pub(super) fn into_link(self) -> Option<Link> {
        let expires_at = self.expires_at.as_ref().and_then(lenient::as_time);
        (!self.is_form()).then_some(Link { id: None, expires_at, url: self.url })
    }

    pub(super) fn fields(&self) -> Vec<Part> {
        let fields = self.form_fields.iter().flatten();
        fields
            .map(|(name, value)| Part::text(name, text(value).unwrap_or_else(|| value.to_string())))
            .collect()
    }

    /// The parsed URL. It grants access to the file, so errors never contain it.
    pub(super) fn parsed(&self) -> Result<Url> {
        match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(Error::platform("llamacloud returned a presigned URL that is not an http URL")),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::providers::properties::nothing_is_lost;

    fn file(text: &str) -> File {
        serde_json::from_str::<FileReply>(text).unwrap().into_file("work")
    }

    #[test]
    fn properties_no_field_of_a_reply_is_lost() {
        let replies = [
            include_str!("../../../tests/it/wire/llamacloud/replies/short.json"),
            include_str!("../../../tests/it/wire/llamacloud/replies/long.json"),
        ];
        let translated = &[
            ("id", "id"),
            ("name", "name"),
            ("file_size", "size"),
            ("purpose", "purpose"),
            ("created_at", "created_at"),
            ("updated_at", "updated_at"),
            ("expires_at", "expires_at"),
        ];
        nothing_is_lost("llamacloud", &replies, translated, |reply| {
            Some(serde_json::from_slice::<FileReply>(reply).ok()?.into_file("work"))
        });
    }

    #[test]
    fn only_the_id_is_required() {
        let bare = file(r#"{"id":"f"}"#);
        assert_eq!(
            (bare.provider.as_str(), bare.profile.as_str(), bare.id.as_str()),
            ("llamacloud", "work", "f")
        );
        let nulls = file(r#"{"id":"f","name":null,"file_size":null,"created_at":null,"expires_at":null}"#);
        assert_eq!(nulls, bare);
        assert_eq!(file(r#"{"id":"f","purpose":"a new word"}"#).purpose.as_deref(), Some("a new word"));
        assert!(serde_json::from_str::<FileReply>(r#"{"name":"n"}"#).is_err());
    }

    #[test]
    fn invalid_fields_stay_in_extra() {
        let odd = file(
            r#"{"id":"f","file_size":"many","created_at":"soon","expires_at":[17],"purpose":["a"],"new":{"x":1}}"#,
        );
        assert_eq!((odd.size, odd.created_at, odd.expires_at, odd.purpose), (None, None, None, None));
        assert_eq!(
            Value::Object(odd.extra),
            serde_json::json!({"new": {"x": 1}, "purpose": ["a"], "file_size": "many", "created_at": "soon", "expires_at": [17]})
        );
    }

    #[test]
    fn a_size_is_a_whole_number_in_any_spelling() {
        let size = |text: &str| file(&format!(r#"{{"id":"f","file_size":{text}}}"#)).size;
        assert_eq!(size("11"), Some(11));
        assert_eq!(size("\"11\""), Some(11));
        assert_eq!(size("11.0"), Some(11));
        for odd in ["11.5", "-1", "1e300", "true", "\"-1\""] {
            assert_eq!(size(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_time_has_any_offset_or_none() {
        let expected: Timestamp = "2026-11-21T10:00:00.5Z".parse().unwrap();
        for text in ["2026-11-21T10:00:00.5Z", "2026-11-21T12:00:00.500000+02:00", "2026-11-21T10:00:00.5"] {
            let read = file(&format!(r#"{{"id":"f","created_at":"{text}"}}"#));
            assert_eq!(read.created_at, Some(expected), "{text}");
        }
    }

    #[test]
    fn a_download_url_is_used_only_if_it_allows_get() {
        let with = |fields: &str| {
            file(&format!(
                r#"{{"id":"f","download_url":{{"url":"https://s/x","expires_at":"2026-11-21T10:00:00Z","form_fields":{fields}}}}}"#
            ))
        };
        assert_eq!(with("null").url.as_deref(), Some("https://s/x"));
        assert_eq!(with("{}").url.as_deref(), Some("https://s/x"));
        assert_eq!(with(r#"{"key":"v"}"#).url, None);
        assert_eq!(with("null").extra["download_url"]["expires_at"], "2026-11-21T10:00:00Z");
    }

    #[test]
    fn only_an_error_about_the_id_means_a_missing_file() {
        let read = |body: &'static str| {
            let reply = Reply { status: 422, body: body.into(), ..Reply::default() };
            read_problem(&reply).map(|problem| (problem.message, problem.kind))
        };
        assert_eq!(
            read(r#"{"detail":[{"loc":["path","file_id"],"msg":"not a uuid","type":"uuid_parsing"}]}"#),
            Some(("file_id: not a uuid".to_owned(), Some(Kind::NotFound)))
        );
        for other in [
            r#"{"detail":[{"loc":["query","page_size"],"msg":"too large"}]}"#,
            r#"{"detail":[{"loc":["query","file_ids",0],"msg":"not a uuid"}]}"#,
            r#"{"detail":[{"msg":"file_id"},{}]}"#,
            r#"{"detail":"file_id"}"#,
            r#"["file_id"]"#,
            "<html>",
            "",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_presigned_url_is_requested_without_the_token_and_only_over_http() {
        let url = |text: &str| PresignedUrl {
            url: text.into(),
            expires_at: None,
            form_fields: None,
            file_id: None,
        };
        assert!(url("https://s/x?sig=1").fetch().unwrap().anonymous);
        assert!(url("https://s/x?sig=1").store(&NewFile::from_bytes("n", "x")).unwrap().anonymous);
        for odd in ["", "/x?sig=secret", "file:///etc/passwd?sig=secret", "data:,secret"] {
            let error = url(odd).fetch().unwrap_err();
            assert_eq!(error.kind(), Kind::Platform, "{odd}");
            assert!(!error.to_string().contains("secret"), "{odd}");
        }
    }
}
