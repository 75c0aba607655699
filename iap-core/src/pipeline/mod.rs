//! The life of a request, in order. Read [`Pipeline::handle`] from top to bottom.

mod forwarded;
mod layers;
mod request_id;
mod tracked;
mod unfinished;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body::Body as _;

use crate::body::Body;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin, count_refused};
use crate::gate;
use crate::hooks::{Begin, Hooks};
use crate::networks::Networks;
use crate::route::{MatchedRoute, NoRoute, PathParams, Route, RouteTable};
use crate::rules::After;
use crate::trace_context::TraceContext;
use crate::websocket;

#[cfg(any(test, fuzzing))]
pub(crate) use forwarded::client as forwarded_client;
pub use layers::{Dispatch, Stack};
pub use request_id::RequestIds;
pub use tracked::TrackedBody;
use unfinished::Unfinished;

/// What a pipeline is made of. The parts that can change while it runs are behind `routes`.
#[derive(Debug)]
pub struct Pipeline<H: Hooks> {
    hooks: H,
    routes: Arc<ArcSwap<RouteTable>>,
    stack: Option<Stack<H>>,
    limits: Limits,
    clients: Clients,
}

/// How requests and those who send them are identified.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients {
    /// Proxies that are believed when they say who is behind them.
    pub(crate) trusted_proxies: Networks,
    pub(crate) request_ids: Option<RequestIds>,
}

/// Bounds on a single request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body, in bytes. Default: 64 MiB.
    pub request_body: u64,
    /// How long a client may send nothing in the middle of its body, before the request fails
    /// with 408. Default: 60 s.
    pub request_body_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_body: 64 * 1024 * 1024, request_body_idle: Duration::from_secs(60) }
    }
}

impl<H: Hooks> Pipeline<H> {
    /// A pipeline over a route table that may be swapped while it runs. `stack` holds the
    /// layers between routing and targets, made by [`Stack::new`].
    pub(crate) fn new(
        hooks: H,
        routes: Arc<ArcSwap<RouteTable>>,
        stack: Option<Stack<H>>,
        limits: Limits,
        clients: Clients,
    ) -> Self {
        Self { hooks, routes, stack, limits, clients }
    }

    /// The observer.
    pub fn hooks(&self) -> &H {
        &self.hooks
    }

    /// The route table, to be swapped while the pipeline runs.
    pub(crate) fn routes_handle(&self) -> Arc<ArcSwap<RouteTable>> {
        self.routes.clone()
    }

    /// Takes one request through all stages. Never fails: an error is a response.
    pub async fn handle(
        &self,
        connection: &Arc<Connection>,
        mut request: Request<Body>,
    ) -> Response<TrackedBody<H>> {
        // 1. Client: the peer, or who a trusted proxy says is behind it.
        let behind_proxy = self.behind_proxy(connection, &request);
        let connection = behind_proxy.as_ref().unwrap_or(connection);

        // 2. Transaction: continue the caller's trace, or begin one; the request gets its id.
        let unfinished = Unfinished::new(&self.hooks, self.begin(connection, &request));
        let transaction = unfinished.transaction();
        let request_id = self.identify(connection, transaction, &mut request);
        let is_head = request.method() == Method::HEAD;
        let is_http1 = request.version() < Version::HTTP_2;
        let is_connect = request.method() == Method::CONNECT;

        // 3. Gate: refuse what two servers could read in two ways; make host and path canonical.
        // 4. Route: what the access decision, the layers' policies and the target hang on.
        let has_body = !request.body().is_end_stream();
        let admitted = self.admit(&mut request);
        // Where a refused message of HTTP/1 ends is not for the next one to rely on.
        let closes = is_http1
            && admitted.as_ref().is_err_and(|error| has_body || error.kind() == Kind::MethodNotAllowed);
        let mut after = None;
        let result = match admitted.and_then(|()| self.route(&request)) {
            Ok(route) => {
                self.hooks.routed(transaction, route.name());
                // 5. Rules of the route: who may come, how often, what is changed on the way.
                // 6. Layers (sessions, a user's own), with the target inside them:
                //    embedded service | upstream | files | fixed response.
                match route.rules() {
                    None => self.call(route, connection, transaction, request).await,
                    Some(_) => {
                        let after = after.insert((route.clone(), After::default()));
                        Box::pin(self.call_by_rules(route, connection, transaction, request, &mut after.1))
                            .await
                    }
                }
            }
            Err(error) => Err(error),
        };

        // 7. Errors become problem documents, in one place.
        let result = if is_connect { result.and_then(websocket::answer_connect) } else { result };
        let (mut response, error) = match result {
            Ok(response) => (response, None),
            Err(error) => {
                count_refusal(&error);
                let facts = (error.kind(), H::ENABLED.then(|| error.to_string()));
                let trace_id = self.hooks.context(transaction).map(|context| context.trace_id);
                (error.into_response(trace_id), Some(facts))
            }
        };

        // 8. Response: what the rules add to it; the transaction ends with the last byte, not the head.
        if let Some((route, after)) = after
            && let Some(rules) = route.rules()
        {
            response = Box::pin(rules.after(after, is_head, response)).await;
        }
        if let Some((name, id)) = request_id {
            response.headers_mut().insert(name, id);
        }
        if closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }

