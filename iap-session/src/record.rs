//! What a session is, as plain data, and how a write changes it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::{OpId, SessionId, SessionKey, hex, random};
use crate::limits::{Limits, attribute_bytes};
use crate::provenance::Provenance;
use crate::write::{Commit, Imported, NewSession, Rotation};

pub use crate::attributes::Attributes;

/// One session as a store holds it. Times are Unix milliseconds on the store's clock.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// The session's key.
    pub key: SessionKey,
    /// Counts the commits; the first version is 1. A touch does not change it.
    pub version: u64,
    /// When the session was created; a rotation keeps it.
    pub created_ms: u64,
    /// When the session was last committed or touched.
    pub accessed_ms: u64,
    /// How long the session lives without access, in milliseconds.
    pub idle_ms: u64,
    /// When the session ends at the latest.
    pub absolute_ms: u64,
    /// Who is logged in.
    pub user: Option<Arc<str>>,
    /// The session's name in its user's set; a rotation keeps it. Empty while nobody is logged in.
    pub handle: Arc<str>,
    /// What the session is [bound](crate::policy::Binding) to.
    pub binding: Option<Arc<str>>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// The application's data.
    pub attributes: Attributes,
    /// The last writes and the versions they made, oldest first; at most [`Record::RECENT`].
    pub recent: Vec<(OpId, u64)>,
    /// Where the session was taken over from another system and still has the key it got then.
    pub taken: Option<Taken>,
}

/// What is remembered of a takeover. A rotation leaves it with the old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Until when the key keeps the session from being taken over again: longer than the session can live.
    pub until_ms: u64,
    /// Until when the foreign id leads to the session; without end while the client has not shown its new one.
    pub foreign_until_ms: Option<u64>,
}

impl Taken {
    /// Whether a client may come with the foreign id.
    pub fn admits_foreign(&self, now_ms: u64) -> bool {
        self.foreign_until_ms.is_none_or(|until| now_ms < until)
    }
}

impl Record {
    /// How many writes are remembered for replay.
    pub const RECENT: usize = 8;

    /// The first version of a session.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::TooLarge`] or [`StoreErrorKind::Invalid`] by `limits`.
    pub fn new(key: SessionKey, new: &NewSession, limits: &Limits, now_ms: u64) -> Result<Self, StoreError> {
        limits.check(&new.attributes)?;
        let mut provenance = new.provenance.clone();
        provenance.login(provenance.address.filter(|_| new.login.is_some()));
        Ok(Self {
            key,
            version: 1,
            created_ms: now_ms,
            accessed_ms: now_ms,
            idle_ms: millis(new.expiry.idle),
            absolute_ms: now_ms.saturating_add(millis(new.expiry.absolute)),
            user: new.login.as_ref().map(|login| login.user.clone()),
            handle: if new.login.is_some() { new_handle() } else { "".into() },
            binding: new.binding.clone(),
            provenance,
            attributes: new.attributes.clone(),
            recent: vec![(new.op, 1)],
            taken: None,
        })
    }

