//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::{Lang, Role, System};
use crate::terminal::args::{IncidentsArgs, InstancesArgs, ManArgs, SessionsArgs, Shell, TopArgs, TxArgs};

/// The iap host: gateway, session cluster, APM and console in one process.
#[derive(Debug, Parser)]
#[command(name = "iap-host", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What stands below the help of all.
pub(crate) const EXAMPLES: &str = "\
Examples:
  iap-host demo                        a shop, a load on it, and the console
  iap-host validate -c iap.yaml        check a configuration; touches nothing else
  iap-host run -c iap.yaml             run it
  iap-host user add kim --role operator
                                       somebody who may sign in to the console
  iap-host config apply iap.yaml --reason \"more servers\"
                                       let a running host take it up, tried out first
  iap-host top                         what happens now, live
  iap-host tx --failed --last 1h       transactions that failed in the last hour
  iap-host sessions import -c iap.yaml --from spring --source redis://10.0.0.5:6379
                                       take over the sessions of another system
  iap-host ask \"지금 문제의 원인을 알려줘\"
                                       ask a running host, in Korean or English
  iap-host report --kind executive --from 2026-11-01 -o november.html
                                       a report of a running host, for the browser or paper
  IAP_SERVER__LISTEN=0.0.0.0:80 iap-host run -c iap.yaml
                                       the same, with one setting from the environment

