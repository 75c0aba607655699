//! The load to come: seasonal-naive with a trend, and intervals from how wrong it was on the history that is
//! there.
//!
//! The value of an hour is that of the same hour one season before, plus the trend. Where that season is a week, an hour of a day off
//! is that of the latest day off, and a day off is no pattern for a working day. Which season, and whether with
//! a trend, is what had the smaller error in the back-test. Intervals are quantiles of the back-test's errors at the
//! same distance, as wide as those of its earlier half must be to hold its later half; beyond the greatest distance that
//! the history could test they widen with the square root of it.

use serde::Serialize;

const DAY: usize = 24;
const WEEK: usize = 7 * DAY;
/// Steps of a season: a week of hours, a day of hours.
const SEASONS: [usize; 2] = [WEEK, DAY];
/// Days, or weeks, in which a pattern is looked for.
const LOOK_BACK: usize = 14;
/// Origins of the back-test in each season.
const ORIGINS: usize = 4;
/// Steps of the back-test by which seasons, and with or without a trend, are compared.
const NEAR: usize = 48;
/// Paths that are drawn for a probability.
const PATHS: usize = 2_000;

/// A step to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ForecastPoint {
    /// What is expected.
    pub value: f64,
    /// The bounds of the 80 % interval.
    pub range_80: (f64, f64),
    /// The bounds of the 95 % interval.
    pub range_95: (f64, f64),
}

/// A forecast.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// The steps asked for.
    pub points: Vec<ForecastPoint>,
    /// Steps of a season.
    pub season: usize,
    /// Change from one season to the next; 0 where a trend did not help.
    pub trend: f64,
    /// The mean error of the back-test without its sign.
    pub mean_error: f64,
    /// The greatest distance that was tested, in steps.
    pub tested: usize,
    /// Of the later half of the back-test, the part inside the 80 % interval of the earlier half, in percent.
    pub coverage_80: Option<f64>,
    /// Errors by distance in seasons, in stretches as long as a season.
    blocks: Vec<Vec<Vec<f64>>>,
    from: usize,
}

/// Errors of the back-test.
struct Errors {
    /// By distance in seasons, in the order of the origins.
    blocks: Vec<Vec<Vec<f64>>>,
}

/// Forecasts `length` steps, of which the first is `from` steps after the last value; `None` with less than two
/// seasons.
pub fn forecast(values: &[f64], from: usize, length: usize) -> Option<Forecast> {
    forecast_with(values, from, length, &|_| false)
}

/// The same where it is known which steps, counted from the first value, are of a day off: a Sunday or a public holiday.
pub fn forecast_with(
    values: &[f64],
    from: usize,
    length: usize,
    is_off: &dyn Fn(usize) -> bool,
) -> Option<Forecast> {
    let seasons: Vec<usize> = SEASONS.into_iter().filter(|season| values.len() >= season * 2).collect();
    // The same origins for all, so that their errors can be compared.
    let first = *seasons.first()?;
    let candidates = seasons.iter().flat_map(|season| {
        // Two seasons do not test a trend: it needs both to be estimated.
        let trended = values.len() >= season * 3;
        [Some((*season, false)), trended.then_some((*season, true))].into_iter().flatten()
    });
    let tested = candidates.map(|(season, trended)| {
        let errors = back_test(values, (season, trended), first, is_off);
        (errors.near(season), season, trended, errors)
    });
    let (_, season, trended, errors) = tested.min_by(|(a, ..), (b, ..)| a.total_cmp(b))?;
    let trend = if trended { trend(values, season) } else { 0.0 };
    let widening = errors.widening();
    let quantiles = errors.quantiles();
    let points = (from..from + length).map(|step| {
        let value = predict(values, season, step, trend, is_off);
        let at = |low: usize| {
            let (distance, scale) = distance(step / season, quantiles.len());
            let scale = scale * widening;
            let [a, b] = [quantiles[distance][low], quantiles[distance][3 - low]];
            // A rate is never below nothing.
            ((value + a * scale).max(0.0), (value + b * scale).max(0.0))
        };
        ForecastPoint { value: value.max(0.0), range_80: at(1), range_95: at(0) }
    });
    Some(Forecast {
        points: points.collect(),
        season,
        trend,
        mean_error: errors.mean(),
        tested: values.len() - first,
        coverage_80: errors.coverage(widening),
        blocks: errors.blocks,
        from,
    })
}