    /// A session of another system, with the dates that it had there.
    ///
    /// Its handle follows from the key, so that whoever takes over the same session takes the same place in
    /// its user's set.
    ///
    /// # Errors
    ///
    /// As [`Record::new`]; [`StoreErrorKind::Gone`] if its time is over.
    pub fn imported(
        key: SessionKey,
        imported: &Imported,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<Self, StoreError> {
        limits.check(&imported.attributes)?;
        let accessed_ms = imported.accessed_ms.min(now_ms);
        let absolute_ms = now_ms.saturating_add(millis(imported.expiry.absolute));
        let handle = hex(&blake3::hash(key.as_bytes()).as_bytes()[..12]);
        let record = Self {
            key,
            version: 1,
            created_ms: imported.created_ms.min(accessed_ms),
            accessed_ms,
            idle_ms: millis(imported.expiry.idle),
            absolute_ms,
            user: imported.login.as_ref().map(|login| login.user.clone()),
            handle: if imported.login.is_some() { handle.into() } else { "".into() },
            binding: None,
            provenance: Provenance::default(),
            attributes: imported.attributes.clone(),
            recent: vec![(imported.op, 1)],
            taken: Some(Taken {
                until_ms: absolute_ms.saturating_add(millis(imported.remember)),
                foreign_until_ms: None,
            }),
        };
        if record.is_expired(now_ms) { Err(StoreError::gone()) } else { Ok(record) }
    }

    /// The record that `rotation` puts in the place of this one, under a new key.
    ///
    /// A login of the user who is logged in already keeps the handle, so that it never competes
    /// with itself for a place.
    ///
    /// # Errors
    ///
    /// As [`Record::apply`].
    pub fn rotated(
        &self,
        key: SessionKey,
        rotation: &Rotation,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<Self, StoreError> {
        let mut next = Self { key, taken: None, ..self.clone() };
        if let Some(login) = rotation.login.as_ref().filter(|login| self.user.as_ref() != Some(&login.user)) {
            next.user = Some(login.user.clone());
            next.handle = new_handle();
        }
        if let Some(expiry) = &rotation.expiry {
            next.idle_ms = millis(expiry.idle);
            next.absolute_ms = now_ms.saturating_add(millis(expiry.absolute));
        }
        if rotation.binding.is_some() {
            next.binding.clone_from(&rotation.binding);
        }
        if rotation.login.is_some() {
            next.provenance.login(rotation.provenance.address);
        }
        let commit = Commit { op: rotation.op, ops: rotation.ops.clone(), expected: None, logout: false };
        next.apply(&commit, limits, now_ms)?;
        Ok(next)
    }

    /// Applies a commit and returns the new version; a repeated one returns its first result.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Conflict`] if `expected` is not the version, or an [`Op::Test`] fails;
    /// [`StoreErrorKind::TooLarge`]
    /// and [`StoreErrorKind::Invalid`] by `limits`. The record is then unchanged.
    pub fn apply(&mut self, commit: &Commit, limits: &Limits, now_ms: u64) -> Result<u64, StoreError> {
        let mut bytes = self.bytes();
        self.apply_to(&mut bytes, commit, limits, now_ms)
    }

    /// The same for who knows the [`Record::bytes`] already, and wants to go on knowing them.
    pub(crate) fn apply_to(
        &mut self,
        bytes: &mut usize,
        commit: &Commit,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        if let Some((_, version)) = self.recent.iter().find(|(op, _)| *op == commit.op) {
            return Ok(*version);
        }
        if commit.expected.is_some_and(|expected| expected != self.version) {
            return Err(StoreError::new(StoreErrorKind::Conflict, "the session has another version"));
        }
        let fails =
            |op: &Op| matches!(op, Op::Test(name, value) if self.attributes.get(name) != value.as_ref());
        if commit.ops.iter().any(fails) {
            return Err(StoreError::new(StoreErrorKind::Conflict, "an attribute has another value"));
        }
        fn changed(op: &Op) -> Option<(&String, Option<&Value>)> {
            match op {
                Op::Set(name, value) => Some((name, Some(value))),
                Op::Remove(name) => Some((name, None)),
                Op::Test(..) => None,
            }
        }
        // Of several changes of one attribute the last one counts.
        let mut changes: Vec<(&String, Option<&Value>)> =
            commit.ops.iter().rev().filter_map(changed).collect();
        changes.sort_by_key(|(name, _)| *name);
        changes.dedup_by_key(|(name, _)| *name);
        let (mut count, mut sum) = (self.attributes.len(), *bytes);
        for (name, value) in &changes {
            if let Some(old) = self.attributes.get(name) {
                (count, sum) = (count - 1, sum - attribute_bytes(name, old));
            }
            if let Some(value) = value {
                (count, sum) = (count + 1, sum + limits.check_attribute(name, value)?);
            }
        }
        limits.check_sums(count, sum)?;
        for (name, value) in changes {
            match value {
                Some(value) => self.attributes.insert(name.clone(), value.clone()),
                None => self.attributes.remove(name),
            };
        }
        *bytes = sum;
        if commit.logout {
            self.user = None;
            self.handle = "".into();
            self.provenance.login(None);
        }
        self.version += 1;
        self.touch(now_ms);
        if self.recent.len() >= Self::RECENT {
            self.recent.remove(0);
        }
        self.recent.push((commit.op, self.version));
        Ok(self.version)
    }

    /// Notes an access. Time never runs backwards.
    pub fn touch(&mut self, now_ms: u64) {
        self.accessed_ms = self.accessed_ms.max(now_ms);
    }

    /// When the session ends if nobody uses it.
    pub fn deadline_ms(&self) -> u64 {
        self.accessed_ms.saturating_add(self.idle_ms).min(self.absolute_ms)
    }

    /// Whether the session has ended by time.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.deadline_ms()
    }

    /// Whether so much time has passed that a touch is worth a write: a twentieth of the idle
    /// time, and at least a second.
    pub fn touch_due(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.accessed_ms) >= (self.idle_ms / 20).max(1000)
    }

