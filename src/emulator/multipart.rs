//! Parses a `multipart/form-data` body as it arrives. Only one piece of the body and the head of one part are kept in
//! memory.

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use memchr::memmem;

use super::disposition;

/// Maximum size of a part's head, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The head of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The part's name.
    pub name: String,
    /// The file name, from `filename*` or otherwise from `filename`, with `%22`, `%0D`, `%0A` and backslash escapes
    /// decoded.
    pub file_name: Option<String>,
    /// The `Content-Type` as sent.
    pub content_type: Option<String>,
}

/// A parser for the parts of a body.
pub(super) struct Parts {
    body: BodyDataStream,
    /// Received bytes that have not been parsed yet.
    buffer: Bytes,
    /// CR LF, two dashes and the boundary.
    delimiter: memmem::Finder<'static>,
}

impl Parts {
    /// Creates a parser. The error contains the reason why the headers do not describe a form.
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
            // The first delimiter may be at the start of the body, without a preceding line break.
            buffer: Bytes::from_static(b"\r\n"),
            delimiter: memmem::Finder::new(&delimiter).into_owned(),
        })
    }

    /// Skips the rest of the current part and returns the head of the next one, or `None` after the last part.
    pub(super) async fn next(&mut self) -> Result<Option<Head>, String> {
        while self.chunk().await?.is_some() {}
        self.buffer.advance(self.delimiter.needle().len());
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        if self.buffer.starts_with(b"--") {
            // The epilogue has no meaning but is read because the client sends it.
            while let Some(Ok(_)) = self.body.next().await {}
            return Ok(None);
        }
        let length = loop {
            if let Some(at) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err("the headers of a part are too long".to_owned());
            }
            self.fill().await?;
        };
        let lines = self.buffer.split_to(length);
        // Keep the second line break: if the part is empty, it belongs to the delimiter.
        self.buffer.advance(2);
        let head = parse_head(&lines)?;
        self.skip_line_end().await?;
        Ok(Some(head))
    }

    /// The next bytes of the current part; `None` at its end.
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

    /// The number of bytes at the end of the buffer that may be the start of a delimiter.
    fn tail(&self) -> usize {
        let delimiter = self.delimiter.needle();
        let from = self.buffer.len().saturating_sub(delimiter.len() - 1);
        (from..self.buffer.len())
            .find(|at| delimiter.starts_with(&self.buffer[*at..]))
            .map_or(0, |at| self.buffer.len() - at)
    }

    /// Skips the line break between head and content, unless it is the start of the delimiter after an empty part.
    async fn skip_line_end(&mut self) -> Result<(), String> {
        while self.buffer.len() < self.delimiter.needle().len() {
            self.fill().await?;
        }
        if !self.buffer.starts_with(self.delimiter.needle()) {
            self.buffer.advance(2);
        }
        Ok(())
    }

    /// Appends the next piece of the body to the buffer.
    async fn fill(&mut self) -> Result<(), String> {
        match self.body.next().await {
            Some(Ok(piece)) if self.buffer.is_empty() => self.buffer = piece,
            Some(Ok(piece)) => {
                let mut joined = BytesMut::with_capacity(self.buffer.len() + piece.len());
                joined.extend_from_slice(&self.buffer);
                joined.extend_from_slice(&piece);
                self.buffer = joined.freeze();
            }
            Some(Err(_)) => return Err("the body ended early".to_owned()),
            None => return Err("the form ends before its last boundary".to_owned()),
        }
        Ok(())
    }
}

