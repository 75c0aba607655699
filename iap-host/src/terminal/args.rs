//! The commands that ask a running host for what it knows, and their arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use crate::cli::{HostArgs, ImportArgs};
use crate::config::{Lang, Span};

#[derive(Debug, Args)]
pub(crate) struct TxArgs {
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// The trace of one transaction: its call tree with durations, own time, and what the end waited for.
    #[arg(conflicts_with_all = ["route", "service", "status", "failed", "slower", "faster", "user", "session", "slowest", "cursor"])]
    pub(crate) trace: Option<String>,
    /// How far back.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = time)]
    pub(crate) last: Duration,
    /// Of this route.
    #[arg(long)]
    pub(crate) route: Option<String>,
    /// Of this service.
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// With this HTTP status.
    #[arg(long)]
    pub(crate) status: Option<u16>,
    /// Failed ones.
    #[arg(long)]
    pub(crate) failed: bool,
    /// At least this long.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) slower: Option<Duration>,
    /// At most this long.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) faster: Option<Duration>,
    /// Of this user; this needs the role operator.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Of this session, by the first 16 digits of its key; this needs the role operator.
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// The slowest first; else the newest.
    #[arg(long)]
    pub(crate) slowest: bool,
    /// How many, at most 1000.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Go on where a page has ended, as it said.
    #[arg(long, value_name = "PLACE")]
    pub(crate) cursor: Option<String>,
    /// With a trace: log lines as well.
    #[arg(long, requires = "trace")]
    pub(crate) logs: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SessionsCommand>,
    #[command(flatten)]
    pub(crate) list: SessionListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List sessions; the same as no command.
    List(SessionListArgs),
    /// Show one: where it comes from, and the names and sizes of its attributes.
    Show {
        #[command(flatten)]
        host: HostArgs,
        /// Its key, as the list has it.
        key: String,
    },
    /// End sessions by their keys.
    End {
        #[command(flatten)]
        host: HostArgs,
        /// Their keys, as the list has them.
        #[arg(required = true)]
        keys: Vec<String>,
        /// Why: it is told with the event, and to those who look into the record.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take over all sessions of another system, into the Redis of the gateways. What was taken over before is left
    /// alone, so it can be run again at any time. Exit status 2 if some could not be taken over.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SessionListArgs {
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// Of this user.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Of users whose name begins so.
    #[arg(long, value_name = "BEGIN")]
    pub(crate) user_prefix: Option<String>,
    /// Created or logged in from this address or network.
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Created by this gateway.
    #[arg(long)]
    pub(crate) node: Option<String>,
    /// Created by this route.
    #[arg(long)]
    pub(crate) route: Option<String>,
    /// Whether somebody is logged in.
    #[arg(long, value_name = "true|false")]
    pub(crate) login: Option<bool>,
    /// Not used for at least this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) idle: Option<Duration>,
    /// What comes first.
    #[arg(long, value_enum)]
    pub(crate) sort: Option<SessionSort>,
    /// How many, at most 1000.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Go on where a page has ended, as it said.
    #[arg(long, value_name = "PLACE")]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SessionSort {
    Newest,
    Oldest,
    /// Those that were used last.
    Active,
    Largest,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct IncidentsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<IncidentsCommand>,
    #[command(flatten)]
    pub(crate) list: IncidentListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentsCommand {
    /// List incidents, the latest first; the same as no command.
    List(IncidentListArgs),
    /// Tell one: when, how bad, what it is due to, what to do.
    Show {
        #[command(flatten)]
        host: HostArgs,
        /// Its number.
        id: u64,
        /// The language of the story.
        #[arg(long, default_value = "en")]
        lang: Lang,
    },
    /// Let others know that somebody knows of it.
    Ack {
        #[command(flatten)]
        host: HostArgs,
        /// Its number.
        id: u64,
        /// Who knows; by default whoever runs this. Where there are accounts, it is whoever the token belongs to.
        #[arg(long)]
        who: Option<String>,
        /// What there is to say.
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IncidentListArgs {
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// How far they are.
    #[arg(long, value_enum)]
    pub(crate) state: Option<IncidentFilter>,
    /// How far back; else all that are kept.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) last: Option<Duration>,
    /// How many, at most 1000.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Go on where a page has ended, as it said.
    #[arg(long, value_name = "PLACE")]
    pub(crate) cursor: Option<u64>,
    /// The language of titles.
    #[arg(long, default_value = "en")]
    pub(crate) lang: Lang,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum IncidentFilter {
    /// Not over.
    Active,
    Open,
    Acknowledged,
    Resolved,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct InstancesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<InstancesCommand>,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InstancesCommand {
    /// List them; the same as no command. `*` is the one that answers.
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Put one into the file that has nothing but what is said here.
    Add {
        #[command(flatten)]
        change: ChangeArgs,
        /// Its name.
        name: String,
        /// A setting of its own: server.listen=0.0.0.0:8080. May be given several times.
        #[arg(long, value_name = "PATH=VALUE")]
        set: Vec<String>,
        /// Where its admin API is, on another machine.
        #[arg(long, value_name = "URL")]
        admin_url: Option<String>,
    },
    /// Put one into the file that is like another one, with an id, ports and directories of its own.
    Clone {
        #[command(flatten)]
        change: ChangeArgs,
        /// The other one.
        like: String,
        /// The name of the new one.
        name: String,
        /// A setting of its own, over what is chosen for it. May be given several times.
        #[arg(long, value_name = "PATH=VALUE")]
        set: Vec<String>,
        /// Where its admin API is, on another machine.
        #[arg(long, value_name = "URL")]
        admin_url: Option<String>,
    },
    /// Take one out of the file.
    Delete {
        #[command(flatten)]
        change: ChangeArgs,
        /// Its name.
        name: String,
        /// Remove the directories that it alone has as well. Refused while it answers.
        #[arg(long)]
        destroy: bool,
    },
    /// Have all of them read the file again.
    Reload {
        #[command(flatten)]
        host: HostArgs,
    },
}

/// A change of the configuration file.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// Why.
    #[arg(long, required_unless_present = "dry_run")]
    pub(crate) reason: Option<String>,
    /// Only print what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Lose what others have written into the file.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// The admin API of the host.
    #[arg(long, default_value = crate::cli::ADMIN)]
    pub(crate) url: String,
    /// Print one picture and end: for pipes, and for people who take notes. COLUMNS and LINES say how large.
    #[arg(long)]
    pub(crate) once: bool,
    /// What is shown first.
    #[arg(long, value_enum, default_value = "requests")]
    pub(crate) view: View,
}

/// What the lower part of `top` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// Requests that run.
    Requests,
    Routes,
    /// Servers of upstreams.
    Servers,
    /// Incidents that are not over.
    Incidents,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Where to write a page for each command; without it the page of iap-host itself is printed.
    pub(crate) directory: Option<PathBuf>,
}

/// A time as in the configuration; a bare number is seconds.
fn time(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let from: StrDeserializer<'_, Error> = text.into_deserializer();
    Span::deserialize(from)
        .map(|span| span.0)
        .map_err(|_| "write a time like 500ms, 30s, 15m, 12h or 7d".to_owned())
}
