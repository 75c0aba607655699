//! `sessions import`: takes over all sessions of another system.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use iap_core::BoxError;
use iap_session::migrate::Report;
use tokio::runtime::Runtime;

use crate::boot;
use crate::cli::ImportArgs;
use crate::config::{AdoptConfig, Config, Environment, SecretRef};

/// The exit status when some sessions could not be taken over.
const INCOMPLETE: u8 = 2;
/// How often a log is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs to the end, or to the first failure.
#[allow(clippy::print_stdout, clippy::print_stderr)] // The answer of the command, and how far it is.
pub(crate) fn import(
    config: &Config,
    args: &ImportArgs,
    environment: &Environment,
) -> Result<ExitCode, BoxError> {
    let from = origin(config, args)?;
    from.check().map_err(|message| format!("sessions import: {message}"))?;
    let runtime = Runtime::new()?;
    let result = runtime.block_on(async {
        let import = boot::import(&config.sessions, &from, args.dry_run, environment).await?;
        let mut progress = Progress::new();
        let result = import.run(args.resume.clone(), |report| progress.tell(report)).await;
        progress.end();
        Ok::<_, BoxError>(result)
    });
    runtime.shutdown_background();
    let (report, error) = match result? {
        Ok(report) => (report, None),
        Err((error, report)) => (*report, Some(error)),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", text(&report, args.dry_run));
    }
    match error {
        Some(error) => {
            let mut text = format!("sessions import: {error}");
            if let Some(next) = &report.next {
                let _ = write!(text, "; go on with --resume {next}, or run it again from the beginning");
            }
            Err(text.into())
        }
        None if report.is_complete() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::from(INCOMPLETE)),
    }
}

/// Where from: the command line, over what `sessions.adopt` says.
fn origin(config: &Config, args: &ImportArgs) -> Result<AdoptConfig, BoxError> {
    let mut from = match (args.from, &args.source, &config.sessions.adopt) {
        (Some(from), Some(source), _) => AdoptConfig::new(from, source.clone()),
        (None, None, Some(adopt)) => adopt.clone(),
        (None, None, None) => {
            return Err("sessions import: say --from and --source, or set sessions.adopt".into());
        }
        _ => return Err("sessions import: --from and --source belong together".into()),
    };
    from.prefix = args.prefix.clone().or(from.prefix);
    from.user = args.user.clone().or(from.user);
    from.username = args.username.clone().or(from.username);
    if let Some(file) = &args.password_file {
        from.password = Some(SecretRef::File(file.clone()));
    }
    if !args.secret_file.is_empty() {
        from.secrets = args.secret_file.iter().cloned().map(SecretRef::File).collect();
    }
    Ok(from)
}

fn text(report: &Report, dry_run: bool) -> String {
    let mut text = String::new();
    let imported = if dry_run { "would be imported" } else { "imported" };
    let lines = [
        ("read", report.read),
        (imported, report.imported),
        ("already taken over", report.before),
        ("expired", report.expired),
        ("too large", report.too_large),
        ("refused by the login policy", report.refused),
        ("names that are not allowed", report.invalid),
        ("could not be decoded", report.unreadable_total()),
    ];
    let mut line = |name: &str, count: u64| {
        let _ = writeln!(text, "{name:<28} {count:>10}");
    };
    lines.iter().for_each(|(name, count)| line(name, *count));
    report.unreadable.iter().for_each(|(reason, count)| line(&format!("  {reason}"), *count));
    if !report.opaque.is_empty() {
        line("attributes kept undecoded", report.opaque.values().sum());
        report.opaque.iter().for_each(|(kind, count)| line(&format!("  {kind}"), *count));
    }
    text
}

/// How far it is: one line that changes on a terminal, now and then a line elsewhere.
struct Progress {
    terminal: bool,
    told: Instant,
}

#[allow(clippy::print_stderr)] // What the command is for, seen from a terminal.
impl Progress {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), told: Instant::now() }
    }

    fn tell(&mut self, report: &Report) {
        let (read, imported) = (report.read, report.imported);
        if self.terminal {
            eprint!("\r{read} read, {imported} imported ");
        } else if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            eprintln!("{read} read, {imported} imported");
        }
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}
