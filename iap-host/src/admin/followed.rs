//! Whose transactions are all kept.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::State;
use axum::response::Json;
use http::StatusCode;
use iap_apm::{Follow, MAX_FOLLOWED};
use iap_core::{Error, Kind, Origin};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::openapi::{Shape, joined, parameters};
use super::params::{Body, Named, Time};
use super::telemetry::apm;

/// How long when nothing is said, and at most.
const USUAL: Duration = Duration::from_secs(3_600);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Of a name.
const MAX_BYTES: usize = 256;

/// Who or what: one of them.
pub(super) const WHOM: Shape = parameters! {
    "user": String, "An authenticated user.";
    "session": String, "A session, by the first 16 digits of its key.";
    "client": String, "A client's address.";
    "route": String, "A route.";
};
/// What [`follow`] takes.
pub(super) const WHAT: Shape = |generator| {
    let lasting: Shape =
        parameters! { "for_s": Time, "How long: seconds, or `30m`; an hour, at most a week."; };
    joined(WHOM(generator), lasting(generator))
};

pub(super) async fn list(State(state): State<AdminState>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({ "followed": apm(&state)?.followed() })))
}

pub(super) async fn follow(
    State(state): State<AdminState>,
    Body(mut given): Body<Named>,
) -> ApiResult<Json<Value>> {
    let lasting = given.take::<Time>("for_s")?.map_or(USUAL, |Time(time)| time);
    let what = what(given)?;
    if lasting.is_zero() || lasting > LONGEST {
        return Err(ApiError::bad_request("for_s: longer than nothing and at most a week"));
    }
    if !apm(&state)?.follow(what, Some(lasting)) {
        let text = format!("{MAX_FOLLOWED} are followed: end one of them first");
        return Err(Error::new(Kind::Conflict, Origin::Client, text).into());
    }
    list(State(state)).await
}

pub(super) async fn unfollow(State(state): State<AdminState>, given: Named) -> ApiResult<StatusCode> {
    match apm(&state)?.unfollow(&what(given)?) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("it is not followed")),
    }
}

/// The one that is named.
fn what(mut given: Named) -> ApiResult<Follow> {
    let user = given.take::<String>("user")?.map(Follow::User);
    let session = given.take::<String>("session")?.map(Follow::Session);
    let client = given.take::<IpAddr>("client")?.map(Follow::Client);
    let route = given.take::<String>("route")?.map(Follow::Route);
    given.finish()?;
    let mut named: Vec<Follow> = [user, session, client, route].into_iter().flatten().collect();
    let (Some(what), true) = (named.pop(), named.is_empty()) else {
        return Err(ApiError::bad_request("name one of user, session, client and route"));
    };
    match &what {
        Follow::User(name) | Follow::Session(name) | Follow::Route(name) if name.len() > MAX_BYTES => {
            Err(ApiError::bad_request(format!("a name has at most {MAX_BYTES} bytes")))
        }
        _ => Ok(what),
    }
}
