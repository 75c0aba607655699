//! The tower layer: cookie in, commit out. [`SessionService::call`](Service::call) shows the order, and
//! [`SessionFuture`] what follows.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HeaderValue;
use http::{Request, Response};
use iap_core::rules::Identity;
use iap_core::{Body, BoxError, Connection, Error, MatchedRoute, Origin, Transaction};
use tower::{Layer, Service};

use crate::carrier::Change;
use crate::error::{StoreError, StoreErrorKind};
use crate::forward::{self, TOKEN_HEADER, TokenGuard, TokenRegistry, URL_HEADER, USER_HEADER};
use crate::handle::{Failure, Session, Shared, Visit as Brought};
use crate::metrics::LayerMetrics;
use crate::migrate::Adoption;
use crate::policy::{Mode, SessionConfig, SessionPolicy, Visitor};
use crate::store::SessionStore;

mod future;

pub use future::SessionFuture;

/// Gives requests a [`Session`], and commits it before the response head goes out.
///
/// - The cookie is checked for its shape; the store is asked when the session is first used.
/// - An unknown, forged or malformed cookie creates nothing and never becomes an id. It is left in
///   place: only an ended session's cookie is taken away.
/// - A session is created when something is written. Reading one moves its idle deadline, at most
///   every twentieth of the idle time.
/// - The commit happens once the inner service has its response, whatever its status. If it
///   fails, that response is dropped and the error returned: 503 while the store is away, 401 if
///   the session was ended meanwhile, 409 for a refused login, 413 over a limit. The cookie is
///   untouched, except by a logout: then the browser forgets it even though the store could not.
/// - If the inner service fails, nothing is committed.
///
/// It reads from the request's extensions: [`MatchedRoute`] for a [`SessionPolicy`],
/// `Arc<`[`Connection`]`>` for TLS, [`Transaction`] for spans. All of them are optional. Where the route's
/// rules ask who a request is from, it puts an [`Identity`] there; that costs the session's load.
#[derive(Clone)]
pub struct SessionLayer {
    shared: Arc<Shared>,
    forwarding: Option<Arc<Forwarding>>,
    adoption: Option<Arc<Adoption>>,
}

struct Forwarding {
    registry: Arc<TokenRegistry>,
    url: HeaderValue,
}

impl SessionLayer {
    /// A layer with defaults.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self::build(store, SessionConfig::default())
    }

    /// A layer as configured.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] for cookies that browsers refuse, or lifetimes of zero.
    pub fn with_config(store: Arc<dyn SessionStore>, config: SessionConfig) -> Result<Self, StoreError> {
        config.check()?;
        Ok(Self::build(store, config))
    }

    /// Hands sessions on to upstreams, on routes whose policy says `forward`. `url` is where the
    /// [session API](crate::SessionApi) of this process listens, such as `http://127.0.0.1:7070`.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if `url` is no header value.
    pub fn with_forwarding(mut self, registry: Arc<TokenRegistry>, url: &str) -> Result<Self, StoreError> {
        let url = HeaderValue::try_from(url.trim_end_matches('/'))
            .map_err(|_| StoreError::new(StoreErrorKind::Invalid, "the session API's URL is not valid"))?;
        self.forwarding = Some(Arc::new(Forwarding { registry, url }));
        Ok(self)
    }

    /// Lets sessions of another system go on here, as [`Adoption`] says.
    #[must_use]
    pub fn with_adoption(mut self, adoption: Arc<Adoption>) -> Self {
        self.adoption = Some(adoption);
        self
    }

    fn build(store: Arc<dyn SessionStore>, config: SessionConfig) -> Self {
        let shared = Arc::new(Shared { store, config, metrics: LayerMetrics::new() });
        Self { shared, forwarding: None, adoption: None }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService { inner, layer: self.clone() }
    }
}

/// The service of [`SessionLayer`].
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    layer: SessionLayer,
}

impl<S> Service<Request<Body>> for SessionService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = SessionFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(|error| Error::from_boxed(error.into(), Origin::App))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(mut visit) = self.layer.enter(&mut request) else {
            return SessionFuture::without(self.inner.call(request));
        };
        if !visit.asks_first() {
            self.layer.hand_on(&mut visit, &mut request);
            return SessionFuture::within(self.inner.call(request), visit);
        }
        // The clone that was polled ready is the one to call; the fresh one stays for later.
        let fresh = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, fresh);
        let layer = self.layer.clone();
        SessionFuture::after(async move {
            visit.introduce(&mut request).await?;
            layer.hand_on(&mut visit, &mut request);
            let response = inner.call(request).await;
            visit.leave(response.map_err(|error| Error::from_boxed(error.into(), Origin::App))?).await
        })
    }
}

