//! Asking a JVM over its attach socket.
//!
//! Source: `attachListener_posix.cpp` and `VirtualMachineImpl` of OpenJDK. A JVM opens the socket once a file
//! `.attach_pidN` lies in its working or temporary directory and it gets `SIGQUIT`; that signal ends a process that
//! does not handle it, so it is looked before. Protocol 1: version, command and three arguments, each with a zero
//! byte at its end; the answer is a line with a number, 0 for success, and text.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::jvm::Place;
use super::procfs::Identity;

/// Bytes of an answer; what is beyond is cut off.
pub const MAX_ANSWER: usize = 8 << 20;
/// How long a JVM may take to open its socket, and then to answer. It stands still while it makes the answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked for the socket.
const LOOK: Duration = Duration::from_millis(50);

/// What a JVM can be asked. All of it costs the JVM a stop of all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JvmCommand {
    /// What each thread is doing, and the locks it holds.
    Threads,
    /// How many objects of each class there are, unreachable ones among them.
    Histogram,
}

impl JvmCommand {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Threads => b"1\0threaddump\0\0\0\0",
            Self::Histogram => b"1\0inspectheap\0-all\0\0\0",
        }
    }
}

/// What a JVM has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JvmAnswer {
    /// The text. Data from outside.
    pub text: String,
    /// Whether there was more.
    pub truncated: bool,
}

/// Why a JVM was not asked, or has not answered.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No JVM of that number is known.
    #[error("no JVM of that number is known")]
    Unknown,
    /// It belongs to another user, and we are not root.
    #[error("the JVM belongs to another user")]
    Foreign,
    /// It does not handle the signal, which would end it (`-Xrs`), or its attach is switched off.
    #[error("the JVM does not take questions: it runs with -Xrs, or is not a JVM any more")]
    Deaf,
    /// It took too long.
    #[error("the JVM has not answered in time")]
    Late,
    /// It has answered that it cannot.
    #[error("the JVM has refused: {0}")]
    Refused(String),
    /// The socket or the file could not be used.
    #[error("the JVM cannot be reached: {0}")]
    Io(#[from] io::Error),
}

/// Asks a JVM.
pub(crate) async fn ask(place: &Place, command: JvmCommand) -> Result<JvmAnswer, AttachError> {
    // The number may belong to another process by now. From here on it is the same one.
    let target = i32::try_from(place.pid).ok().and_then(Pid::from_raw).ok_or(AttachError::Unknown)?;
    let process = pidfd_open(target, PidfdFlags::empty()).map_err(|_| AttachError::Unknown)?;
    let identity = Identity::of(place.pid).ok_or(AttachError::Unknown)?;
    let own = geteuid();
    if identity != place.identity {
        return Err(AttachError::Unknown);
    }
    if identity.uid != own.as_raw() && !own.is_root() {
        return Err(AttachError::Foreign);
    }
    let temporary = PathBuf::from(format!("/proc/{}/root/tmp", place.pid));
    let socket = temporary.join(format!(".java_pid{}", identity.inner));
    if !is_socket_of(&socket, identity.uid) {
        open_socket(place.pid, &process, &identity, (&temporary, &socket)).await?;
    }
    timeout(PATIENCE, talk(&socket, command)).await.map_err(|_| AttachError::Late)?
}

/// Anybody can put a file into the temporary directory.
fn is_socket_of(path: &Path, uid: u32) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket() && data.uid() == uid)
}

/// Makes the JVM open its socket.
async fn open_socket(
    pid: u32,
    process: &OwnedFd,
    identity: &Identity,
    (temporary, socket): (&Path, &Path),
) -> Result<(), AttachError> {
    if !identity.handles_quit {
        return Err(AttachError::Deaf);
    }
    let name = format!(".attach_pid{}", identity.inner);
    let places = [PathBuf::from(format!("/proc/{pid}/cwd")), temporary.to_owned()];
    let mut made = Err(io::Error::from(io::ErrorKind::NotFound));
    for place in places.map(|place| place.join(&name)) {
        made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&place)
            .map(|_| Asking(place));
        if made.is_ok() {
            break;
        }
    }
    let _asking = made?;
    pidfd_send_signal(process, Signal::QUIT).map_err(io::Error::from)?;
    let deadline = Instant::now() + PATIENCE;
    while !is_socket_of(socket, identity.uid) {
        if Instant::now() >= deadline {
            return Err(AttachError::Late);
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// The file that asks for the socket; removed afterwards.
struct Asking(PathBuf);

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn talk(socket: &Path, command: JvmCommand) -> Result<JvmAnswer, AttachError> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(command.bytes()).await?;
    let mut bytes = Vec::new();
    (&mut stream).take(MAX_ANSWER as u64 + 1).read_to_end(&mut bytes).await?;
    answer(bytes)
}

fn answer(mut bytes: Vec<u8>) -> Result<JvmAnswer, AttachError> {
    let truncated = bytes.len() > MAX_ANSWER;
    bytes.truncate(MAX_ANSWER);
    let text = String::from_utf8_lossy(&bytes);
    let (code, text) = text.split_once('\n').unwrap_or((&text, ""));
    match code.trim() {
        "0" => Ok(JvmAnswer { text: text.to_owned(), truncated }),
        _ => Err(AttachError::Refused(crate::text::cut(text.trim(), 200).to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_their_code() {
        let good = answer(b"0\nFull thread dump".to_vec()).unwrap();
        assert_eq!((good.text.as_str(), good.truncated), ("Full thread dump", false));
        for bad in ["", "1\nno such command", "x", "101\nProtocol mismatch"] {
            assert!(matches!(answer(bad.into()), Err(AttachError::Refused(_))), "{bad}");
        }
        let long = [b"0\n".as_slice(), &vec![b'x'; MAX_ANSWER + 9]].concat();
        assert!(answer(long).unwrap().truncated);
    }

    #[tokio::test]
    async fn a_process_that_would_die_of_the_question_is_not_asked() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let identity = Identity::of(pid).unwrap();
        let place = Place::for_tests(pid, identity);
        assert!(matches!(ask(&place, JvmCommand::Threads).await, Err(AttachError::Deaf)));
        let other = Place::for_tests(pid, Identity { uid: identity.uid + 1, ..identity });
        assert!(matches!(ask(&other, JvmCommand::Threads).await, Err(AttachError::Unknown)));
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
