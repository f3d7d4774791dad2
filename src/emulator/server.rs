//! Listens, and stops in good order.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::App;
use super::options::reachable;
use super::site::joined;
use super::wire::{Ending, Socket};
use super::{Faults, Options};
use crate::error::{Error, Result};
use crate::store::Store;

/// Bytes a connection reads at a time and holds at most. Hundreds of uploads at once must fit in tens of MiB.
const BUFFER: usize = 32 * 1024;
/// Running requests may take so long to end after the stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait before accepting again where the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the platforms on `listener` until `shutdown`, then takes no more connections and lets running requests end, for
/// five seconds at most. Runs on the caller's runtime, which should have more than one thread.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    options: Options,
    faults: Faults,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let listening = |error: io::Error| Error::failed("the emulator cannot listen").caused_by(error);
    listener.set_nonblocking(true).map_err(listening)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(listening)?;
    let address = reachable(listener.local_addr().map_err(listening)?).to_string();
    let app = tokio::task::spawn_blocking(move || App::new(&store, &address, options, faults));
    let app = Arc::new(joined(app.await)?);
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&app), stopping.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, ended).await;
    connections.shutdown().await;
    Ok(())
}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, app: Arc<App>, mut stopping: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let ending = Arc::new(Ending::default());
    let socket = Socket { stream, ending: Arc::clone(&ending) };
    let service = service_fn(move |request| {
        let (app, ending) = (Arc::clone(&app), Arc::clone(&ending));
        async move { app.answer(ending, request).await }
    });
    let mut connection =
        pin!(http1::Builder::new().max_buf_size(BUFFER).serve_connection(TokioIo::new(socket), service));
    let stop = async {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        // An error here is a client that went away or a scripted fault.
        _ = connection.as_mut() => return,
        () = stop => {}
    }
    connection.as_mut().graceful_shutdown();
    let _: Result<(), hyper::Error> = connection.await;
}