        TrackedBody::track(response, self.hooks.clone(), unfinished.into_transaction(), is_head, error)
    }

    fn behind_proxy(&self, connection: &Arc<Connection>, request: &Request<Body>) -> Option<Arc<Connection>> {
        let trusted = &self.clients.trusted_proxies;
        if trusted.is_empty() { None } else { forwarded::client(connection, request.headers(), trusted) }
    }

    /// The id of the request, which is put into it.
    fn identify(
        &self,
        connection: &Connection,
        transaction: &H::Transaction,
        request: &mut Request<Body>,
    ) -> Option<(HeaderName, HeaderValue)> {
        let ids = self.clients.request_ids.as_ref()?;
        let trace = self.hooks.context(transaction).map(|context| context.trace_id);
        let id = ids.choose(connection, request.headers().get(&ids.header), trace);
        request.headers_mut().insert(ids.header.clone(), id.clone());
        Some((ids.header.clone(), id))
    }

    fn begin(&self, connection: &Arc<Connection>, request: &Request<Body>) -> H::Transaction {
        let parent = if H::ENABLED { TraceContext::from_headers(request.headers()) } else { None };
        let host = if H::ENABLED { request.headers().get(http::header::HOST) } else { None };
        let host = host.and_then(|value| value.to_str().ok());
        self.hooks.begin(&Begin {
            connection,
            method: request.method(),
            path: request.uri().path(),
            query: request.uri().query(),
            host: host.or_else(|| request.uri().host()).unwrap_or_default(),
            version: request.version(),
            parent,
        })
    }

    fn admit(&self, request: &mut Request<Body>) -> Result<(), Error> {
        gate::admit(request, self.limits.request_body)?;
        request.body_mut().limit(self.limits.request_body, self.limits.request_body_idle);
        Ok(())
    }

    fn route(&self, request: &Request<Body>) -> Result<Arc<Route>, Error> {
        let host = gate::match_host(request);
        let routes = self.routes.load();
        let found = routes.find(&host, request.into()).cloned();
        found.map_err(|none| match none {
            NoRoute::NotFound => Error::new(Kind::NotFound, Origin::Client, "no route answers here"),
            NoRoute::WrongMethod(allowed) => {
                let text = "the method is not served here";
                Error::new(Kind::MethodNotAllowed, Origin::Client, text).allow_methods(&allowed)
            }
        })
    }

    /// A call with the route's rules around it.
    async fn call_by_rules(
        &self,
        route: Arc<Route>,
        connection: &Arc<Connection>,
        transaction: &H::Transaction,
        mut request: Request<Body>,
        after: &mut After,
    ) -> Result<Response<Body>, Error> {
        let Some(rules) = route.rules() else {
            return self.call(route, connection, transaction, request).await;
        };
        if let Some(answer) = rules.before(&route, connection, &mut request, after).await? {
            return Ok(answer);
        }
        if self.stack.is_none() {
            // With layers it comes after them: they find out who asks.
            after.tell(rules.late(connection, &request)?);
        }
        let Some(total) = rules.total() else {
            return self.call(route, connection, transaction, request).await;
        };
        let call = self.call(route, connection, transaction, request);
        tokio::time::timeout(total, call).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Timeout, Origin::Internal, "the answer was not there in time"))
        })
    }

    async fn call(
        &self,
        route: Arc<Route>,
        connection: &Arc<Connection>,
        transaction: &H::Transaction,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        if let Some(stack) = &self.stack {
            return stack.call(&self.hooks, route, connection, transaction, request).await;
        }
        if route.target().is_service() {
            insert_extensions(&self.hooks, &route, connection, transaction, &mut request);
        }
        route.target().call(&self.hooks, transaction, connection, &route, request).await
    }
}

/// Counts what the pipeline itself refused, by the rule that did.
fn count_refusal(error: &Error) {
    if error.origin() == Origin::Client || error.kind() == Kind::TooManyRequests {
        count_refused(error.refused_by());
    }
}

/// What layers and embedded services find in a request's extensions: the [`Connection`], the
/// [`MatchedRoute`], the [`PathParams`] if its path has any and, with an observer, the
/// [`Transaction`](crate::hooks::Transaction).
fn insert_extensions<H: Hooks>(
    hooks: &H,
    route: &Arc<Route>,
    connection: &Arc<Connection>,
    transaction: &H::Transaction,
    request: &mut Request<Body>,
) {
    // A rewrite has put them there already: the path is another by now.
    let is_known = request.extensions().get::<PathParams>().is_some();
    let parameters = if is_known { None } else { PathParams::of(route, request.uri().path()) };
    let extensions = request.extensions_mut();
    extensions.insert(connection.clone());
    if let Some(parameters) = parameters {
        extensions.insert(parameters);
    }
    extensions.insert(MatchedRoute(route.clone()));
    if let Some(handle) = hooks.handle(transaction) {
        extensions.insert(handle);
    }
}
