//! The sessions of a memory store in a file: for a restart of a gateway that is alone.
//!
//! A line of JSON each: what the file is, the entries, the places of users, and at the end a checksum. It holds
//! what the sessions hold, so nobody but its owner may read it. Whoever reads it takes it away: a file that was
//! read twice would bring back what has ended since.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{OpId, SessionKey};
use crate::provenance::Provenance;
use crate::record::{Attributes, Record, Taken};
use crate::write::Reason;

use super::MemoryStore;
use super::shard::{Entry, State};

const FORMAT: u32 = 1;

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first one. The mark tells whether the secret is the same: with another one no cookie would fit.
    Sessions {
        format: u32,
        mark: String,
    },
    Live(Box<Live>),
    Rotated {
        key: SessionKey,
        next: SessionKey,
        until_ms: u64,
        claim_ms: u64,
    },
    Ended {
        key: SessionKey,
        reason: Reason,
        until_ms: u64,
        claim_ms: u64,
    },
    Taken {
        key: SessionKey,
        until_ms: u64,
    },
    /// A place in a user's set, in the order of the logins.
    Place {
        user: String,
        handle: String,
        key: SessionKey,
    },
    /// The last one: a hash of all lines before it.
    End {
        blake3: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Live {
    key: SessionKey,
    version: u64,
    created_ms: u64,
    accessed_ms: u64,
    idle_ms: u64,
    absolute_ms: u64,
    user: Option<String>,
    handle: String,
    binding: Option<String>,
    provenance: Provenance,
    attributes: Attributes,
    /// Names of writes and the versions they made.
    recent: Vec<(String, u64)>,
    /// Of a session that was taken over: until when that is remembered, and the old id is good.
    taken: Option<(u64, Option<u64>)>,
}

impl MemoryStore {
    /// Writes all sessions to a file, in the place of what is there, and says how many. Nobody but the owner may
    /// read it. Meant for when requests are over: what changes meanwhile may be missing.
    ///
    /// # Errors
    ///
    /// Those of the file system; the file that was there before is then as it was.
    pub fn save(&self, path: &Path) -> io::Result<usize> {
        let beside = with_ending(path, "new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut writer = Writer { to: BufWriter::new(file), hash: blake3::Hasher::new() };
        let mark = self.snapshot_mark();
        writer.line(&Line::Sessions { format: FORMAT, mark })?;
        let mut sessions = 0;
        for shard in &self.shards {
            let entries = shard.lock().entries();
            for (key, entry) in entries {
                sessions += usize::from(matches!(entry.state(), State::Live(_)));
                writer.line(&line(key, &entry))?;
            }
        }
        for (user, handle, key) in self.users.all() {
            writer.line(&Line::Place { user, handle: handle.as_ref().to_owned(), key })?;
        }
        let blake3 = writer.hash.finalize().to_hex().to_string();
        writer.line(&Line::End { blake3 })?;
        writer.to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&beside, path)?;
        // The name is durable with its directory.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(sessions)
    }

    /// Reads what [`MemoryStore::save`] has written, takes the file away, and says how many sessions there are.
    /// Without a file there are none. What is over by now is left out, and the store's bounds hold.
    ///
    /// # Errors
    ///
    /// Those of the file system; `InvalidData` for a file that is damaged, of another format or of a store with
    /// another secret. It is kept under another name, which the error tells, and nothing was restored.
    pub fn restore(&self, path: &Path) -> io::Result<usize> {
        let taken = with_ending(path, "read");
        match fs::rename(path, &taken) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other?,
        }
        let lines = read(&taken, &self.snapshot_mark()).map_err(|error| {
            let text = format!("{}: {error}; the file is kept there", taken.display());
            io::Error::new(error.kind(), text)
        })?;
        let now_ms = self.clock.now_ms();
        let mut sessions = 0;
        for line in lines {
            if let Line::Place { user, handle, key } = line {
                // One that found no room has no place.
                if self.with(&key, |shard, now| matches!(shard.get(&key, now), Some(State::Live(_)))) {
                    self.users.put(user, handle.into(), key);
                }
                continue;
            }
            let Some((key, entry)) = entry(line)? else { continue };
            sessions += usize::from(matches!(entry.state(), State::Live(_)) && entry.ends_ms() > now_ms);
            // What is over is told as an end by time, as it would have been.
            self.with(&key, |shard, _| shard.put(key, entry));
        }
        fs::remove_file(&taken)?;
        Ok(sessions)
    }

    /// Something that only a store with the same secret says.
    fn snapshot_mark(&self) -> String {
        self.ids.user_key("the mark of a snapshot\n")
    }
}

