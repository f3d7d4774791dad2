//! The same server over TLS, with HTTP/2 or HTTP/1.1: one thread with hyper per connection.

use std::convert::Infallible;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::plain::listen;
use crate::world::{self, Answer, BYTE, answer};

/// The size of reads and writes.
const PIECE: usize = 256 * 1024;
/// The window of HTTP/2 flow control, large enough that clients never wait for it.
const WINDOW: u32 = 16 * 1024 * 1024;

/// Starts the server on `localhost`; it runs until the process exits. Writes the authority's certificate to `authority`.
pub fn start(authority: &Path) -> SocketAddr {
    let acceptor = TlsAcceptor::from(session(authority));
    listen(move |stream| serve(stream, &acceptor))
}

fn session(authority: &Path) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "authority of the bench");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(authority, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Serves one connection until it closes.
fn serve(stream: TcpStream, acceptor: &TlsAcceptor) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let Ok(stream) = acceptor.accept(stream).await else { return };
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let (stream, service) = (TokioIo::new(stream), service_fn(respond));
        // An error means that the client closed the connection.
        if is_h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
            drop(builder.max_send_buf_size(4 * PIECE).serve_connection(stream, service).await);
        } else {
            drop(http1::Builder::new().max_buf_size(2 * PIECE).serve_connection(stream, service).await);
        }
    });
}

async fn respond(request: Request<Incoming>) -> Result<Response<Sent>, Infallible> {
    let (head, mut body) = request.into_parts();
    while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    let Answer { delay, body } = answer(head.method.as_str(), target);
    tokio::time::sleep(delay).await;
    Ok(match body {
        world::Body::Json(text) => {
            let mut response = Response::new(Sent { left: text.len() as u64, piece: Bytes::from(text) });
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        world::Body::Content(size) => {
            Response::new(Sent { left: size, piece: Bytes::from(vec![BYTE; PIECE]) })
        }
    })
}

/// A body that repeats a piece up to its length.
struct Sent {
    left: u64,
    piece: Bytes,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let count = self.piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= count as u64;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..count)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
