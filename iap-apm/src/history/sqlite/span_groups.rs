//! Figures of spans by minute and class: what they say of themselves.
//!
//! Each commit adds one row for all of its spans, so that nothing is looked up while it is written; the rows of a file that is
//! closed are put together. A row is a list of
//!
//! | | |
//! |---|---|
//! | number | the minute since 1970 |
//! | number | the service, of [`texts`](super::texts); 0 where there was no room for it |
//! | number | the name, likewise |
//! | number | 3 times the kind, and the status |
//! | number | the bytes of the next |
//! | [`Sketch`](crate::sketch::Sketch) | the durations |
//!
//! Numbers have seven bits a byte. A row of some size is compressed.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use zstd::bulk::Compressor;

use super::files::Files;
use super::read::damaged_part;
use super::sample;
use super::texts::{self, Texts};
use super::writer::{clamp, conversion};
use crate::error::HistoryError;
use crate::history::OTHER_ROUTES;
use crate::history::span_groups::{GroupId, MINUTE_US, SpanClass, SpanGather, SpanGroups, SpanGroupsQuery};
use crate::history::spans::{KINDS, STATUSES, SpanHead, heads};
use crate::model::{SpanStatus, Window};
use crate::sketch;

/// Bytes from which on a row is compressed.
const COMPRESSED: usize = 256;
/// Durations that are held at once while rows are put together.
const MAX_HELD: usize = 400_000;

/// Spans that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Class {
    minute: u64,
    service: i64,
    name: i64,
    /// 3 times the kind, and the status.
    kind: u8,
}

#[derive(Debug, Default)]
struct Durations {
    /// In any order, and some more than once.
    buckets: Vec<(u16, u32)>,
    count: u64,
    total: u64,
    max: u64,
}

/// Spans that become one row.
#[derive(Default)]
pub(super) struct Counting {
    classes: HashMap<Class, Durations>,
    held: usize,
}

impl Counting {
    /// Counts the spans of a part.
    pub(super) fn add(&mut self, file: &Connection, texts: &mut Texts, part: &[u8]) -> rusqlite::Result<()> {
        let (mut of, mut service) = (None, 0);
        heads(part, |head: SpanHead<'_>| {
            if of.is_none_or(|of: &str| of != head.service) {
                (of, service) = (Some(head.service), texts.id(file, head.service)?);
            }
            let class = Class {
                minute: head.start_us / MINUTE_US,
                service,
                name: texts.id(file, head.name)?,
                kind: head.kind * STATUSES.len() as u8 + head.status,
            };
            let durations = self.classes.entry(class).or_default();
            durations.buckets.push((sketch::bucket(head.duration_us) as u16, 1));
            durations.count += 1;
            durations.total = durations.total.saturating_add(head.duration_us);
            durations.max = durations.max.max(head.duration_us);
            Ok(())
        })
    }

    fn merge(&mut self, class: Class, stored: &[u8]) -> Option<()> {
        let durations = self.classes.entry(class).or_default();
        let before = durations.buckets.len();
        let [count, total, max] =
            sketch::read(stored, |bucket, count| durations.buckets.push((bucket, count)))?;
        durations.count = durations.count.saturating_add(count);
        durations.total = durations.total.saturating_add(total);
        durations.max = durations.max.max(max);
        self.held += durations.buckets.len() - before;
        Some(())
    }

    /// Writes the row, if there is something in it. Says from when to when it is.
    pub(super) fn write(
        self,
        file: &Connection,
        compressor: &mut Compressor<'_>,
    ) -> rusqlite::Result<Option<(u64, u64)>> {
        let mut classes: Vec<_> = self.classes.into_iter().collect();
        classes.sort_unstable_by_key(|(class, _)| *class);
        let (Some((first, _)), Some((last, _))) = (classes.first(), classes.last()) else { return Ok(None) };
        let (low, high) = (first.minute, last.minute);
        let (mut data, mut stored) = (Vec::new(), Vec::new());
        for (class, durations) in classes {
            let numbers = [class.minute, class.service as u64, class.name as u64, class.kind.into()];
            numbers.into_iter().for_each(|number| sketch::write_number(&mut data, number));
            stored.clear();
            durations.write(&mut stored);
            sketch::write_number(&mut data, stored.len() as u64);
            data.extend_from_slice(&stored);
        }
        // 0 where it is not compressed.
        let mut length = 0;
        if data.len() >= COMPRESSED {
            length = data.len() as i64;
            data = compressor.compress(&data).map_err(conversion)?;
        }
        let sql = "INSERT INTO span_groups (low, high, length, data) VALUES (?1, ?2, ?3, ?4)";
        file.prepare_cached(sql)?.execute(params![clamp(low), clamp(high), length, data])?;
        let of = |minute: u64| minute.saturating_mul(MINUTE_US);
        Ok(Some((of(low), of(high).saturating_add(MINUTE_US - 1))))
    }
}