    /// The bytes of all attributes: names and their JSON forms.
    pub fn bytes(&self) -> usize {
        self.attributes.iter().map(|(name, value)| attribute_bytes(name, value)).sum()
    }

    /// What a list shows of the session.
    pub fn summary(&self) -> Summary {
        Summary {
            key: self.key,
            user: self.user.clone(),
            version: self.version,
            created_ms: self.created_ms,
            accessed_ms: self.accessed_ms,
            deadline_ms: self.deadline_ms(),
            attributes: self.attributes.len(),
            bytes: self.bytes(),
            provenance: self.provenance.clone(),
        }
    }
}

/// Without attribute values.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key)
            .field("version", &self.version)
            .field("user", &self.user)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// A change of one attribute, or a condition of all changes of a commit.
#[derive(Clone, PartialEq)]
pub enum Op {
    /// Sets the attribute.
    Set(String, Value),
    /// Removes the attribute; removing an absent one is no error.
    Remove(String),
    /// The commit is a conflict unless the attribute had this value before it, or was absent.
    Test(String, Option<Value>),
}

impl Op {
    /// The attribute it is about.
    pub fn name(&self) -> &String {
        match self {
            Self::Set(name, _) | Self::Remove(name) | Self::Test(name, _) => name,
        }
    }
}

/// Without the value.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(name, _) => write!(f, "Set({name})"),
            Self::Remove(name) => write!(f, "Remove({name})"),
            Self::Test(name, _) => write!(f, "Test({name})"),
        }
    }
}

/// A created or rotated session.
#[derive(Debug, Clone)]
pub struct Created {
    /// The id for the cookie. The store has picked it.
    pub id: SessionId,
    /// The stored session.
    pub record: Arc<Record>,
}

/// What a load found.
#[derive(Debug, Clone)]
pub enum Loaded {
    /// The session still has the version that the caller knows.
    Unchanged {
        /// The store's time.
        now_ms: u64,
    },
    /// The session. Its key differs from the one asked for when the id was rotated.
    Found {
        /// The session.
        record: Arc<Record>,
        /// The store's time.
        now_ms: u64,
    },
}

/// A line in a list of sessions: no attribute names, no values.
#[derive(Debug, Clone, PartialEq, serde::Serialize, JsonSchema)]
#[schemars(rename = "SessionSummary")]
pub struct Summary {
    /// The session's key.
    #[schemars(with = "String")]
    pub key: SessionKey,
    /// Who is logged in.
    #[serde(serialize_with = "as_user")]
    #[schemars(with = "Option<String>")]
    pub user: Option<Arc<str>>,
    /// The number of commits.
    pub version: u64,
    /// When it was created, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used, in Unix milliseconds.
    pub accessed_ms: u64,
    /// When it ends if nobody uses it, in Unix milliseconds.
    pub deadline_ms: u64,
    /// The number of attributes.
    pub attributes: usize,
    /// The size of all attributes.
    pub bytes: usize,
    /// Where it comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

fn new_handle() -> Arc<str> {
    hex(&random::<12>()).into()
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn as_user<S: serde::Serializer>(user: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&user.as_deref(), to)
}
