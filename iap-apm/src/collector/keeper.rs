//! Which finished transactions are kept, and for how many each of them stands.
//!
//! Time goes in intervals of a second. In each, a transaction is kept at once, or it is let go and
//! counted as *owed* in its class: its route, method, class of status and [`Kind`]. The next one of the
//! class that is kept stands for what is owed until then. For the end of the interval two of those that
//! were let go are held, one by chance and the slowest: what is still owed then is paid with them, so
//! the weights of each interval add up to the transactions that ended in it.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Method, StatusCode};

use super::budget::{Budget, water_level};
use crate::keeping::Keeping;
use crate::sketch::Sketch;

/// The methods by number; the one after them stands for all others.
pub(super) const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
/// Routes and classes that are told apart; what is beyond shares one class.
const MAX_ROUTES: usize = 1_000;
const MAX_CLASSES: usize = 2_048;
/// The class of what is beyond.
const OTHER: ClassId = 0;
/// A route is slow by its own measure from this many times its p95 on.
const SLOW_TIMES: u64 = 2;
/// Transactions of a route from which on its p95 says something.
const MIN_MEASURED: u64 = 20;
/// Intervals after which what was measured counts half.
const FORGET_AFTER: u64 = 10;

/// The number of a class.
pub(super) type ClassId = usize;

/// Why a transaction may be kept. Each kind stands for its own only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ordinary,
    Slow,
    Aborted,
    Failed,
    Followed,
}
const KINDS: usize = 5;

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) duration_us: u64,
    pub(super) failed: bool,
    pub(super) aborted: bool,
    /// The trace id as an evenly spread number.
    pub(super) spread: u64,
    /// Whether a part of its trace is in the history.
    pub(super) begun: bool,
    /// Whether somebody wants all of this user, say.
    pub(super) followed: bool,
}

/// What was chosen. Neither means that it is held: the interval's end decides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice<T> {
    /// Kept, and for how many it stands.
    pub(super) keep: Option<(T, u64)>,
    /// Not kept: this one, or one that was held before.
    pub(super) let_go: Option<T>,
}

/// What is owed in a class.
struct Owed<T> {
    count: u64,
    /// The one of them with the smallest number, which is one by chance.
    sample: Option<(u64, T)>,
    /// The slowest in the interval, with its duration; not in `count`.
    slowest: Option<(u64, u64, T)>,
}

struct Route {
    name: Arc<str>,
    /// Method, class of status and number of its classes.
    classes: Vec<(u8, u8, ClassId)>,
    /// Ordinary ones in this interval, and how many of them were kept.
    seen: u64,
    kept: u64,
    /// Ordinary ones up to this number are kept.
    threshold: u64,
    durations: Sketch,
    slow_us: u64,
}

struct Class<T> {
    route: usize,
    method: u8,
    status: u8,
    owed: [Owed<T>; KINDS],
}

pub(super) struct Keeper<T> {
    slow_floor_us: u64,
    ordinary: Budget,
    important: Budget,
    /// For ordinary ones whose trace is in the history in part.
    begun: Budget,
    /// What each route may keep when the budget is used up.
    share: u64,
    known: HashMap<Arc<str>, usize>,
    routes: Vec<Route>,
    classes: Vec<Class<T>>,
    /// Where something is held or owed.
    owing: Vec<(ClassId, Kind)>,
    intervals: u64,
    /// Important ones that were not kept since this was read.
    pub(super) refused: u64,
}

impl<T> Keeper<T> {
    pub(super) fn new(keeping: Keeping) -> Self {
        let slow_floor_us = keeping.slow.as_micros().min(u128::from(u64::MAX)) as u64;
        let mut keeper = Self {
            slow_floor_us,
            ordinary: Budget::new(keeping.ordinary),
            important: Budget::new(keeping.important),
            begun: Budget::new(keeping.ordinary),
            share: u64::from(keeping.ordinary),
            known: HashMap::new(),
            routes: Vec::new(),
            classes: Vec::new(),
            owing: Vec::new(),
            intervals: 0,
            refused: 0,
        };
        let other = keeper.add_route("other");
        keeper.add_class(other, METHODS.len() as u8, 0);
        keeper
    }

    /// The class of a transaction.
    pub(super) fn class(&mut self, route: &str, method: &Method, status: StatusCode) -> ClassId {
        let route = match self.known.get(route) {
            Some(at) => *at,
            None if self.routes.len() >= MAX_ROUTES => return OTHER,
            None => self.add_route(route),
        };
        let (method, status) = (method_number(method), (status.as_u16() / 100) as u8);
        let of_route = self.routes[route].classes.iter();
        match of_route.copied().find(|class| (class.0, class.1) == (method, status)) {
            Some((_, _, id)) => id,
            None if self.classes.len() >= MAX_CLASSES => OTHER,
            None => self.add_class(route, method, status),
        }
    }

    fn add_route(&mut self, name: &str) -> usize {
        let name: Arc<str> = name.into();
        self.known.insert(name.clone(), self.routes.len());
        self.routes.push(Route {
            name,
            classes: Vec::new(),
            seen: 0,
            kept: 0,
            threshold: u64::MAX,
            durations: Sketch::default(),
            slow_us: self.slow_floor_us,
        });
        self.routes.len() - 1
    }