SIGTERM or Ctrl-C drains: running requests finish, then the process ends.
SIGHUP reads the configuration again; one that is not valid changes nothing.
SIGUSR2 starts the program anew on the same sockets; this process drains once that one is ready.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the platform as configured.
    Run {
        /// The configuration file.
        #[arg(short, long, default_value = "iap.yaml")]
        config: PathBuf,
        /// Which instance of the file; else IAP_INSTANCE says it.
        #[arg(long, value_name = "NAME")]
        instance: Option<String>,
    },
    /// Check a configuration file. Exit status 1 and a place for each error.
    Validate {
        /// The configuration file.
        #[arg(short, long, default_value = "iap.yaml")]
        config: PathBuf,
        /// One instance of the file; else each is checked.
        #[arg(long, value_name = "NAME")]
        instance: Option<String>,
    },
    /// What happens in a running host now, live: rates, latencies, running requests, routes, servers, incidents.
    Top(TopArgs),
    /// Transactions of a running host: listed, or one of them as a call tree. Exit status 1: there is no such transaction,
    /// or it was refused; 2: no answer.
    Tx(TxArgs),
    /// Sessions of a running host: found, looked at, ended; and taken over from another system. Exit status 1: there is no
    /// such session, or it was refused; 2: no answer.
    #[command(alias = "session")]
    Sessions(SessionsArgs),
    /// Incidents of a running host: listed, told, acknowledged. Exit status 1: there is no such incident, or it was refused;
    /// 2: no answer.
    Incidents(IncidentsArgs),
    /// The instances of a configuration file, asked of one of them: how they are, a new one, one that goes, all of them to read
    /// the file again. Exit status 1: it was refused, or an instance has refused; 2: no answer.
    #[command(alias = "instance")]
    Instances(InstancesArgs),
    /// Run a demo shop with a gentle load, all in memory.
    Demo(DemoArgs),
    /// Ask a running host, in Korean or English. Exit status 0: answered, nothing is wrong; 1: answered, there are
    /// problems; 2: no answer (not understood, no host there, or it cannot read its telemetry).
    Ask(AskArgs),
    /// Write a report of a running host. Exit status 2 when there is none.
    Report(ReportArgs),
    /// The configuration of a running host: what runs, what has run, another one, and the way back. Exit status 1: it was
    /// refused or taken back, 2: no answer.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// People who may sign in to the console.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Let an AI assistant that speaks the Model Context Protocol over standard input and output ask a running host.
    Mcp(McpArgs),
    /// Print the completion of a shell; docs/cli.md says where it belongs.
    Completion {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, or write one for each command into a directory.
    Man(ManArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// What runs; with --settings each setting, and where it comes from.
    Show {
        #[command(flatten)]
        host: HostArgs,
        #[arg(long)]
        settings: bool,
    },
    /// What has run, the latest first.
    Revisions {
        #[command(flatten)]
        host: HostArgs,
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// What differs between a revision and another one, or what runs.
    Diff {
        #[command(flatten)]
        host: HostArgs,
        from: u64,
        to: Option<u64>,
    },
    /// Check a file against a running host, without changing anything: errors, and what would change.
    Validate {
        #[command(flatten)]
        host: HostArgs,
        file: PathBuf,
    },
    /// Take a file up, and wait until it is stable or was taken back.
    Apply {
        #[command(flatten)]
        host: HostArgs,
        file: PathBuf,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The ETag of the configuration that was looked at; by default that of what runs now.
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
        /// Lose what others have written into the host's file.
        #[arg(long)]
        overwrite: bool,
    },
    /// Take up again what has run before.
    Rollback {
        #[command(flatten)]
        host: HostArgs,
        /// The revision.
        to: u64,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Lose what others have written into the host's file.
        #[arg(long)]
        overwrite: bool,
    },
}

/// Which host, and in which form it answers.
#[derive(Debug, clap::Args)]
pub(crate) struct HostArgs {
    /// The admin API of the host.
    #[arg(long, default_value = ADMIN)]
    pub(crate) url: String,
    /// The answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add somebody. The password is asked for, or read from standard input.
    Add {
        #[command(flatten)]
        file: UserFileArgs,
        name: String,
        /// What somebody may: viewer, developer, operator or admin; each may what those before it may.
        #[arg(long, value_enum)]
        role: Role,
    },
    /// Give somebody another role. A running host knows at the next request.
    Role {
        #[command(flatten)]
        file: UserFileArgs,
        name: String,
        #[arg(value_enum)]
        role: Role,
    },
    /// Give somebody another password. It is asked for, or read from standard input.
    Password {
        #[command(flatten)]
        file: UserFileArgs,
        name: String,
    },
    /// Take somebody out; also who is signed in is out at the next request.
    Remove {
        #[command(flatten)]
        file: UserFileArgs,
        name: String,
    },
    /// List names and roles.
    List {
        #[command(flatten)]
        file: UserFileArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct UserFileArgs {
    /// The configuration file, whose `admin.access.users` says where they are.
    #[arg(short, long, default_value = "iap.yaml")]
    pub(crate) config: PathBuf,
    /// The file of users itself.
    #[arg(short, long, conflicts_with = "config")]
    pub(crate) file: Option<PathBuf>,
}

/// The admin API of a running host.
pub(crate) const ADMIN: &str = "http://127.0.0.1:9900";

#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    /// The question.
    #[arg(required = true)]
    pub(crate) question: Vec<String>,
    /// The admin API of the host.
    #[arg(long, default_value = ADMIN)]
    pub(crate) url: String,
    /// The whole answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The language of the answer; by default that of the question.
    #[arg(long)]
    pub(crate) lang: Option<Lang>,
    /// A name for the conversation, so that the next question may go on from this one.
    #[arg(long, value_name = "NAME")]
    pub(crate) conversation: Option<String>,
    /// Tell the steps on standard error, also where that is no terminal.
    #[arg(long)]
    pub(crate) progress: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// What it is for.
    #[arg(long, value_enum, default_value = "executive")]
    pub(crate) kind: Kind,
    /// Where it begins: a date, or a time with an offset. Default: seven days before now.
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<String>,
    /// Where it ends. Default: now.
    #[arg(long, value_name = "DATE", requires = "from")]
    pub(crate) to: Option<String>,
    /// Its language.
    #[arg(long, default_value = "ko")]
    pub(crate) lang: Lang,
    /// Its form.
    #[arg(long, value_enum, default_value = "html")]
    pub(crate) format: Format,
    /// The file; standard output if not given.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The admin API of the host.
    #[arg(long, default_value = ADMIN)]
    pub(crate) url: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct McpArgs {
    /// The admin API of the host.
    #[arg(long, default_value = ADMIN)]
    pub(crate) url: String,
    /// A file with the token `ops.mcp.token`; without it the environment variable IAP_MCP_TOKEN has it.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    Executive,
    Incident,
    Capacity,
    Inspection,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    Md,
    Html,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The configuration file of the gateways.
    #[arg(short, long, default_value = "iap.yaml")]
    pub(crate) config: PathBuf,
    /// What has written the old sessions. Default: what sessions.adopt says.
    #[arg(long)]
    pub(crate) from: Option<System>,
    /// Their Redis, such as redis://host:6379, or the directory of a Tomcat FileStore.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// What their keys begin with.
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// A file with the secret that cookies of Express are signed with; may be given several times.
    #[arg(long)]
    pub(crate) secret_file: Vec<PathBuf>,
    /// The attribute with the user's name, with dots into it.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The user for their Redis.
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// A file with the password for their Redis.
    #[arg(long)]
    pub(crate) password_file: Option<PathBuf>,
    /// Only count what would happen.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Go on where a run has failed, as it said.
    #[arg(long, value_name = "PLACE")]
    pub(crate) resume: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Port of the shop (0: any free one).
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Port of the console and admin API.
    #[arg(long, default_value_t = 9900)]
    pub(crate) admin_port: u16,
    /// Port of the session API.
    #[arg(long, default_value_t = 9901)]
    pub(crate) session_port: u16,
    /// Port of the OTLP receiver.
    #[arg(long, default_value_t = 4318)]
    pub(crate) otlp_port: u16,
    /// Let `PUT` and `DELETE` of /faults/NAME at the shop switch a fault on and off: slow-sql, pool, upstream, store, deploy,
    /// login-storm, and with a JDK gc and memory.
    #[arg(long)]
    pub(crate) faults: bool,
    /// Keep sessions in this Redis instead of in memory.
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// Run without load.
    #[arg(long)]
    pub(crate) no_load: bool,
}

/// An address on this machine only.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
