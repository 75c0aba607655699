//! Figures of routes over time: of the rows, of the minutes of files that are closed, and of what is left of files
//! that are removed. Each transaction is in exactly one of them, so sums are the same whichever is read.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Row, params, params_from_iter};
use zstd::bulk::Compressor;

use super::disk::FileId;
use super::files::Files;
use super::read::{Filter, conversion};
use super::schema::unsigned;
use super::span_groups;
use super::texts::Names;
use super::writer::{ZSTD_LEVEL, clamp};
use crate::error::HistoryError;
use crate::history::span_groups::MINUTE_US;
use crate::history::{MAX_ROUTES, OTHER_ROUTES, SeriesQuery};
use crate::model::{RouteStats, SeriesPoint, Window};
use crate::sketch::Sketch;

/// What aggregates need of an entry.
pub(super) struct Counted<'a> {
    pub(super) route: &'a str,
    start_us: u64,
    pub(super) duration_us: u64,
    pub(super) failed: bool,
    pub(super) weight: u64,
}

/// Transactions together: the durations of those that went well, and of those that failed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) ok: Sketch,
    pub(super) failed: Sketch,
}

impl Tally {
    fn add(&mut self, duration_us: u64, failed: bool, weight: u64) {
        let sketch = if failed { &mut self.failed } else { &mut self.ok };
        sketch.add_many(duration_us, weight);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.ok.merge(&other.ok);
        self.failed.merge(&other.failed);
    }

    /// From two columns.
    pub(super) fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let sketch = |column| {
            let stored = Sketch::from_bytes(row.get_ref(column)?.as_blob()?);
            stored.ok_or_else(|| conversion(std::io::Error::other("a stored sketch is damaged")))
        };
        Ok(Self { ok: sketch(first)?, failed: sketch(first + 1)? })
    }

    fn all(self) -> (Sketch, u64) {
        let (mut all, errors) = (self.ok, self.failed.count());
        all.merge(&self.failed);
        (all, errors)
    }
}

/// What is known of a route, or of `other` where there are too many of them.
pub(super) fn of_route<'a, T>(
    routes: &'a mut HashMap<String, T>,
    route: &str,
    new: impl FnOnce(&str) -> T,
) -> &'a mut T {
    let known = routes.len() < MAX_ROUTES || routes.contains_key(route);
    let route = if known { route } else { OTHER_ROUTES };
    // A name that is known is not copied to be found.
    if !routes.contains_key(route) {
        routes.insert(route.to_owned(), new(route));
    }
    routes.get_mut(route).expect("it was put there")
}

