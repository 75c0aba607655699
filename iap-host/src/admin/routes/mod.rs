//! Which path leads where, what one needs for it, and what it takes and answers.
//!
//! Each table is both: the routes themselves and their description ([`openapi`](super::openapi)).

mod acting;
mod details;
mod instances;
mod views;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use serde_json::{Map, Value};

use super::openapi::{Table, delete, get, list_of, object, of, parameters, post, put};
use super::{AdminState, access, console, guard, health, mcp, oidc, sessions, tags};
use crate::access::{CALLBACK, Offered, Right};

/// All of the admin side. What a request meets, in order: [`guard`] (other web pages stay out), [`tags`] (what somebody has
/// already is not sent again), [`access`] (who asks; what they may not know is taken out of answers), then the right that
/// each part of the API asks for, then its handler.
pub(crate) fn router(state: AdminState) -> Router {
    let mut routes = Router::new();
    for table in guarded() {
        let right = table.right();
        let router = table.into_router();
        let needs = right.map(|right| from_fn_with_state((state.clone(), right), access::needs));
        routes = routes.merge(match needs {
            Some(needs) => router.route_layer(needs),
            None => router,
        });
    }
    routes
        .merge(oidc::pages())
        .fallback(console::serve)
        .layer(from_fn_with_state(state.clone(), access::identify))
        .layer(from_fn(tags::tag))
        .layer(from_fn_with_state(state.clone(), guard::guard))
        .merge(beside().into_router())
        .with_state(state)
}

/// All that is described.
pub(super) fn tables() -> Vec<Table> {
    let mut tables = guarded();
    tables.push(beside());
    tables
}

/// What lies behind the [`guard`].
fn guarded() -> Vec<Table> {
    vec![
        open(),
        views::requests(),
        views::platform(),
        views::findings(),
        views::configuration(),
        instances::views(),
        details::requests(),
        details::below(),
        details::assistant(),
        people(),
        acting::operations(),
        acting::traffic(),
        acting::alerts(),
        acting::administration(),
        instances::changes(),
    ]
}

/// For everybody: whether it lives, who one is, and how to sign in.
fn open() -> Table {
    Table::open()
        .add(get("/livez", "Whether the process turns").in_forms(&["text/plain"]), health::livez)
        .add(
            get("/readyz", "Whether it wants traffic")
                .answers(object! { "ready": bool, "draining": bool, "session_store": String })
                .answers_with(
                    503,
                    "It wants none.",
                    object! { "ready": bool, "draining": bool, "session_store": String },
                ),
            health::readyz,
        )
        .add(
            get("/api/access", "Who one is, and how one may sign in").answers(object! {
                "enabled": bool, "caller": Option<access::Told>, "passwords": bool, "oidc": Option<Offered>
            }),
            access::who,
        )
        .add(
            post("/api/access/sign-in", "Signs in")
                .about("The answer sets the cookie.")
                .body(of::<access::Login>)
                .answers(object! { "caller": access::Told })
                .fails(401, "The name or the password is wrong.")
                .fails(404, "There are no accounts.")
                .fails(429, "There were too many wrong passwords: see `Retry-After`."),
            access::sign_in,
        )
        .add(
            post("/api/access/sign-out", "Signs out").says_nothing().fails(404, "There are no accounts."),
            access::sign_out,
        )
        .add(
            post(
                "/api/access/oidc",
                "Tells a page of the console where to lead its browser for a sign-in at the provider",
            )
            .about("The answer sets a cookie that the way back is bound to.")
            .body(of::<oidc::Wanted>)
            .answers(object! { "location": String })
            .fails(404, "There is no provider.")
            .fails(429, "There were too many failures: see `Retry-After`.")
            .fails(503, "The provider cannot be used now."),
            oidc::begin,
        )
        .add(
            get(CALLBACK, "Where the provider leads browsers back to")
                .query(parameters! {
                    "code": String, "What is exchanged for who it is.";
                    "state": String, "Which sign-in it is.";
                    "iss": String, "Who leads back (RFC 9207).";
                    "error": String, "Why nobody was signed in there.";
                })
                .leads_on()
                .fails(404, "There is no provider."),
            oidc::finish,
        )
}

/// [`Right::Person`]
fn people() -> Table {
    Table::of(Right::Person)
        .add(
            get("/api/sessions", "Sessions that are alive")
                .about("All parameters have to be true of a session; an empty one counts as absent.")
                .query(sessions::SEARCH)
                .answers(of::<iap_session::SearchPage>)
                .fails(404, "Sessions are switched off."),
            sessions::list,
        )
        .add(
            get("/api/sessions/events", "What has happened to sessions, oldest first")
                .about("With `Accept: text/event-stream` what happens from now on, or after `Last-Event-ID` or `since`.")
                .query(parameters! {
                    "since": String, "Events after this one.";
                    "limit": usize, "How many: 100.";
                })
                .answers(of::<iap_session::events::EventPage>)
                .in_forms(&["text/event-stream"])
                .fails(404, "Nothing is told: sessions are off, or sessions.events.enabled is.")
                .fails(503, "32 listen already."),
            super::events::events,
        )
        .add(
            get("/api/sessions/{key}", "One session: names and sizes of its attributes, no values")
                .place::<String>("key", "Its key, 64 hexadecimal digits; never the value of a cookie.")
                .answers(of::<iap_session::Detail>)
                .fails(404, "There is no such session."),
            sessions::one,
        )
}

/// Beside the guard of the console, with rules of its own.
fn beside() -> Table {
    Table::open().add_any(
        post("/mcp", "The Model Context Protocol, for AI assistants (streamable HTTP)")
            .about("A token is needed: that of ops.mcp.token, or one of admin.access.tokens. docs/mcp.md has what there is.")
            .body(of::<Map<String, Value>>)
            .answers(of::<Map<String, Value>>)
            .in_forms(&["text/event-stream"])
            .fails(401, "The token is missing or wrong.")
            .fails(404, "It is off."),
        mcp::serve,
    )
}
