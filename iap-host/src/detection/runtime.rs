//! What processes do inside: how much of the time JVMs stand still, how full their heaps are for good, and how often event loops
//! come late.

use std::collections::BTreeMap;

use iap_apm::RuntimeView;
use iap_apm::runtime::{Reading, instance_name};
use iap_ops::detect::{Alert, Changes, Direction, Entity, Grower, Growth, Measure, Sample, SeriesKey};

/// The signal of the time in pauses.
const GC: &str = "gc";
/// Of how many things a share of time is: it is measured, not counted.
const WEIGHT: f64 = 100.0;
/// Processes whose memory is followed.
const MAX_PROCESSES: usize = 64;
/// Seconds after which one that is not seen any more is forgotten.
const FORGOTTEN_S: u64 = 120;
/// What a JVM takes in its first seconds is what it needs.
const START_S: u64 = 120;
/// Up to which share what is used may stand for what lives: it is never less.
const SURELY_LITTLE: f64 = 0.5;

/// What is kept from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// What counters showed when the last samples were made.
    counted: BTreeMap<SeriesKey, f64>,
    growing: BTreeMap<String, Growing>,
    /// When the last samples were made.
    sampled_us: u64,
}

#[derive(Debug, Default)]
struct Growing {
    grower: Grower,
    /// Seconds of pauses; fewer than before are those of another JVM.
    paused_s: f64,
    /// When this JVM was seen first, and last.
    began_s: u64,
    seen_s: u64,
    /// What it was when it was last looked at.
    event: Option<(u64, f64, f64)>,
    told: bool,
}

impl Inside {
    /// Looks how full heaps are. Is called more often than samples are made: a leak is told by its course.
    pub(super) fn look(&mut self, view: &RuntimeView) {
        let at_s = view.time_us / 1_000_000;
        let paused = sums(view, "jvm.gc.time", process);
        for (name, share) in shares(view) {
            if !self.growing.contains_key(&name) && self.growing.len() >= MAX_PROCESSES {
                continue;
            }
            let paused_s = paused.get(&name).copied().unwrap_or(0.0);
            let growing =
                self.growing.entry(name).or_insert_with(|| Growing { began_s: at_s, ..Growing::default() });
            if paused_s < growing.paused_s {
                *growing = Growing { began_s: at_s, told: growing.told, ..Growing::default() };
            }
            (growing.paused_s, growing.seen_s) = (paused_s, at_s);
            if at_s < growing.began_s + START_S {
                continue;
            }
            growing.event = match growing.grower.push(at_s, share) {
                Growth::Since(since_s, from) => Some((since_s, from, share)),
                Growth::None | Growth::Over => None,
            };
        }
    }

    /// What happened since the samples before, as series. The first look only remembers, and so it is with what has just begun.
    pub(super) fn samples(&mut self, view: &RuntimeView) -> Vec<Sample> {
        let passed_s = view.time_us.saturating_sub(self.sampled_us) as f64 / 1e6;
        if passed_s <= 0.0 {
            return Vec::new();
        }
        self.sampled_us = view.time_us;
        let series = |(entity, counted), signal: &str| {
            (SeriesKey { entity: Entity::Process(entity), signal: signal.to_owned() }, counted)
        };
        let paused = sums(view, "jvm.gc.time", process).into_iter().map(|one| series(one, GC));
        let runtime = |reading: &Reading| reading.labels.get("runtime").cloned();
        let stalls = sums(view, "tokio.stalls", runtime).into_iter().map(|one| series(one, "stalls"));
        let counted: BTreeMap<SeriesKey, f64> = paused.chain(stalls).collect();
        let sample = |(key, now): (&SeriesKey, &f64)| {
            let added = (now - self.counted.get(key)?).max(0.0);
            let (measure, value, weight) = match key.signal == GC {
                true => (Measure::Ratio, (added / passed_s).min(1.0), WEIGHT),
                false => (Measure::Events, added, added),
            };
            Some(Sample { key: key.clone(), measure, direction: Direction::Up, value, weight })
        };
        let samples = counted.iter().filter_map(sample).collect();
        self.counted = counted;
        samples
    }

