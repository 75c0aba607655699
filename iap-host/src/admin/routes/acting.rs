//! [`Right::Operate`] and [`Right::Administer`]: what changes something.

use iap_apm::Followed;
use iap_ops::actions::{Proposal, Request};
use iap_ops::alerts::Silence;

use super::{Right, Table, delete, get, list_of, object, of, post, put};
use crate::access::audit::Record;
use crate::admin::{
    access, actions, alerts, config, followed, incidents, processes, reload, runtime, sessions, upstreams,
};
use crate::revisions::{Revision, Shown};

/// Acting on what runs.
pub(super) fn operations() -> Table {
    const NO_PROCESS: &str = "There is no process of that name.";
    Table::of(Right::Operate)
        .add(
            post("/api/jvms/{pid}/threads", "What the threads of a JVM are doing; it stands still for a moment")
                .place::<u32>("pid", "Its process.")
                .answers(object! { "pid": u32, "text": String, "truncated": bool })
                .fails(404, "There is no JVM of that number.")
                .fails(503, "Another question runs, or it cannot be asked.")
                .fails(504, "It has not answered."),
            runtime::threads,
        )
        .add(
            post("/api/jvms/{pid}/histogram", "How many objects of each class a JVM has; it stands still for a moment")
                .place::<u32>("pid", "Its process.")
                .answers(object! { "pid": u32, "text": String, "truncated": bool })
                .fails(404, "There is no JVM of that number.")
                .fails(503, "Another question runs, or it cannot be asked.")
                .fails(504, "It has not answered."),
            runtime::histogram,
        )
        .add(
            post("/api/sessions/revoke", "Ends the sessions that are meant, or counts them")
                .about("One call goes on for about five seconds: while `next` is not null, send the same again with it as `cursor`.")
                .body(of::<sessions::RevokeBody>)
                .answers(of::<sessions::Ended>)
                .fails(404, "Sessions are switched off."),
            sessions::revoke,
        )
        .add(
            delete("/api/sessions/{key}", "Ends a session")
                .place::<String>("key", "Its key, 64 hexadecimal digits.")
                .query(of::<sessions::EndQuery>)
                .says_nothing()
                .fails(404, "There is no such session."),
            sessions::end,
        )
        .add(
            post("/api/processes/{name}/restart", "Replaces the instances of a process one after the other")
                .about("It answers when that is done. No request is lost.")
                .place::<String>("name", "The process.")
                .answers(of::<processes::Shown>)
                .fails(404, NO_PROCESS)
                .fails(409, "It is being restarted or stopped.")
                .fails(503, "A new instance did not get ready; the one before stays."),
            processes::restart,
        )
}

/// Which servers get requests, and whose requests are kept.
pub(super) fn traffic() -> Table {
    const NO_SERVER: &str = "There is no such upstream, or it has no such server.";
    Table::of(Right::Operate)
        .add(
            post(
                "/api/upstreams/{name}/servers/{server}/drain",
                "Sends a server no new requests; those that run are finished",
            )
            .place::<String>("name", "The upstream.")
            .place::<String>("server", "Its server, by address or name.")
            .query(of::<upstreams::DrainQuery>)
            .says_nothing()
            .fails(404, NO_SERVER),
            upstreams::drain,
        )
        .add(
            delete("/api/upstreams/{name}/servers/{server}/drain", "Sends a server requests again")
                .place::<String>("name", "The upstream.")
                .place::<String>("server", "Its server, by address or name.")
                .says_nothing()
                .fails(404, NO_SERVER),
            upstreams::undrain,
        )
        .add(
            put(
                "/api/upstreams/{name}/servers/{server}/weight",
                "Gives a server another weight, until its settings give it another one",
            )
            .place::<String>("name", "The upstream.")
            .place::<String>("server", "Its server, by address or name.")
            .body(of::<upstreams::Weight>)
            .says_nothing()
            .fails(404, NO_SERVER),
            upstreams::weigh,
        )
        .add(
            delete(
                "/api/upstreams/{name}/servers/{server}/weight",
                "Gives a server the weight of its settings again",
            )
            .place::<String>("name", "The upstream.")
            .place::<String>("server", "Its server, by address or name.")
            .says_nothing()
            .fails(404, NO_SERVER),
            upstreams::unweigh,
        )
        .add(
            post("/api/followed", "Keeps all transactions of somebody or something for a while")
                .body(followed::WHAT)
                .answers(list_of!("followed", Followed))
                .fails(404, "The APM is switched off.")
                .fails(409, "32 are followed already."),
            followed::follow,
        )
        .add(
            delete("/api/followed", "Follows somebody or something no longer")
                .query(followed::WHOM)
                .says_nothing()
                .fails(404, "It is not followed."),
            followed::unfollow,
        )
}

