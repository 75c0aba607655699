//! A new process takes over from this one: it gets the listening sockets, says when it is ready, and only
//! then does this one drain. Where it does not get that far, nothing has happened.
//!
//! The protocol is systemd's own: sockets by `LISTEN_FDS` (so socket activation works the same way), and
//! readiness by `NOTIFY_SOCKET`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use iap_core::BoxError;
use iap_core::server::Sockets;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::UnixDatagram;
use tokio::time::Instant;

/// How long the new process may take until it is ready, unless it asks for more.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Set for a process that takes over from another one.
const TAKES_OVER: &str = "IAP_TAKES_OVER";
/// The first file descriptor that is passed on (sd_listen_fds(3)).
const FIRST_FD: i32 = 3;

/// The sockets that were passed to this process, by systemd or by the process before it. To be called
/// once, early.
pub(crate) fn inherited() -> Result<Sockets, BoxError> {
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let socket = passed.take_tcp_listener(index);
        sockets.extend(socket.map_err(|error| format!("LISTEN_FDS: socket {index}: {error}"))?);
    }
    Ok(Sockets::new(sockets))
}

/// Whether another process runs until this one is ready.
pub(crate) fn takes_over() -> bool {
    std::env::var_os(TAKES_OVER).is_some()
}

/// Tells whoever started this process that it serves.
pub(crate) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells that it is on its way out.
pub(crate) fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Asks for more time until readiness, from now on.
pub(crate) fn ask_for_time(time: Duration) {
    let microseconds = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Starts this program anew, from where it lies now, on the same sockets. Returns once it is ready. Where it
/// does not get there, or nobody waits any more, it is killed, and with it what it has started.
pub(crate) async fn hand_over(sockets: Sockets) -> Result<(), BoxError> {
    let directory = tempfile::Builder::new().prefix("iap-handover-").tempdir()?;
    let path = directory.path().join("ready");
    let readiness = UnixDatagram::bind(&path)?;
    let mut successor = Successor { child: start(sockets.into_vec(), path)?, is_ready: false };
    wait_until_ready(&readiness, &mut successor.child).await?;
    successor.is_ready = true;
    notify(&[NotifyState::MainPid(successor.child.id())]);
    Ok(())
}

/// The new process. Dropped before it is ready, it is killed.
struct Successor {
    child: Child,
    is_ready: bool,
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_ready {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn start(sockets: Vec<TcpListener>, notify: PathBuf) -> Result<Child, BoxError> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().ok_or("this process does not know its own name")?;
    let mut command = Command::new(program);
    command.args(arguments);
    command
        .env("LISTEN_FDS", sockets.len().to_string())
        .env_remove("LISTEN_PID")
        .env("NOTIFY_SOCKET", notify);
    command.env(TAKES_OVER, "1");
    let mappings = sockets.into_iter().zip(FIRST_FD..);
    let mappings =
        mappings.map(|(socket, child_fd)| FdMapping { parent_fd: OwnedFd::from(socket), child_fd });
    command.fd_mappings(mappings.collect())?;
    Ok(command.spawn()?)
}

async fn wait_until_ready(readiness: &UnixDatagram, child: &mut Child) -> Result<(), BoxError> {
    let mut message = [0; 256];
    let mut deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        // The child is looked at now and then: it may end without a word.
        let received = tokio::time::timeout(Duration::from_millis(100), readiness.recv(&mut message)).await;
        if let Ok(length) = received {
            for line in message[..length?].split(|byte| *byte == b'\n') {
                match read(line) {
                    Some(Word::Ready) => return Ok(()),
                    Some(Word::MoreTime(time)) => deadline = deadline.max(Instant::now() + time),
                    None => {}
                }
            }
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("the new process ended before it was ready: {status}").into());
        }
    }
    Err("the new process was not ready in time".into())
}

/// What a new process says (sd_notify(3)).
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Ready,
    MoreTime(Duration),
}

fn read(line: &[u8]) -> Option<Word> {
    if line == b"READY=1" {
        return Some(Word::Ready);
    }
    let number = std::str::from_utf8(line.strip_prefix(b"EXTEND_TIMEOUT_USEC=")?).ok()?;
    number.parse().ok().map(|microseconds: u32| Word::MoreTime(Duration::from_micros(microseconds.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_new_process_are_understood_and_others_left() {
        assert_eq!(read(b"READY=1"), Some(Word::Ready));
        assert_eq!(read(b"EXTEND_TIMEOUT_USEC=61000000"), Some(Word::MoreTime(Duration::from_secs(61))));
        for other in
            ["", "READY=0", "STATUS=READY=1", "EXTEND_TIMEOUT_USEC=", "EXTEND_TIMEOUT_USEC=99999999999"]
        {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
    }
}