    /// Whether the memory of a process grows.
    pub(super) fn is_event(&self, key: &SeriesKey) -> bool {
        let Entity::Process(name) = &key.entity else { return false };
        key.signal == "memory" && self.growing.get(name).is_some_and(|growing| growing.told)
    }

    /// Tells of memory that grows, as of events of series.
    pub(super) fn tell(&mut self, at_s: u64, changes: &mut Changes) {
        for (name, growing) in &mut self.growing {
            let key = || SeriesKey { entity: Entity::Process(name.clone()), signal: "memory".into() };
            let gone = growing.seen_s + FORGOTTEN_S <= at_s;
            match growing.event.filter(|_| !gone) {
                Some((since_s, expected, value)) => {
                    let measure = Measure::Ratio;
                    let alert = Alert { key: key(), measure, since_s, at_s, expected, value, score: 0.0 };
                    let list = if growing.told { &mut changes.going_on } else { &mut changes.begun };
                    list.push(alert);
                    growing.told = true;
                }
                None if std::mem::take(&mut growing.told) => changes.ended.push(key()),
                None => {}
            }
        }
        self.growing.retain(|_, growing| growing.seen_s + FORGOTTEN_S > at_s);
    }
}

fn process(reading: &Reading) -> Option<String> {
    instance_name(&reading.labels)
}

/// The sum of the readings of one metric, by whose they are.
fn sums(
    view: &RuntimeView,
    metric: &str,
    whose: impl Fn(&Reading) -> Option<String>,
) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for reading in view.readings.iter().filter(|reading| reading.name == metric) {
        if let Some(name) = whose(reading) {
            *sums.entry(name).or_default() += reading.value;
        }
    }
    sums
}

/// How much of its limit the old generation of each JVM uses for good. Before its first collection it is what is used there, while
/// that is little.
fn shares(view: &RuntimeView) -> BTreeMap<String, f64> {
    let of = |metric| view.readings.iter().filter(move |reading| reading.name == metric);
    let share = |used: &Reading| {
        let limit = of("jvm.memory.limit").find(|limit| limit.labels == used.labels)?;
        (limit.value > 0.0).then(|| Some((process(used)?, used.value / limit.value)))?
    };
    let is_old = |used: &&Reading| {
        let pool = used.labels.get("jvm.memory.pool.name").map_or("", String::as_str);
        used.labels.get("jvm.memory.type").is_some_and(|kind| kind == "heap") && !YOUNG.contains(&pool)
    };
    let used = of("jvm.memory.used").filter(is_old).filter_map(share);
    let mut shares: BTreeMap<_, _> = used.filter(|(_, share)| *share < SURELY_LITTLE).collect();
    shares.extend(of("jvm.memory.used_after_last_gc").filter_map(share));
    shares
}

/// Pools of the young generation.
const YOUNG: [&str; 3] = ["eden", "s0", "s1"];

#[cfg(test)]
mod tests {
    use iap_apm::MetricKind;

    use super::*;

    const LIMIT: f64 = 1e8;

    fn reading(name: &'static str, labels: &[(&str, &str)], value: f64) -> Reading {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Reading { name, kind: MetricKind::Gauge, unit: "1", labels, value }
    }

    /// A JVM that has stood still so long, and what lives in it.
    fn view(at_s: u64, paused_s: f64, live: f64) -> RuntimeView {
        let whose = [("process", "stock"), ("instance", "0")];
        let pool = [&whose[..], &[("jvm.memory.type", "heap"), ("jvm.memory.pool.name", "old")]].concat();
        let collector = |name| [&whose[..], &[("jvm.gc.name", name)]].concat();
        let readings = vec![
            reading("jvm.gc.time", &collector("young"), paused_s / 2.0),
            reading("jvm.gc.time", &collector("full"), paused_s / 2.0),
            reading("jvm.memory.used_after_last_gc", &pool, live * LIMIT),
            reading("jvm.memory.limit", &pool, LIMIT),
            reading("tokio.stalls", &[("runtime", "app")], paused_s * 10.0),
        ];
        RuntimeView { time_us: at_s * 1_000_000, readings, ..RuntimeView::default() }
    }

