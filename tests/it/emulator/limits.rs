//! Silent clients, refusals of large bodies, and malformed requests.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use crate::emulator::support::{BEARER, SETUP};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{FORM, JSON, form, noise, request};

impl Emulator {
    /// Sends bytes and returns everything that the server sends until it closes the connection.
    fn send_all(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn silent_connections_are_closed() {
    let server = Emulator::start(&Setup { silence: Duration::from_millis(200), ..SETUP });
    let whole = request(server.address, "POST", "/example/v1/raw", &[], b"content");
    for head in [&b""[..], &whole[..20]] {
        let answer = server.send_all(head);
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    let silent_body = server.send_all(&whole[..whole.len() - 3]);
    assert!(silent_body.starts_with("HTTP/1.1 400 "), "{silent_body}");
    let idle_afterward = server.send_all(&whole);
    assert!(idle_afterward.starts_with("HTTP/1.1 200 "), "{idle_afterward}");
    assert!(server.is_clean());
}

#[test]
fn the_refusal_of_a_large_body_can_be_read() {
    let server = Emulator::start(&SETUP);
    // The part is refused before its content is read.
    let content = noise(3_000_000);
    let body = form(&[("name=\"file\"", content.as_slice())]);
    for expected in [
        &[FORM, BEARER, "Connection: close"][..],
        &[FORM, BEARER, "Connection: close", "Expect: 100-continue"],
    ] {
        for _ in 0..20 {
            let answer =
                server.send_all(&request(server.address, "POST", "/example/v1/files", expected, &body));
            assert!(answer.contains("HTTP/1.1 422 "), "{answer}");
            assert!(answer.ends_with("{\"detail\":\"a file without a name\"}"), "{answer}");
        }
    }
    // The handler does not read this body at all, and the client does not wait for `100 Continue`.
    let unread = request(
        server.address,
        "POST",
        "/example/v1/files",
        &[FORM, "Connection: close", "Expect: 100-continue"],
        &body,
    );
    for _ in 0..20 {
        assert!(server.send_all(&unread).starts_with("HTTP/1.1 401 "));
    }
    assert!(server.is_clean());
}

#[test]
fn the_text_of_a_form_is_limited() {
    let server = Emulator::start(&SETUP);
    let text = vec![b'x'; 1 << 20];
    let ask = |count: usize| {
        let parts: Vec<_> = (0..count).map(|_| ("name=\"text\"", text.as_slice())).collect();
        server.ask("POST", "/example/v1/files", &[FORM, BEARER], &form(&parts))
    };
    assert_eq!(ask(4).status, 200);
    assert_eq!(ask(5).json()["detail"], "more than 4 MiB of text");
}

#[test]
fn malformed_requests_neither_panic_nor_leave_anything() {
    let server = Emulator::start(&SETUP);
    let parts: [(&str, &[u8]); 3] =
        [("name=\"a\"", b"text"), ("name=\"file\"; filename=\"x\"", b"content"), ("name=\"ignored\"", b"")];
    let chunked = b"POST /example/v1/raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let whole = [
        request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &form(&parts)),
        request(server.address, "POST", "/example/v1/json", &[JSON], br#"{"a": [1, "\ud83d\ude00", null]}"#),
        request(server.address, "GET", "/example/v1/files?name[]=%ff&x=%00", &["Range: bytes=0-1"], b""),
        chunked.to_vec(),
    ];
    let noise = noise(100_000);
    let mut random = noise.iter().copied().cycle();
    let mut below = move |limit: usize| {
        let number = usize::from(random.next().unwrap()) * 256 + usize::from(random.next().unwrap());
        number % limit.max(1)
    };
    let send = |bytes: &[u8]| {
        let mut stream = server.connect();
        // The server may refuse the request before it has read all of it.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let shown = String::from_utf8_lossy(bytes);
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{shown}\n{}", String::from_utf8_lossy(&answer));
    };
    for size in ["ffffffffffffffff1", "-1", "0x5", "5;x=y", "5\n", "", "g", "00000000000000000000"] {
        send(String::from_utf8_lossy(chunked).replace("\r\n5\r\n", &format!("\r\n{size}\r\n")).as_bytes());
    }
    for length in ["-1", "18446744073709551616", "7, 7", "", "0x7"] {
        send(
            format!("POST /example/v1/raw HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\ncontent")
                .as_bytes(),
        );
    }
    for round in 0..200 {
        let request = &whole[round % whole.len()];
        send(&request[..below(request.len())]);
        let mut changed = request.clone();
        for _ in 0..=below(3) {
            let at = below(changed.len());
            changed[at] = u8::try_from(below(256)).unwrap();
        }
        send(&changed);
        let at = below(noise.len() - 300);
        send(&noise[at..at + below(300)]);
    }
    assert_eq!(server.ask("GET", "/", &[], b"").status, 200);
    assert!(server.is_clean());
}
