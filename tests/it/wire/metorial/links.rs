//! Links, and downloads through them.

use super::*;

#[tokio::test]
async fn links_have_an_absolute_expiry_time_in_each_dialect() {
    let hour = Some(SignedDuration::from_hours(1));
    for (dialect, lifetime, captured) in [
        ("magnetar", hour, include_str!("request-link-magnetar.http")),
        ("pulsar", hour, include_str!("request-link-pulsar.http")),
        ("seed", None, include_str!("request-link-seed.http")),
    ] {
        let server = Server::start(vec![Answer::json(LINK)]);
        let link = open(&server, dialect).link(&"fil_1".into(), lifetime).await.unwrap();
        assert_eq!(link.id.as_deref(), Some("flk_0mabc12defGHIJKLMNOPQR"));
        assert!(link.url.starts_with("https://files.metorial.com/files/"));
        // The documented response has no expiry time, so the requested one is used.
        assert_eq!(link.expires_at, lifetime.map(|_| "2026-02-01T00:00:00Z".parse().unwrap()));
        server.requests()[0].assert_is(captured);
    }
    let server = Server::start(vec![Answer::json(r#"{"id":"flk_1"}"#)]);
    let error = open(&server, "seed").link(&id(), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Platform, "{error}");
    let error = open(&server, "seed").link(&id(), Some(SignedDuration::MAX)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

fn links(from: u32, to: u32, more: bool) -> String {
    let items: Vec<_> = (from..to)
        .map(|n| json!({"object": "file.file_link", "id": format!("flk_{n}"), "url": format!("https://x/{n}")}))
        .collect();
    json!({"object": "list", "items": items, "pagination": {"has_more_after": more}}).to_string()
}

#[tokio::test]
async fn all_links_are_listed_and_revoked_by_id_by_url_or_as_the_only_one() {
    let server = Server::start(vec![magnetar(&links(0, 2, true)), magnetar(&links(2, 3, false))]);
    let listed = open(&server, "magnetar").links(&"fil_1".into()).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(
        server.lines(),
        ["GET /file-links?limit=100&file_id=fil_1", "GET /file-links?limit=100&file_id=fil_1&after=flk_1"]
    );

    let server = Server::start(vec![pulsar(&links(0, 2, true)), pulsar(&links(0, 2, true))]);
    let error = open(&server, "pulsar").links(&"fil_1".into()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Platform, "a cycle: {error}");
    assert_eq!(server.lines()[0], "GET /files/fil_1/links?limit=100");

    let all = links(0, 1, true).replace("\"id\"", "\"file_id\":\"fil_9\",\"id\"");
    let server = Server::start(vec![magnetar(&all), magnetar(&links(2, 3, false))]);
    let provider = open(&server, "magnetar");
    let first = provider.all_links(None).await.unwrap();
    assert_eq!((first.links[0].id.as_str(), first.next.as_deref()), ("fil_9", Some("flk_0")));
    assert_eq!(provider.all_links(Some("flk_0")).await.unwrap().next, None);
    assert_eq!(server.lines(), ["GET /file-links?limit=100", "GET /file-links?limit=100&after=flk_0"]);
    let server = Server::start(vec![]);
    let error = open(&server, "pulsar").all_links(None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.hints().iter().any(|hint| hint.contains("haul link '") && hint.contains(":*' --list`")));

    let server = Server::start(vec![magnetar(LINK)]);
    open(&server, "magnetar").unlink(&"fil_1".into(), Some("flk_1")).await.unwrap();
    server.requests()[0].assert_is(include_str!("request-unlink-magnetar.http"));

    let server = Server::start(vec![pulsar(&links(0, 3, false)), pulsar(LINK)]);
    open(&server, "pulsar").unlink(&"fil_1".into(), Some("https://x/1")).await.unwrap();
    server.requests()[1].assert_is(include_str!("request-unlink-pulsar.http"));

    let server = Server::start(vec![pulsar(&links(1, 2, false)), pulsar(LINK)]);
    open(&server, "pulsar").unlink(&"fil_1".into(), None).await.unwrap();
    server.requests()[1].assert_is(include_str!("request-unlink-pulsar.http"));

    let several: &[&str] = &[
        "to show them: `haul link metorial:id:fil_1 --list`",
        "to revoke one: `haul link metorial:id:fil_1 --revoke LINK`",
    ];
    for (there, kind, hints) in [(0, Kind::NotFound, &[][..]), (2, Kind::Usage, several)] {
        let server = Server::start(vec![pulsar(&links(0, there, false))]);
        let error = open(&server, "pulsar").unlink(&"fil_1".into(), None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.hints(), hints);
    }
}

#[tokio::test]
async fn a_download_creates_a_short_lived_link_and_fetches_it_without_the_token() {
    // On another host and at the origin of the API: neither request contains the token.
    for same_origin in [true, false] {
        let bytes = Answer::new(200, "hello world").header("Content-Type", "application/octet-stream");
        let host = Server::start(vec![bytes.clone()]);
        let api = Server::start_with(|origin| {
            let files = if same_origin { origin.to_owned() } else { host.origin() };
            vec![magnetar(&LINK.replace(FILES_HOST, &files)), bytes]
        });
        let provider = open(&api, "magnetar");
        let content = provider.download(&id(), None).await.unwrap();
        assert_eq!((content.start, content.length), (0, Some(11)));
        let release = content.release.clone().expect("its own link");
        assert_eq!(release.id.as_deref(), Some("flk_0mabc12defGHIJKLMNOPQR"));
        assert_eq!(bytes_of(content).await, b"hello world");
        let made = &api.requests()[0];
        assert_eq!(made.line(), "POST /file-links");
        assert_eq!(made.text(), format!(r#"{{"file_id":"{ID}","expires_at":"2026-01-31T23:15:00.000Z"}}"#));
        let fetched = if same_origin { api.requests()[1].clone() } else { host.requests()[0].clone() };
        assert_eq!(fetched.line(), format!("GET /files/{ID}/0123456789abcdefghijABCDEFGHIJ_ext"));
        assert_eq!(fetched.header("authorization"), None, "same origin: {same_origin}");
        assert_eq!(fetched.header("metorial-version"), None);
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_fetched_is_revoked_at_once() {
    let host = Server::start(vec![Answer::new(404, include_str!("error-404.json"))]);
    let link = LINK.replace(FILES_HOST, &host.origin());
    let api = Server::start(vec![magnetar(&link), magnetar(LINK)]);
    let error = open(&api, "magnetar").download(&id(), None).await.err().expect("no bytes");
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(api.lines(), ["POST /file-links", "DELETE /file-links/flk_0mabc12defGHIJKLMNOPQR"]);

    let api = Server::start(vec![magnetar(r#"{"id":"flk_1","url":"nowhere"}"#)]);
    let error = open(&api, "magnetar").download(&id(), None).await.err().expect("no URL");
    assert_eq!(error.kind(), Kind::Platform, "{error}");
}

#[tokio::test]
async fn a_specified_link_is_used_and_not_revoked() {
    let host = Server::start(vec![Answer::new(200, "hello world")]);
    let url = host.at("/files/fil_1/key");
    let api = Server::start(vec![]);
    let provider = open_with(&api, &api, "auto", &[("link", url.as_str())]);
    let content = provider.download(&id(), None).await.unwrap();
    assert_eq!(content.release, None::<Link>);
    assert_eq!(bytes_of(content).await, b"hello world");
    assert_eq!(host.requests()[0].header("authorization"), None);
    assert!(api.requests().is_empty());
}