    #[test]
    fn pauses_become_a_share_of_the_time_and_stalls_a_count() {
        let mut inside = Inside::default();
        assert!(inside.samples(&view(100, 5.0, 0.1)).is_empty(), "the first look only remembers");
        assert!(inside.samples(&view(100, 5.0, 0.1)).is_empty(), "nothing was sampled since");
        let samples = inside.samples(&view(110, 7.0, 0.1));
        let told: Vec<_> = samples.iter().map(|sample| (sample.key.to_string(), sample.value)).collect();
        assert_eq!(told, [("app stalls".to_owned(), 20.0), ("stock 0 gc".to_owned(), 0.2)]);
        let anew = inside.samples(&view(120, 1.0, 0.1));
        assert_eq!(anew.len(), 2);
        assert!(anew.iter().all(|sample| sample.value == 0.0), "a JVM that has begun anew: {anew:?}");
        let mut changes = Changes::default();
        inside.tell(120, &mut changes);
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn a_heap_that_fills_is_an_event_until_the_jvm_begins_anew() {
        let (mut inside, mut changes) = (Inside::default(), Changes::default());
        for (at_s, live) in [(2, 0.4), (20, 0.6), (122, 0.1), (124, 0.3), (126, 0.6), (128, 0.7)] {
            inside.look(&view(at_s, 1.0, live));
        }
        inside.tell(130, &mut changes);
        let [alert] = &changes.begun[..] else { panic!("{changes:?}") };
        assert_eq!((alert.key.to_string().as_str(), alert.since_s, alert.at_s), ("stock 0 memory", 122, 130));
        assert_eq!((alert.expected, alert.value), (0.1, 0.7));
        let key = alert.key.clone();
        assert!(inside.is_event(&key));
        changes = Changes::default();
        inside.look(&view(132, 0.5, 0.1));
        inside.tell(140, &mut changes);
        assert_eq!(changes, Changes { ended: vec![key.clone()], ..Changes::default() });
        assert!(!inside.is_event(&key));
    }

    #[test]
    fn before_a_collection_what_is_used_tells_that_little_lives() {
        let mut inside = Inside::default();
        let mut look = |at_s, used: Option<f64>, live: Option<f64>| {
            let mut view = view(at_s, 1.0, 0.0);
            let mut set = |name, value: Option<f64>| match value {
                Some(value) => {
                    let of =
                        view.readings.iter().find(|one| one.name == "jvm.memory.limit").expect("a limit");
                    let reading = Reading { name, value: value * LIMIT, ..of.clone() };
                    view.readings.retain(|one| one.name != name);
                    view.readings.push(reading);
                }
                None => view.readings.retain(|one| one.name != name),
            };
            set("jvm.memory.used", used);
            set("jvm.memory.used_after_last_gc", live);
            inside.look(&view);
            inside.growing["stock 0"].event.is_some()
        };
        assert!(!look(0, Some(0.02), None));
        assert!(!look(130, Some(0.1), None));
        assert!(!look(132, Some(0.4), None));
        assert!(!look(134, Some(0.9), None), "may be garbage");
        assert!(look(136, Some(0.9), Some(0.7)), "was not");
    }

    #[test]
    fn what_is_not_seen_any_more_is_over() {
        let (mut inside, mut changes) = (Inside::default(), Changes::default());
        for (at_s, live) in [(2, 0.1), (124, 0.3), (126, 0.6), (128, 0.9)] {
            inside.look(&view(at_s, 1.0, live));
        }
        inside.tell(130, &mut changes);
        assert_eq!(changes.begun.len(), 1);
        let gone = RuntimeView { time_us: 300_000_000, ..RuntimeView::default() };
        inside.look(&gone);
        inside.tell(300, &mut changes);
        assert_eq!(changes.ended.len(), 1);
        assert!(inside.growing.is_empty());
    }
}