/// What the layer remembers of a request while the inner service has it.
struct Visit {
    session: Seal,
    token: Option<TokenGuard>,
    /// Whether the client has sent an id.
    has_id: bool,
    /// Whether the route's rules want to know who asks.
    asks_identity: bool,
}

/// Seals the session also when the client leaves or the inner service fails: what is written then has no effect,
/// and is told so.
struct Seal(Session);

impl Drop for Seal {
    fn drop(&mut self) {
        self.0.seal();
    }
}

impl Visit {
    /// Whether the store is asked before the inner service.
    fn asks_first(&self) -> bool {
        self.has_id && (self.asks_identity || self.session.0.policy().forward)
    }

    /// Tells the route's rules, where they want to know, and an upstream who asks. It costs the session's load.
    async fn introduce(&self, request: &mut Request<Body>) -> Result<(), Error> {
        let session = &self.session.0;
        if self.asks_identity
            && let Some((key, user)) = session.identity().await?
        {
            let identity = request.extensions_mut().get_or_insert_default::<Identity>();
            identity.session = Some(key.to_string().into());
            // Who has logged in to the route itself stays its user.
            identity.user = identity.user.take().or(user);
        }
        if session.policy().forward
            && let Some(user) = session.user().await?
            && let Ok(name) = HeaderValue::from_bytes(user.as_bytes())
        {
            request.headers_mut().insert(USER_HEADER, name);
        }
        Ok(())
    }

    /// Commits, and tells the client its id.
    async fn leave(mut self, mut response: Response<Body>) -> Result<Response<Body>, Error> {
        let session = &self.session.0;
        let outcome = session.commit().await;
        // From here on the token is useless: the response head is on its way.
        drop(self.token.take());
        let channel = session.channel();
        match outcome {
            Ok(change) => channel.answer(&change, response.headers_mut()),
            Err(Failure { error, leave: false }) => return Err(error.into()),
            Err(Failure { error, leave: true }) => {
                response = Error::from(error).into_response(session.trace_id());
                channel.answer(&Change::Remove, response.headers_mut());
            }
        }
        Ok(response)
    }
}

impl SessionLayer {
    /// Removes forged headers, finds the policy, and puts the handle into the extensions. `None` where there
    /// are no sessions.
    fn enter(&self, request: &mut Request<Body>) -> Option<Visit> {
        forward::strip(request.headers_mut());
        let config = &self.shared.config;
        let route = request.extensions().get::<MatchedRoute>();
        let policy = route.and_then(MatchedRoute::policy::<SessionPolicy>).copied();
        let policy = policy.unwrap_or(config.policy);
        let asks_identity = route.is_some_and(MatchedRoute::asks_identity);
        if policy.mode == Mode::Off {
            if policy.forward {
                config.strip(request.headers_mut());
            }
            return None;
        }
        let route = route.cloned();
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let transaction = request.extensions().get::<Transaction>().cloned();
        let presented = config.channel(policy.carrier, connection.as_deref()).presented(request.headers());
        let foreign = self.adoption.as_ref().map(|adoption| adoption.presented(request.headers()));
        let has_id = !presented.is_empty() || foreign.as_ref().is_some_and(|old| !old.is_empty());
        let brought =
            Brought { policy, presented, foreign, visitor: Visitor::new(request), connection, route };
        let session = Session::new(self.shared.clone(), brought, transaction);
        request.extensions_mut().insert(session.clone());
        Some(Visit { session: Seal(session), token: None, has_id, asks_identity })
    }

    /// Prepares a request for an upstream, where one is behind: no id of ours, but a token.
    fn hand_on(&self, visit: &mut Visit, request: &mut Request<Body>) {
        let session = &visit.session.0;
        if !session.policy().forward {
            return;
        }
        self.shared.config.strip(request.headers_mut());
        let Some(forwarding) = &self.forwarding else { return };
        visit.token = forwarding.registry.register(session.clone());
        if let Some(token) = &visit.token {
            request.headers_mut().insert(TOKEN_HEADER, token.header());
            request.headers_mut().insert(URL_HEADER, forwarding.url.clone());
        }
    }
}

#[cfg(test)]
mod tests;
