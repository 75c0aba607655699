//! From points to what was asked about them, the same for every engine.
//!
//! What counts becomes increments over intervals: from the point before to the point, within one stream,
//! which a start time or a falling value ends. A stream that is new began with nothing when the other
//! series of its metric were last reported, or else at its start. An increment is spread evenly over its
//! interval.

mod cell;
mod mix;
mod since;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use self::cell::{Cell, Level};
use self::since::since;
use super::metric_query::{MAX_GROUPS, MAX_VALUES, MetricAnswer, MetricFunction, MetricGroup, MetricQuery};
use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::{
    Distribution, Labels, MetricKind, MetricPoint, MetricSeries, MetricValue, Temporality, Window,
};

/// How far beyond the window points are needed, to know what the first and last steps gained.
const AROUND_US: u64 = 300_000_000;

/// The label that stands for the service.
const SERVICE: &str = "service";

/// The evaluation of one query. Engines make it of all series of the metric, [`add`](Self::add) the points
/// of those that it [`reads`](Self::reads), and [`finish`](Self::finish) it.
#[derive(Debug)]
pub struct Evaluation<'a> {
    query: &'a MetricQuery,
    series: &'a [MetricSeries],
    /// The group of each series that is asked for.
    places: Vec<Option<usize>>,
    groups: Vec<(Labels, Vec<Cell>)>,
    left_out: u64,
    kind: Option<MetricKind>,
    function: Option<MetricFunction>,
    steps: usize,
    /// When streams of a service and a start were reported.
    reports: HashMap<(&'a str, u64), BTreeSet<u64>>,
    /// First points of streams, by series.
    births: Vec<(usize, MetricPoint)>,
}

/// Something that was gained over a time.
enum Gain<'a> {
    Number(f64),
    Distribution(&'a Distribution),
    Values { count: f64, sum: f64 },
}

impl<'a> Evaluation<'a> {
    /// Of the time whose points are needed.
    pub fn window(query: &MetricQuery) -> Window {
        let Window { from_us, to_us } = query.window;
        Window::new(from_us.saturating_sub(AROUND_US), to_us.saturating_add(AROUND_US))
    }

    /// Begins.
    ///
    /// # Errors
    /// [`HistoryErrorKind::InvalidQuery`]: its text begins with the name of the parameter.
    pub fn new(query: &'a MetricQuery, series: &'a [MetricSeries]) -> Result<Self, HistoryError> {
        let steps = query.steps()?;
        let right_kind = |series: &&MetricSeries| query.kind.is_none_or(|kind| kind == series.kind);
        let kinds: BTreeSet<MetricKind> =
            series.iter().filter(right_kind).map(|series| series.kind).collect();
        if kinds.len() > 1 {
            return Err(invalid("kind: the name is used for several kinds of metrics; say which"));
        }
        let kind = kinds.first().copied();
        let delta = |series: &MetricSeries| series.temporality == Temporality::Delta;
        let usual = |series: &MetricSeries| MetricFunction::usual(series.kind, delta(series));
        let function = query.function.or(series.iter().find(right_kind).map(usual));
        let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
        for (at, series) in series.iter().enumerate().filter(|(_, series)| right_kind(series)) {
            let fits = |function: MetricFunction| function.fits(series.kind, delta(series));
            if !function.is_some_and(fits) {
                return Err(invalid(
                    "fn: that cannot be computed of a metric of this kind: see docs/metrics.md",
                ));
            }
            if is_asked_for(query, series) {
                groups.entry(group_of(query, series)).or_default().push(at);
            }
        }
        let room = (MAX_GROUPS as u64).min(MAX_VALUES / steps) as usize;
        let left_out = groups.len().saturating_sub(room) as u64;
        let mut places = vec![None; series.len()];
        let groups = groups.into_iter().take(room).enumerate().map(|(place, (labels, members))| {
            members.into_iter().for_each(|member| places[member] = Some(place));
            (labels, std::iter::repeat_with(Cell::default).take(steps as usize).collect())
        });
        let groups = groups.collect();
        Ok(Self {
            query,
            series,
            places,
            groups,
            left_out,
            kind,
            function,
            steps: steps as usize,
            reports: HashMap::new(),
            births: Vec::new(),
        })
    }

    /// Whether the points of a series are needed.
    pub fn reads(&self, series: usize) -> bool {
        // Others tell when a new stream began.
        self.places[series].is_some()
            || self.kind == Some(self.series[series].kind) && self.is_counted(series)
    }

    /// Whether a series is among those asked for.
    pub fn asks_for(&self, series: usize) -> bool {
        self.places[series].is_some()
    }

