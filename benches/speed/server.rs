//! A server that favours nobody: a thread a connection, bodies read and thrown away, content from memory. What it
//! pretends to have is in the URL: `/nFILES-sBYTES-dMILLISECONDS/v1/files…` lists so many files of so many bytes, each
//! request answered after so long. It answers in the words of Activeloop, which limits neither
//! sizes nor rates and states no checksum.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Bytes read and written at once.
const PIECE: usize = 256 * 1024;

/// What is pretended.
#[derive(Clone, Copy, Default)]
struct World {
    files: u64,
    size: u64,
    delay: u64,
}

/// Starts it, for as long as the process lives.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers requests until the connection ends; None is its end.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(PIECE, stream);
    let piece = vec![0x5a; PIECE];
    loop {
        let (method, target, length, waits) = head(&mut reader)?;
        if waits {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let mut left = length;
        while left > 0 {
            let buffer = reader.fill_buf().ok()?;
            let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 {
                return None;
            }
            reader.consume(count);
            left -= count as u64;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut parts = path.trim_start_matches('/').split('/');
        let world = world(parts.next().unwrap_or_default());
        let rest: Vec<&str> = parts.skip(1).collect();
        if world.delay > 0 {
            thread::sleep(Duration::from_millis(world.delay));
        }
        match (method.as_str(), rest.as_slice()) {
            ("GET", [_, _, "content"]) => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", world.size).ok()?;
                let mut left = world.size;
                while left > 0 {
                    let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    writer.write_all(&piece[..count]).ok()?;
                    left -= count as u64;
                }
            }
            ("GET", [_, id]) => json(&mut writer, &record(world, number_of(id)))?,
            ("GET", _) => json(&mut writer, &page(world, query))?,
            _ => json(&mut writer, &record(World { size: 0, ..world }, 0).replace("\"bytes\":0,", ""))?,
        }
    }
}

/// Method, target, length of the body, and whether the client waits to be told to send it.
fn head(reader: &mut BufReader<TcpStream>) -> Option<(String, String, u64, bool)> {
    let (mut line, mut length, mut waits) = (String::new(), 0, false);
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        waits |= name.eq_ignore_ascii_case("expect");
    }
    Some((method, target, length, waits))
}

fn world(text: &str) -> World {
    let mut world = World::default();
    for part in text.split('-') {
        let number = part.get(1..).and_then(|number| number.parse().ok()).unwrap_or(0);
        match part.chars().next() {
            Some('n') => world.files = number,
            Some('s') => world.size = number,
            Some('d') => world.delay = number,
            _ => {}
        }
    }
    world
}

fn number_of(id: &str) -> u64 {
    id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn record(world: World, number: u64) -> String {
    let size = world.size;
    format!(
        "{{\"id\":\"file-{number}\",\"object\":\"file\",\"bytes\":{size},\"created_at\":1767225600,\
         \"filename\":\"{number}.bin\",\"purpose\":\"assistants\",\"expires_at\":null}}"
    )
}

fn page(world: World, query: &str) -> String {
    let value = |key: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(key));
        pair.and_then(|value| value.parse::<u64>().ok())
    };
    let from = value("after=file-").map_or(0, |last| last + 1);
    let to = (from + value("limit=").unwrap_or(100)).min(world.files);
    let mut text = String::from("{\"object\":\"list\",\"data\":[");
    for number in from..to {
        let comma = if number > from { "," } else { "" };
        let _ = write!(text, "{comma}{}", record(world, number));
    }
    let (more, last) = (to < world.files, to.saturating_sub(1));
    let _ = write!(text, "],\"has_more\":{more},\"last_id\":\"file-{last}\"}}");
    text
}

fn json(writer: &mut TcpStream, body: &str) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    writer.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).ok()
}