impl Forecast {
    /// How likely a step is above a limit, in percent: the part of [drawn paths](Self::paths_above) that cross it, calibrated.
    pub fn exceeds(&self, limit: f64) -> f64 {
        calibrated(self.paths_above(limit))
    }

    /// The part of drawn paths that cross a limit, in percent. A path is the forecast with stretches of the back-test's errors. Taken
    /// as a probability it is too sure.
    pub fn paths_above(&self, limit: f64) -> f64 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let crossing = (0..PATHS).filter(|_| {
            let mut block: &[f64] = &[];
            let (mut scale, mut at) = (1.0, 0);
            self.points.iter().enumerate().any(|(index, point)| {
                let step = self.from + index;
                if index == 0 || step.is_multiple_of(self.season) {
                    let (distance, wider) = distance(step / self.season, self.blocks.len());
                    let blocks = &self.blocks[distance];
                    block = &blocks[random.below(blocks.len())];
                    (scale, at) = (wider, step % self.season);
                }
                let error = block.get(at % block.len().max(1)).copied().unwrap_or(0.0);
                at += 1;
                point.value + error * scale > limit
            })
        });
        crossing.count() as f64 * 100.0 / PATHS as f64
    }
}

/// What a share of paths means, in percent: how often it came to that. Isotonic regression on every second of the hourly series
/// of the M4 competition (`cargo run --example forecast_quality -- DIRECTORY fit`); `docs/ops-quality.md` has how it holds on the others.
const CALIBRATION: [(f64, f64); 9] = [
    // Not measured: where no path comes near the limit, the load does not.
    (0.0, 0.0),
    (2.6, 9.9),
    (20.7, 21.0),
    (39.6, 39.0),
    (60.8, 50.5),
    (80.5, 64.1),
    (91.6, 78.1),
    (97.7, 80.9),
    (100.0, 96.9),
];

fn calibrated(share: f64) -> f64 {
    let after = CALIBRATION.partition_point(|(said, _)| *said < share).clamp(1, CALIBRATION.len() - 1);
    let ((said, came), (next_said, next_came)) = (CALIBRATION[after - 1], CALIBRATION[after]);
    let part = ((share - said) / (next_said - said)).clamp(0.0, 1.0);
    came + part * (next_came - came)
}

/// The distance whose errors stand for another one, and how much wider they are.
fn distance(seasons: usize, known: usize) -> (usize, f64) {
    let last = known.saturating_sub(1);
    if seasons <= last { (seasons, 1.0) } else { (last, ((seasons + 1) as f64 / (last + 1) as f64).sqrt()) }
}

/// The step at `ahead`, 0 being the first after the values.
fn predict(values: &[f64], season: usize, ahead: usize, trend: f64, is_off: &dyn Fn(usize) -> bool) -> f64 {
    values[pattern(values.len(), season, ahead, is_off)] + trend * (ahead / season + 1) as f64
}

/// The step that another one is like.
fn pattern(known: usize, season: usize, ahead: usize, is_off: &dyn Fn(usize) -> bool) -> usize {
    let usual = known - season + ahead % season;
    let target = known + ahead;
    if season != WEEK || is_off(usual) == is_off(target) {
        return usual;
    }
    // The same hour of an earlier day: for a day off any other, for a working day the same of a week.
    let step = if is_off(target) { DAY } else { WEEK };
    let last = known - step + (target - known) % step;
    let earlier = (0..=last / step).map(|back| last - back * step);
    earlier.take(LOOK_BACK).find(|at| is_off(*at) == is_off(target)).unwrap_or(usual)
}

