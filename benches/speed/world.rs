//! The synthetic platforms of the bench's servers, described by the URL: `/nFILES-sBYTES-dMILLISECONDS-hSHA256/v1/files…`
//! contains this number of files of this size, and responds after this delay. The wire format is OpenAI's, without
//! checksums; Activeloop has the same format, and no limits on sizes and rates. With `h`, the format is Replicate's, with
//! this checksum. With `rMEGABYTES` a connection transfers at most this much per second, in each direction.

use std::fmt::Write as _;
use std::time::Duration;

/// The byte that fills all content.
pub const BYTE: u8 = 0x5a;

/// The response to each part of an upload.
const PART: &str = r#"{"id":"part_1","object":"upload.part","created_at":1767225600,"upload_id":"upload_1"}"#;

/// A synthetic platform.
#[derive(Clone, Default)]
struct World {
    files: u64,
    size: u64,
    delay: Duration,
    sha256: Option<String>,
    rate: Option<u64>,
}

/// A response and its delay.
pub struct Answer {
    pub delay: Duration,
    pub body: Body,
}

/// The body of a response.
pub enum Body {
    Json(String),
    /// This number of [`BYTE`]s.
    Content(u64),
}

/// The maximum number of bytes per second of a connection to this target, if any.
pub fn rate(target: &str) -> Option<u64> {
    World::of(target.trim_start_matches('/').split('/').next().unwrap_or_default()).rate
}

/// The response to a request, regardless of its body.
pub fn answer(method: &str, target: &str) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parts = path.trim_start_matches('/').split('/');
    let world = World::of(parts.next().unwrap_or_default());
    let rest: Vec<&str> = parts.skip(1).collect();
    let body = match (method, rest.as_slice()) {
        ("GET", [_, _, "content" | "download"]) => Body::Content(world.size),
        ("GET", [_, id]) => Body::Json(world.record(number_of(id))),
        ("GET", _) => Body::Json(world.page(query)),
        ("POST", ["uploads"]) => Body::Json(world.upload("pending", "null")),
        ("POST", ["uploads", _, "parts"]) => Body::Json(PART.to_owned()),
        ("POST", ["uploads", _, "complete"]) => Body::Json(world.upload("completed", &world.record(0))),
        _ => Body::Json(world.stored()),
    };
    Answer { delay: world.delay, body }
}

impl World {
    fn of(text: &str) -> Self {
        let mut world = Self::default();
        for part in text.split('-') {
            let Some(value) = part.get(1..) else { continue };
            let number = value.parse().unwrap_or(0);
            match &part[..1] {
                "n" => world.files = number,
                "s" => world.size = number,
                "d" => world.delay = Duration::from_millis(number),
                "h" => world.sha256 = Some(value.to_owned()),
                "r" => world.rate = Some(number * 1_000_000),
                _ => {}
            }
        }
        world
    }

    fn record(&self, number: u64) -> String {
        let size = self.size;
        if let Some(sha256) = &self.sha256 {
            return format!(
                "{{\"id\":\"file-{number}\",\"name\":\"{number}.bin\",\"content_type\":\"application/octet-stream\",\
                 \"size\":{size},\"etag\":\"{sha256}\",\"checksums\":{{\"sha256\":\"{sha256}\"}},\"metadata\":{{}},\
                 \"created_at\":\"2026-01-01T00:00:00.000Z\",\"expires_at\":null,\"urls\":{{}}}}"
            );
        }
        format!(
            "{{\"id\":\"file-{number}\",\"object\":\"file\",\"bytes\":{size},\"created_at\":1767225600,\
             \"filename\":\"{number}.bin\",\"purpose\":\"assistants\",\"expires_at\":null}}"
        )
    }

    /// The response to an upload. A world without a checksum omits the size, so that it accepts uploads of all sizes.
    fn stored(&self) -> String {
        if self.sha256.is_some() {
            return self.record(0);
        }
        Self { size: 0, ..self.clone() }.record(0).replace("\"bytes\":0,", "")
    }

    /// A multipart upload.
    fn upload(&self, status: &str, file: &str) -> String {
        format!(
            "{{\"id\":\"upload_1\",\"object\":\"upload\",\"bytes\":{},\"created_at\":1767225600,\
             \"expires_at\":4102444800,\"filename\":\"0.bin\",\"purpose\":\"assistants\",\"status\":\"{status}\",\
             \"file\":{file}}}",
            self.size
        )
    }

    fn page(&self, query: &str) -> String {
        let value = |key: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(key));
            pair.and_then(|value| value.parse::<u64>().ok())
        };
        let from = value("after=file-").map_or(0, |last| last + 1);
        let to = (from + value("limit=").unwrap_or(100)).min(self.files);
        let mut text = String::from("{\"object\":\"list\",\"data\":[");
        for number in from..to {
            let comma = if number > from { "," } else { "" };
            let _ = write!(text, "{comma}{}", self.record(number));
        }
        let (more, last) = (to < self.files, to.saturating_sub(1));
        let _ = write!(text, "],\"has_more\":{more},\"last_id\":\"file-{last}\"}}");
        text
    }
}

fn number_of(id: &str) -> u64 {
    id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
