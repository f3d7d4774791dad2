//! Signed links: specified by the user, signed with the account's secret, or refused.

use bytes::Bytes;
use futures_util::TryStreamExt;
use haul::providers::{Download, Op};
use jiff::SignedDuration;
use url::Url;

use super::*;

const ID: &str = "cneqzikepnug6xezperrr4z55o";
const SIGNATURE: &str = "zuoghqlrcnw8YHywkpaXQlHsVhWen/DZ4aal76dLiOo=";
const SIGNING: [(&str, &str); 2] = [("owner", "mattt"), ("signing_secret", SECRET)];

fn id() -> FileId {
    ID.into()
}

async fn fetch(provider: &dyn Provider) -> Vec<u8> {
    let content = provider.download(&id(), None).await.expect("opens");
    assert_eq!(content.release, None, "no link to revoke");
    content.stream.try_collect::<Vec<Bytes>>().await.expect("all bytes").concat()
}

#[tokio::test]
async fn without_a_signed_link_downloads_and_links_are_refused_with_reasons() {
    let server = Server::start(vec![]);
    let provider = open(&server);
    assert_eq!(provider.capabilities().download, Download::SignedLinks);
    let error = provider.download(&id(), None).await.err().expect("refused");
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.hints().iter().any(|hint| hint.contains("--link URL")), "{:?}", error.hints());
    let error = provider.link(&id(), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.hints().iter().any(|hint| hint.contains("HAUL_SET_SIGNING_SECRET")), "{:?}", error.hints());
    for op in [Op::Links, Op::Unlink, Op::Annotate, Op::Replace] {
        assert!(!haul::providers::supports(provider.capabilities(), op));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_three_parts_of_a_signed_link_form_the_captured_request_without_the_token() {
    // The plain signature, and forms copied from a URL: encoded once or twice.
    for signature in
        [SIGNATURE, &SIGNATURE.replace('/', "%2F").replace('=', "%3D"), &SIGNATURE.replace('/', "%252F")]
    {
        let server = Server::start(vec![Answer::new(200, "bytes")]);
        let set = [("owner", "mattt"), ("expiry", "1708515345"), ("signature", signature)];
        assert_eq!(fetch(&*open_with(&server, &set)).await, b"bytes");
        server.requests()[0].assert_is(include_str!("request-download.http"));
        assert_eq!(server.requests()[0].header("authorization"), None);
    }
}

#[tokio::test]
async fn a_missing_part_is_named() {
    let server = Server::start(vec![]);
    let provider = open_with(&server, &[("expiry", "1708515345")]);
    let error = provider.download(&id(), None).await.err().expect("refused");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.message().contains("owner and signature"), "{error}");
}

#[tokio::test]
async fn a_complete_link_is_fetched_unchanged_and_without_the_token() {
    // The platform itself shows double encoding.
    let target = format!("/v1/files/{ID}/download?expiry=1708515345&owner=acme&signature=a%252Bb%253D");
    for same_origin in [true, false] {
        let answers = vec![Answer::new(200, "bytes")];
        let (server, other) = (Server::start(answers.clone()), Server::start(answers));
        let host = if same_origin { &server } else { &other };
        let link = host.at(&target);
        let provider = open_with(&server, &[("link", link.as_str())]);
        assert_eq!(fetch(&*provider).await, b"bytes");
        assert_eq!(host.lines(), [format!("GET {target}")]);
        assert_eq!(host.requests()[0].header("authorization"), None, "same origin: {same_origin}");
    }
}

#[tokio::test]
async fn a_link_for_another_file_is_refused() {
    let server = Server::start(vec![]);
    let link = server.at("/v1/files/other/download?expiry=1&owner=acme&signature=s");
    let error =
        open_with(&server, &[("link", link.as_str())]).download(&id(), None).await.err().expect("refused");
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    let error = open_with(&server, &[("link", "no url")]).download(&id(), None).await.err().expect("refused");
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_error_for_a_refused_link_lists_possible_causes() {
    for status in [400, 401, 403, 404, 410] {
        let server = Server::start(vec![Answer::new(status, NOT_FOUND)]);
        let set = [("owner", "acme"), ("expiry", "1"), ("signature", "s")];
        let error = open_with(&server, &set).download(&id(), None).await.err().expect("refused");
        assert_eq!((error.kind(), error.status()), (Kind::NotFound, Some(status)), "{error}");
        assert!(
            error.message().contains("expired") && error.to_string().contains("File not found"),
            "{error}"
        );
    }
    let server = Server::start(vec![Answer::new(500, "")]);
    let set = [("owner", "acme"), ("expiry", "1"), ("signature", "s")];
    let error = open_with(&server, &set).download(&id(), None).await.err().expect("failed");
    assert_eq!(error.kind(), Kind::Platform);
}

#[tokio::test]
async fn with_the_secret_links_are_signed_as_documented() {
    let server = Server::start(vec![]);
    let provider = open_with(&server, &SIGNING);
    assert_eq!(provider.capabilities().download, Download::Any);
    // An hour after the fixed clock, in whole seconds, is the expiry of the contract's test vector.
    let link = provider.link(&id(), None).await.unwrap();
    assert_eq!(link.expires_at, Some("2024-02-21T11:35:45Z".parse().unwrap()));
    let url = Url::parse(&link.url).unwrap();
    assert_eq!(
        url.query(),
        Some("expiry=1708515345&owner=mattt&signature=H%2BubBSURpGllqUrZ%2FzbzlHSGD1CUjVnS8cwnXjfyhzE%3D")
    );
    assert_eq!(url.path(), format!("/v1/files/{ID}/download"));
    let link = provider.link(&id(), Some(SignedDuration::from_secs(60))).await.unwrap();
    assert_eq!(link.expires_at, Some("2024-02-21T10:36:45Z".parse().unwrap()));
    assert_eq!(provider.link(&id(), Some(SignedDuration::MAX)).await.unwrap_err().kind(), Kind::Usage);
    assert!(!link.url.contains(SECRET) && server.requests().is_empty());
}

#[tokio::test]
async fn with_the_secret_a_download_signs_its_own_short_lived_link() {
    let server = Server::start(vec![Answer::new(200, "bytes"), Answer::json(DOCUMENTED)]);
    let provider = open_with(&server, &SIGNING);
    assert_eq!(fetch(&*provider).await, b"bytes");
    let asked = &server.requests()[0];
    assert!(
        asked
            .target
            .starts_with(&format!("/v1/files/{ID}/download?expiry=1708512645&owner=mattt&signature="))
    );
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(provider.stat(&id()).await.unwrap().downloadable, Some(true));
}

#[test]
fn the_dialect_follows_the_settings_or_is_refused() {
    let server = Server::start(vec![]);
    let download = |dialect: &str, set: &[(&str, &str)]| {
        try_open(&server, dialect, set)
            .map(|provider| provider.capabilities().download)
            .map_err(|error| error.kind())
    };
    assert_eq!(download("signed", &SIGNING), Ok(Download::Any));
    assert_eq!(download("api", &SIGNING), Ok(Download::SignedLinks));
    assert_eq!(download("auto", &SIGNING[..1]), Ok(Download::SignedLinks));
    assert_eq!(download("auto", &[("owner", "acme"), ("signing_secret", "")]), Ok(Download::SignedLinks));
    assert_eq!(download("signed", &SIGNING[..1]), Err(Kind::Usage));
}
