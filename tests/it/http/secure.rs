//! TLS: which certificates are trusted, and the errors for those that are not.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use haul::error::{Error, Kind};
use haul::http::{Body, Client, Config, Part, Request, form};
use serde_json::json;
use url::Url;

use crate::http::config;
use crate::support::server::{Answer, Listener, Server};
use crate::support::tls::{Authority, Flaw};

fn serving(authority: &Authority, flaw: Flaw) -> Server {
    Server::tls(authority.session("localhost", flaw), |_, _| Answer::ok())
}

async fn ask(server: &Server, cacert: Option<PathBuf>) -> Result<u16, Error> {
    let client = Client::new(Config { cacert, ..config(server) });
    let post = Request::post(server.at("files"), Body::json(&json!({})));
    client.send(&post).await.map(|reply| reply.status)
}

#[tokio::test]
async fn a_named_authority_is_trusted() {
    let authority = Authority::new("trusted");
    let server = serving(&authority, Flaw::None);
    assert_eq!(ask(&server, Some(authority.pem())).await.unwrap(), 200);
    assert!(server.requests()[0].header("authorization").is_some());
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let server = serving(&Authority::new("a stranger"), Flaw::None);
    // Another authority is unknown with or without system roots.
    let trusted = Authority::new("trusted");
    let error = ask(&server, Some(trusted.pem())).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (Kind::Unreachable, 0));
    assert_eq!(
        error.causes(),
        ["the certificate was issued by an authority that this machine does not trust"]
    );
    assert_eq!(error.hints(), ["to trust another certificate authority: `--cacert FILE`"]);
    assert_eq!(server.connections(), 1, "not tried again");
    assert!(!error.is_unanswered());
}

#[tokio::test]
async fn a_certificate_for_another_host_or_time_is_refused() {
    let authority = Authority::new("trusted");
    for (server, cause) in [
        (serving(&authority, Flaw::OtherHost), "the certificate is for a different host"),
        (serving(&authority, Flaw::Expired), "the certificate has expired"),
    ] {
        let error = ask(&server, Some(authority.pem())).await.unwrap_err();
        assert_eq!((error.kind(), error.causes()), (Kind::Unreachable, vec![cause.to_owned()]));
        assert_eq!((server.connections(), error.hints().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_reported() {
    let plain = Listener::new(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let url = Url::parse(&format!("https://localhost:{}/", plain.address.port())).unwrap();
    let authority = Authority::new("trusted");
    let server = Server::repeating(vec![Answer::ok()]);
    let config = Config { own: vec![url.clone()], cacert: Some(authority.pem()), ..config(&server) };
    let error = Client::new(config).send(&Request::get(url)).await.unwrap_err();
    assert_eq!(error.causes(), ["the server does not speak TLS"]);
}

#[tokio::test]
async fn a_redirect_to_plain_http_is_refused() {
    let authority = Authority::new("trusted");
    let plain = Server::repeating(vec![Answer::ok()]);
    let target = plain.at("files").to_string();
    let moved = move |_, _: &_| Answer::status(302, &[("Location", &target)], "");
    let server = Server::tls(authority.session("localhost", Flaw::None), moved);
    let client = Client::new(Config { cacert: Some(authority.pem()), ..config(&server) });
    let error = client.send(&Request::get(server.at("files"))).await.unwrap_err();
    assert!(error.message().ends_with("which is not a secure URL"), "{error}");
    assert_eq!((error.kind(), plain.count()), (Kind::Platform, 0));
}

#[tokio::test]
async fn contents_use_http_1_even_if_http_2_is_offered() {
    let authority = Authority::new("trusted");
    let mut session = Arc::unwrap_or_clone(authority.session("localhost", Flaw::None));
    session.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // The scripted server speaks only HTTP/1.1, so this would fail over HTTP/2.
    let server = Server::tls(Arc::new(session), |_, _| Answer::ok());
    let client = Client::new(Config { cacert: Some(authority.pem()), ..config(&server) });
    let file = haul::model::NewFile::from_bytes("a.bin", vec![7; 300_000]);
    let body = form(vec![Part::file("file", &file)]);
    client.send(&Request::post(server.at("files"), body)).await.unwrap();
    client.send(&Request::get(server.at("files")).bulk()).await.unwrap();
    assert!(client.content(&Request::get(server.at("f"))).await.is_ok());
    assert_eq!(server.count(), 3);
}