    /// Adds all points of a series in [`window`](Self::window), in any order, each of them once or more
    /// often; `before` when there are older ones.
    pub fn add(&mut self, series: usize, mut points: Vec<MetricPoint>, before: bool) {
        points.sort_by_key(|point| (point.time_us, point.start_us));
        points.dedup_by_key(|point| (point.time_us, point.start_us));
        let cumulative = self.series[series].temporality == Temporality::Cumulative;
        if !self.is_counted(series) {
            return self.add_levels(series, &points);
        }
        if cumulative {
            for point in &points {
                let key = (self.series[series].service.as_str(), point.start_us);
                self.reports.entry(key).or_default().insert(point.time_us);
            }
        }
        let Some(place) = self.places[series] else { return };
        self.add_latest(place, series, &points);
        let mut covered = vec![0.0; self.steps];
        let mut gained = vec![0.0; self.steps];
        let mut last: HashMap<u64, &MetricPoint> = HashMap::new();
        for point in &points {
            if !cumulative {
                let gain = whole(&point.value);
                self.gain(place, (point.start_us, point.time_us), &gain, &mut gained, &mut covered);
                self.ends(place, point);
                continue;
            }
            match last.insert(point.start_us, point) {
                Some(earlier) => {
                    self.grow(place, earlier, point, &mut gained, &mut covered);
                }
                None if before && points.first().is_some_and(|first| first.start_us == point.start_us) => {}
                None => {
                    // Before it there was nothing of it, so nothing is missing in its step.
                    if self.query.window.contains(point.time_us) {
                        covered[self.step(point.time_us)] = self.query.step_us as f64;
                    }
                    self.births.push((series, point.clone()));
                }
            }
        }
        for (at, cell) in self.groups[place].1.iter_mut().enumerate() {
            let step = self.query.step_us as f64;
            cell.rate += gained[at] / if covered[at] > 0.0 { covered[at].min(step) } else { step } * 1e6;
        }
    }

    /// The answer.
    pub fn finish(mut self) -> MetricAnswer {
        let step = self.query.step_us as f64;
        for (series, point) in std::mem::take(&mut self.births) {
            let Some(place) = self.places[series] else { continue };
            let service = self.series[series].service.as_str();
            let reports = self.reports.get(&(service, point.start_us));
            let before = (Bound::Unbounded, Bound::Excluded(point.time_us));
            let reported = reports.and_then(|times| times.range(before).next_back().copied());
            let Some(began) = reported.or((point.start_us > 0).then_some(point.start_us)) else { continue };
            let (mut gained, mut covered) = (vec![0.0; self.steps], vec![0.0; self.steps]);
            self.gain(place, (began, point.time_us), &whole(&point.value), &mut gained, &mut covered);
            for (cell, gained) in self.groups[place].1.iter_mut().zip(gained) {
                cell.rate += gained / step * 1e6;
            }
        }
        let (query, function) = (self.query, self.function);
        let asked = self.series.iter().zip(&self.places).find(|(_, place)| place.is_some());
        let compute = |cell: &Cell| function.and_then(|function| cell.compute(function));
        MetricAnswer {
            kind: self.kind,
            unit: asked.map(|(series, _)| series.unit.clone()).unwrap_or_default(),
            function,
            window: query.window,
            step_us: query.step_us,
            groups: (self.groups.iter())
                .map(|(labels, cells)| MetricGroup {
                    labels: labels.clone(),
                    values: cells.iter().map(compute).collect(),
                })
                .collect(),
            left_out: self.left_out,
            exemplars: Vec::new(),
        }
    }

    /// Whether points say how much there was, not how much there is.
    fn is_counted(&self, series: usize) -> bool {
        let series = &self.series[series];
        match series.kind {
            MetricKind::Gauge => false,
            MetricKind::UpDownCounter => series.temporality == Temporality::Delta,
            _ => true,
        }
    }

    /// What came from one point of a stream to the next.
    fn grow(
        &mut self,
        place: usize,
        earlier: &MetricPoint,
        point: &MetricPoint,
        gained: &mut [f64],
        covered: &mut [f64],
    ) {
        let between = (earlier.time_us, point.time_us);
        let mut add = |gain: &Gain<'_>| self.gain(place, between, gain, gained, covered);
        match (&point.value, &earlier.value) {
            // After a fall it has counted from nothing.
            (MetricValue::Number(now), MetricValue::Number(before)) => {
                add(&Gain::Number(if now < before { *now } else { now - before }));
            }
            (MetricValue::Distribution(now), MetricValue::Distribution(before)) => match since(now, before) {
                Some(difference) => add(&Gain::Distribution(&difference)),
                None if now.count < before.count => add(&Gain::Distribution(now)),
                None => {}
            },
            (MetricValue::Quantiles(now), MetricValue::Quantiles(before)) => {
                let fell = now.count < before.count;
                let (count, sum) = if fell { (0, 0.0) } else { (before.count, before.sum) };
                add(&Gain::Values { count: (now.count - count) as f64, sum: now.sum - sum });
            }
            _ => {}
        }
    }

