//! The file: two areas that are written by turns, so that one of them is whole whenever the process ends.
//!
//! | bytes of an area | what |
//! |---|---|
//! | 0–7 | a number that rises with each writing, little-endian |
//! | 8–11 | the length of the text |
//! | 12–15 | the CRC-32 of number, length and text |
//! | 16– | the text: JSON |
//!
//! A process holds the lock of its file until its end, however that comes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Interrupted;
use crate::live::ActiveTransaction;

const AREA: usize = 256 << 10;
const HEAD: usize = 16;
const PREFIX: &str = "in-flight-";
/// Files of ended processes that are looked at.
const MAX_FILES: usize = 16;

/// The file of this process.
pub(crate) struct InFlightFile {
    file: File,
    path: PathBuf,
    number: u64,
}

/// What an ended process has left. Its file is kept until it has been dealt with.
pub(crate) struct Found {
    pub(crate) requests: Vec<Interrupted>,
    path: PathBuf,
    /// Held, so that no other process takes it, too.
    _lock: File,
}

impl Found {
    pub(crate) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl InFlightFile {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let path = directory.join(format!("{PREFIX}{}-{}", std::process::id(), iap_core::SpanId::random()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.try_lock()?;
        Ok(Self { file, path, number: 0 })
    }

    /// Writes what fits of the requests.
    pub(super) fn write(&mut self, seen_us: u64, requests: &[ActiveTransaction]) -> io::Result<()> {
        self.number += 1;
        let mut text = format!("{{\"seen_us\":{seen_us},\"requests\":[").into_bytes();
        for (at, request) in requests.iter().enumerate() {
            let whole = text.len();
            if at > 0 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, request)?;
            if text.len() > AREA - HEAD - 2 {
                text.truncate(whole);
                break;
            }
        }
        text.extend(b"]}");
        let mut area = head(self.number, &text).to_vec();
        area.append(&mut text);
        self.file.write_all_at(&area, self.number % 2 * AREA as u64)
    }

    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn head(number: u64, text: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&number.to_le_bytes());
    head[8..12].copy_from_slice(&(text.len() as u32).to_le_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&head[..12]);
    crc.update(text);
    head[12..].copy_from_slice(&crc.sum().to_le_bytes());
    head
}

/// The files of processes that have ended. One without requests, or that cannot be read, is removed.
pub(super) fn orphans(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)?.flatten() {
        if found.len() == MAX_FILES
            || !entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX))
        {
            continue;
        }
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_err() {
            // Its process lives, as at a hand-over.
            continue;
        }
        let mut bytes = vec![0; 2 * AREA];
        let length = read(&file, &mut bytes).unwrap_or(0);
        let requests = parse(&bytes[..length]).unwrap_or_default();
        let orphan = Found { requests, path, _lock: file };
        if orphan.requests.is_empty() {
            orphan.remove();
        } else {
            found.push(orphan);
        }
    }
    Ok(found)
}

fn read(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

#[derive(Deserialize)]
struct Text {
    seen_us: u64,
    requests: Vec<ActiveTransaction>,
}

/// What the newer one of the areas that are whole says.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<Interrupted>> {
    let areas = [bytes, bytes.get(AREA..).unwrap_or_default()];
    let (_, text) = areas.into_iter().filter_map(area).max_by_key(|(number, _)| *number)?;
    let Text { seen_us, mut requests } = serde_json::from_slice(text).ok()?;
    requests.truncate(super::MAX_REQUESTS);
    Some(requests.into_iter().map(|request| Interrupted { request, seen_us }).collect())
}

fn area(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let number = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let length = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize;
    let text = bytes.get(HEAD..HEAD.checked_add(length)?).filter(|_| length <= AREA - HEAD)?;
    (head(number, text)[..] == bytes[..HEAD]).then_some((number, text))
}
