//! TLS that does not come about, for every verb: nothing is said to a server that cannot prove who it is, and nothing is
//! tried twice.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::hostile::world::{TOKEN, Told, json_answer, plain, sane};
use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;
use crate::support::server::{Listener, Server};
use crate::support::tls::{Authority, Flaw};

/// What is typed, with a file `up.txt` in the folder.
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
fn a_server_that_cannot_prove_who_it_is_hears_nothing() {
    let trusted = Authority::new("trusted");
    let stranger = Authority::new("stranger");
    for (authority, flaw, cause) in [
        (&trusted, Flaw::Expired, "the certificate has expired"),
        (&trusted, Flaw::NotYetValid, "the certificate is not valid yet; check the clock of this machine"),
        (&trusted, Flaw::OtherHost, "the certificate is for another host"),
        (
            &stranger,
            Flaw::None,
            "the certificate was issued by an authority that this machine does not trust",
        ),
        (
            &stranger,
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
            let run = sane(cause, env.haul(verb)).fails(7);
            let said = format!("no secure connection to {} at https://localhost:", plain().provider);
            assert!(run.stderr().contains(&said), "{run}");
            assert!(run.stderr().contains(&format!("caused by: {cause}")), "{run}");
            let helps =
                run.stderr().contains("hint: to trust another certificate authority: `--cacert FILE`");
            assert_eq!(helps, cause.contains("authority"), "{run}");
            assert_eq!(server.connections() - before, 1, "{verb:?}: not tried again");
        }
        assert_eq!(server.count(), 0, "{flaw:?}: no request got through");
        assert_eq!(env.files(), ["up.txt"]);
    }

    // The same authority and no flaw: all that was missing above.
    let honest = |_: usize, _: &_| json_answer(200, plain().page(&[Told::new("f", "n")], None));
    let server = Server::tls(trusted.session("localhost", Flaw::None), honest);
    let mut env = sandbox(&format!("{}v1", server.url));
    assert_eq!(env.haul(["ls", "--ids", "--cacert", trusted.pem().to_str().unwrap()]).ok().lines(), ["f"]);
    let pem = trusted.pem();
    env.set("SSL_CERT_FILE", pem.to_str().unwrap());
    assert_eq!(env.haul(["ls", "--ids"]).ok().lines(), ["f"]);
}

#[test]
fn a_machine_without_authorities_says_what_to_install() {
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
            let run = sane("no authorities", env.haul(verb)).fails(7);
            let said = "no certificate authorities are installed, so no https server can be verified";
            assert!(run.stderr().contains(said), "{run}");
            assert!(run.stderr().contains("hint: `apt-get install ca-certificates`"), "{run}");
        }
        // What needs none works without.
        env.haul(["ls", "-p", "local"]).ok();
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_scheme_that_is_not_the_server_s_is_told() {
    // A server without TLS where the URL says https.
    let heard = Arc::new(AtomicUsize::new(0));
    let unsafe_server =
        answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", Arc::clone(&heard));
    let mut env = sandbox(&format!("https://localhost:{}/v1", unsafe_server.address.port()));
    let authority = Authority::new("a");
    let pem = authority.pem();
    env.set("SSL_CERT_FILE", pem.to_str().unwrap());
    for (count, verb) in VERBS.iter().enumerate() {
        let run = sane("http on https", env.haul(*verb)).fails(7);
        assert!(run.stderr().contains("caused by: the server does not speak TLS"), "{run}");
        assert_eq!(heard.load(Ordering::SeqCst), count + 1, "{verb:?}: not tried again");
    }

    // One with TLS where the URL says http: what comes back is no HTTP.
    let server =
        Server::tls(Authority::new("a").session("localhost", Flaw::None), |_, _| json_answer(200, "{}"));
    let mut env = sandbox(&format!("http://127.0.0.1:{}/v1", server.url.port().unwrap()));
    env.set("HAUL_RETRIES", "0");
    for verb in VERBS {
        let run = sane("https on http", env.haul(verb)).fails(7);
        assert!(run.stderr().contains(&format!("{} at http://127.0.0.1:", plain().provider)), "{run}");
    }
    assert_eq!(server.count(), 0);
    assert_eq!(env.files(), ["up.txt"]);
}

/// A server that reads a little and says this.
fn answering(bytes: &'static [u8], heard: Arc<AtomicUsize>) -> Listener {
    Listener::new(move |mut stream| {
        heard.fetch_add(1, Ordering::SeqCst);
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap_or(0);
        assert!(!piece[..read].windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
        let _ = stream.write_all(bytes);
    })
}