    /// Spreads a gain over the steps that its time touches.
    fn gain(
        &mut self,
        place: usize,
        (from_us, to_us): (u64, u64),
        gain: &Gain<'_>,
        gained: &mut [f64],
        covered: &mut [f64],
    ) {
        let (window, step_us) = (self.query.window, self.query.step_us);
        // Without a known beginning all of it came at once, just before it was told.
        let from_us = if from_us == 0 || from_us >= to_us { to_us.saturating_sub(1) } else { from_us };
        let (first, last) = (from_us.max(window.from_us), to_us.min(window.to_us));
        if first >= last {
            return;
        }
        let length = (to_us - from_us) as f64;
        let step_of = |time_us: u64| ((time_us - window.from_us) / step_us) as usize;
        for step in step_of(first)..=step_of(last - 1) {
            let begin = window.from_us + step as u64 * step_us;
            let inside = last.min(begin + step_us).saturating_sub(first.max(begin)) as f64;
            let part = inside / length;
            let cell = &mut self.groups[place].1[step];
            cell.reported = true;
            if length > 1.0 {
                covered[step] += inside;
            }
            match gain {
                Gain::Number(number) => {
                    cell.amount += number * part;
                    gained[step] += number * part;
                }
                Gain::Distribution(distribution) => {
                    cell.mix().add(distribution, part);
                    gained[step] += distribution.count as f64 * part;
                }
                Gain::Values { count, sum } => {
                    cell.amount += sum * part;
                    cell.values += count * part;
                    gained[step] += count * part;
                }
            }
        }
    }

    /// Delta points say what was the least and the most in just their time.
    fn ends(&mut self, place: usize, point: &MetricPoint) {
        let MetricValue::Distribution(distribution) = &point.value else { return };
        let window = self.query.window;
        let last = point.time_us.min(window.to_us).saturating_sub(1);
        let first = point.start_us.clamp(window.from_us, last.max(window.from_us));
        if last < window.from_us || point.time_us <= window.from_us || first > last {
            return;
        }
        let first = if point.start_us == 0 { last } else { first };
        for step in self.step(first)..=self.step(last) {
            self.groups[place].1[step].mix().ends(distribution);
        }
    }

    fn step(&self, time_us: u64) -> usize {
        ((time_us - self.query.window.from_us) / self.query.step_us) as usize
    }

    fn add_levels(&mut self, series: usize, points: &[MetricPoint]) {
        let Some(place) = self.places[series] else { return };
        let mut levels: BTreeMap<usize, Level> = BTreeMap::new();
        for point in points.iter().filter(|point| self.query.window.contains(point.time_us)) {
            if let MetricValue::Number(number) = point.value {
                levels.entry(self.step(point.time_us)).or_default().add(point.time_us, number);
            }
        }
        for (step, level) in levels {
            self.groups[place].1[step].add_level(&level);
        }
    }

    /// Takes the latest points of a series that counts, as they were reported.
    fn add_latest(&mut self, place: usize, series: usize, points: &[MetricPoint]) {
        for point in points.iter().filter(|point| self.query.window.contains(point.time_us)) {
            let step = self.step(point.time_us);
            let cell = &mut self.groups[place].1[step];
            match &point.value {
                MetricValue::Number(number) => cell.take_latest(point.time_us, *number),
                MetricValue::Quantiles(quantiles) => cell.quote(series, quantiles),
                MetricValue::Distribution(_) => {}
            }
        }
    }
}

/// A point that counts from nothing.
fn whole(value: &MetricValue) -> Gain<'_> {
    match value {
        MetricValue::Number(number) => Gain::Number(*number),
        MetricValue::Distribution(distribution) => Gain::Distribution(distribution),
        MetricValue::Quantiles(quantiles) => {
            Gain::Values { count: quantiles.count as f64, sum: quantiles.sum }
        }
    }
}

fn is_asked_for(query: &MetricQuery, series: &MetricSeries) -> bool {
    query.service.as_ref().is_none_or(|service| *service == series.service)
        && query.filter.iter().all(|(name, value)| label(series, name) == Some(value))
}

fn group_of(query: &MetricQuery, series: &MetricSeries) -> Labels {
    let known = |name: &String| Some((name.clone(), label(series, name)?.clone()));
    query.by.iter().filter_map(known).collect()
}

/// A label of a series; one of its own goes before the service.
fn label<'a>(series: &'a MetricSeries, name: &str) -> Option<&'a String> {
    series.labels.get(name).or_else(|| (name == SERVICE).then_some(&series.service))
}

fn invalid(message: &'static str) -> HistoryError {
    HistoryError::new(HistoryErrorKind::InvalidQuery, message)
}

#[cfg(test)]
mod tests;
