//! The tower layer: cookie in, commit out. [`SessionService::call`](Service::call) shows the order.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HeaderValue, SET_COOKIE};
use http::{Request, Response};
use iap_core::rules::Identity;
use iap_core::{Body, BoxError, Connection, Error, MatchedRoute, Origin, Transaction};
use tower::{Layer, Service};

use crate::cookie::is_cookie_name;
use crate::error::{StoreError, StoreErrorKind};
use crate::forward::{self, TOKEN_HEADER, TokenGuard, TokenRegistry, URL_HEADER, USER_HEADER};
use crate::handle::{CookieChange, Failure, Session, Shared};
use crate::metrics::LayerMetrics;
use crate::policy::{Mode, SessionConfig, SessionPolicy};
use crate::store::{BoxFuture, SessionStore};

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
    /// [`StoreErrorKind::Invalid`] for cookie names that are no tokens, or lifetimes of zero.
    pub fn with_config(store: Arc<dyn SessionStore>, config: SessionConfig) -> Result<Self, StoreError> {
        let names = [&config.cookie.secure_name, &config.cookie.plain_name];
        if !names.into_iter().all(|name| is_cookie_name(name)) {
            return Err(StoreError::new(StoreErrorKind::Invalid, "a cookie name is not a token"));
        }
        if config.expiry.idle.as_millis() == 0 || config.expiry.absolute.as_millis() == 0 {
            return Err(StoreError::new(StoreErrorKind::Invalid, "sessions must live for some time"));
        }
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

    fn build(store: Arc<dyn SessionStore>, config: SessionConfig) -> Self {
        Self { shared: Arc::new(Shared { store, config, metrics: LayerMetrics::new() }), forwarding: None }
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
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(|error| Error::from_boxed(error.into(), Origin::App))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone that was polled ready is the one to call; the fresh one stays for later.
        let fresh = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, fresh);
        let layer = self.layer.clone();
        Box::pin(async move {
            let mut visit = layer.enter(&mut request);
            layer.identify(&visit, &mut request).await?;
            layer.forward(&mut visit, &mut request).await?;
            let response = inner.call(request).await;
            let response = response.map_err(|error| Error::from_boxed(error.into(), Origin::App))?;
            layer.leave(visit, response).await
        })
    }
}

/// What the layer remembers of a request while the inner service has it.
struct Visit {
    session: Option<Session>,
    token: Option<TokenGuard>,
    policy: SessionPolicy,
    has_cookie: bool,
    /// Whether the route's rules want to know who asks.
    asks_identity: bool,
    connection: Option<Arc<Connection>>,
    route: Option<MatchedRoute>,
    transaction: Option<Transaction>,
}

impl Visit {
    fn new(policy: SessionPolicy) -> Self {
        Self {
            session: None,
            token: None,
            policy,
            has_cookie: false,
            asks_identity: false,
            connection: None,
            route: None,
            transaction: None,
        }
    }
}

/// Also when the client leaves or the inner service fails: what is written then has no effect, and
/// is told so.
impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            session.seal();
        }
    }
}

impl SessionLayer {
    /// Removes forged headers, finds the policy, and puts the handle into the extensions.
    fn enter(&self, request: &mut Request<Body>) -> Visit {
        forward::strip(request.headers_mut());
        let route = request.extensions().get::<MatchedRoute>();
        let policy = route.and_then(MatchedRoute::policy::<SessionPolicy>).copied();
        let policy = policy.unwrap_or(self.shared.config.policy);
        let asks_identity = route.is_some_and(MatchedRoute::asks_identity);
        if policy.mode == Mode::Off {
            return Visit::new(policy);
        }
        let route = route.cloned();
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let transaction = request.extensions().get::<Transaction>().cloned();
        let cookie = self.shared.config.cookie.spec(connection.as_deref());
        let candidates = cookie.candidates(request.headers());
        let has_cookie = !candidates.is_empty();
        let session = Session::new(self.shared.clone(), policy.outage, candidates, transaction.clone());
        request.extensions_mut().insert(session.clone());
        let mut visit = Visit::new(policy);
        visit.session = Some(session);
        visit.has_cookie = has_cookie;
        visit.asks_identity = asks_identity;
        visit.connection = connection;
        visit.route = route;
        visit.transaction = transaction;
        visit
    }

    /// Tells the route's rules who asks, where they want to know. Only then it costs the session's load.
    async fn identify(&self, visit: &Visit, request: &mut Request<Body>) -> Result<(), Error> {
        if !(visit.asks_identity && visit.has_cookie) {
            return Ok(());
        }
        let Some(session) = &visit.session else { return Ok(()) };
        if let Some((key, user)) = session.identity().await? {
            let identity = request.extensions_mut().get_or_insert_default::<Identity>();
            identity.session = Some(key.to_string().into());
            // Who has logged in to the route itself stays its user.
            identity.user = identity.user.take().or(user);
        }
        Ok(())
    }

    /// Prepares a request for an upstream: no cookie of ours, but a token and the user's name.
    async fn forward(&self, visit: &mut Visit, request: &mut Request<Body>) -> Result<(), Error> {
        if !visit.policy.forward {
            return Ok(());
        }
        self.shared.config.cookie.strip(request.headers_mut());
        let Some(session) = &visit.session else { return Ok(()) };
        if visit.has_cookie
            && let Some(user) = session.user().await?
            && let Ok(name) = HeaderValue::from_bytes(user.as_bytes())
        {
            request.headers_mut().insert(USER_HEADER, name);
        }
        if let Some(forwarding) = &self.forwarding {
            visit.token = forwarding.registry.register(session.clone());
            if let Some(token) = &visit.token {
                request.headers_mut().insert(TOKEN_HEADER, token.header());
                request.headers_mut().insert(URL_HEADER, forwarding.url.clone());
            }
        }
        Ok(())
    }

    /// Commits, and gives the response its cookie.
    async fn leave(&self, mut visit: Visit, mut response: Response<Body>) -> Result<Response<Body>, Error> {
        let Some(session) = visit.session.clone() else { return Ok(response) };
        let provenance = &self.shared.config.provenance;
        let from = || provenance.of(visit.connection.as_deref(), visit.route.as_ref());
        let outcome = session.commit(&from).await;
        // From here on the token is useless: the response head is on its way.
        drop(visit.token.take());
        let cookie = self.shared.config.cookie.spec(visit.connection.as_deref());
        match outcome {
            Ok(CookieChange::Keep) => {}
            Ok(CookieChange::Set(id)) => {
                response.headers_mut().append(SET_COOKIE, cookie.set(&id));
            }
            Ok(CookieChange::Remove) => {
                response.headers_mut().append(SET_COOKIE, cookie.remove());
            }
            Err(Failure { error, leave: false }) => return Err(error.into()),
            Err(Failure { error, leave: true }) => {
                let trace_id = visit.transaction.as_ref().map(|transaction| transaction.context().trace_id);
                response = Error::from(error).into_response(trace_id);
                response.headers_mut().append(SET_COOKIE, cookie.remove());
            }
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests;
