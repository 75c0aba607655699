//! People with passwords: a file of lines `name:role:hash`, which other programs and people may change while it is used.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use arc_swap::ArcSwap;
use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use clap::ValueEnum;
use iap_core::rules::{AuthError, Basic};
use iap_core::{BoxError, Clock, Error};
use parking_lot::Mutex;

use crate::config::Role;
use crate::kept;

/// How often it is looked whether the file has changed.
const LOOK_EVERY_MS: u64 = 500;
/// The largest file.
const MAX_FILE: u64 = 4 << 20;
/// The shortest password that is taken (NIST SP 800-63B section 3.1.1: 15 where nothing else is asked for; 8 at least).
pub(crate) const SHORTEST_PASSWORD: usize = 12;

/// Users at one moment.
#[derive(Debug, Default)]
pub(crate) struct Users {
    lines: BTreeMap<String, (Role, String)>,
    /// None while there is nobody.
    passwords: Option<Basic>,
}

impl Users {
    /// Reads a file's text. Errors name the line, never what is in it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = BTreeMap::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |what: &str| format!("line {}: {what}", index + 1);
            let mut parts = line.splitn(3, ':');
            let (Some(name), Some(role), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(bad("write `name:role:hash`, or let `iap-host user` write it"));
            };
            check_name(name).map_err(bad)?;
            let role = Role::from_str(role, false)
                .map_err(|_| bad("the role is viewer, developer, operator or admin"))?;
            if lines.insert(name.to_owned(), (role, hash.to_owned())).is_some() {
                return Err(bad("this name is there twice"));
            }
        }
        let logins: String = lines.iter().map(|(name, (_, hash))| format!("{name}:{hash}\n")).collect();
        let passwords = match Basic::parse(&logins) {
            Ok(passwords) => Some(passwords),
            Err(AuthError::Nobody) => None,
            Err(error) => return Err(error.to_string()),
        };
        Ok(Self { lines, passwords })
    }

    /// Reads the file; one that is not there has nobody in it.
    pub(crate) fn read(path: &Path) -> Result<Self, BoxError> {
        let place = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Ok(found) if found.len() > MAX_FILE => {
                return Err(place(&"this is no file of users: it is too large").into());
            }
            _ => {}
        }
        let text = fs::read_to_string(path).map_err(|error| place(&error))?;
        Self::parse(&text).map_err(|error| place(&error).into())
    }

    /// Writes the file, whole or not at all, for its owner's eyes alone.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let lines: String =
            self.lines.iter().map(|(name, (role, hash))| format!("{name}:{role}:{hash}\n")).collect();
        kept::write_bytes(path, lines.as_bytes())
    }

    /// Names and roles.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&str, Role)> {
        self.lines.iter().map(|(name, (role, _))| (name.as_str(), *role))
    }

    /// The role of a user.
    pub(crate) fn role(&self, name: &str) -> Option<Role> {
        self.lines.get(name).map(|(role, _)| *role)
    }

    /// Adds somebody, or gives a new role or password.
    pub(crate) fn set(&mut self, name: &str, role: Role, hash: String) {
        self.lines.insert(name.to_owned(), (role, hash));
    }

    /// Gives somebody another role. Whether there is such a user.
    pub(crate) fn set_role(&mut self, name: &str, role: Role) -> bool {
        self.lines.get_mut(name).map(|line| line.0 = role).is_some()
    }

    /// Takes somebody out. Whether there was such a user.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.lines.remove(name).is_some()
    }

    /// The role of a user who knows the password. Takes as long for a name that nobody has.
    pub(crate) async fn verify(&self, name: &str, password: &str) -> Result<Option<Role>, Error> {
        let Some(passwords) = &self.passwords else { return Ok(None) };
        let user = passwords.verify(name, password).await?;
        Ok(user.and_then(|user| self.role(&user)))
    }
}

/// What is wrong with a user's name, if anything: it stands in a line, in tables and in cookies' records.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let is_fine = (1..=64).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || "-_.@+".contains(c));
    is_fine.then_some(()).ok_or("a name has 1 to 64 letters, digits and `-_.@+`")
}

/// The hash of a password: argon2id with what OWASP recommends (19 MiB, 2 passes, 1 lane).
pub(crate) fn hash(password: &str) -> Result<String, BoxError> {
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(format!("a password has at least {SHORTEST_PASSWORD} characters").into());
    }
    let params = Params::new(19_456, 2, 1, None).map_err(|error| error.to_string())?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon.hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// The file of a running host. Read again when it has changed; one that cannot be read changes nothing.
pub(super) struct UserFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    users: ArcSwap<Users>,
    look: Mutex<Look>,
}

struct Look {
    at_ms: u64,
    state: Option<State>,
}

/// What differs after a change.
type State = (u64, i64, i64, u64);

impl UserFile {
    pub(super) fn read(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, BoxError> {
        let state = state(path);
        let users = Users::read(path)?;
        if users.lines.is_empty() {
            tracing::warn!(path = %path.display(), "nobody can sign in yet: `iap-host user add NAME --role admin`");
        }
        let look = Mutex::new(Look { at_ms: clock.now_ms(), state });
        Ok(Self { path: path.to_owned(), clock, users: ArcSwap::from_pointee(users), look })
    }

    /// The users of this moment.
    pub(super) fn users(&self) -> Arc<Users> {
        if self.has_changed() {
            match Users::read(&self.path) {
                Ok(users) => {
                    tracing::info!(path = %self.path.display(), users = users.lines.len(), "the users have changed");
                    self.users.store(Arc::new(users));
                }
                Err(error) => tracing::error!(%error, "the users stay as they were"),
            }
        }
        self.users.load_full()
    }

    fn has_changed(&self) -> bool {
        let mut look = self.look.lock();
        let now_ms = self.clock.now_ms();
        if now_ms.abs_diff(look.at_ms) < LOOK_EVERY_MS {
            return false;
        }
        look.at_ms = now_ms;
        let now = state(&self.path);
        std::mem::replace(&mut look.state, now) != now
    }
}

fn state(path: &Path) -> Option<State> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}
