//! The tower layer that sees who comes.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use http::header::COOKIE;
use iap_core::rules::Identity;
use iap_core::{Connection, MatchedRoute};
use tower::{Layer, Service};

use super::{Audience, By};
use crate::forward::USER_HEADER;
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
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        see(&self.audience, &request);
        // The clone that was polled ready is the one to call; the fresh one stays for later.
        let fresh = self.inner.clone();
        mem::replace(&mut self.inner, fresh).call(request)
    }
}

fn see<B>(audience: &Audience, request: &Request<B>) {
    let route = request.extensions().get::<MatchedRoute>();
    let application = route.map_or("", |route| route.name());
    let sketches = audience.sketches(application);
    let count = |kind, identity: &[u8]| audience.count_in(&sketches, kind, identity);
    for (kind, by) in audience.kinds().iter().enumerate() {
        match by {
            By::Address => {
                if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
                    match connection.peer().ip().to_canonical() {
                        std::net::IpAddr::V4(address) => count(kind, &address.octets()),
                        std::net::IpAddr::V6(address) => count(kind, &address.octets()),
                    }
                }
            }
            By::Cookie(name) => {
                if let Some(value) = cookie(request, name) {
                    count(kind, value.as_bytes());
                }
            }
            By::Session => {
                if let Some(key) = request.extensions().get::<Session>().and_then(Session::presented) {
                    count(kind, &key);
                }
            }
            By::User => {
                if let Some(user) = user(request) {
                    count(kind, user);
                }
            }
        }
    }
}

/// The first cookie of a name. What servers add to `JSESSIONID` behind a dot is the name of a node.
fn cookie<'r, B>(request: &'r Request<B>, name: &str) -> Option<&'r str> {
    let lines = request.headers().get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(found, value)| *found == name && !value.is_empty())?;
    let id = value.split_once('.').filter(|_| name.eq_ignore_ascii_case("JSESSIONID"));
    Some(id.map_or(value, |(id, _)| id))
}

fn user<B>(request: &Request<B>) -> Option<&[u8]> {
    let identity = request.extensions().get::<Identity>().and_then(|identity| identity.user.as_deref());
    identity.map(str::as_bytes).or_else(|| request.headers().get(USER_HEADER).map(|user| user.as_bytes()))
}