/// Parses the lines of a head, which must contain a `Content-Disposition` with a name.
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
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::property::holds;

    type Read = Result<Vec<(Head, Vec<u8>)>, String>;

    const BOUNDARY: &str = "B:1-x";

    /// Parses a form with the boundary `BOUNDARY` that arrives in pieces ending at `cuts`.
    fn read(body: &[u8], cuts: &[usize]) -> Read {
        read_as(&format!("multipart/form-data; boundary=\"{BOUNDARY}\""), body, cuts)
    }

    fn read_as(content_type: &str, body: &[u8], cuts: &[usize]) -> Read {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        let mut cuts = cuts.to_vec();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces =
            cuts.windows(2).map(|cut| Ok::<_, Infallible>(Bytes::copy_from_slice(&body[cut[0]..cut[1]])));
        let mut parts = Parts::new(&headers, Body::from_stream(stream::iter(pieces.collect::<Vec<_>>())))?;
        block_on(async {
            let mut read = Vec::new();
            while let Some(head) = parts.next().await? {
                let mut content = Vec::new();
                while let Some(chunk) = parts.chunk().await? {
                    content.extend_from_slice(&chunk);
                }
                read.push((head, content));
            }
            Ok(read)
        })
    }

    /// Polls a future that is never pending.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) {
                return done;
            }
        }
    }

    #[test]
    fn parts_are_the_same_however_the_body_is_cut() {
        let kind = "Multipart/Form-Data; charset=utf-8; boundary=\"B:1\"";
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
            let cuts: Vec<_> = (0..body.len()).step_by(piece).collect();
            assert_eq!(read_as(kind, body, &cuts).as_ref(), Ok(&expected), "pieces of {piece}");
        }
    }

    #[test]
    fn a_form_without_parts_is_empty() {
        assert_eq!(read(b"--B:1-x--\r\n", &[3, 6, 9]), Ok(Vec::new()));
    }

    #[test]
    fn errors_contain_the_reason() {
        let no_name = b"--B:1-x\r\nContent-Type: text/plain\r\n\r\nx\r\n--B:1-x--";
        assert_eq!(read(no_name, &[9, 18, 27]).unwrap_err(), "a part has no name");
        let cut = b"--B:1-x\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B:1-x";
        assert_eq!(read(cut, &[9, 18, 27]).unwrap_err(), "the form ends before its last boundary");
        let long = [b"--B:1-x\r\nX: ".as_slice(), &vec![b'x'; 2 * MAX_HEAD]].concat();
        assert_eq!(
            read(&long, &(0..long.len()).step_by(4096).collect::<Vec<_>>()).unwrap_err(),
            "the headers of a part are too long"
        );
        assert!(Parts::new(&HeaderMap::new(), Body::empty()).is_err());
    }

    /// The name, file name and content of a part.
    type Plain = (String, Option<String>, Vec<u8>);

    /// The parts as parsed by multer; `None` if it rejects the form.
    fn read_with_multer(body: &[u8]) -> Option<Vec<Plain>> {
        let stream = stream::iter([Ok::<_, Infallible>(Bytes::copy_from_slice(body))]);
        let mut form = multer::Multipart::new(stream, BOUNDARY);
        block_on(async {
            let mut read = Vec::new();
            while let Some(field) = form.next_field().await.ok()? {
                let names = (field.name()?.to_owned(), field.file_name().map(str::to_owned));
                read.push((names.0, names.1, field.bytes().await.ok()?.to_vec()));
            }
            Some(read)
        })
    }

    /// Content containing sequences that resemble delimiters.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let look_alike = prop::sample::select(
            &[
                "\r\n",
                "\r",
                "\n",
                "--",
                "-",
                "\r\n--B:1-",
                "\r\n--B:1-y",
                "\r\n-",
                "--B:1-x",
                "B:1-x",
                "\n--B:1-x\n",
                "\r\n\r\n",
                "x",
            ][..],
        );
        let piece = prop_oneof![
            5 => look_alike.prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..40),
        ];
        prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat()).prop_filter(
            "contains the delimiter",
            |content| {
                // Content that contains the whole delimiter ends there.
                let framed = [b"\r\n", content.as_slice(), b"\r\n"].concat();
                memchr::memmem::find(&framed, format!("\r\n--{BOUNDARY}").as_bytes()).is_none()
            },
        )
    }

    #[derive(Clone, Debug)]
    struct Part {
        name: String,
        file_name: Option<String>,
        content_type: bool,
        content: Vec<u8>,
    }

    fn part() -> impl Strategy<Value = Part> {
        const NAME: &str = "[^\\x00-\\x1f\\x7f\"\\\\%]{1,12}";
        (NAME, prop::option::of(NAME), any::<bool>(), content()).prop_map(
            |(name, file_name, content_type, content)| Part { name, file_name, content_type, content },
        )
    }

    fn framed(parts: &[Part]) -> Vec<u8> {
        let mut body = Vec::new();
        for part in parts {
            body.extend(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", part.name).as_bytes(),
            );
            if let Some(name) = &part.file_name {
                body.extend(format!("; filename=\"{name}\"").as_bytes());
            }
            if part.content_type {
                body.extend(b"\r\nContent-Type: text/plain");
            }
            body.extend(b"\r\n\r\n");
            body.extend(&part.content);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    fn expected(parts: &[Part]) -> Vec<(Head, Vec<u8>)> {
        let head = |part: &Part| Head {
            name: part.name.clone(),
            file_name: part.file_name.clone(),
            content_type: part.content_type.then(|| "text/plain".to_owned()),
        };
        parts.iter().map(|part| (head(part), part.content.clone())).collect()
    }

    #[test]
    fn properties_a_form_is_the_same_however_its_bytes_arrive() {
        let inputs = (
            prop::collection::vec(part(), 0..5),
            prop::collection::vec(any::<Index>(), 0..20),
            any::<bool>(),
        );
        holds("multipart: a form is the same however its bytes arrive", inputs, |(parts, cuts, bytewise)| {
            let body = framed(&parts);
            let cuts: Vec<usize> = if bytewise && body.len() < 400 {
                (0..body.len()).collect()
            } else {
                cuts.iter().map(|cut| cut.index(body.len() + 1)).collect()
            };
            prop_assert_eq!(read(&body, &cuts), Ok(expected(&parts)));
            Ok(())
        });
    }

    #[test]
    fn properties_multer_finds_the_same_parts() {
        holds("multipart: multer reads the same", prop::collection::vec(part(), 0..5), |parts| {
            let expected: Vec<_> = parts
                .iter()
                .map(|part| (part.name.clone(), part.file_name.clone(), part.content.clone()))
                .collect();
            prop_assert_eq!(read_with_multer(&framed(&parts)), Some(expected));
            Ok(())
        });
    }

    #[test]
    fn properties_an_incomplete_form_is_an_error() {
        let inputs = (
            prop::collection::vec(part(), 1..4),
            any::<Index>(),
            prop::collection::vec(any::<Index>(), 0..5),
        );
        holds("multipart: a truncated form is an error", inputs, |(parts, end, cuts)| {
            let body = framed(&parts);
            // The form is complete without the line break after the last delimiter.
            let end = end.index(body.len() - 2);
            let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(end + 1)).collect();
            prop_assert!(read(&body[..end], &cuts).is_err(), "{}", end);
            prop_assert!(read(&body[..body.len() - 2], &[]).is_ok());
            Ok(())
        });
    }

    #[test]
    fn properties_any_body_is_parsed_the_same_in_any_pieces() {
        let line = prop::sample::select(
            &[
                "\r\n",
                "--B:1-x",
                "--B:1-x--",
                "--",
                "Content-Disposition: form-data; name=\"a\"",
                "Content-Disposition:",
                "form-data; name=",
                ":",
                "\"",
                ";",
                " ",
                "filename*=UTF-8''%",
                "content-type",
                "\n",
                "x",
            ][..],
        );
        let piece = prop_oneof![
            6 => line.prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ];
        let body = prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat());
        let inputs = (body, prop::collection::vec(any::<Index>(), 0..10), ".{0,30}");
        holds("multipart: any body is parsed the same in any pieces", inputs, |(body, cuts, kind)| {
            let whole = read(&body, &[]);
            let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            prop_assert_eq!(&read(&body, &cuts), &whole, "cut at {:?}", cuts);
            // Both parsers find the same lengths if they accept a body that starts with a delimiter. Other starts
            // differ: for multer, `----B:1-x--` ends a form, but here it is not a delimiter.
            let begins = body.starts_with(format!("--{BOUNDARY}\r\n").as_bytes());
            if let (true, Ok(ours), Some(theirs)) = (begins, &whole, read_with_multer(&body)) {
                let ours: Vec<_> = ours.iter().map(|(_, content)| content.len()).collect();
                let theirs: Vec<_> = theirs.iter().map(|(_, _, content)| content.len()).collect();
                prop_assert_eq!(ours, theirs);
            }
            let mut headers = HeaderMap::new();
            if let Ok(kind) = format!("multipart/form-data{kind}").parse() {
                headers.insert(CONTENT_TYPE, kind);
            }
            let _ = Parts::new(&headers, Body::empty());
            Ok(())
        });
    }
}