    fn add_class(&mut self, route: usize, method: u8, status: u8) -> ClassId {
        let owed = std::array::from_fn(|_| Owed { count: 0, sample: None, slowest: None });
        self.routes[route].classes.push((method, status, self.classes.len()));
        self.classes.push(Class { route, method, status, owed });
        self.classes.len() - 1
    }

    /// Route, method and class of status.
    pub(super) fn names(&self, id: ClassId) -> (&str, u8, u8) {
        let class = &self.classes[id];
        (&self.routes[class.route].name, class.method, class.status)
    }

    /// Takes a finished transaction and chooses.
    pub(super) fn offer(&mut self, id: ClassId, ended: Ended, item: T) -> Choice<T> {
        let route = &mut self.routes[self.classes[id].route];
        route.durations.add(ended.duration_us);
        let kind = match ended {
            Ended { failed: true, .. } => Kind::Failed,
            Ended { aborted: true, .. } => Kind::Aborted,
            _ if ended.duration_us >= route.slow_us => Kind::Slow,
            Ended { followed: true, .. } => Kind::Followed,
            _ => Kind::Ordinary,
        };
        let keep = if kind == Kind::Ordinary {
            route.seen += 1;
            let chosen = ended.spread <= route.threshold;
            let keep = chosen && (self.ordinary.take() || route.kept < self.share);
            route.kept += u64::from(keep);
            keep || (ended.begun && self.begun.take())
        } else {
            let keep = self.important.take();
            self.refused += u64::from(!keep);
            keep
        };
        let owed = &mut self.classes[id].owed[kind as usize];
        if keep {
            let weight = 1 + std::mem::take(&mut owed.count);
            // Nothing is owed, so nothing has to be held for it.
            let let_go = owed.sample.take().map(|(_, held)| held);
            return Choice { keep: Some((item, weight)), let_go };
        }
        if owed.count == 0 && owed.slowest.is_none() {
            self.owing.push((id, kind));
        }
        Choice { keep: None, let_go: owed.hold(ended.duration_us, ended.spread, item) }
    }

    /// Whether a transaction may be kept since a part of its trace is in the history.
    pub(super) fn take_begun(&mut self) -> bool {
        self.begun.take()
    }

    /// Pays what is owed: those that are kept for it, with their weights.
    pub(super) fn settle(&mut self) -> Vec<(T, u64)> {
        let mut paid = Vec::new();
        for (id, kind) in std::mem::take(&mut self.owing) {
            let owed = &mut self.classes[id].owed[kind as usize];
            paid.extend(owed.slowest.take().map(|(_, _, item)| (item, 1)));
            let count = std::mem::take(&mut owed.count);
            paid.extend(owed.sample.take().map(|(_, item)| (item, count)));
        }
        paid
    }

    /// Ends an interval that lasted so many seconds, and plans the next one by it. To be settled before.
    pub(super) fn roll(&mut self, seconds: u64) {
        let seconds = seconds.max(1);
        self.intervals += 1;
        for budget in [&mut self.ordinary, &mut self.important, &mut self.begun] {
            budget.refill(seconds);
        }
        let demand = |route: &Route| route.seen / seconds;
        let mut demands: Vec<u64> = self.routes.iter().map(demand).filter(|seen| *seen > 0).collect();
        self.share = self.ordinary.share(demands.len() as u64);
        let level = water_level(&mut demands, self.ordinary.left());
        let forget = self.intervals.is_multiple_of(FORGET_AFTER);
        for route in &mut self.routes {
            route.threshold = match demand(route) {
                seen if seen <= level => u64::MAX,
                seen => (level as f64 / seen as f64 * u64::MAX as f64) as u64,
            };
            if route.durations.count() > 0 {
                route.measure(self.slow_floor_us);
            }
            if forget {
                route.durations.halve();
            }
            (route.seen, route.kept) = (0, 0);
        }
    }
}

impl Route {
    fn measure(&mut self, floor_us: u64) {
        let measured = self.durations.count() >= MIN_MEASURED;
        let own = if measured { self.durations.percentile(95).saturating_mul(SLOW_TIMES) } else { 0 };
        self.slow_us = own.max(floor_us);
    }
}

impl<T> Owed<T> {
    /// Owes one more. Answers one that is not needed any more.
    fn hold(&mut self, duration_us: u64, spread: u64, item: T) -> Option<T> {
        let (spread, item) = match &mut self.slowest {
            None => {
                self.slowest = Some((duration_us, spread, item));
                return None;
            }
            Some(slowest) if duration_us > slowest.0 => {
                let before = std::mem::replace(slowest, (duration_us, spread, item));
                (before.1, before.2)
            }
            Some(_) => (spread, item),
        };
        self.count += 1;
        match &mut self.sample {
            Some((smallest, _)) if *smallest <= spread => Some(item),
            sample => sample.replace((spread, item)).map(|(_, before)| before),
        }
    }
}

fn method_number(method: &Method) -> u8 {
    METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len()) as u8
}

#[cfg(test)]
mod tests;
