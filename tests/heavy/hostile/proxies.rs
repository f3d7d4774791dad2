//! Proxies: their failures are reported as such, they never receive the token, and requests to this machine bypass them.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::hostile::tls::{VERBS, sandbox};
use crate::hostile::world::{FakeFile, TOKEN, checked, json_answer, plain};
use crate::support::sandbox::Sandbox;
use crate::support::server::{Listener, Request, Server};
use crate::support::tls::{Authority, Flaw};

/// The behavior of a proxy after the head of a request.
#[derive(Clone, Copy)]
enum Behavior {
    Respond(&'static [u8]),
    /// Opens a tunnel to this address, whatever the requested host is.
    Tunnel(SocketAddr),
}

struct Proxy {
    listener: Listener,
    /// The unencrypted request heads.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(behavior: Behavior) -> Self {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let recorded = Arc::clone(&heads);
        let listener = Listener::new(move |mut stream| {
            let Ok(Some(request)) = Request::read_head(&mut stream) else { return };
            recorded.lock().unwrap().push(request.head);
            match behavior {
                Behavior::Respond(bytes) => {
                    let _ = stream.write_all(bytes);
                    let _ = stream.shutdown(Shutdown::Write);
                    let _ = io::copy(&mut stream, &mut io::sink());
                }
                Behavior::Tunnel(to) => tunnel(stream, to),
            }
        });
        Self { listener, heads }
    }

    fn address(&self) -> SocketAddr {
        self.listener.address
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn tunnel(mut near: TcpStream, to: SocketAddr) {
    let Ok(far) = TcpStream::connect(to) else { return };
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let (mut from_near, mut to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from_near, &mut to_far);
        let _ = to_far.shutdown(Shutdown::Write);
    });
    let mut far = far;
    let _ = io::copy(&mut far, &mut near);
    let _ = near.shutdown(Shutdown::Write);
    up.join().unwrap();
}

