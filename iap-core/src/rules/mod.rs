//! What a route does with its requests besides leading them to its target. All of it is off until it is
//! set, and a route without rules pays one branch.
//!
//! In the order in which it happens:
//!
//! | when | rule | refuses with |
//! |---|---|---|
//! | before | [`Access`]: addresses that may come | 403 `address` |
//! | | [`Redirect`]: the answer is another place | |
//! | | [`Cors`]: preflight requests are answered here | 403 `cors` |
//! | | [`RateLimit`] by client or header field | 429 `rate` |
//! | | [`Auth`]: passwords and tokens | 401 `auth` |
//! | | [`Limits`]: size of the body, requests at once | 413, 503 `in_flight` |
//! | | [`Rewrite`] of the path, [`Edits`] of the request's fields | |
//! | | layers run, such as sessions | |
//! | | [`RateLimit`] by session or user | 429 `rate` |
//! | around | [`Limits::total`]: the time to the response head; [`Limits::response`]: that of one server | 504 |
//! | after | fields of [`Cors`] and [`RateLimit`], [`Edits`] of the response's fields, [`Compression`] | |
//!
//! What comes after holds for errors as well, so that a browser can read them.

mod access;
mod auth;
mod compression;
mod cors;
mod edits;
mod limits;
mod rate;
mod redirect;
mod standing;
mod template;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};

use crate::body::Body;
use crate::connection::Connection;
use crate::error::Error;
use crate::route::Route;

pub use access::Access;
pub use auth::{Auth, AuthError, Basic, Bearer, Jwt, JwtError, JwtKeys};
pub use compression::Compression;
pub use cors::{Cors, CorsError};
pub use edits::{EditError, Edits};
pub use limits::Limits;
pub use rate::{RateKey, RateLimit};
pub use redirect::{Redirect, Rewrite};
pub(crate) use standing::Standing;
pub use template::{Template, TemplateError};

/// Who a request is from, in its extensions once that is known: a session layer and [`Auth`] put it there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user's name.
    pub user: Option<Arc<str>>,
    /// What stands for the session; never the value of its cookie.
    pub session: Option<Arc<str>>,
}

/// The rules of a route. See the [module page](self) for their order.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rules {
    /// Addresses that may come.
    pub access: Option<Access>,
    /// Answers with another place.
    pub redirect: Option<Redirect>,
    /// Which other sites may ask.
    pub cors: Option<Cors>,
    /// How often one may ask.
    pub rates: Vec<RateLimit>,
    /// Who may ask.
    pub auth: Option<Auth>,
    /// How much may be asked at once.
    pub limits: Limits,
    /// Another path for the target.
    pub rewrite: Option<Rewrite>,
    /// Changes of the request's fields.
    pub request: Option<Edits>,
    /// Changes of the response's fields.
    pub response: Option<Edits>,
    /// Smaller bodies.
    pub compression: Option<Compression>,
}

/// What is left to do when the response is there.
#[derive(Debug, Default)]
pub(crate) struct After {
    cors: Option<cors::Granted>,
    compression: Option<compression::Wish>,
    in_flight: Option<limits::InFlight>,
    standing: Option<Standing>,
}

impl After {
    /// Notes what is left of a limit, for the response to tell.
    pub(crate) fn tell(&mut self, standing: Option<Standing>) {
        if let Some(standing) = standing {
            self.standing = Some(standing.tighter(self.standing.take()));
        }
    }
}

impl Rules {
    /// Whether nothing is set, so that a route needs no rules.
    pub fn is_empty(&self) -> bool {
        // Named one by one, so that a new rule cannot be forgotten here.
        let Self { access, redirect, cors, rates, auth, limits, rewrite, request, response, compression } =
            self;
        access.is_none()
            && redirect.is_none()
            && cors.is_none()
            && rates.is_empty()
            && auth.is_none()
            && limits.is_empty()
            && rewrite.is_none()
            && request.is_none()
            && response.is_none()
            && compression.is_none()
    }

    /// Counts on where the rules before counted, as far as they are the same.
    pub(crate) fn go_on(&mut self, before: &Self) {
        RateLimit::go_on(&mut self.rates, &before.rates);
        self.limits.go_on(&before.limits);
    }

    /// What comes before the layers and the target: `Some` is the answer already. `after` is filled as
    /// far as it got, also where the request is refused.
    pub(crate) async fn before(
        &self,
        route: &Route,
        connection: &Connection,
        request: &mut Request<Body>,
        after: &mut After,
    ) -> Result<Option<Response<Body>>, Error> {
        if let Some(access) = &self.access {
            access.check(connection)?;
        }
        if let Some(redirect) = &self.redirect {
            return redirect.answer(route, request).map(Some);
        }
        after.compression = self.compression.as_ref().and_then(|_| compression::Wish::of(request));
        if let Some(cors) = &self.cors {
            after.cors = cors.grant(request);
            if let Some(answer) = cors.preflight(request)? {
                return Ok(Some(answer));
            }
        }
        for rate in &self.rates {
            after.tell(rate.check_early(connection, request)?);
        }
        if let Some(auth) = &self.auth {
            auth.check(request).await?;
        }
        after.in_flight = self.limits.enter(request)?;
        if let Some(rewrite) = &self.rewrite {
            rewrite.apply(route, request)?;
        }
        if let Some(edits) = &self.request {
            edits.apply(request.headers_mut());
        }
        Ok(None)
    }

    /// What waits for the layers: they know who asks. What is left to them is for the response to tell.
    pub(crate) fn late(
        &self,
        connection: &Connection,
        request: &Request<Body>,
    ) -> Result<Option<Standing>, Error> {
        let mut least: Option<Standing> = None;
        for rate in &self.rates {
            if let Some(standing) = rate.check_late(connection, request)? {
                least = Some(standing.tighter(least));
            }
        }
        Ok(least)
    }

    /// Whether a rule waits for what layers find out.
    pub(crate) fn ask_identity(&self) -> bool {
        self.rates.iter().any(RateLimit::is_late)
    }

    /// How long a request may take to its response head.
    pub(crate) fn total(&self) -> Option<Duration> {
        self.limits.total
    }

    /// How long a server may let a request wait for its response head.
    pub(crate) fn response(&self) -> Option<Duration> {
        self.limits.response
    }

    /// What comes after, for errors as well.
    pub(crate) async fn after(
        &self,
        after: After,
        is_head: bool,
        mut response: Response<Body>,
    ) -> Response<Body> {
        if let Some(cors) = &self.cors {
            cors.mark(after.cors, response.headers_mut());
        }
        if let Some(standing) = after.standing {
            standing.mark(response.headers_mut());
        }
        if let Some(edits) = &self.response {
            edits.apply(response.headers_mut());
        }
        if let (Some(compression), Some(wish)) = (&self.compression, after.compression)
            && !is_head
        {
            response = compression.apply(wish, response).await;
        }
        match after.in_flight {
            Some(place) => response.map(|body| place.held_by(body)),
            None => response,
        }
    }
}
