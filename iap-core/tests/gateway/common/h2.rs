//! An origin that speaks HTTP/2 (and HTTP/1.1 by ALPN), and a client that does.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};

/// A body that a test feeds frame by frame.
pub struct Frames(pub mpsc::Receiver<Frame<Bytes>>);

impl Frames {
    pub fn new() -> (mpsc::Sender<Frame<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(16);
        (sender, Self(receiver))
    }

    pub fn of(text: &'static str) -> Self {
        let (sender, frames) = Self::new();
        if !text.is_empty() {
            sender.try_send(Frame::data(Bytes::from_static(text.as_bytes()))).unwrap();
        }
        frames
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_closed() && self.0.is_empty()
    }
}

type Answer = Pin<Box<dyn Future<Output = Response<Frames>> + Send>>;
type Handler = Arc<dyn Fn(usize, Request<Incoming>) -> Answer + Send + Sync>;

/// A server that answers by a handler, which gets the request's number from 1.
pub struct ModernOrigin {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    pub requests: Arc<AtomicUsize>,
    /// Notified once, one connection says GOAWAY.
    pub go_away: Arc<Notify>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl ModernOrigin {
    pub fn start<F, A>(tls: Option<rustls::ServerConfig>, handler: F) -> Self
    where
        F: Fn(usize, Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Frames>> + Send + 'static,
    {
        Self::with_streams(200, tls, handler)
    }

    /// Takes so many streams of one connection at a time.
    pub fn with_streams<F, A>(streams: u32, tls: Option<rustls::ServerConfig>, handler: F) -> Self
    where
        F: Fn(usize, Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Frames>> + Send + 'static,
    {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(super::ANY).unwrap();
        listener.set_nonblocking(true).unwrap();
        let this = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
            go_away: Arc::default(),
            runtime: Some(runtime),
        };
        let (connections, requests) = (this.connections.clone(), this.requests.clone());
        let go_away = this.go_away.clone();
        let handler: Handler = Arc::new(move |number, request| Box::pin(handler(number, request)));
        let tls = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
        this.runtime.as_ref().unwrap().spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).unwrap();
                let (handler, requests, go_away) = (handler.clone(), requests.clone(), go_away.clone());
                let tls = tls.clone();
                tokio::spawn(async move {
                    let Some(tls) = tls else {
                        return serve(stream, Some(streams), handler, requests, go_away).await;
                    };
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(stream, is_http2.then_some(streams), handler, requests, go_away).await;
                });
            }
        });
        this
    }

    pub fn handled(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub fn connected(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A runtime must not be dropped from async code, where a test often is.
impl Drop for ModernOrigin {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

async fn serve<S>(
    stream: S,
    http2: Option<u32>,
    handler: Handler,
    requests: Arc<AtomicUsize>,
    go_away: Arc<Notify>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handler(requests.fetch_add(1, Ordering::SeqCst) + 1, request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let io = TokioIo::new(stream);
    let Some(streams) = http2 else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        return;
    };
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let connection = builder.max_concurrent_streams(streams).serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = go_away.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}

pub fn answer(text: &'static str) -> Response<Frames> {
    Response::new(Frames::of(text))
}

pub type H2Client = hyper::client::conn::http2::SendRequest<Frames>;

/// Speaks HTTP/2 to a gateway, by prior knowledge.
pub async fn connect(address: SocketAddr) -> H2Client {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

pub fn request(method: &str, path: &str, body: Frames) -> Request<Frames> {
    Request::builder().method(method).uri(format!("http://shop.test{path}")).body(body).unwrap()
}

/// The next frame's data, as text.
pub async fn data(body: &mut Incoming) -> String {
    let frame = super::recording::soon(body.frame()).await.expect("a frame").unwrap();
    String::from_utf8(frame.into_data().expect("data").to_vec()).unwrap()
}

/// The trailers that end a body.
pub async fn trailers(body: &mut Incoming) -> HeaderMap {
    let frame = super::recording::soon(body.frame()).await.expect("a frame").unwrap();
    frame.into_trailers().expect("trailers")
}

/// A certificate of its own authority, as PEM files.
pub struct Identity {
    pub certificate: tempfile::NamedTempFile,
    pub key: tempfile::NamedTempFile,
    generated: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Identity {
    pub fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let generated = rcgen::generate_simple_self_signed(names).unwrap();
        let file = |text: String| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            file
        };
        let (certificate, key) = (file(generated.cert.pem()), file(generated.signing_key.serialize_pem()));
        Self { certificate, key, generated }
    }

    /// A server with this certificate; `client` is the only one that may come.
    pub fn server(&self, client: Option<&Identity>) -> rustls::ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client.generated.cert.der().clone()).unwrap();
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(self.generated.signing_key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![self.generated.cert.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}
