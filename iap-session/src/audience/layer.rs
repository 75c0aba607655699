//! The tower layer that sees who comes.

use std::fmt;
use std::future::Future;
use std::mem;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use http::header::COOKIE;
use iap_core::rules::Identity;
use iap_core::{Connection, MatchedRoute};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::live::LiveSketch;
use super::{Audience, By};
use crate::handle::Session;

/// Counts the users of requests in an [`Audience`]. The application is the route's name.
///
/// It stands inside of a [`SessionLayer`](crate::SessionLayer), which tells it of sessions and users. It only
/// looks: requests and responses pass unchanged.
#[derive(Debug, Clone)]
pub struct AudienceLayer {
    audience: Arc<Audience>,
}

impl AudienceLayer {
    /// A layer that counts in `audience`.
    pub fn new(audience: Arc<Audience>) -> Self {
        Self { audience }
    }
}

impl<S> Layer<S> for AudienceLayer {
    type Service = AudienceService<S>;

    fn layer(&self, inner: S) -> AudienceService<S> {
        AudienceService { inner, audience: self.audience.clone() }
    }
}

/// The service of [`AudienceLayer`].
#[derive(Debug, Clone)]
pub struct AudienceService<S> {
    inner: S,
    audience: Arc<Audience>,
}

impl<S, B> Service<Request<B>> for AudienceService<S>
where
    S: Service<Request<B>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = AudienceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let late = see(&self.audience, &request);
        // The clone that was polled ready is the one to call; the fresh one stays for later.
        let fresh = self.inner.clone();
        AudienceFuture { inner: mem::replace(&mut self.inner, fresh).call(request), late }
    }
}

pin_project! {
    /// The future of [`AudienceService`]: the inner one, after which the session knows its user.
    #[derive(Debug)]
    pub struct AudienceFuture<F> {
        #[pin]
        inner: F,
        late: Option<Late>,
    }
}

impl<F: Future> Future for AudienceFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = ready!(this.inner.poll(cx));
        if let Some(late) = this.late.take()
            && let Some(user) = late.session.known_user()
        {
            late.audience.count_in(&late.sketches, late.kind, user.as_bytes());
        }
        Poll::Ready(output)
    }
}

/// A user who may be known when the request has been answered.
struct Late {
    session: Session,
    audience: Arc<Audience>,
    sketches: Arc<[LiveSketch]>,
    kind: usize,
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Late")
    }
}

/// Counts who is known now; whoever may be known later comes back.
fn see<B>(audience: &Arc<Audience>, request: &Request<B>) -> Option<Late> {
    let extensions = request.extensions();
    let application = extensions.get::<MatchedRoute>().map_or("", |route| route.name());
    let sketches = audience.sketches(application);
    let count = |kind, identity: &[u8]| audience.count_in(&sketches, kind, identity);
    let mut late = None;
    for (kind, by) in audience.kinds().iter().enumerate() {
        match by {
            By::Address => match address(request) {
                Some(IpAddr::V4(address)) => count(kind, &address.octets()),
                Some(IpAddr::V6(address)) => count(kind, &address.octets()),
                None => {}
            },
            By::Cookie(name) => {
                if let Some(value) = cookie(request, name) {
                    count(kind, value.as_bytes());
                }
            }
            By::Session => {
                if let Some(id) = extensions.get::<Session>().and_then(Session::presented) {
                    count(kind, &id);
                }
            }
            By::User => match extensions.get::<Identity>().and_then(|identity| identity.user.as_ref()) {
                Some(user) => count(kind, user.as_bytes()),
                None => {
                    late = extensions.get::<Session>().map(|session| {
                        let (session, audience) = (session.clone(), audience.clone());
                        Late { session, audience, sketches: sketches.clone(), kind }
                    });
                }
            },
        }
    }
    late
}

fn address<B>(request: &Request<B>) -> Option<IpAddr> {
    let connection = request.extensions().get::<Arc<Connection>>()?;
    Some(connection.peer().ip().to_canonical())
}

/// The first cookie of a name. What servers add to `JSESSIONID` behind a dot is the name of a node.
fn cookie<'r, B>(request: &'r Request<B>, name: &str) -> Option<&'r str> {
    let lines = request.headers().get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(found, value)| *found == name && !value.is_empty())?;
    let id = value.split_once('.').filter(|_| name.eq_ignore_ascii_case("JSESSIONID"));
    Some(id.map_or(value, |(id, _)| id))
}
