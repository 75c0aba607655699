//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The iap host: gateway, session cluster, APM and console in one process.
#[derive(Debug, Parser)]
#[command(name = "iap-host", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  iap-host demo                        a shop, a load on it, and the console
  iap-host validate -c iap.yaml        check a configuration; touches nothing else
  iap-host run -c iap.yaml             run it
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
    },
    /// Check a configuration file. Exit status 1 and a place for each error.
    Validate {
        /// The configuration file.
        #[arg(short, long, default_value = "iap.yaml")]
        config: PathBuf,
    },
    /// Run a demo shop with a gentle load, all in memory.
    Demo(DemoArgs),
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
    /// Run without load.
    #[arg(long)]
    pub(crate) no_load: bool,
}

/// An address on this machine only.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
