//! The step between guard and command: what has to be done in the process that becomes the command.
//!
//! It is a program of its own, and not code between fork and exec, since that would have to be unsafe.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User, getppid, initgroups, setgroups, setresgid, setresuid, setsid};

use super::super::cgroup;
use super::{GROUP, MARKER, Orders};
use crate::error::BoxError;

/// Becomes the command that stands in the arguments. Returns only if that fails.
#[allow(clippy::print_stderr)] // Goes where the command's own output goes.
pub(super) fn run(orders: &Orders, parent: i32) -> Result<(), BoxError> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("there is no command")?;
    // Signals to its group reach the command and what it starts, and neither us nor the guard.
    setsid().map_err(|error| format!("setsid: {error}"))?;
    for (resource, name, limit) in [
        (Resource::RLIMIT_NOFILE, "open_files", orders.open_files),
        (Resource::RLIMIT_NPROC, "processes", orders.processes),
        (Resource::RLIMIT_AS, "address_space", orders.address_space),
    ] {
        if let Some(limit) = limit {
            bound(resource, limit).map_err(|error| format!("limits.{name}: {limit}: {error}"))?;
        }
    }
    if let Some(group) = std::env::var_os(GROUP) {
        // Before the change of user, and before anything of the command's own runs.
        if let Err(error) = cgroup::enter(Path::new(&group)) {
            let text = format!("limits: its control group cannot be entered: {error}");
            if orders.needs_group {
                return Err(text.into());
            }
            eprintln!("{text}");
        }
    }
    if let Some((user, group)) = orders.user {
        change_user(Uid::from_raw(user), Gid::from_raw(group)).map_err(|error| format!("user: {error}"))?;
    }
    // After the change of user, which clears it. Should the guard be killed, this one goes too.
    set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("prctl: {error}"))?;
    if getppid().as_raw() != parent {
        return Err("the guard has gone".into());
    }
    let error = Command::new(&program).args(arguments).env_remove(MARKER).env_remove(GROUP).exec();
    Err(format!("{} cannot be started: {error}", program.to_string_lossy()).into())
}

/// Sets the limit; one beyond what is allowed to us is an error.
fn bound(resource: Resource, limit: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    // Only root may raise the hard limit; and a lower one is not raised again by the command.
    setrlimit(resource, limit, limit)
        .or_else(|error| if limit <= hard { setrlimit(resource, limit, hard) } else { Err(error) })
}

fn change_user(user: Uid, group: Gid) -> Result<(), BoxError> {
    // The user's other groups; without an entry, none: ours must not stay.
    match User::from_uid(user)? {
        Some(entry) => initgroups(&std::ffi::CString::new(entry.name)?, group)?,
        None => setgroups(&[group])?,
    }
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    Ok(())
}
