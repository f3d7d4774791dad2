//! Failed TLS handshakes, for every verb: the server receives no request, and the program does not retry.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::hostile::world::{FakeFile, TOKEN, checked, json_answer, plain};
use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;
use crate::support::server::{Listener, Server};
use crate::support::tls::{Authority, Flaw};

/// The arguments of each verb. The folder contains a file `up.txt`.
pub const VERBS: [&[&str]; 8] = [
    &["ls"],
    &["info", "id:f"],
    &["get", "id:f", "-o", "out"],
    &["rm", "id:f"],
    &["upload", "up.txt"],
    &["link", "id:f"],
    &["get", "*", "-o", "out/"],
    &["rm", "*", "--yes"],
];

/// A sandbox whose platform is at this base URL.
pub fn sandbox(base: &str) -> Sandbox {
    let mut env = Sandbox::new();
    env.write("up.txt", "up");
    env.use_platform(&Case::of(plain().provider, "auto"), base, TOKEN);
    env
}

#[test]
fn no_request_reaches_a_server_with_a_bad_certificate() {
    let trusted = Authority::new("trusted");
    let untrusted = Authority::new("untrusted");
    for (authority, flaw, cause) in [
        (&trusted, Flaw::Expired, "the certificate has expired"),
        (&trusted, Flaw::NotYetValid, "the certificate is not valid yet; check the clock of this machine"),
        (&trusted, Flaw::OtherHost, "the certificate is for a different host"),
        (
            &untrusted,
            Flaw::None,
            "the certificate was issued by an authority that this machine does not trust",
        ),
        (
            &untrusted,
            Flaw::SelfSigned,
            "the certificate was issued by an authority that this machine does not trust",
        ),
    ] {
        let server = Server::tls(authority.session("localhost", flaw), |_, _| json_answer(200, "{}"));
        let mut env = sandbox(&format!("{}v1", server.url));
        let pem = trusted.pem();
        env.set("SSL_CERT_FILE", pem.to_str().unwrap());
        for verb in VERBS {
            let before = server.connections();
            let run = checked(cause, env.haul(verb)).fails(7);
            let said = format!(
                "could not establish a secure connection to {} at https://localhost:",
                plain().provider
            );
            assert!(run.stderr().contains(&said), "{run}");
            assert!(run.stderr().contains(&format!("caused by: {cause}")), "{run}");
            let helps =
                run.stderr().contains("hint: to trust another certificate authority: `--cacert FILE`");
            assert_eq!(helps, cause.contains("authority"), "{run}");
            assert_eq!(server.connections() - before, 1, "{verb:?}: not retried");
        }
        assert_eq!(server.count(), 0, "{flaw:?}: no request arrived");
        assert_eq!(env.files(), ["up.txt"]);
    }

    // A certificate from the same authority without a flaw is accepted.
    let regular = |_: usize, _: &_| json_answer(200, plain().page(&[FakeFile::new("f", "n")], None));
    let server = Server::tls(trusted.session("localhost", Flaw::None), regular);
    let mut env = sandbox(&format!("{}v1", server.url));
    assert_eq!(env.haul(["ls", "--ids", "--cacert", trusted.pem().to_str().unwrap()]).ok().lines(), ["f"]);
    let pem = trusted.pem();
    env.set("SSL_CERT_FILE", pem.to_str().unwrap());
    assert_eq!(env.haul(["ls", "--ids"]).ok().lines(), ["f"]);

    // So is one whose authority is only in the folder.
    let (file, folder) = (untrusted.pem(), pem.parent().unwrap());
    env.set("SSL_CERT_FILE", file.to_str().unwrap());
    assert_eq!(env.haul(["ls", "--ids"]).fails(7).lines(), [""; 0]);
    env.set("SSL_CERT_DIR", folder.to_str().unwrap());
    assert_eq!(env.haul(["ls", "--ids"]).ok().lines(), ["f"]);
}

#[test]
fn missing_certificate_authorities_are_reported() {
    let server =
        Server::tls(Authority::new("a").session("localhost", Flaw::None), |_, _| json_answer(200, "{}"));
    for file in ["", "not a certificate"] {
        let mut env = sandbox(&format!("{}v1", server.url));
        let path = env.root().join("none.pem");
        if !file.is_empty() {
            std::fs::write(&path, file).unwrap();
        }
        env.set("SSL_CERT_FILE", path.to_str().unwrap());
        env.set("SSL_CERT_DIR", "/nonexistent");
        for verb in VERBS {
            let run = checked("no authorities", env.haul(verb)).fails(7);
            let said = "no certificate authorities are installed, so no https server can be verified";
            assert!(run.stderr().contains(said), "{run}");
            assert!(run.stderr().contains("hint: `apt-get install ca-certificates`"), "{run}");
        }
        // The embedded store requires no authorities.
        env.haul(["ls", "-p", "local"]).ok();
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_wrong_scheme_is_reported() {
    // A server without TLS at an https URL.
    let connections = Arc::new(AtomicUsize::new(0));
    let plain_server =
        answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", Arc::clone(&connections));
    let mut env = sandbox(&format!("https://localhost:{}/v1", plain_server.address.port()));
    let authority = Authority::new("a");
    let pem = authority.pem();
    env.set("SSL_CERT_FILE", pem.to_str().unwrap());
    for (count, verb) in VERBS.iter().enumerate() {
        let run = checked("http on https", env.haul(*verb)).fails(7);
        assert!(run.stderr().contains("caused by: the server does not speak TLS"), "{run}");
        assert_eq!(connections.load(Ordering::SeqCst), count + 1, "{verb:?}: not retried");
    }

    // A TLS server at an http URL: the response is not HTTP.
    let server =
        Server::tls(Authority::new("a").session("localhost", Flaw::None), |_, _| json_answer(200, "{}"));
    let mut env = sandbox(&format!("http://127.0.0.1:{}/v1", server.url.port().unwrap()));
    env.set("HAUL_RETRIES", "0");
    for verb in VERBS {
        let run = checked("https on http", env.haul(verb)).fails(7);
        assert!(run.stderr().contains(&format!("{} at http://127.0.0.1:", plain().provider)), "{run}");
    }
    assert_eq!(server.count(), 0);
    assert_eq!(env.files(), ["up.txt"]);
}

/// A server that reads once and sends `bytes`.
fn answering(bytes: &'static [u8], connections: Arc<AtomicUsize>) -> Listener {
    Listener::new(move |mut stream| {
        connections.fetch_add(1, Ordering::SeqCst);
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap_or(0);
        assert!(!piece[..read].windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
        let _ = stream.write_all(bytes);
    })
}
