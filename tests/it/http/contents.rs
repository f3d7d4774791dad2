//! Contents: where they start, that they are whole, what breaks them.

use std::time::Duration;

use futures_util::TryStreamExt;
use haul::error::{Kind, Result};
use haul::http::{Client, Config, Content, Range, Request};

use crate::http::{client, config};
use crate::support::server::{Answer, Server};

fn from(server: &Server, from: u64, validator: Option<&str>) -> Request {
    let range = Range { from, validator: validator.map(str::to_owned) };
    Request::get(server.at("f/content")).range(Some(range))
}

async fn whole(content: Content) -> Result<Vec<u8>> {
    content.stream.try_fold(Vec::new(), |all, bytes| async move { Ok([all, bytes.to_vec()].concat()) }).await
}

#[tokio::test]
async fn a_content_comes_as_it_is() {
    let headers = [("ETag", "\"v1\""), ("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
    let server = Server::repeating(vec![Answer::status(200, &headers, [31, 139, 8])]);
    let content = client(&server).content(&Request::get(server.at("f"))).await.unwrap();
    assert_eq!((content.start, content.length), (0, Some(3)));
    assert_eq!(
        (content.validator.as_deref(), content.content_type.as_deref()),
        (Some("\"v1\""), Some("text/plain"))
    );
    assert_eq!(whole(content).await.unwrap(), [31, 139, 8], "not decoded");
    let seen = &server.requests()[0];
    assert_eq!((seen.header("accept-encoding"), seen.header("range")), (Some("identity"), None));
}

#[tokio::test]
async fn a_content_goes_on_where_it_stopped() {
    let server = Server::repeating(vec![Answer::status(206, &[("Content-Range", "bytes 3-7/8")], "defgh")]);
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

#[tokio::test]
async fn a_wrong_range_is_nonsense() {
    for wrong in ["bytes 2-7/8", "bytes 3-6/8", "bytes 3-8/9", "3-7/8", ""] {
        let server = Server::repeating(vec![Answer::status(206, &[("Content-Range", wrong)], "defgh")]);
        let error = client(&server).content(&from(&server, 3, None)).await.err().unwrap();
        assert_eq!((error.kind(), server.count()), (Kind::Platform, 1), "{wrong}: {error}");
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

#[tokio::test]
async fn a_range_past_the_end_means_that_nothing_is_left() {
    let server = Server::repeating(vec![Answer::status(416, &[("Content-Range", "bytes */8")], "")]);
    let content = client(&server).content(&from(&server, 8, None)).await.unwrap();
    assert_eq!((content.start, content.length), (8, Some(0)));
    assert!(whole(content).await.unwrap().is_empty());
    let error = client(&server).content(&from(&server, 9, None)).await.err().unwrap();
    assert_eq!(error.status(), Some(416), "more than there is: the caller's part is of another content");
}

#[tokio::test]
async fn a_weak_etag_identifies_nothing() {
    let date = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    let server = Server::repeating(vec![Answer::status(200, &[("ETag", "W/\"v1\""), date], "")]);
    let content = client(&server).content(&Request::get(server.at("f"))).await.unwrap();
    assert_eq!(content.validator.as_deref(), Some(date.1));
}

#[tokio::test]
async fn a_content_cut_short_can_be_continued() {
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
async fn a_content_that_falls_silent_is_broken() {
    let server =
        Server::repeating(vec![Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").hang()]);
    let client = Client::new(Config { timeout: Duration::from_millis(200), ..config(&server) });
    let content = client.content(&Request::get(server.at("f"))).await.unwrap();
    let error = whole(content).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.message().contains("sent nothing for 0.2 s"), "{error}");
}

#[tokio::test]
async fn opening_a_content_is_tried_again() {
    let server = Server::repeating(vec![
        Answer::status(503, &[], ""),
        Answer::raw(""),
        Answer::status(200, &[], "abc"),
    ]);
    let content = client(&server).content(&Request::get(server.at("f"))).await.unwrap();
    assert_eq!((whole(content).await.unwrap(), server.count()), (b"abc".to_vec(), 3));
    let server = Server::repeating(vec![Answer::status(404, &[], r#"{"detail":"gone"}"#)]);
    let error = client(&server).content(&Request::get(server.at("f"))).await.err().unwrap();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "testland answered 404: gone"));
}
