//! How a session's id travels: in a cookie, or in a header of its own.

pub(crate) mod cookie;
pub(crate) mod token;

use http::HeaderName;
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use iap_core::Connection;

use crate::id::SessionId;
use crate::policy::{Carrier, SessionConfig};

use cookie::CookieSpec;
use token::{Presented, Tokens};

/// What the response has to say about the id.
pub(crate) enum Change {
    Keep,
    Set(SessionId),
    Remove,
}

/// How one request and its response carry the id.
#[derive(Clone, Copy)]
pub(crate) struct Channel<'a> {
    tokens: Tokens<'a>,
    way: Way<'a>,
}

#[derive(Clone, Copy)]
enum Way<'a> {
    Cookie(CookieSpec<'a>),
    Header(&'a HeaderName),
}

impl SessionConfig {
    pub(crate) fn channel(&self, carrier: Carrier, connection: Option<&Connection>) -> Channel<'_> {
        let way = match carrier {
            Carrier::Cookie => Way::Cookie(self.cookie.spec(connection)),
            Carrier::Header => Way::Header(&self.header),
        };
        let tokens = Tokens { keys: self.token_keys.as_ref(), node: self.jvm_route.as_deref() };
        Channel { tokens, way }
    }

    /// Takes our ids out of a request that goes on to an application.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        self.cookie.strip(headers);
        headers.remove(&self.header);
    }
}

impl Channel<'_> {
    /// The ids that the client has sent and that have the right form, in their order, each once.
    pub(crate) fn presented(&self, headers: &HeaderMap) -> Vec<Presented> {
        match self.way {
            Way::Cookie(cookie) => cookie.presented(headers, self.tokens),
            Way::Header(name) => {
                let value = headers.get(name).and_then(|value| value.to_str().ok());
                value.and_then(|value| self.tokens.decode(value.trim())).into_iter().collect()
            }
        }
    }

    /// Tells the client what becomes of its id.
    pub(crate) fn answer(&self, change: &Change, headers: &mut HeaderMap) {
        match (change, self.way) {
            (Change::Keep, _) => {}
            (Change::Set(id), Way::Cookie(cookie)) => {
                headers.append(SET_COOKIE, cookie.set(&self.tokens.encode(id)));
            }
            (Change::Remove, Way::Cookie(cookie)) => {
                headers.append(SET_COOKIE, cookie.remove());
            }
            (Change::Set(id), Way::Header(name)) => {
                let mut value =
                    HeaderValue::try_from(self.tokens.encode(id)).expect("tokens are visible ASCII");
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            (Change::Remove, Way::Header(name)) => {
                headers.insert(name, HeaderValue::from_static(""));
            }
        }
    }
}
