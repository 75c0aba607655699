//! Users with passwords.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{AuthError, User, credentials};
use crate::error::{Error, Kind, Origin};

/// How many passwords are hashed at once; each takes a core for some 50 ms.
const MAX_AT_ONCE: usize = 2;
/// How long a login may wait for that.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a password that was right need not be hashed again, and how many are remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
const MAX_REMEMBERED: usize = 1024;

/// Users and the hashes of their passwords.
#[derive(Debug)]
pub struct Basic {
    users: Arc<HashMap<String, (User, String)>>,
    /// Keyed digests of logins that were right, and since when.
    right: Mutex<HashMap<[u8; 32], Instant>>,
    key: [u8; 32],
    hashing: Semaphore,
}

impl Basic {
    /// Reads lines of `user:hash`, as `htpasswd -B` writes them: bcrypt, or argon2 in the PHC format. Empty
    /// lines and those that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let mut users = HashMap::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (user, hash) = line.split_once(':').ok_or(AuthError::Line(index + 1))?;
            let is_known = is_bcrypt(hash) || PasswordHash::new(hash).is_ok();
            if user.is_empty() || !is_known {
                return Err(AuthError::Hash(user.to_owned()));
            }
            users.insert(user.to_owned(), (user.into(), hash.to_owned()));
        }
        if users.is_empty() {
            return Err(AuthError::Nobody);
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system has random numbers");
        let (right, hashing) = (Mutex::default(), Semaphore::new(MAX_AT_ONCE));
        Ok(Self { users: Arc::new(users), right, key, hashing })
    }

    pub(super) async fn check(&self, text: &str) -> Result<Option<User>, Error> {
        let decoded = credentials(text, "basic").and_then(|text| BASE64_STANDARD.decode(text).ok());
        let login = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = login.as_deref().and_then(|login| login.split_once(':')) else {
            return Ok(None);
        };
        self.verify(name, password).await
    }

    /// The user, where the password is the right one. One that was right in the last five minutes is not hashed again; others
    /// take some 50 ms of a core each, off the caller's thread, whether the user is known or not.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when so many passwords are being hashed that the turn of this one does not come.
    pub async fn verify(&self, name: &str, password: &str) -> Result<Option<Arc<str>>, Error> {
        let login = format!("{name}:{password}");
        let digest = *blake3::keyed_hash(&self.key, login.as_bytes()).as_bytes();
        let user = || self.users.get(name).map(|(user, _)| user.clone());
        if self.right.lock().get(&digest).is_some_and(|since| since.elapsed() < REMEMBERED) {
            return Ok(user());
        }
        let busy = || {
            Error::new(Kind::Unavailable, Origin::Internal, "too many logins at this moment")
                .reason("auth_busy")
        };
        let permit = tokio::time::timeout(PATIENCE, self.hashing.acquire()).await;
        let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let users = self.users.clone();
        // Off the connections' thread: this is made to be slow.
        let is_right = tokio::task::spawn_blocking(move || verify(&users, &login)).await.unwrap_or(false);
        if !is_right {
            return Ok(None);
        }
        self.remember(digest);
        Ok(user())
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut right = self.right.lock();
        if right.len() >= MAX_REMEMBERED {
            right.clear();
        }
        right.insert(digest, Instant::now());
    }
}

/// An unknown user takes as long as a wrong password: the names are nobody's business.
fn verify(users: &HashMap<String, (User, String)>, login: &str) -> bool {
    let Some((name, password)) = login.split_once(':') else { return false };
    let known = users.get(name).map(|(_, hash)| hash);
    let Some(hash) = known.or_else(|| users.values().next().map(|(_, hash)| hash)) else { return false };
    let fits = match is_bcrypt(hash) {
        true => bcrypt::verify(password, hash).unwrap_or(false),
        false => PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
    };
    fits && known.is_some()
}

fn is_bcrypt(hash: &str) -> bool {
    hash.len() == 60 && ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|kind| hash.starts_with(kind))
}