/// Calls `each` with every entry in the window.
pub(super) fn scan(
    files: &Files,
    window: Window,
    route: Option<&str>,
    mut each: impl FnMut(Counted<'_>),
) -> Result<(), HistoryError> {
    for id in files.in_window(window) {
        scan_file(files, id, window, route, &mut each)?;
    }
    Ok(())
}

fn scan_file(
    files: &Files,
    id: FileId,
    window: Window,
    route: Option<&str>,
    each: &mut impl FnMut(Counted<'_>),
) -> Result<(), HistoryError> {
    files.query(id, |connection| rows(connection, window, route, each)).map(|_| ())
}

fn rows(
    connection: &Connection,
    window: Window,
    route: Option<&str>,
    each: &mut impl FnMut(Counted<'_>),
) -> rusqlite::Result<()> {
    let mut filter = Filter::window("start_us", window);
    if let Some(route) = route {
        filter.and_is("route", route);
    }
    let sql = format!("SELECT route_key, start_us, duration_us, failed, weight FROM entries{}", filter.sql);
    let mut statement = connection.prepare_cached(&sql)?;
    let (mut rows, mut names) = (statement.query(params_from_iter(&filter.values))?, Names::of(connection));
    while let Some(row) = rows.next()? {
        each(Counted {
            route: names.get(row, 0)?,
            start_us: unsigned(row, 1)?,
            duration_us: unsigned(row, 2)?,
            failed: row.get(3)?,
            weight: unsigned(row, 4)?,
        });
    }
    Ok(())
}

/// A part of a sum.
enum Part<'a> {
    One(Counted<'a>),
    Many { start_us: u64, route: &'a str, tally: &'a Tally },
}

/// Calls `each` with all of a window. With `whole_minutes`, a minute may come as one part; those at the edges that
/// are not whole come one by one.
fn parts(
    files: &Files,
    window: Window,
    route: Option<&str>,
    whole_minutes: bool,
    mut each: impl FnMut(Part<'_>),
) -> Result<(), HistoryError> {
    let from_us = window.from_us.next_multiple_of(MINUTE_US);
    let inner = Window::new(from_us, window.to_us - window.to_us % MINUTE_US);
    for (id, rolled) in files.rolled_in_window(window) {
        if !rolled || !whole_minutes || inner.from_us >= inner.to_us {
            scan_file(files, id, window, route, &mut |one| each(Part::One(one)))?;
            continue;
        }
        for edge in [Window::new(window.from_us, inner.from_us), Window::new(inner.to_us, window.to_us)] {
            if edge.from_us < edge.to_us {
                scan_file(files, id, edge, route, &mut |one| each(Part::One(one)))?;
            }
        }
        files.query(id, |connection| {
            minutes(connection, inner, route, |start_us, route, tally| {
                each(Part::Many { start_us, route, tally: &tally });
                Ok(())
            })
        })?;
    }
    files.long_term.read(window, route, |start_us, route, tally| each(Part::Many { start_us, route, tally }))
}

/// Calls `each` with the minutes of a closed file.
pub(super) fn minutes(
    connection: &Connection,
    window: Window,
    route: Option<&str>,
    mut each: impl FnMut(u64, &str, Tally) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let sql = "SELECT minute, route, ok, failed FROM rollup
        WHERE minute >= ?1 AND minute < ?2 AND (?3 IS NULL OR route = ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![clamp(window.from_us), clamp(window.to_us), route])?;
    while let Some(row) = rows.next()? {
        each(unsigned(row, 0)?, row.get_ref(1)?.as_str()?, Tally::of(row, 2)?)?;
    }
    Ok(())
}

/// Writes the minutes of a file into it, which must not be written to any more.
pub(super) fn roll(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut found: BTreeMap<u64, HashMap<String, Tally>> = BTreeMap::new();
    rows(&transaction, Window::all(), None, &mut |Counted {
                                                      route,
                                                      start_us,
                                                      duration_us,
                                                      failed,
                                                      weight,
                                                  }| {
        let routes = found.entry(start_us - start_us % MINUTE_US).or_default();
        of_route(routes, route, |_| Tally::default()).add(duration_us, failed, weight);
    })?;
    {
        let mut statement = transaction.prepare("INSERT OR REPLACE INTO rollup VALUES (?1, ?2, ?3, ?4)")?;
        for (minute, routes) in &found {
            for (route, Tally { ok, failed }) in routes {
                statement.execute(params![clamp(*minute), route, ok.to_bytes(), failed.to_bytes()])?;
            }
        }
    }
    span_groups::roll(&transaction, &mut Compressor::new(ZSTD_LEVEL).map_err(conversion)?)?;
    transaction.execute("INSERT OR IGNORE INTO rolled VALUES (0)", [])?;
    transaction.commit()
}

pub(super) fn route_stats(files: &Files, window: Window) -> Result<Vec<RouteStats>, HistoryError> {
    let mut routes: HashMap<String, Tally> = HashMap::new();
    parts(files, window, None, true, |part| {
        let (Part::One(Counted { route, .. }) | Part::Many { route, .. }) = &part;
        let tally = of_route(&mut routes, route, |_| Tally::default());
        match part {
            Part::One(one) => tally.add(one.duration_us, one.failed, one.weight),
            Part::Many { tally: more, .. } => tally.merge(more),
        }
    })?;
    let stats = |(route, tally): (String, Tally)| {
        let (sketch, errors) = tally.all();
        RouteStats::of(route, errors, &sketch)
    };
    let mut stats: Vec<_> = routes.into_iter().map(stats).collect();
    RouteStats::sort(&mut stats);
    Ok(stats)
}

pub(super) fn series(files: &Files, query: &SeriesQuery) -> Result<Vec<SeriesPoint>, HistoryError> {
    let Window { from_us, .. } = query.window;
    let steps = query.steps()?;
    let mut points: Vec<Tally> = vec![Tally::default(); steps as usize];
    let whole_minutes = query.step_us.is_multiple_of(MINUTE_US) && from_us.is_multiple_of(MINUTE_US);
    parts(files, query.window, query.route.as_deref(), whole_minutes, |part| {
        let (Part::One(Counted { start_us, .. }) | Part::Many { start_us, .. }) = &part;
        let point = &mut points[((start_us - from_us) / query.step_us) as usize];
        match part {
            Part::One(one) => point.add(one.duration_us, one.failed, one.weight),
            Part::Many { tally, .. } => point.merge(tally),
        }
    })?;
    let point = |(at, tally): (usize, Tally)| {
        let (sketch, errors) = tally.all();
        SeriesPoint::of(from_us + at as u64 * query.step_us, errors, &sketch)
    };
    Ok(points.into_iter().enumerate().map(point).collect())
}
