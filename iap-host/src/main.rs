//! The iap host: the thin binary around the library crates. This file only wires.

mod access;
mod actions;
mod admin;
mod alerts;
mod allocator;
mod ask;
mod boot;
mod cli;
mod client;
mod config;
mod demo;
mod detection;
mod events;
mod handover;
mod import;
mod instances;
mod kept;
mod logging;
mod mcp;
mod reports;
mod revisions;
mod run;
mod running;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

#[allow(clippy::print_stderr)] // Errors of the command line.
fn main() -> ExitCode {
    // This very program stands guard over the processes that it starts.
    iap_core::process::guard();
    let result = match cli::Cli::parse().command {
        cli::Command::Run { config, instance } => run::run(&config, instance.as_deref()),
        cli::Command::Validate { config, instance } => run::validate(&config, instance.as_deref()),
        cli::Command::Demo(args) => run::demo(&args),
        cli::Command::Top(args) => terminal::top(&args),
        cli::Command::Tx(args) => terminal::tx(&args),
        cli::Command::Sessions(args) => terminal::sessions(&args),
        cli::Command::Instances(args) => terminal::instances(&args),
        cli::Command::Incidents(args) => terminal::incidents(&args),
        cli::Command::Ask(args) => ask::ask(&args),
        cli::Command::Report(args) => ask::report(&args),
        cli::Command::Config { command } => revisions::command(&command),
        cli::Command::User { command } => access::command(&command),
        cli::Command::Mcp(args) => mcp::relay(&args),
        cli::Command::Completion { shell } => terminal::completion(shell),
        cli::Command::Man(args) => terminal::man(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("iap-host: {error}");
        ExitCode::FAILURE
    })
}
