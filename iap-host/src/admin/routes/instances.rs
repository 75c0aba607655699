//! The instances of the configuration file.

use super::{Right, Table, delete, get, object, of, post};
use crate::admin::instances::{self, EndOutcome, Listed, NewOutcome};
use crate::instances::{Acknowledged, Own};

const SEEN: &str = "The ETag of GET /api/config that was looked at, or `*`. Needed unless it is a dry run.";
const NOT_NOW: &str =
    "There are no instances, or the name is taken, or the file holds what is not known here.";
const OTHER: &str = "Something else runs by now.";
const INVALID: &str = "The file would not be valid, or cannot be taken up; `errors` says where.";

/// [`Right::View`]
pub(super) fn views() -> Table {
    Table::of(Right::View)
        .add(get("/api/instance", "What this process is").answers(of::<Own>), instances::own)
        .add(
            get(
                "/api/instances",
                "The instances of the file, how each is, and the profiles that they are made of",
            )
            .about(
                "Each is asked over its admin API; what does not answer within two seconds is unreachable.",
            )
            .answers(of::<Listed>),
            instances::list,
        )
}

/// [`Right::Administer`]
pub(super) fn changes() -> Table {
    Table::of(Right::Administer)
        .add(
            post("/api/instances", "Puts an instance into the file")
                .about("With `dry_run` it answers what would happen.")
                .field("If-Match", SEEN)
                .body(of::<instances::New>)
                .answers(of::<NewOutcome>)
                .fails(409, NOT_NOW)
                .fails(412, OTHER)
                .fails(422, INVALID)
                .fails(428, "`If-Match` is missing."),
            instances::register,
        )
        .add(
            post("/api/instances/{name}/clone", "Puts an instance into the file that is like another one")
                .about(
                    "It has an id, ports and directories of its own, which a dry run tells, and nothing of the sessions, secrets or \
                     certificates of the other one.",
                )
                .place::<String>("name", "The other one.")
                .field("If-Match", SEEN)
                .body(of::<instances::New>)
                .answers(of::<NewOutcome>)
                .fails(404, "There is no such instance.")
                .fails(409, NOT_NOW)
                .fails(412, OTHER)
                .fails(422, INVALID)
                .fails(428, "`If-Match` is missing."),
            instances::clone,
        )
        .add(
            delete("/api/instances/{name}", "Takes an instance out of the file, or destroys it")
                .about("To destroy it also removes the directories that it alone has, below that of the file.")
                .place::<String>("name", "Which.")
                .field("If-Match", SEEN)
                .body(of::<instances::End>)
                .answers(of::<EndOutcome>)
                .fails(404, "There is no such instance.")
                .fails(409, "It is the one that answers, or is to be destroyed and answers; or the file holds what is not known here.")
                .fails(412, OTHER)
                .fails(422, INVALID)
                .fails(428, "`If-Match` is missing."),
            instances::remove,
        )
        .add(
            post("/api/instances/reload", "Has all instances read the file again")
                .about("One that refuses keeps what it had, and says why.")
                .answers(object! { "instances": Vec<Acknowledged> })
                .fails(409, "There are no instances, or something is being tried out here."),
            instances::reload,
        )
}
