//! The process between us and a command, so that nothing outlives us.
//!
//! It is our own program, started anew: [`guard`] takes over in its `main`. It is the reaper of all
//! processes below it (`PR_SET_CHILD_SUBREAPER`), daemons included, and holds a socket to us. When that
//! ends, however it ends, it kills them all and ends itself.
//!
//! | file | holds |
//! |---|---|
//! | `signals` | signals as they are by default, whatever we have inherited |
//! | `orders` | what a guard is told when it starts |
//! | `keeper` | the guard itself |
//! | `launch` | the step between guard and command: session, user, limits |
//! | `tree` | all processes below this one |
//!
//! Between the two go single bytes and short lines: [`STOP`] to the guard, `started PID` and
//! `exited HOW` from it.

mod keeper;
mod launch;
mod orders;
mod signals;
mod tree;

use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use orders::{GROUP, MARKER, Orders, Stage};
pub(super) use tree::all_below_us;

/// Asks the guard to stop the command.
pub(super) const STOP: u8 = b's';
/// The exit status of a guard or launcher that could not do its work, as a shell has it.
const CANNOT_START: i32 = 127;

/// Whether `main` has called [`guard`].
static IS_CALLED: AtomicBool = AtomicBool::new(false);

/// Has to be called first in `main` by a program that starts a [`Process`](super::Process), before any
/// thread is started.
///
/// It returns at once, unless this program was started to be the guard of a managed process: then it
/// does that work and never returns. Which one it is, the environment variable `IAP_PROCESS_GUARD` says.
#[allow(clippy::print_stderr)] // Goes where the command's own output goes.
pub fn guard() {
    IS_CALLED.store(true, Ordering::Relaxed);
    let Some(text) = std::env::var_os(MARKER) else { return };
    let outcome = match Orders::parse(&text.to_string_lossy()) {
        // What it starts inherits them from it.
        Some((Stage::Guard, orders)) => signals::reset().and_then(|()| keeper::run(orders)),
        Some((Stage::Launch { parent }, orders)) => launch::run(&orders, parent),
        None => Err(format!("{MARKER} is set, but holds no orders: remove it").into()),
    };
    match outcome {
        Ok(()) => exit(0),
        Err(error) => {
            eprintln!("{error}");
            exit(CANNOT_START)
        }
    }
}

/// Whether guards can be started: without the call in `main`, a guard would be a second copy of the
/// whole program.
pub(super) fn is_called() -> bool {
    IS_CALLED.load(Ordering::Relaxed)
}
