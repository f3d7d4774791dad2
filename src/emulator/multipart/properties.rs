//! What holds of every form, however its bytes arrive.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::stream;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{Head, Parts};
use crate::property::holds;

type Read = Result<Vec<(Head, Vec<u8>)>, String>;

const BOUNDARY: &str = "B:1-x";

/// Reads a form whose bytes arrive in pieces that end at `cuts`.
fn read(body: &[u8], cuts: &[usize]) -> Read {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, format!("multipart/form-data; boundary=\"{BOUNDARY}\"").parse().unwrap());
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

/// Nothing here ever waits.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}

/// Name, file name and content of a part.
type Plain = (String, Option<String>, Vec<u8>);

/// The same by another reader; None where it refuses the form.
fn second_opinion(body: &[u8]) -> Option<Vec<Plain>> {
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

/// Content that looks like the end of a part, more or less.
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
        "holds the delimiter",
        |content| {
            // After its own line end a part would really end there.
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
    (NAME, prop::option::of(NAME), any::<bool>(), content())
        .prop_map(|(name, file_name, content_type, content)| Part { name, file_name, content_type, content })
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

fn told(parts: &[Part]) -> Vec<(Head, Vec<u8>)> {
    let head = |part: &Part| Head {
        name: part.name.clone(),
        file_name: part.file_name.clone(),
        content_type: part.content_type.then(|| "text/plain".to_owned()),
    };
    parts.iter().map(|part| (head(part), part.content.clone())).collect()
}

#[test]
fn properties_a_form_is_the_same_however_its_bytes_arrive() {
    let inputs =
        (prop::collection::vec(part(), 0..5), prop::collection::vec(any::<Index>(), 0..20), any::<bool>());
    holds("multipart: a form is the same however its bytes arrive", inputs, |(parts, cuts, bytewise)| {
        let body = framed(&parts);
        let cuts: Vec<usize> = if bytewise && body.len() < 400 {
            (0..body.len()).collect()
        } else {
            cuts.iter().map(|cut| cut.index(body.len() + 1)).collect()
        };
        prop_assert_eq!(read(&body, &cuts), Ok(told(&parts)));
        Ok(())
    });
}

#[test]
fn properties_another_reader_reads_the_same() {
    holds("multipart: multer reads the same", prop::collection::vec(part(), 0..5), |parts| {
        let expected: Vec<_> = parts
            .iter()
            .map(|part| (part.name.clone(), part.file_name.clone(), part.content.clone()))
            .collect();
        prop_assert_eq!(second_opinion(&framed(&parts)), Some(expected));
        Ok(())
    });
}

#[test]
fn properties_a_form_that_breaks_off_is_never_whole() {
    let inputs =
        (prop::collection::vec(part(), 1..4), any::<Index>(), prop::collection::vec(any::<Index>(), 0..5));
    holds("multipart: a form that breaks off is never whole", inputs, |(parts, end, cuts)| {
        let body = framed(&parts);
        // Without the line end after the last delimiter it is whole.
        let end = end.index(body.len() - 2);
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(end + 1)).collect();
        prop_assert!(read(&body[..end], &cuts).is_err(), "{}", end);
        prop_assert!(read(&body[..body.len() - 2], &[]).is_ok());
        Ok(())
    });
}

#[test]
fn properties_no_body_is_too_strange() {
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
    holds("multipart: no body is too strange", inputs, |(body, cuts, kind)| {
        let whole = read(&body, &[]);
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        prop_assert_eq!(&read(&body, &cuts), &whole, "cut at {:?}", cuts);
        // Where both readers take a body that begins as a form does, they read as many bytes for as many parts. Of other
        // beginnings, such as `----B:1-x--`, they think differently: to multer that is an end, to us it is no delimiter.
        let begins = body.starts_with(format!("--{BOUNDARY}\r\n").as_bytes());
        if let (true, Ok(ours), Some(theirs)) = (begins, &whole, second_opinion(&body)) {
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
