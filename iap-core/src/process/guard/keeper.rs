//! The guard: starts the command, stops it when it is told to, and leaves nothing behind.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};

use super::super::cgroup;
use super::tree::signal_all;
use super::{GROUP, MARKER, Orders, STOP, Stage};
use crate::error::BoxError;

/// How often processes are killed anew that have appeared meanwhile, and how long.
const KILL_EVERY: Duration = Duration::from_millis(5);
const KILL_FOR: Duration = Duration::from_secs(10);

/// Guards the command that stands in the arguments, to its end.
pub(super) fn run(orders: Orders) -> Result<(), BoxError> {
    set_child_subreaper(true)?;
    let group = std::env::var_os(GROUP);
    let host = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    host.set_nonblocking(true)?;
    // The only thread there is: the command ends with the thread that has started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kept = runtime.block_on(async { Keeper::new(orders, UnixStream::from_std(host)?)?.keep().await });
    if let Some(group) = group {
        // The host does it too, but it may have gone.
        cgroup::remove(Path::new(&group));
    }
    kept
}

struct Keeper {
    orders: Orders,
    host: UnixStream,
    command: i32,
    /// Whether the command has ended; others may still run.
    is_over: bool,
    /// When all that still runs is killed.
    deadline: Option<Instant>,
}

impl Keeper {
    fn new(orders: Orders, host: UnixStream) -> io::Result<Self> {
        let parent = std::process::id() as i32;
        let child = Command::new("/proc/self/exe")
            .args(std::env::args_os().skip(1))
            .env(MARKER, orders.to_text(Stage::Launch { parent }))
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self { orders, host, command: child.id() as i32, is_over: false, deadline: None })
    }

    async fn keep(mut self) -> Result<(), BoxError> {
        let mut children = signal(SignalKind::child())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        self.report(&format!("started {}", self.command)).await;
        // Some may have ended before the signal was listened to.
        while !self.reap().await {
            let deadline = self.deadline;
            let mut order = [0];
            tokio::select! {
                _ = children.recv() => {}
                read = self.host.read(&mut order) => match read {
                    Ok(1) if order[0] == STOP => self.stop(),
                    Ok(1) => {}
                    _ => return self.kill().await,
                },
                // Somebody means the command.
                _ = terminate.recv() => self.stop(),
                _ = interrupt.recv() => self.stop(),
                _ = hangup.recv() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return self.kill().await;
                }
            }
        }
        Ok(())
    }

    /// Asks everything to end; what does not in time is killed.
    fn stop(&mut self) {
        if self.deadline.is_some() {
            return;
        }
        self.deadline = Some(Instant::now() + self.orders.patience);
        let signal = Signal::try_from(self.orders.signal).unwrap_or(Signal::SIGTERM);
        let group = (!self.is_over).then_some(self.command);
        if let Some(group) = group {
            let _ = killpg(Pid::from_raw(group), signal);
        }
        signal_all(signal, group);
    }

    /// Kills everything, until nothing is left.
    async fn kill(&mut self) -> Result<(), BoxError> {
        let end = Instant::now() + KILL_FOR;
        while Instant::now() < end {
            signal_all(Signal::SIGKILL, None);
            if self.reap().await {
                return Ok(());
            }
            sleep(KILL_EVERY).await;
        }
        Err("some processes could not be killed".into())
    }

    /// Takes note of what has ended. True when nothing is left: what a process leaves behind becomes
    /// our child, so that without a child there is nothing below us.
    async fn reap(&mut self) -> bool {
        loop {
            let how = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return false,
                Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == self.command => format!("code {code}"),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == self.command => {
                    format!("signal {}", signal as i32)
                }
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => return true,
            };
            self.is_over = true;
            self.report(&format!("exited {how}")).await;
            // What it has left behind has no purpose any more.
            self.stop();
        }
    }

    async fn report(&mut self, line: &str) {
        // Where nobody hears it, the next read says so.
        let _ = self.host.write_all(format!("{line}\n").as_bytes()).await;
    }
}