/// The median change from one season's mean to the next one's.
fn trend(values: &[f64], season: usize) -> f64 {
    let means: Vec<f64> =
        values.rchunks_exact(season).map(|chunk| chunk.iter().sum::<f64>() / season as f64).collect();
    // The latest comes first.
    let mut changes: Vec<f64> = means.windows(2).map(|pair| pair[0] - pair[1]).collect();
    changes.sort_by(f64::total_cmp);
    changes.get(changes.len() / 2).copied().unwrap_or(0.0)
}

fn back_test(
    values: &[f64],
    (season, with_trend): (usize, bool),
    first: usize,
    is_off: &dyn Fn(usize) -> bool,
) -> Errors {
    let mut blocks: Vec<Vec<Vec<f64>>> = Vec::new();
    for origin in (first..values.len()).step_by((first / ORIGINS).max(1)) {
        let (known, later) = values.split_at(origin);
        let trend = if with_trend { trend(known, season) } else { 0.0 };
        for (distance, actual) in later.chunks(season).enumerate() {
            let error = |(step, actual): (usize, &f64)| {
                actual - predict(known, season, distance * season + step, trend, is_off)
            };
            let errors: Vec<f64> = actual.iter().enumerate().map(error).collect();
            if blocks.len() <= distance {
                blocks.push(Vec::new());
            }
            blocks[distance].push(errors);
        }
    }
    Errors { blocks }
}

impl Errors {
    fn mean(&self) -> f64 {
        let all: Vec<f64> = self.blocks.iter().flatten().flatten().copied().collect();
        all.iter().map(|error| error.abs()).sum::<f64>() / all.len().max(1) as f64
    }

    /// By distance: 2.5, 10, 90 and 97.5 %, never narrower than those before.
    fn quantiles(&self) -> Vec<[f64; 4]> {
        let mut wide = [0.0_f64; 4];
        let of = |blocks: &Vec<Vec<f64>>| {
            let found = quantiles(blocks.iter().flatten().copied().collect());
            wide =
                [wide[0].min(found[0]), wide[1].min(found[1]), wide[2].max(found[2]), wide[3].max(found[3])];
            wide
        };
        self.blocks.iter().map(of).collect()
    }

    /// The mean error of the first days, by which candidates are compared.
    fn near(&self, season: usize) -> f64 {
        let blocks = self.blocks.iter().take(NEAR.div_ceil(season));
        let errors = blocks.flatten().flat_map(|block| block.iter().take(NEAR));
        let (sum, count) = errors.fold((0.0, 0_usize), |(sum, count), error| (sum + error.abs(), count + 1));
        sum / count.max(1) as f64
    }

    /// The factor with which the 80 % interval of the earlier half holds 80 % of the later one; below one where that was
    /// wider than need be.
    fn widening(&self) -> f64 {
        let holds = |factor: &f64| self.coverage(*factor).is_none_or(|coverage| coverage >= 80.0);
        (14..=60).map(|step| f64::from(step) / 20.0).find(holds).unwrap_or(3.0)
    }

    fn coverage(&self, widening: f64) -> Option<f64> {
        let first = self.blocks.first()?;
        let (early, late) = first.split_at(first.len() / 2);
        let early: Vec<f64> = early.iter().flatten().copied().collect();
        let late: Vec<f64> = late.iter().flatten().copied().collect();
        if early.is_empty() || late.is_empty() {
            return None;
        }
        let [_, low, high, _] = quantiles(early);
        let inside = late.iter().filter(|error| (low * widening..=high * widening).contains(*error)).count();
        Some(inside as f64 * 100.0 / late.len() as f64)
    }
}

fn quantiles(mut errors: Vec<f64>) -> [f64; 4] {
    errors.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = part * errors.len().saturating_sub(1) as f64;
        // Outwards: few errors must not make a narrow interval.
        let place = if part < 0.5 { place.floor() } else { place.ceil() };
        errors.get(place as usize).copied().unwrap_or(0.0)
    };
    [at(0.025), at(0.1), at(0.9), at(0.975)]
}

/// SplitMix64: the same history gives the same probability.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests;
