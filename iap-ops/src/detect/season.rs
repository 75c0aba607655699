//! What is usual at this time of the day, and at this hour of the week.
//!
//! A profile has as many slots as its period is divided into, whatever the step of the series is. A slot is believed after two
//! periods, and a profile is used only where it foretells better than the recent level alone.

/// Seconds of a period, and its slots.
const DAY: (u64, usize) = (86_400, 144);
const WEEK: (u64, usize) = (7 * 86_400, 168);
/// Periods that a slot remembers: of three the median, so that what happened once is not usual.
const MEMORY: usize = 3;
/// How much of an error's past counts after one more sample.
const FADE: f64 = 0.002;
/// A profile is used where its error is below this part of the level's.
const BETTER: f64 = 0.8;

#[derive(Debug, Clone)]
struct Profile {
    period_s: u64,
    /// The means of the last periods, the oldest first; `NaN` where there are fewer.
    means: Vec<[f32; MEMORY]>,
    /// The slot that is being filled: its number, the sum and the count.
    filling: (usize, f64, u32),
    /// The mean absolute error so far, beside that of the level alone.
    error: Option<(f64, f64)>,
}

impl Profile {
    fn new((period_s, slots): (u64, usize)) -> Self {
        Self { period_s, means: vec![[f32::NAN; MEMORY]; slots], filling: (0, 0.0, 0), error: None }
    }

    fn slot(&self, at_s: u64) -> usize {
        (at_s % self.period_s * self.means.len() as u64 / self.period_s) as usize
    }

    /// What is usual then; after two periods. Of two the one that is nearer to the level.
    fn at(&self, at_s: u64, level: f64) -> Option<f64> {
        let [oldest, before, last] = self.means[self.slot(at_s)].map(f64::from);
        if before.is_nan() {
            return None;
        }
        let third = if oldest.is_nan() { level } else { oldest };
        Some(third.max(before).min(third.min(before).max(last)))
    }

    fn learn(&mut self, at_s: u64, value: f64) {
        let slot = self.slot(at_s);
        let (filling, sum, count) = self.filling;
        if slot != filling || count == 0 {
            if count > 0 {
                let means = &mut self.means[filling];
                means.rotate_left(1);
                means[MEMORY - 1] = (sum / f64::from(count)) as f32;
            }
            self.filling = (slot, value, 1);
        } else {
            self.filling = (filling, sum + value, count + 1);
        }
    }

    fn compare(&mut self, own: f64, level: f64) {
        let (mine, theirs) = self.error.get_or_insert((own, level));
        *mine += (own - *mine) * FADE;
        *theirs += (level - *theirs) * FADE;
    }

    fn is_better(&self) -> bool {
        self.error.is_some_and(|(own, level)| own < level * BETTER)
    }
}

/// The profiles of a series.
#[derive(Debug, Clone)]
pub(super) struct Season([Profile; 2]);

impl Season {
    pub(super) fn new() -> Self {
        Self([Profile::new(DAY), Profile::new(WEEK)])
    }

    /// The profile to use at present, by its number.
    pub(super) fn best(&self) -> Option<usize> {
        let error = |at: &usize| self.0[*at].error.map_or(f64::MAX, |(own, _)| own);
        (0..self.0.len()).filter(|at| self.0[*at].is_better()).min_by(|a, b| error(a).total_cmp(&error(b)))
    }

    /// What that profile says of a moment; the level where it says nothing.
    pub(super) fn at(&self, best: Option<usize>, at_s: u64, level: f64) -> f64 {
        best.and_then(|at| self.0[at].at(at_s, level)).unwrap_or(level)
    }

    /// Takes up a value. `offset` is how far the values of late are from what a profile says of their moments.
    pub(super) fn learn(
        &mut self,
        at_s: u64,
        value: f64,
        level: f64,
        offset: impl Fn(&dyn Fn(u64) -> f64) -> f64,
    ) {
        for profile in &mut self.0 {
            if let Some(usual) = profile.at(at_s, level) {
                let offset = offset(&|at_s| profile.at(at_s, level).unwrap_or(usual));
                profile.compare((value - usual - offset).abs(), (value - level).abs());
            }
            profile.learn(at_s, value);
        }
    }

    /// The period in use, in seconds.
    pub(super) fn period_s(&self) -> Option<u64> {
        self.best().map(|at| self.0[at].period_s)
    }
}