struct Writer {
    to: BufWriter<File>,
    hash: blake3::Hasher,
}

impl Writer {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.to.write_all(&text)
    }
}

/// All lines between the first and the last one, if the file is whole.
fn read(path: &Path, mark: &str) -> io::Result<Vec<Line>> {
    let damaged = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let mut reader = BufReader::new(File::open(path)?);
    let (mut hash, mut lines, mut text) = (blake3::Hasher::new(), Vec::new(), Vec::new());
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text)? == 0 {
            return Err(damaged("the file of sessions has no end"));
        }
        // The parser's message could quote what a session holds; it is left out.
        let line = serde_json::from_slice(&text).map_err(|_| damaged("a line is not readable"))?;
        match (&line, lines.is_empty()) {
            (Line::Sessions { format: FORMAT, mark: of }, true) if of == mark => {}
            (Line::Sessions { format: FORMAT, .. }, true) => {
                return Err(damaged("it was written with another secret: no cookie would fit"));
            }
            (Line::Sessions { .. }, true) => return Err(damaged("it is of another version")),
            (_, true) => return Err(damaged("it is no file of sessions")),
            (Line::End { blake3 }, false) => {
                let whole = *blake3 == *hash.finalize().to_hex();
                return whole.then_some(lines).ok_or_else(|| damaged("its checksum does not fit"));
            }
            (_, false) => {}
        }
        hash.update(&text);
        lines.push(line);
    }
}

fn line(key: SessionKey, entry: &Entry) -> Line {
    let (until_ms, claim_ms) = (entry.ends_ms(), entry.claim_ms());
    match entry.state() {
        State::Live(record) => Line::Live(Box::new(live(record))),
        State::Rotated(next) => Line::Rotated { key, next: *next, until_ms, claim_ms },
        State::Ended(reason) => Line::Ended { key, reason: *reason, until_ms, claim_ms },
        State::Taken => Line::Taken { key, until_ms },
    }
}

fn live(record: &Record) -> Live {
    Live {
        key: record.key,
        version: record.version,
        created_ms: record.created_ms,
        accessed_ms: record.accessed_ms,
        idle_ms: record.idle_ms,
        absolute_ms: record.absolute_ms,
        user: record.user.as_deref().map(str::to_owned),
        handle: record.handle.as_ref().to_owned(),
        binding: record.binding.as_deref().map(str::to_owned),
        provenance: record.provenance.clone(),
        attributes: record.attributes.clone(),
        recent: record.recent.iter().map(|(op, version)| (op.to_string(), *version)).collect(),
        taken: record.taken.map(|taken| (taken.until_ms, taken.foreign_until_ms)),
    }
}

/// The entry of a line, if it is one.
fn entry(line: Line) -> io::Result<Option<(SessionKey, Entry)>> {
    let mark = |key, state, until_ms, claim_ms| Some((key, Entry::claimed(state, until_ms, claim_ms)));
    Ok(match line {
        Line::Live(live) => {
            let recent = live.recent.iter().map(|(op, version)| Some((OpId::from_hex(op)?, *version)));
            let recent = recent.collect::<Option<Vec<_>>>();
            let recent =
                recent.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a write has no name"))?;
            let taken = live.taken.map(|(until_ms, foreign_until_ms)| Taken { until_ms, foreign_until_ms });
            let record = Record {
                key: live.key,
                version: live.version,
                created_ms: live.created_ms,
                accessed_ms: live.accessed_ms,
                idle_ms: live.idle_ms,
                absolute_ms: live.absolute_ms,
                user: live.user.map(Arc::from),
                handle: live.handle.into(),
                binding: live.binding.map(Arc::from),
                provenance: live.provenance,
                attributes: live.attributes,
                recent,
                taken,
            };
            Some((record.key, Entry::live(Arc::new(record))))
        }
        Line::Rotated { key, next, until_ms, claim_ms } => {
            mark(key, State::Rotated(next), until_ms, claim_ms)
        }
        Line::Ended { key, reason, until_ms, claim_ms } => {
            mark(key, State::Ended(reason), until_ms, claim_ms)
        }
        Line::Taken { key, until_ms } => mark(key, State::Taken, until_ms, 0),
        Line::Sessions { .. } | Line::Place { .. } | Line::End { .. } => None,
    })
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests;
