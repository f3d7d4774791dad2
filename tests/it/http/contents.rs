//! Downloads: where they start, that they are complete, and what interrupts them.

use std::time::Duration;

use futures_util::TryStreamExt;
use haul::error::{Kind, Result};
use haul::http::{Client, Config, ContentStream, Range, Request};

use crate::http::{client, config};
use crate::support::server::{Answer, Server};

fn from(server: &Server, from: u64, validator: Option<&str>) -> Request {
    let range = Range { from, validator: validator.map(str::to_owned), ..Range::default() };
    Request::get(server.at("f/content")).range(Some(range))
}

async fn whole(content: ContentStream) -> Result<Vec<u8>> {
    content.stream.try_fold(Vec::new(), |all, bytes| async move { Ok([all, bytes.to_vec()].concat()) }).await
}

#[tokio::test]
async fn a_content_is_received_unchanged() {
    let headers = [("ETag", "\"v1\""), ("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
    let server = Server::repeating(vec![Answer::status(200, &headers, [31, 139, 8])]);
    let content = client(&server).content(&Request::get(server.at("f"))).await.unwrap();
    assert_eq!((content.start, content.length), (0, Some(3)));
    assert_eq!(
        (content.validator.as_deref(), content.content_type.as_deref()),
        (Some("\"v1\""), Some("text/plain"))
    );
    assert_eq!(content.encoding.as_deref(), Some("gzip"));
    assert_eq!(whole(content).await.unwrap(), [31, 139, 8], "not decoded");
    let seen = &server.requests()[0];
    assert_eq!((seen.header("accept-encoding"), seen.header("range")), (Some("identity"), None));
}

#[tokio::test]
async fn a_content_resumes_where_it_stopped() {
    let headers = [("Content-Range", "bytes 3-7/8"), ("ETag", "\"v1\"")];
    let server = Server::repeating(vec![Answer::status(206, &headers, "defgh")]);
    let content = client(&server).content(&from(&server, 3, Some("\"v1\""))).await.unwrap();
    assert_eq!((content.start, content.length), (3, Some(5)));
    assert_eq!(whole(content).await.unwrap(), b"defgh");
    let seen = &server.requests()[0];
    assert_eq!((seen.header("range"), seen.header("if-range")), (Some("bytes=3-"), Some("\"v1\"")));
}

#[tokio::test]
async fn a_server_that_ignores_the_range_starts_over() {
    let server = Server::repeating(vec![Answer::status(200, &[], "abcdefgh")]);
    let content = client(&server).content(&from(&server, 3, None)).await.unwrap();
    assert_eq!((content.start, content.length), (0, Some(8)));
}

/// A server that responds to range requests with this status and these headers, and to others with all bytes.
fn ranging(status: u16, headers: &[(&str, &str)]) -> Server {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Server::new(move |_, seen| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match seen.header("range") {
            Some(_) => Answer::status(status, &headers, if status == 206 { "defgh" } else { "" }),
            None => Answer::status(200, &[], "abcdefgh"),
        }
    })
}

#[tokio::test]
async fn a_wrong_range_is_rejected() {
    for wrong in ["bytes 2-7/8", "bytes 3-6/8", "bytes 3-8/9", "3-7/8", ""] {
        let server = ranging(206, &[("Content-Range", wrong)]);
        let content = client(&server).content(&from(&server, 3, None)).await.unwrap();
        assert_eq!((content.start, server.count()), (0, 2), "{wrong}: requested again without a range");
        assert_eq!(server.requests()[1].header("range"), None);
        assert_eq!(whole(content).await.unwrap(), b"abcdefgh");
    }
    for status in [202, 204, 206] {
        let server = Server::repeating(vec![Answer::status(status, &[], "")]);
        let error = client(&server).content(&Request::get(server.at("f"))).await.err().unwrap();
        assert_eq!(
            (error.kind(), error.status().is_some()),
            (Kind::Platform, status != 206 || error.status().is_some())
        );
    }
}

/// The conditions under which a partial response continues the received bytes.
#[tokio::test]
async fn only_the_same_version_is_continued() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    let range = |validator: Option<&str>, total: Option<u64>, verified: bool| Range {
        from: 3,
        validator: validator.map(str::to_owned),
        total,
        verified,
    };
    let (etag, date) = (|tag| Some(("ETag", tag)), |date| Some(("Last-Modified", date)));
    for (asked, said, same, same_if_verified) in [
        // The same strong validator.
        (Some("\"a\""), etag("\"a\""), true, true),
        (Some(DATE), date(DATE), true, true),
        // A different validator: the server ignored `If-Range`.
        (Some("\"a\""), etag("\"b\""), false, false),
        (Some("\"a\""), etag("W/\"b\""), false, false),
        (Some("W/\"a\""), etag("W/\"b\""), false, false),
        (Some(DATE), date(LATER), false, false),
        (Some("\"a\""), date(DATE), false, false),
        // A weak or missing validator on either side.
        (Some("W/\"a\""), etag("W/\"a\""), false, true),
        (Some("\"a\""), etag("W/\"a\""), false, true),
        (Some("\"a\""), None, false, true),
        (None, etag("\"a\""), false, true),
        // No validator on either side.
        (None, None, true, true),
    ] {
        for (verified, same) in [(false, same), (true, same_if_verified)] {
            for (total, right) in [(None, true), (Some(8), true), (Some(9), false)] {
                let headers: Vec<_> = [("Content-Range", "bytes 3-7/8")].into_iter().chain(said).collect();
                let server = ranging(206, &headers);
                let request = Request::get(server.at("f")).range(Some(range(asked, total, verified)));
                let content = client(&server).content(&request).await.unwrap();
                let start = if same && right { 3 } else { 0 };
                assert_eq!(content.start, start, "{asked:?} {said:?} of {total:?}, verified: {verified}");
                assert_eq!(whole(content).await.unwrap(), b"abcdefgh"[usize::try_from(start).unwrap()..]);
                assert_eq!(server.count(), if start == 3 { 1 } else { 2 });
            }
        }
    }
}

