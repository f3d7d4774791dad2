//! `multipart/form-data` bodies of known length, encoded as browsers encode them.
//!
//! Names are raw UTF-8, except that `%22`, `%0D` and `%0A` replace the characters that would break the header.
//! reqwest's forms are not used because they write a raw line feed into the header.

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

    /// Any content, with a file name and the type `application/octet-stream`.
    pub fn piece(name: &str, file_name: &str, content: Piece) -> Self {
        Self {
            name: name.to_owned(),
            file_name: Some(file_name.to_owned()),
            content_type: Some("application/octet-stream".to_owned()),
            content,
        }
    }

    fn head(&self, boundary: &str) -> String {
        let mut head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&self.name));
        if let Some(name) = &self.file_name {
            head = format!("{head}; filename=\"{}\"", quoted(name));
        }
        if let Some(kind) = &self.content_type {
            // The user may have typed the value, so a line ending must not start a new header.
            let kind: String = kind.chars().filter(|c| !c.is_control()).collect();
            head = format!("{head}\r\nContent-Type: {kind}");
        }
        head.push_str("\r\n\r\n");
        head
    }
}

/// A form body with these parts.
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
    pieces.push(Piece::Text(Bytes::from(format!("{text}--{boundary}--\r\n"))));
    Body { content_type: Some(format!("multipart/form-data; boundary={boundary}")), pieces }
}

fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::property::holds;

    fn bytes(body: &Body) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in &body.pieces {
            match piece {
                Piece::Text(text) => all.extend_from_slice(text),
                Piece::Whole { source: crate::model::Source::Bytes(content), .. } => {
                    all.extend_from_slice(content);
                }
                other => panic!("{other:?}"),
            }
        }
        all
    }

    fn file(name: &str, content_type: &str, content: &[u8]) -> NewFile {
        NewFile { content_type: content_type.to_owned(), ..NewFile::from_bytes(name, content.to_vec()) }
    }

    #[test]
    fn a_form_equals_that_of_an_official_client() {
        // Captured from the OpenAI Python client, with Activeloop's fields: 592 bytes.
        let parts = vec![
            Part::text("purpose", "user_data"),
            Part::text("workspace", "default"),
            Part::text("metadata", r#"{"author": "hegel"}"#),
            Part::text("instructions", "extract dates"),
            Part::file("file", &file("hello.txt", "text/plain", b"Hello, world!")),
        ];
        let body = form_with_boundary(parts, "15e7fa6b1c8efe6f547556cdf1f36621");
        let expected = "--15e7fa6b1c8efe6f547556cdf1f36621\r
Content-Disposition: form-data; name=\"purpose\"\r
\r
user_data\r
--15e7fa6b1c8efe6f547556cdf1f36621\r
Content-Disposition: form-data; name=\"workspace\"\r
\r
default\r
--15e7fa6b1c8efe6f547556cdf1f36621\r
Content-Disposition: form-data; name=\"metadata\"\r
\r
{\"author\": \"hegel\"}\r
--15e7fa6b1c8efe6f547556cdf1f36621\r
Content-Disposition: form-data; name=\"instructions\"\r
\r
extract dates\r
--15e7fa6b1c8efe6f547556cdf1f36621\r
Content-Disposition: form-data; name=\"file\"; filename=\"hello.txt\"\r
Content-Type: text/plain\r
\r
Hello, world!\r
--15e7fa6b1c8efe6f547556cdf1f36621--\r\n";
        assert_eq!(String::from_utf8(bytes(&body)).unwrap(), expected);
        assert_eq!(body.wire_len(), 592);
    }

    #[test]
    fn only_characters_that_break_a_header_are_escaped_in_names() {
        // Captured in the same way: 302 bytes.
        let named = file("naïve \"q\" 日本.pdf", "application/pdf", b"Hello, world!");
        let parts = vec![Part::text("purpose", "user_data"), Part::file("file", &named)];
        let body = form_with_boundary(parts, "fc01dc54d4daf1ab646056a1348fdbdb");
        assert_eq!(body.wire_len(), 302);
        let text = String::from_utf8(bytes(&body)).unwrap();
        assert!(text.contains(
            "name=\"file\"; filename=\"naïve %22q%22 日本.pdf\"\r\nContent-Type: application/pdf\r\n\r\n"
        ));
        let hostile = file("a\r\nX-Evil: 1\"😀", "text/plain\r\nX-Evil: 2", b"");
        let text =
            String::from_utf8(bytes(&form_with_boundary(vec![Part::file("file", &hostile)], "b"))).unwrap();
        assert!(
            text.contains("filename=\"a%0D%0AX-Evil: 1%22😀\"\r\nContent-Type: text/plainX-Evil: 2\r\n\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_json_part_has_a_type_and_no_file_name() {
        let body = form_with_boundary(vec![Part::json("metadata", &json!({"a": 1}))], "b");
        let expected = "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n--b--\r\n";
        assert_eq!(String::from_utf8(bytes(&body)).unwrap(), expected);
        assert_eq!(body.content_type.as_deref(), Some("multipart/form-data; boundary=b"));
    }

    /// Any text except control characters, which a header must not contain, and backslashes, which the parser treats
    /// as escapes but browsers do not.
    const NAME: &str = "[^\\x00-\\x09\\x0b\\x0c\\x0e-\\x1f\\x7f\\\\]{1,40}";

    #[test]
    fn properties_a_form_is_parsed_unchanged() {
        let fields = prop::collection::vec((NAME, "\\PC{0,40}"), 0..4);
        let inputs = (fields, NAME, prop::collection::vec(any::<u8>(), 0..2000));
        holds("form: multer parses a form unchanged", inputs, |(fields, name, content)| {
            let mut parts: Vec<Part> =
                fields.iter().map(|(key, value)| Part::text(key, value.as_str())).collect();
            parts.push(Part::file("file", &file(&name, "application/octet-stream", &content)));
            let body = form(parts);
            let wire = bytes(&body);
            prop_assert_eq!(wire.len() as u64, body.wire_len());
            let boundary = multer::parse_boundary(body.content_type.unwrap()).unwrap();
            let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(wire))]);
            let mut form = multer::Multipart::new(stream, boundary);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read: Vec<_> = runtime.block_on(async {
                let mut read = Vec::new();
                while let Some(field) = form.next_field().await.unwrap() {
                    let names = (field.name().map(str::to_owned), field.file_name().map(str::to_owned));
                    read.push((names, field.bytes().await.unwrap()));
                }
                read
            });
            prop_assert_eq!(read.len(), fields.len() + 1);
            for ((key, value), ((read_key, _), read_value)) in fields.iter().zip(&read) {
                prop_assert_eq!(Some(quoted(key)), read_key.clone());
                prop_assert_eq!(value.as_bytes(), &read_value[..]);
            }
            let ((_, read_name), read_content) = &read[fields.len()];
            prop_assert_eq!(read_name, &Some(quoted(&name)));
            prop_assert_eq!(&read_content[..], &content[..]);
            Ok(())
        });
    }
}