/// A sandbox whose platform has a host name that only a proxy can resolve.
fn behind(proxy: &str, scheme: &str, authority: &Authority) -> Sandbox {
    let mut env = sandbox(&format!("{scheme}://files.example/v1"));
    let pem = authority.pem();
    env.set("SSL_CERT_FILE", pem.to_str().unwrap());
    env.set(if scheme == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" }, proxy);
    env.set("HAUL_RETRIES", "0");
    env
}

#[test]
fn a_tunnel_keeps_the_token_from_the_proxy() {
    let authority = Authority::new("trusted");
    let page = |_: usize, seen: &Request| {
        let files = [FakeFile::new("f", "n")];
        let one = seen.target.ends_with("/f");
        json_answer(200, if one { plain().file(&files[0]) } else { plain().page(&files, None) })
    };
    let server = Server::tls(authority.session("files.example", Flaw::None), page);
    let proxy =
        Proxy::start(Behavior::Tunnel(SocketAddr::from(([127, 0, 0, 1], server.url.port().unwrap()))));
    let env = behind(&format!("http://user:pass%20word@{}", proxy.address()), "https", &authority);
    assert_eq!(env.haul(["ls", "--ids"]).ok().lines(), ["f"]);
    env.haul(["info", "id:f"]).ok();
    let _ = env.haul(["upload", "up.txt", "--no-verify"]);
    assert!(
        server.requests().iter().all(|seen| seen.header("authorization") == Some(&format!("Bearer {TOKEN}")))
    );
    assert!(server.requests().iter().all(|seen| seen.header("proxy-authorization").is_none()));
    let heads = proxy.heads();
    assert!(heads.len() >= 3);
    for head in heads {
        assert!(head.starts_with("CONNECT files.example:443 HTTP/1.1\r\n"), "{head}");
        assert!(!head.contains(TOKEN) && !head.contains("Bearer"), "{head}");
        // `user:pass word`
        assert!(head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnzihdvcmq="), "{head}");
    }

    // A proxy that intercepts TLS presents another certificate.
    let intercepting = Server::tls(Authority::new("proxy").session("files.example", Flaw::None), page);
    let proxy =
        Proxy::start(Behavior::Tunnel(SocketAddr::from(([127, 0, 0, 1], intercepting.url.port().unwrap()))));
    let env = behind(&format!("http://{}", proxy.address()), "https", &authority);
    let run = env.haul(["ls"]).fails(7);
    assert!(run.stderr().contains("an authority that this machine does not trust"), "{run}");
    assert_eq!(intercepting.count(), 0);
}

#[test]
fn every_verb_reports_a_failing_proxy() {
    let authority = Authority::new("trusted");
    let refused = SocketAddr::from(([127, 0, 0, 1], 1));
    let cases: [(&str, Option<&'static [u8]>); 6] = [
        ("no listener", None),
        ("407", Some(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")),
        ("502", Some(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 19\r\n\r\n<title>gone</title>")),
        ("403", Some(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")),
        ("garbage", Some(b"\x00\x01\x1b[31mnot http\r\n\r\n")),
        ("nothing", Some(b"")),
    ];
    for (what, response) in cases {
        let proxy = response.map(|bytes| Proxy::start(Behavior::Respond(bytes)));
        let address = proxy.as_ref().map_or(refused, Proxy::address);
        for scheme in ["https", "http"] {
            let env = behind(&format!("http://user:s3cret@{address}"), scheme, &authority);
            for verb in VERBS {
                let before = proxy.as_ref().map_or(0, |proxy| proxy.heads().len());
                let run = checked(what, env.haul([verb, &["--insecure-http"]].concat()));
                let requests = proxy.as_ref().map_or(0, |proxy| proxy.heads().len()) - before;
                // A plain request cannot distinguish a 403 or 502 of the proxy from one of the platform.
                let expected = match (scheme, what) {
                    ("http", "403") => 4,
                    ("http", "502") => 8,
                    _ => 7,
                };
                assert_eq!(run.status, expected, "{scheme} {what} {verb:?}: {run}");
                assert!(!run.stderr().contains("s3cret"), "{run}");
                if expected == 7 && (scheme, what) != ("http", "407") {
                    let via = format!("at {scheme}://files.example through the proxy http://{address}");
                    assert!(run.stderr().contains(&via), "{run}");
                }
                assert!(run.stderr().len() < 1500, "{run}");
                // The request is not retried, but an upload looks for its file.
                let most = if verb[0] == "upload" { 2 } else { 1 };
                let least = usize::from(what != "no listener");
                assert!((least..=most * least).contains(&requests), "{scheme} {what} {verb:?}: {requests}");
                if what == "407" {
                    assert!(run.stderr().contains("407") || run.stderr().contains("proxy auth"), "{run}");
                }
            }
            assert_eq!(env.files(), ["up.txt"]);
        }
        let heads = proxy.map(|proxy| proxy.heads()).unwrap_or_default();
        let connects = heads.iter().filter(|head| head.starts_with("CONNECT"));
        assert!(connects.clone().all(|head| !head.contains(TOKEN)), "{what}");
    }
}

#[test]
fn loopback_and_no_proxy_hosts_bypass_the_proxy() {
    let authority = Authority::new("trusted");
    let proxy = Proxy::start(Behavior::Respond(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"));
    let address = format!("http://{}", proxy.address());

    // This machine, regardless of the variables.
    let server = Server::new(|_, _| json_answer(200, plain().page(&[FakeFile::new("f", "n")], None)));
    for host in ["127.0.0.1", "localhost"] {
        let mut env = sandbox(&format!("http://{host}:{}/v1", server.url.port().unwrap()));
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            env.set(name, &address);
        }
        assert_eq!(env.haul(["ls", "--ids"]).ok().lines(), ["f"]);
    }

    // Hosts that `NO_PROXY` excludes.
    for excepted in ["files.example", ".example", "*", "other,files.example"] {
        let mut env = behind(&address, "https", &authority);
        env.set("NO_PROXY", excepted);
        let run = checked(excepted, env.haul(["ls", "--timeout", "5s"])).fails(7);
        let said = format!("error: could not reach {} at https://files.example\n", plain().provider);
        assert!(run.stderr().starts_with(&said), "{run}");
    }
    assert_eq!(proxy.heads().len(), 0);
    let mut env = behind(&address, "https", &authority);
    env.set("NO_PROXY", "other.example");
    env.haul(["ls"]).fails(7);
    assert_eq!(proxy.heads().len(), 1);
}
