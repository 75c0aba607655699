//! A server that answers as it is told.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use iap_core::server::RunningServer;
use iap_core::{Body, Route, RouteTable, Server, Target};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};

type Answers = Arc<Mutex<mpsc::Receiver<Response<Body>>>>;
/// The path, the head and the body of a request.
pub type Asked = (String, HeaderMap, Bytes);

/// A server whose answers come from a test, which is told what was asked.
pub fn answering() -> (RunningServer, mpsc::Sender<Response<Body>>, mpsc::Receiver<Asked>) {
    let (answer, answers) = mpsc::channel(16);
    let (tell, asked) = mpsc::channel(16);
    let answers: Answers = Arc::new(Mutex::new(answers));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answers, tell) = (answers.clone(), tell.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let _ = tell.send((head.uri.path().to_owned(), head.headers, body)).await;
            let answer = answers.lock().await.recv().await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|| status(503, None)))
        }
    });
    let routes = RouteTable::new([Route::new("answering", "/", Target::service("answering", service))]);
    let address = "127.0.0.1:0".parse().expect("an address");
    let builder = Server::builder().listen(address).workers(1).application(Handle::current());
    let server = builder.routes(routes.expect("one route")).start().expect("a server");
    (server, answer, asked)
}

/// An answer without a body.
pub fn status(code: u16, retry_after: Option<&str>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    if let Some(value) = retry_after {
        response.headers_mut().insert("retry-after", value.parse().expect("a value"));
    }
    response
}
