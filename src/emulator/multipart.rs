//! Takes a `multipart/form-data` body apart as it arrives. Holds one piece of the body and one part's head, never more.

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use memchr::memmem;

use super::disposition;

/// A part's head lines may come to so many bytes.
const MAX_HEAD: usize = 16 * 1024;

/// What a part's head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The part's name.
    pub name: String,
    /// The file name with `%22`, `%0D`, `%0A` and backslash escapes decoded and `filename*` understood; None where the
    /// part has none.
    pub file_name: Option<String>,
    /// Its `Content-Type`, as it was sent.
    pub content_type: Option<String>,
}

/// The parts of a body, one after the other.
pub(super) struct Parts {
    body: BodyDataStream,
    /// What has arrived and has not been handed out.
    buffer: Bytes,
    /// CR LF, two dashes, the boundary.
    delimiter: memmem::Finder<'static>,
}

impl Parts {
    /// Begins to read a form; an error says why the headers are not those of one.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Result<Self, String> {
        let content_type = headers.get(CONTENT_TYPE).map(axum::http::HeaderValue::as_bytes);
        let content_type = String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned();
        let (kind, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err("the body is not multipart/form-data".to_owned());
        }
        let boundary = disposition::parameters(parameters.as_bytes())
            .into_iter()
            .find_map(|(name, value)| (name == "boundary" && !value.is_empty()).then_some(value))
            .ok_or("multipart/form-data without a boundary")?;
        let delimiter = [b"\r\n--", boundary.as_slice()].concat();
        Ok(Self {
            body: body.into_data_stream(),
            // The first delimiter may stand at the very start, without the line end that belongs to it.
            buffer: Bytes::from_static(b"\r\n"),
            delimiter: memmem::Finder::new(&delimiter).into_owned(),
        })
    }

    /// The next part's head, after whatever is left of the part before it; None after the last part.
    pub(super) async fn next(&mut self) -> Result<Option<Head>, String> {
        while self.chunk().await?.is_some() {}
        self.buffer.advance(self.delimiter.needle().len());
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        if self.buffer.starts_with(b"--") {
            // What follows the last delimiter means nothing, but the client wants to be rid of it.
            while let Some(Ok(_)) = self.body.next().await {}
            return Ok(None);
        }
        let length = loop {
            if let Some(at) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err("a part's head is too long".to_owned());
            }
            self.fill().await?;
        };
        let lines = self.buffer.split_to(length);
        // The line end before a part's content is also the first half of a delimiter that follows at once.
        self.buffer.advance(2);
        let head = parse_head(&lines)?;
        self.skip_line_end().await?;
        Ok(Some(head))
    }

    /// The next bytes of this part's content; None at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            if let Some(at) = self.delimiter.find(&self.buffer) {
                return Ok((at > 0).then(|| self.buffer.split_to(at)));
            }
            let safe = self.buffer.len() - self.tail();
            if safe > 0 {
                return Ok(Some(self.buffer.split_to(safe)));
            }
            self.fill().await?;
        }
    }

    /// How many of the last bytes may be the beginning of a delimiter.
    fn tail(&self) -> usize {
        let delimiter = self.delimiter.needle();
        let from = self.buffer.len().saturating_sub(delimiter.len() - 1);
        (from..self.buffer.len())
            .find(|at| delimiter.starts_with(&self.buffer[*at..]))
            .map_or(0, |at| self.buffer.len() - at)
    }

    /// Drops the line end between head and content, unless it begins a delimiter: an empty part without one.
    async fn skip_line_end(&mut self) -> Result<(), String> {
        while self.buffer.len() < self.delimiter.needle().len() {
            self.fill().await?;
        }
        if !self.buffer.starts_with(self.delimiter.needle()) {
            self.buffer.advance(2);
        }
        Ok(())
    }

    /// Adds the body's next piece to the buffer.
    async fn fill(&mut self) -> Result<(), String> {
        match self.body.next().await {
            Some(Ok(piece)) if self.buffer.is_empty() => self.buffer = piece,
            Some(Ok(piece)) => {
                let mut joined = BytesMut::with_capacity(self.buffer.len() + piece.len());
                joined.extend_from_slice(&self.buffer);
                joined.extend_from_slice(&piece);
                self.buffer = joined.freeze();
            }
            Some(Err(_)) => return Err("the body broke off".to_owned()),
            None => return Err("the form ends before its last boundary".to_owned()),
        }
        Ok(())
    }
}

/// Parses head lines. `Content-Disposition` must be there with a name.
fn parse_head(lines: &[u8]) -> Result<Head, String> {
    let mut named = None;
    let mut content_type = None;
    for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-disposition") {
            named = disposition::parse(value);
        } else if name.eq_ignore_ascii_case(b"content-type") && !value.is_empty() {
            content_type = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    let (name, file_name) = named.ok_or("a part has no name")?;
    Ok(Head { name, file_name, content_type })
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    async fn read(body: &[u8], piece: usize) -> Result<Vec<(Head, Vec<u8>)>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "Multipart/Form-Data; charset=utf-8; boundary=\"B:1\"".parse().unwrap());
        let pieces: Vec<_> =
            body.chunks(piece).map(|chunk| Ok::<_, Infallible>(Bytes::copy_from_slice(chunk))).collect();
        let mut parts = Parts::new(&headers, Body::from_stream(stream::iter(pieces)))?;
        let mut read = Vec::new();
        while let Some(head) = parts.next().await? {
            let mut content = Vec::new();
            while let Some(chunk) = parts.chunk().await? {
                content.extend_from_slice(&chunk);
            }
            read.push((head, content));
        }
        Ok(read)
    }

    #[tokio::test]
    async fn parts_are_the_same_however_the_body_is_cut() {
        let body = b"preamble\r\n--B:1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--B:\r\n-\r\n--B:1  \r\n\
            content-type: text/plain; x=y\r\ncontent-disposition: form-data; name=f; filename=\"\"\r\n\r\n\r\n--B:1\r\n\
            Content-Disposition: form-data; name=\"e\"\r\n\r\n--B:1--\r\nepilogue";
        let head = |name: &str| Head { name: name.to_owned(), ..Head::default() };
        let file = Head {
            file_name: Some(String::new()),
            content_type: Some("text/plain; x=y".to_owned()),
            ..head("f")
        };
        let expected =
            vec![(head("a"), b"\r\n--B:\r\n-".to_vec()), (file, Vec::new()), (head("e"), Vec::new())];
        for piece in 1..=body.len() {
            assert_eq!(read(body, piece).await.as_ref(), Ok(&expected), "pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_form_without_parts_is_empty() {
        assert_eq!(read(b"--B:1--\r\n", 3).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn broken_forms_say_why() {
        let no_name = b"--B:1\r\nContent-Type: text/plain\r\n\r\nx\r\n--B:1--";
        assert_eq!(read(no_name, 9).await.unwrap_err(), "a part has no name");
        let cut = b"--B:1\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B:1";
        assert_eq!(read(cut, 9).await.unwrap_err(), "the form ends before its last boundary");
        let long = [b"--B:1\r\nX: ".as_slice(), &vec![b'x'; 2 * MAX_HEAD]].concat();
        assert_eq!(read(&long, 4096).await.unwrap_err(), "a part's head is too long");
        assert!(Parts::new(&HeaderMap::new(), Body::empty()).is_err());
    }
}
