use super::{Forecast, Random, forecast, forecast_with};

/// Hours with a daily and weekly shape, a growth for each week, and noise of a known size.
fn load(hours: usize, growth: f64, noise: f64) -> Vec<f64> {
    let mut random = Random(7);
    (0..hours)
        .map(|hour| {
            let day = if (hour / 24) % 7 < 5 { 100.0 } else { 60.0 };
            let shape = 1.0 + (hour % 24) as f64 / 24.0;
            let error = (random.below(2_001) as f64 / 1_000.0 - 1.0) * noise;
            day * shape + growth * hour as f64 / 168.0 + error
        })
        .collect()
}

#[test]
fn less_than_two_seasons_are_not_enough() {
    assert!(forecast(&load(47, 0.0, 1.0), 0, 24).is_none());
    assert_eq!(forecast(&load(48, 0.0, 1.0), 0, 24).expect("two days").season, 24);
    assert_eq!(forecast(&load(336, 0.0, 1.0), 0, 24).expect("two weeks").season, 168);
}

#[test]
fn a_trend_is_followed_where_it_helps() {
    let growing = forecast(&load(840, 10.0, 1.0), 0, 168).expect("five weeks");
    assert!((growing.trend - 10.0).abs() < 1.0, "{}", growing.trend);
    let later = load(1_008, 10.0, 0.0);
    for (point, actual) in growing.points.iter().zip(&later[840..]) {
        assert!((point.value - actual).abs() < 4.0, "{point:?} {actual}");
    }
}

#[test]
fn intervals_cover_what_they_say_and_widen() {
    let (mut inside_80, mut inside_95, mut all) = (0, 0, 0);
    for hours in [504, 588, 672, 756] {
        let values = load(hours + 168, 5.0, 20.0);
        let made = forecast(&values[..hours], 0, 168).expect("three weeks");
        for (point, actual) in made.points.iter().zip(&values[hours..]) {
            let within = |(low, high): (f64, f64)| (low..=high).contains(actual);
            inside_80 += usize::from(within(point.range_80));
            inside_95 += usize::from(within(point.range_95));
            all += 1;
        }
    }
    let share = |inside: usize| inside as f64 / all as f64;
    assert!((0.72..=0.90).contains(&share(inside_80)), "{}", share(inside_80));
    assert!((0.90..=0.99).contains(&share(inside_95)), "{}", share(inside_95));
    let far = forecast(&load(336, 0.0, 20.0), 0, 744).expect("two weeks");
    let width = |at: usize| far.points[at].range_80.1 - far.points[at].range_80.0;
    assert!(width(743) > width(0), "{} {}", width(743), width(0));
}

#[test]
fn the_probability_falls_with_the_limit_and_is_the_same_again() {
    let made = forecast(&load(672, 0.0, 20.0), 24, 168).expect("four weeks");
    let paths = [100.0, 215.0, 400.0].map(|limit| made.paths_above(limit));
    assert!((paths[0] - 100.0).abs() < 1e-9 && paths[1] > 0.0 && paths[2] < 1e-9, "{paths:?}");
    let [low, middle, high] = [100.0, 215.0, 400.0].map(|limit| made.exceeds(limit));
    assert!(low < 100.0 && low >= middle && middle > high && high < 1e-9, "{low} {middle} {high}");
    assert!((made.exceeds(215.0) - middle).abs() < 1e-9);
}

#[test]
fn a_day_off_is_like_the_last_one_and_no_pattern_for_a_working_day() {
    // Five weeks from a Monday on: a hundred an hour, forty on Sundays and on the Wednesday of the fourth week.
    let off = |step: usize| step / 24 % 7 == 6 || step / 24 == 23 || step / 24 == 37;
    let values: Vec<f64> =
        (0..840).map(|step| if off(step) { 40.0 } else { 100.0 + (step % 3) as f64 }).collect();
    let at_noon = |made: &Forecast, day: usize| made.points[day * 24 + 12].value;
    let known = forecast_with(&values, 0, 168, &off).expect("five weeks");
    assert_eq!(known.season, 168);
    assert_eq!([1, 2, 6].map(|day| at_noon(&known, day)), [100.0, 40.0, 40.0], "the third day is a holiday");
    let unaware = forecast(&values, 0, 168).expect("five weeks");
    assert_eq!(at_noon(&unaware, 2), 100.0);
    assert!(known.mean_error < unaware.mean_error, "{} {}", known.mean_error, unaware.mean_error);
    // The week after the holiday is an ordinary one.
    let later = forecast_with(&values[..672], 0, 168, &off).expect("four weeks");
    assert_eq!([1, 2, 6].map(|day| at_noon(&later, day)), [100.0, 100.0, 40.0]);
}