impl Durations {
    fn write(mut self, out: &mut Vec<u8>) {
        self.buckets.sort_unstable_by_key(|(bucket, _)| *bucket);
        self.buckets.dedup_by(|next, one| {
            let same = next.0 == one.0;
            if same {
                one.1 = one.1.saturating_add(next.1);
            }
            same
        });
        sketch::write(out, [self.count, self.total, self.max], self.buckets.into_iter());
    }
}

/// Calls `each` with the classes of the rows that may have some of these minutes.
fn rows(
    file: &Connection,
    minutes: (u64, u64),
    mut each: impl FnMut(Class, &[u8]) -> Option<()>,
) -> rusqlite::Result<()> {
    let sql = "SELECT length, data FROM span_groups WHERE high >= ?1 AND low < ?2";
    let mut statement = file.prepare_cached(sql)?;
    let mut rows = statement.query(params![clamp(minutes.0), clamp(minutes.1)])?;
    let mut inflated = Vec::new();
    while let Some(row) = rows.next()? {
        let (length, data) = (row.get::<_, u32>(0)? as usize, row.get_ref(1)?.as_blob()?);
        let data = match length {
            0 => data,
            length => {
                inflated.resize(length, 0);
                match zstd::bulk::decompress_to_buffer(data, &mut inflated) {
                    Ok(length) => &inflated[..length],
                    Err(error) => {
                        damaged_part(&error);
                        continue;
                    }
                }
            }
        };
        if classes(data, &mut each).is_none() {
            damaged_part(&std::io::Error::other("figures of spans cannot be read"));
        }
    }
    Ok(())
}

/// Reads a row; `None` when it is damaged.
fn classes(mut data: &[u8], each: &mut impl FnMut(Class, &[u8]) -> Option<()>) -> Option<()> {
    while !data.is_empty() {
        let mut number = || sketch::read_number(&mut data);
        let (minute, service, name) = (number()?, number()?, number()?);
        let kind = u8::try_from(number()?).ok()?;
        let length = usize::try_from(number()?).ok()?;
        let (stored, rest) = data.split_at_checked(length)?;
        data = rest;
        let class = Class { minute, service: service.try_into().ok()?, name: name.try_into().ok()?, kind };
        each(class, stored)?;
    }
    Some(())
}

/// Puts the rows of a file together that is not written any more.
pub(super) fn roll(file: &Connection, compressor: &mut Compressor<'_>) -> rusqlite::Result<()> {
    let last: Option<i64> = file.query_row("SELECT max(id) FROM span_groups", [], |row| row.get(0))?;
    let (mut counting, mut full) = (Counting::default(), Vec::new());
    rows(file, (0, u64::MAX), |class, stored| {
        counting.merge(class, stored)?;
        if counting.held >= MAX_HELD {
            full.push(std::mem::take(&mut counting));
        }
        Some(())
    })?;
    full.push(counting);
    full.into_iter().try_for_each(|counting| counting.write(file, compressor).map(drop))?;
    file.execute("DELETE FROM span_groups WHERE id <= ?1", [last]).map(drop)
}

/// The groups of a window.
pub(super) fn groups(files: &Files, query: &SpanGroupsQuery) -> Result<SpanGroups, HistoryError> {
    query.check()?;
    let window = query.minutes();
    let mut gather = SpanGather::new(query);
    for id in sample::places(files, window) {
        files.query(id, |file| of_file(file, window, &mut gather))?;
    }
    Ok(gather.finish())
}

fn of_file(file: &Connection, window: Window, gather: &mut SpanGather<'_>) -> rusqlite::Result<()> {
    let minutes = (window.from_us / MINUTE_US, window.to_us / MINUTE_US);
    let names = texts::all(file)?;
    let name = |id: i64| names.get(&id).map_or(OTHER_ROUTES, String::as_str);
    let mut known: HashMap<(i64, i64, u8), Option<GroupId>> = HashMap::new();
    rows(file, minutes, |class, stored| {
        if class.minute < minutes.0 || class.minute >= minutes.1 {
            return Some(());
        }
        let (kind, status) = (class.kind / STATUSES.len() as u8, class.kind % STATUSES.len() as u8);
        let status = STATUSES.get(usize::from(status)).copied().unwrap_or_default();
        let group = known.entry((class.service, class.name, class.kind)).or_insert_with(|| {
            gather.group(&SpanClass {
                service: name(class.service),
                name: name(class.name),
                kind: KINDS.get(usize::from(kind)).copied().unwrap_or_default(),
                status,
            })
        });
        match *group {
            Some(group) => {
                gather.add(group, status == SpanStatus::Error, |sketch| sketch.merge_bytes(stored))
            }
            None => Some(()),
        }
    })
}
