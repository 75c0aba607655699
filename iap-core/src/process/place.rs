//! Where an instance listens, and how it is told.

use std::collections::HashSet;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::PathBuf;

use parking_lot::Mutex;

use super::ProcessSettings;

/// Stand for port, socket and number in a command.
pub(super) const PORT: &str = "{port}";
pub(super) const SOCKET: &str = "{socket}";
const INSTANCE: &str = "{instance}";

/// How many ports are tried before one is taken that is ours.
const MAX_TRIES: usize = 100;

/// Ports that our instances have; one that has not bound its own yet must not lose it to another.
static PORTS: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A place of one instance, free again when dropped.
#[derive(Debug)]
pub(super) enum Place {
    Port(u16),
    Socket { directory: PathBuf, path: String },
}

impl Place {
    /// A free one, as the settings want it. `owner`: who has to be able to make a socket there.
    pub(super) fn choose(settings: &ProcessSettings, owner: Option<(u32, u32)>) -> io::Result<Self> {
        if settings.mentions(SOCKET) { Self::socket(owner) } else { Self::port() }
    }

    fn port() -> io::Result<Self> {
        for _ in 0..MAX_TRIES {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if PORTS.lock().get_or_insert_default().insert(port) {
                return Ok(Self::Port(port));
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "there is no free port"))
    }

    /// In a directory of its own, which nobody else may enter.
    fn socket(owner: Option<(u32, u32)>) -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let directory = std::env::temp_dir().join(format!("iap-process-{random:016x}"));
        DirBuilder::new().mode(0o700).create(&directory)?;
        if let Some((user, group)) = owner {
            chown(&directory, Some(user), Some(group))?;
            std::fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        }
        let path = directory.join("http.sock");
        let path = path.to_str().ok_or_else(|| io::Error::other("the temporary directory is not UTF-8"))?;
        Ok(Self::Socket { path: path.to_owned(), directory })
    }

    /// In a form that an upstream knows.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Port(port) => format!("127.0.0.1:{port}"),
            Self::Socket { path, .. } => format!("unix:{path}"),
        }
    }

    /// A text with what its placeholders stand for.
    pub(super) fn fill(&self, text: &str, number: usize) -> String {
        let text = text.replace(INSTANCE, &number.to_string());
        match self {
            Self::Port(port) => text.replace(PORT, &port.to_string()),
            Self::Socket { path, .. } => text.replace(SOCKET, path),
        }
    }

    /// The variable that tells it.
    pub(super) fn variable(&self) -> (&'static str, String) {
        match self {
            Self::Port(port) => ("PORT", port.to_string()),
            Self::Socket { path, .. } => ("SOCKET", path.clone()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Self::Port(port) => {
                PORTS.lock().get_or_insert_default().remove(port);
            }
            Self::Socket { directory, .. } => {
                let _ = std::fs::remove_dir_all(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let place = Place::Port(4711);
        assert_eq!(place.fill("--listen=127.0.0.1:{port}/{instance}", 2), "--listen=127.0.0.1:4711/2");
        assert_eq!(
            (place.address().as_str(), place.variable()),
            ("127.0.0.1:4711", ("PORT", "4711".to_owned()))
        );
        let place = Place::choose(&ProcessSettings::new(["a", "{socket}"]), None).unwrap();
        let Place::Socket { directory, path } = &place else { panic!("{place:?}") };
        assert_eq!(place.fill("{socket}", 1), *path);
        let directory = directory.clone();
        assert!(directory.is_dir());
        drop(place);
        assert!(!directory.exists());
    }
}
