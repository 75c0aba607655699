//! The scatter of a window: transactions by when they began and how long they took.
//!
//! Up to a limit each is a point. Beyond, they are cells of a grid, time by the logarithm of the duration, with how many
//! are in each: nothing is left to chance, sums are exact, the size of an answer depends on the plot and not on the load,
//! and two answers for the same window are the same. A sample of points would show none of that. What one looks for in a
//! scatter, the failed and the slowest, comes as points besides.

use std::collections::HashMap;

use iap_core::TraceId;
use serde::Serialize;

use crate::model::{Window, hex};
use crate::sketch;

/// The most points of an answer.
pub const MAX_POINTS: usize = 200_000;
/// Steps of time that a grid has.
pub const POINT_COLUMNS: u64 = 240;
/// Failed ones that are points beside a grid; of more, a part without regard to what they are.
pub(super) const MAX_FAILED: usize = 10_000;
/// The slowest that are points beside a grid.
pub(super) const MAX_SLOWEST: usize = 2_000;
/// Buckets of a sketch that are one level of a grid: eight levels each time a duration doubles.
pub(super) const BUCKETS: usize = 4;
/// Levels that there can be.
const LEVELS: usize = 480;

/// One transaction of a scatter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// When it began.
    pub start_us: u64,
    /// How long it took.
    pub duration_us: u64,
    /// The HTTP status; 0 when there is none.
    pub status: u16,
    /// Whether it counts as an error.
    pub failed: bool,
    /// How many it stands for, itself included.
    pub weight: u64,
    /// The place of its route in [`Points::routes`].
    pub route: u32,
    /// Its trace.
    #[serde(with = "hex::trace")]
    pub trace_id: TraceId,
}

/// A part of a grid that has transactions in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Which step of time.
    pub column: u32,
    /// Which duration: a place in [`Grid::levels_us`].
    pub level: u16,
    /// Transactions, by weight.
    pub count: u64,
    /// Those of them that failed.
    pub errors: u64,
}

/// Transactions too many to be points.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Grid {
    /// The length of a step of time; the first begins with the window.
    pub column_us: u64,
    /// The shortest duration of each level; a level ends where the next one begins.
    pub levels_us: Vec<u64>,
    /// Those that are not empty, by column and level.
    pub cells: Vec<Cell>,
}

/// The scatter of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Points {
    /// The time that was asked for.
    pub window: Window,
    /// Transactions, each by its weight.
    pub count: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those that are kept: as many would be points if there were no limit.
    pub kept: u64,
    /// The names of routes that points refer to.
    pub routes: Vec<String>,
    /// By when they began. Beside a grid, failed ones and the slowest, which are in its cells, too.
    pub points: Vec<Point>,
    /// Where there are too many for points.
    pub grid: Option<Grid>,
}

/// Puts points together.
pub(super) struct Plot {
    window: Window,
    count: u64,
    errors: u64,
    kept: u64,
    routes: Vec<String>,
    known: HashMap<String, u32>,
    points: Vec<Point>,
    /// Transactions, and failed ones, of each level of each step.
    cells: Option<Vec<(u64, u64)>>,
}

impl Plot {
    pub(super) fn new(window: Window) -> Self {
        let (routes, known, points) = (Vec::new(), HashMap::new(), Vec::new());
        Self { window, count: 0, errors: 0, kept: 0, routes, known, points, cells: None }
    }

    /// Counts in cells from now on.
    pub(super) fn with_grid(mut self) -> Self {
        self.cells = Some(vec![(0, 0); POINT_COLUMNS as usize * LEVELS]);
        self
    }

    /// The length of a grid's step of time.
    pub(super) fn column_us(window: Window) -> u64 {
        window.length_us().div_ceil(POINT_COLUMNS).max(1)
    }

    /// Counts transactions of a step of time and a level.
    pub(super) fn count(&mut self, (column, level): (u32, u16), kept: u64, count: u64, errors: u64) {
        self.kept += kept;
        self.count = self.count.saturating_add(count);
        self.errors = self.errors.saturating_add(errors);
        if let Some(cells) = &mut self.cells {
            let at = column as usize * LEVELS + usize::from(level);
            if let Some(cell) = cells.get_mut(at) {
                *cell = (cell.0.saturating_add(count), cell.1.saturating_add(errors));
            }
        }
    }

    /// Takes up what another plot of the same window has counted in cells.
    pub(super) fn merge(&mut self, other: Self) {
        self.kept += other.kept;
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        for (own, more) in self.cells.iter_mut().flatten().zip(other.cells.iter().flatten()) {
            *own = (own.0.saturating_add(more.0), own.1.saturating_add(more.1));
        }
    }

    /// Shows a transaction, which is counted apart.
    pub(super) fn show(&mut self, mut point: Point, route: &str) {
        point.route = match self.known.get(route) {
            Some(at) => *at,
            None => {
                let at = self.routes.len() as u32;
                self.routes.push(route.to_owned());
                self.known.insert(route.to_owned(), at);
                at
            }
        };
        self.points.push(point);
    }

    pub(super) fn finish(mut self) -> Points {
        self.points.sort_unstable_by_key(|point| (point.start_us, point.duration_us, point.trace_id));
        // What is both failed and among the slowest came twice.
        self.points.dedup();
        let window = self.window;
        let grid = self.cells.map(|cells| {
            let some = cells.iter().enumerate().filter(|(_, cell)| cell.0 > 0);
            let cells: Vec<_> = some
                .map(|(at, (count, errors))| Cell {
                    column: (at / LEVELS) as u32,
                    level: (at % LEVELS) as u16,
                    count: *count,
                    errors: *errors,
                })
                .collect();
            let top = cells.iter().map(|cell| usize::from(cell.level)).max().unwrap_or_default();
            // One more, where the last one ends.
            let levels_us = (0..top + 2).map(|level| sketch::low(level * BUCKETS)).collect();
            Grid { column_us: Self::column_us(window), levels_us, cells }
        });
        let Self { count, errors, kept, routes, points, .. } = self;
        Points { window, count, errors, kept, routes, points, grid }
    }
}

/// A number that says nothing about what it is made of, the same in every process.
pub(super) fn mixed(value: u64) -> u64 {
    // Of splitmix64.
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