/// Saying that one knows, and deciding.
pub(super) fn alerts() -> Table {
    const DECIDED: &str = "It was decided already.";
    Table::of(Right::Operate)
        .add(
            post("/api/alerts/silences", "Nobody is told of some alerts for a while")
                .body(of::<alerts::Quiet>)
                .answers_with(201, "It is so from now on.", of::<Silence>)
                .fails(404, "Alerts need the APM."),
            alerts::silence,
        )
        .add(
            delete("/api/alerts/silences/{id}", "Ends a silence")
                .place::<String>("id", "Which.")
                .says_nothing()
                .fails(404, "There is no such silence."),
            alerts::unsilence,
        )
        .add(
            post("/api/alerts/channels/{name}/test", "Sends one message, to see whether a channel works")
                .place::<String>("name", "The channel.")
                .answers(of::<alerts::Tried>)
                .fails(404, "There is no such channel."),
            alerts::test,
        )
        .add(
            post("/api/incidents/{id}/ack", "Somebody knows of an incident")
                .place::<u64>("id", "Its number.")
                .body(of::<incidents::AckBody>)
                .answers(of::<incidents::Told>)
                .fails(404, "There is no such incident.")
                .fails(409, "It is resolved."),
            incidents::acknowledge,
        )
        .add(
            post("/api/changes", "Tells of a deployment or another change that was made elsewhere")
                .body(of::<incidents::ChangeBody>)
                .answers(object! { "at_ms": u64, "what": String }),
            incidents::changed,
        )
        .add(
            post(
                "/api/actions",
                "Proposes an action: looks at what it would do, and keeps it until somebody decides",
            )
            .body(of::<Request>)
            .answers_with(201, "It waits for somebody.", of::<Proposal>)
            .fails(404, "The APM is switched off.")
            .fails(429, "Too many wait already."),
            actions::propose,
        )
        .add(
            post("/api/actions/{id}/approve", "Says yes to a proposal: it is done")
                .place::<u64>("id", "Its number.")
                .body(of::<actions::Reason>)
                .answers(of::<Proposal>)
                .fails(404, "There is no such proposal.")
                .fails(409, DECIDED),
            actions::approve,
        )
        .add(
            post("/api/actions/{id}/reject", "Says no to a proposal")
                .place::<u64>("id", "Its number.")
                .body(of::<actions::Reason>)
                .answers(of::<Proposal>)
                .fails(404, "There is no such proposal.")
                .fails(409, DECIDED),
            actions::reject,
        )
}

/// [`Right::Administer`]
pub(super) fn administration() -> Table {
    Table::of(Right::Administer)
        .add(
            post("/api/config", "Takes another configuration up, tried out first")
                .about("With `dry_run` it answers what would happen, as `/api/config/validate` does.")
                .field(
                    "If-Match",
                    "The ETag of GET /api/config that was looked at, or `*`. Needed unless it is a dry run.",
                )
                .body(of::<config::Wanted>)
                .answers_with(200, "It is stable, runs already, or would be valid.", of::<config::Outcome>)
                .answers_with(
                    202,
                    "It runs, and is tried out.",
                    object! {
                        "revision": Revision, "etag": String, "trial": Option<Shown>
                    },
                )
                .with_etag()
                .fails(409, "Another one is being tried out, or the file holds what is not known here.")
                .fails(412, "Something else runs by now.")
                .fails(422, "It is not valid, or cannot be taken up; `errors` says where.")
                .fails(428, "`If-Match` is missing."),
            config::apply,
        )
        .add(
            post("/api/config/rollback", "Takes up again what has run before")
                .field("If-Match", "The ETag that was looked at, if that matters.")
                .body(of::<config::Back>)
                .answers(object! { "revision": Revision, "etag": String, "trial": Option<Shown> })
                .with_etag()
                .fails(404, "There is no such revision (any more).")
                .fails(409, "It has never been stable, or another one is being tried out.")
                .fails(412, "Something else runs by now.")
                .fails(422, "It cannot be taken up."),
            config::rollback,
        )
        .add(
            post("/api/config/reload", "Reads the file again")
                .answers(object! { "changed": Vec<String>, "config": reload::ReloadState })
                .fails(422, "It is refused; `detail` has the place of the error. Nothing has changed.")
                .fails(503, "Others are waiting for the same."),
            reload::reload,
        )
        .add(
            get("/api/audit", "Who has done what, the latest first")
                .query(of::<access::AuditQuery>)
                .answers(object! { "records": Vec<Record>, "next_before_ms": Option<u64> })
                .fails(404, "There are no accounts."),
            access::audit,
        )
}
