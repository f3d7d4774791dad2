//! Connections are opened once and reused.

use futures_util::StreamExt;
use futures_util::stream;
use haul::http::{Body, Part, Request, form};
use haul::model::NewFile;

use crate::http::{client, get};
use crate::support::server::{Answer, Server};

#[tokio::test]
async fn sequential_calls_share_one_connection() {
    let server = Server::new(|number, _| match number % 4 {
        0 => Answer::status(404, &[], "x".repeat(10_000)),
        1 => Answer::status(204, &[], ""),
        _ => Answer::ok(),
    });
    let client = client(&server);
    for _ in 0..200 {
        let _ = client.send(&get(&server)).await;
    }
    assert_eq!((server.count(), server.connections()), (200, 1));
}

#[tokio::test]
async fn concurrent_calls_reuse_as_many_connections_as_run_at_once() {
    let server = Server::repeating(vec![Answer::ok()]);
    let client = client(&server);
    let upload = |number: usize| {
        let (client, url) = (client.clone(), server.at("files"));
        async move {
            let file = NewFile::from_bytes("a.bin", vec![1; number % 7 * 40_000]);
            let body: Body = form(vec![Part::text("purpose", "test"), Part::file("file", &file)]);
            client.send(&Request::post(url, body)).await.unwrap();
        }
    };
    stream::iter(0..200).map(upload).buffer_unordered(8).collect::<Vec<_>>().await;
    assert_eq!(server.count(), 200);
    assert!(server.connections() <= 8, "{}", server.connections());
}