#[tokio::test]
async fn a_range_past_the_end_means_that_the_content_is_complete() {
    let server = Server::repeating(vec![Answer::status(416, &[("Content-Range", "bytes */8")], "")]);
    let content = client(&server).content(&from(&server, 8, None)).await.unwrap();
    assert_eq!((content.start, content.length), (8, Some(0)));
    assert!(whole(content).await.unwrap().is_empty());
    let error = client(&server).content(&Request::get(server.at("f"))).await.err().unwrap();
    assert_eq!(error.status(), Some(416), "an error if no range was requested");
    // The size differs: the bytes belong to another version.
    for (first, headers) in
        [(9, vec![("Content-Range", "bytes */8")]), (7, vec![("Content-Range", "bytes */8")]), (8, vec![])]
    {
        let server = ranging(416, &headers);
        let content = client(&server).content(&from(&server, first, None)).await.unwrap();
        assert_eq!((content.start, server.count()), (0, 2), "{first}");
    }
    // The size matches, but the version differs.
    let server = ranging(416, &[("Content-Range", "bytes */8"), ("ETag", "\"b\"")]);
    let content = client(&server).content(&from(&server, 8, Some("\"a\""))).await.unwrap();
    assert_eq!((content.start, server.count()), (0, 2));
}

#[tokio::test]
async fn a_weak_etag_identifies_nothing() {
    let date = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    let server = Server::repeating(vec![Answer::status(200, &[("ETag", "W/\"v1\""), date], "")]);
    let content = client(&server).content(&Request::get(server.at("f"))).await.unwrap();
    assert_eq!(content.validator.as_deref(), Some(date.1));
}

#[tokio::test]
async fn a_truncated_content_can_be_resumed() {
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let server = Server::repeating(vec![Answer::raw(cut)]);
        let mut content = client(&server).content(&Request::get(server.at("f"))).await.unwrap();
        assert_eq!(content.stream.try_next().await.unwrap().as_deref(), Some(&b"abc"[..]));
        let error = content.stream.try_next().await.unwrap_err();
        assert_eq!((error.kind(), server.count()), (Kind::Unreachable, 1));
        assert!(content.stream.try_next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_idle_content_times_out() {
    let server =
        Server::repeating(vec![Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").hang()]);
    let client = Client::new(Config { timeout: Duration::from_millis(200), ..config(&server) });
    let content = client.content(&Request::get(server.at("f"))).await.unwrap();
    let error = whole(content).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.message().contains("sent no data for 0.2 s"), "{error}");
}

#[tokio::test]
async fn a_content_that_drips_times_out() {
    let server = Server::repeating(vec![Answer::new(200, [b'x'; 1000]).drip()]);
    let client = Client::new(Config { timeout: Duration::from_millis(500), ..config(&server) });
    let content = client.content(&Request::get(server.at("f"))).await.unwrap();
    let error = whole(content).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.message().contains("sent less than 100 bytes a second for 0.5 s"), "{error}");
}

#[tokio::test]
async fn opening_a_content_is_retried() {
    let server = Server::repeating(vec![
        Answer::status(503, &[], ""),
        Answer::raw(""),
        Answer::status(200, &[], "abc"),
    ]);
    let content = client(&server).content(&Request::get(server.at("f"))).await.unwrap();
    assert_eq!((whole(content).await.unwrap(), server.count()), (b"abc".to_vec(), 3));
    let server = Server::repeating(vec![Answer::status(404, &[], r#"{"detail":"gone"}"#)]);
    let error = client(&server).content(&Request::get(server.at("f"))).await.err().unwrap();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "testland returned 404: gone"));
}
