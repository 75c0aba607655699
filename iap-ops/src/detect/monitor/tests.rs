use super::{Direction, Entity, Measure, Monitor, Sample, SeriesKey};

fn sample(route: &str, value: f64) -> Sample {
    let key = SeriesKey { entity: Entity::Route(route.into()), signal: "errors".into() };
    Sample { key, measure: Measure::Ratio, direction: Direction::Up, value, weight: 50.0 }
}

#[test]
fn events_begin_go_on_and_end() {
    let mut monitor = Monitor::default();
    let (mut begun, mut going_on, mut ended) = (Vec::new(), 0, Vec::new());
    for at in 0..100_u64 {
        let value = if (40..60).contains(&at) { 0.6 } else { 0.01 };
        let changes = monitor.feed(at * 10, &[sample("shop", value), sample("cart", 0.01)]);
        begun.extend(changes.begun);
        going_on += changes.going_on.len();
        ended.extend(changes.ended);
    }
    let [alert] = &begun[..] else { panic!("{begun:?}") };
    assert_eq!((alert.key.entity.name(), alert.since_s), ("shop", 400));
    assert!(alert.at_s <= 420 && going_on > 15);
    assert_eq!(ended.len(), 1);
}

#[test]
fn there_is_a_limit() {
    let mut monitor = Monitor::new(2);
    monitor.feed(0, &[sample("a", 0.0), sample("b", 0.0), sample("c", 0.0)]);
    assert_eq!((monitor.len(), monitor.left_out()), (2, 1));
    // Those that are gone make room.
    monitor.feed(3_600, &[]);
    assert!(monitor.is_empty());
    monitor.feed(3_610, &[sample("c", 0.0)]);
    assert_eq!(monitor.len(), 1);
}

#[test]
fn the_event_of_a_series_that_falls_silent_is_over() {
    let mut monitor = Monitor::default();
    for at in 0..45_u64 {
        monitor.feed(at * 10, &[sample("shop", if at < 40 { 0.0 } else { 0.9 })]);
    }
    let ended: Vec<_> = (45..80_u64).flat_map(|at| monitor.feed(at * 10, &[]).ended).collect();
    assert_eq!(ended.len(), 1);
}
