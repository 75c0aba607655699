//! Signals that act as they do by default. What is ignored, and what is blocked, a program hands down to
//! those it starts: `nohup`, and shells for what they put into the background, ignore some, so that a
//! command would be deaf to the signal that asks it to stop.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::BoxError;

/// Where the kernel says what is ignored (proc_pid_status(5)).
const STATUS: &str = "/proc/self/status";

/// Makes all signals act by default and lets them through, here and in what is started from here. To be
/// called while there is one thread only.
///
/// A handler ends with exec and what it replaced does not come back, so this program is started anew where
/// something is ignored, in the same process. What comes meanwhile is blocked, and so not lost.
pub(super) fn reset() -> Result<(), BoxError> {
    let ignored = ignored(&std::fs::read_to_string(STATUS)?);
    if ignored != 0 && handle_all(ignored)? > 0 {
        let mut arguments = std::env::args_os();
        let mut command = Command::new("/proc/self/exe");
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        return Err(command.args(arguments).exec().into());
    }
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Puts handlers where they can be; how many.
fn handle_all(signals: u64) -> Result<usize, BoxError> {
    SigSet::all().thread_set_mask()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    let numbers = (1..=64).filter(|number| signals & bit(*number) != 0);
    Ok(numbers.filter(|number| signal(SignalKind::from_raw(*number)).is_ok()).count())
}

/// What is ignored, as a set of bits; but for SIGPIPE, which Rust ignores itself and resets at each exec, and
/// the two that the C library keeps to itself.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or_default();
    set & !(bit(Signal::SIGPIPE as i32) | bit(32) | bit(33))
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_without_what_rust_ignores() {
        assert_eq!(ignored("Name:\tx\nSigBlk:\t0\nSigIgn:\t0000000180001006\nSigCgt:\t1\n"), 0b110);
        assert_eq!(ignored("SigIgn:\t8000000000000000\n"), bit(64));
        assert_eq!(ignored("Name:\tSigIgn\n"), 0);
    }
}
