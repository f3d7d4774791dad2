//! The provider for LlamaCloud, and responses of its server.

use futures_util::StreamExt;
use haul::http::ContentStream;
use haul::providers::{Provider, find};

use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};

/// The key in the captured requests.
pub const TOKEN: &str = "llx-TESTKEY";

/// A complete response. An empty content type is omitted.
pub fn text(status: u16, content_type: &str, body: &str) -> Answer {
    let answer = Answer::new(status, body);
    if content_type.is_empty() { answer } else { answer.header("Content-Type", content_type) }
}

/// A complete JSON response.
pub fn json(status: u16, body: &str) -> Answer {
    Answer::json(body).with_status(status)
}

/// No response: the connection is closed.
pub fn lost() -> Answer {
    Answer::raw("")
}

/// A response with a presigned URL at `server`.
pub fn presigned(server: &Server) -> Answer {
    json(200, &include_str!("replies/presigned_url.json").replace("https://bucket.example", &server.origin()))
}

/// The profile for a server, with these values of `--set`.
pub fn profile<'a>(server: &Server, set: &'a [(&'a str, &'a str)]) -> Profile<'a> {
    Profile { token: Some(TOKEN), set, ..Profile::new(find("llamacloud").unwrap(), &server.url) }
}

/// The provider for a server, with these values of `--set`.
pub fn open_with(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    profile(server, set).open().unwrap()
}

/// The provider for a server.
pub fn open(server: &Server) -> Box<dyn Provider> {
    open_with(server, &[])
}

/// The provider for a server in the legacy dialect, with these values of `--set`.
pub fn open_legacy(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    Profile { dialect: "legacy", ..profile(server, set) }.open().unwrap()
}

/// All bytes of a download.
pub async fn all(content: ContentStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = content.stream;
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}
