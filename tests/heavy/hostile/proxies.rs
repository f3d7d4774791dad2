//! Proxies: what fails on the way is told as such, the token is for the platform alone, and what stays on this machine
//! asks no proxy.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::hostile::tls::{VERBS, sandbox};
use crate::hostile::world::{TOKEN, Told, json_answer, plain, sane};
use crate::support::sandbox::Sandbox;
use crate::support::server::{Listener, Request, Server};
use crate::support::tls::{Authority, Flaw};

/// What a proxy does once it has read the head of a request.
#[derive(Clone, Copy)]
enum Deed {
    Say(&'static [u8]),
    /// Opens a tunnel to this address, wherever it was asked to.
    Tunnel(SocketAddr),
}

struct Proxy {
    listener: Listener,
    /// The heads that were read in the clear.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(deed: Deed) -> Self {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&heads);
        let listener = Listener::new(move |mut stream| {
            let Ok(Some(request)) = Request::read_head(&mut stream) else { return };
            noted.lock().unwrap().push(request.head);
            match deed {
                Deed::Say(bytes) => {
                    let _ = stream.write_all(bytes);
                    let _ = stream.shutdown(Shutdown::Write);
                    let _ = io::copy(&mut stream, &mut io::sink());
                }
                Deed::Tunnel(to) => tunnel(stream, to),
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

/// A sandbox whose platform has a name that only a proxy could resolve.
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
        let files = [Told::new("f", "n")];
        let one = seen.target.ends_with("/f");
        json_answer(200, if one { plain().file(&files[0]) } else { plain().page(&files, None) })
    };
    let server = Server::tls(authority.session("files.example", Flaw::None), page);
    let proxy = Proxy::start(Deed::Tunnel(SocketAddr::from(([127, 0, 0, 1], server.url.port().unwrap()))));
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

    // A proxy that listens in shows another certificate.
    let listening = Server::tls(Authority::new("proxy").session("files.example", Flaw::None), page);
    let proxy = Proxy::start(Deed::Tunnel(SocketAddr::from(([127, 0, 0, 1], listening.url.port().unwrap()))));
    let env = behind(&format!("http://{}", proxy.address()), "https", &authority);
    let run = env.haul(["ls"]).fails(7);
    assert!(run.stderr().contains("an authority that this machine does not trust"), "{run}");
    assert_eq!(listening.count(), 0);
}

#[test]
fn a_proxy_that_refuses_or_babbles_is_told_by_every_verb() {
    let authority = Authority::new("trusted");
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases: [(&str, Option<&'static [u8]>); 6] = [
        ("nobody there", None),
        ("407", Some(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")),
        ("502", Some(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 19\r\n\r\n<title>gone</title>")),
        ("403", Some(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")),
        ("garbage", Some(b"\x00\x01\x1b[31mnot http\r\n\r\n")),
        ("nothing", Some(b"")),
    ];
    for (what, says) in cases {
        let proxy = says.map(|bytes| Proxy::start(Deed::Say(bytes)));
        let address = proxy.as_ref().map_or(refused, Proxy::address);
        for scheme in ["https", "http"] {
            let env = behind(&format!("http://user:s3cret@{address}"), scheme, &authority);
            for verb in VERBS {
                let before = proxy.as_ref().map_or(0, |proxy| proxy.heads().len());
                let run = sane(what, env.haul([verb, &["--insecure-http"]].concat()));
                let asked = proxy.as_ref().map_or(0, |proxy| proxy.heads().len()) - before;
                // A proxy that answers a plain request speaks for the platform: a 403 or 502 of it cannot be told from
                // the platform's.
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
                // Not tried again; but an upload that may have arrived is looked for.
                let most = if verb[0] == "upload" { 2 } else { 1 };
                let least = usize::from(what != "nobody there");
                assert!((least..=most * least).contains(&asked), "{scheme} {what} {verb:?}: {asked}");
                if what == "407" {
                    assert!(run.stderr().contains("407") || run.stderr().contains("proxy auth"), "{run}");
                }
            }
            assert_eq!(env.files(), ["up.txt"]);
        }
        let heads = proxy.map(|proxy| proxy.heads()).unwrap_or_default();
        let told = heads.iter().filter(|head| head.starts_with("CONNECT"));
        assert!(told.clone().all(|head| !head.contains(TOKEN)), "{what}");
    }
}

#[test]
fn what_needs_no_proxy_asks_none() {
    let authority = Authority::new("trusted");
    let proxy = Proxy::start(Deed::Say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"));
    let address = format!("http://{}", proxy.address());

    // This machine, whatever the variables say.
    let server = Server::new(|_, _| json_answer(200, plain().page(&[Told::new("f", "n")], None)));
    for host in ["127.0.0.1", "localhost"] {
        let mut env = sandbox(&format!("http://{host}:{}/v1", server.url.port().unwrap()));
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            env.set(name, &address);
        }
        assert_eq!(env.haul(["ls", "--ids"]).ok().lines(), ["f"]);
    }

    // What the variable takes out.
    for excepted in ["files.example", ".example", "*", "other,files.example"] {
        let mut env = behind(&address, "https", &authority);
        env.set("NO_PROXY", excepted);
        let run = sane(excepted, env.haul(["ls", "--timeout", "5s"])).fails(7);
        let said = format!("error: could not reach {} at https://files.example\n", plain().provider);
        assert!(run.stderr().starts_with(&said), "{run}");
    }
    assert_eq!(proxy.heads().len(), 0);
    let mut env = behind(&address, "https", &authority);
    env.set("NO_PROXY", "other.example");
    env.haul(["ls"]).fails(7);
    assert_eq!(proxy.heads().len(), 1);
}
