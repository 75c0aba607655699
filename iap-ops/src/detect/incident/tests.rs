use super::{Ack, AckError, Incident, IncidentState, Incidents, Severity};
use crate::cause::{CauseKind, RootCause};
use crate::detect::{Alert, Entity, Measure, SeriesKey};

fn alert(route: &str, signal: &str, at_s: u64) -> Alert {
    let key = SeriesKey { entity: Entity::Route(route.into()), signal: signal.into() };
    Alert { key, measure: Measure::Ratio, since_s: at_s - 10, at_s, expected: 0.0, value: 0.5, score: 9.0 }
}

fn cause(name: &str) -> RootCause {
    RootCause { confidence: 0.9, ..RootCause::new(CauseKind::Sql, name) }
}

fn ack(who: &str) -> Ack {
    Ack { at_s: 1, who: who.into(), note: "I look".into() }
}

#[test]
fn one_cause_is_one_incident_whatever_it_shows_in() {
    let mut incidents = Incidents::default();
    let (id, new) = incidents.report(alert("shop", "errors", 100), cause("select a"));
    assert!(new);
    assert_eq!(incidents.report(alert("cart", "p95", 900), cause("select a")), (id, false));
    assert_eq!(incidents.report(alert("shop", "errors", 110), cause("select a")), (id, false));
    assert_eq!(incidents.get(id).unwrap().signals.len(), 2, "the same event counts once");
    assert_eq!(incidents.get(id).unwrap().severity, Severity::Critical);
    let (other, new) = incidents.report(alert("mail", "p95", 120), cause("select b"));
    assert!(new && other != id);
}

#[test]
fn what_comes_with_anything_joins_what_is_wrong_at_the_time_whichever_was_first() {
    let fewer = RootCause { confidence: 0.2, ..RootCause::new(CauseKind::Metric, "fewer requests") };
    for first in [true, false] {
        let mut incidents = Incidents::default();
        let mut reports =
            [(alert("mail", "requests", 100), fewer.clone()), (alert("shop", "p50", 110), cause("a"))];
        if first {
            reports.reverse();
        }
        for (alert, cause) in reports {
            incidents.report(alert, cause);
        }
        assert_eq!(incidents.list().count(), 1);
        assert_eq!(incidents.get(1).unwrap().cause.name, "a", "the surer one counts");
    }
    let mut incidents = Incidents::default();
    incidents.report(alert("shop", "p50", 100), cause("a"));
    incidents.report(alert("mail", "requests", 900), fewer);
    assert_eq!(incidents.list().count(), 2, "long after is something else");
}

#[test]
fn it_is_resolved_when_all_its_events_are_over() {
    let mut incidents = Incidents::default();
    let (first, second) = (alert("shop", "errors", 100), alert("cart", "errors", 110));
    let (id, _) = incidents.report(first.clone(), cause("a"));
    incidents.report(second.clone(), cause("a"));
    assert_eq!(incidents.end(&first.key, 200), None);
    assert_eq!(incidents.end(&first.key, 205), None, "it is over already");
    assert_eq!(incidents.end(&second.key, 210), Some(id));
    let incident = incidents.get(id).unwrap();
    assert_eq!((incident.state, incident.resolved_s), (IncidentState::Resolved, Some(210)));
}

#[test]
fn what_is_resolved_takes_nothing_up_acknowledged_or_not() {
    for acknowledged in [false, true] {
        let mut incidents = Incidents::default();
        let event = alert("shop", "errors", 100);
        let (id, _) = incidents.report(event.clone(), cause("a"));
        if acknowledged {
            incidents.acknowledge(id, ack("alice")).unwrap();
            assert_eq!(incidents.report(alert("cart", "errors", 105), cause("a")), (id, false));
            incidents.end(&alert("cart", "errors", 1_00).key, 108);
        }
        incidents.end(&event.key, 110).unwrap();
        let (again, new) = incidents.report(alert("shop", "errors", 120), cause("a"));
        assert!(new && again != id);
        assert_eq!(incidents.get(again).unwrap().previous, Some(id));
        assert_eq!(incidents.get(id).unwrap().resolved_s, Some(110));
    }
}

#[test]
fn who_knows_of_it_is_kept_and_only_while_it_is_not_over() {
    let mut incidents = Incidents::default();
    let event = alert("shop", "errors", 100);
    let (id, _) = incidents.report(event.clone(), cause("a"));
    assert_eq!(incidents.acknowledge(99, ack("alice")).unwrap_err(), AckError::Unknown);
    for at in 0..50 {
        let incident = incidents.acknowledge(id, ack(&format!("person {at}"))).unwrap();
        assert_eq!(incident.state, IncidentState::Acknowledged);
    }
    assert_eq!(incidents.get(id).unwrap().acks.len(), 20);
    incidents.end(&event.key, 200);
    assert_eq!(incidents.acknowledge(id, ack("alice")).unwrap_err(), AckError::Resolved);
}

#[test]
fn a_restart_goes_on_with_the_numbers_and_ends_what_is_not_seen_again() {
    let mut incidents = Incidents::default();
    let (id, _) = incidents.report(alert("shop", "errors", 100), cause("a"));
    incidents.report(alert("mail", "errors", 900), cause("b"));
    let text = serde_json::to_string(&incidents.list().collect::<Vec<_>>()).unwrap();
    let kept: Vec<Incident> = serde_json::from_str(&text).unwrap();
    let mut incidents = Incidents::new(kept, 10);
    let seen = alert("mail", "errors", 900).key;
    assert_eq!(incidents.end_unknown(1_000, |key| *key == seen), [id]);
    assert_eq!(incidents.report(alert("new", "errors", 2_000), cause("c")), (3, true));
}

#[test]
fn age_and_number_are_bounded_and_what_goes_on_stays() {
    let mut incidents = Incidents::new(Vec::new(), 3);
    for at in 1..=6 {
        let event = alert(&format!("route {at}"), "errors", at * 1_000);
        incidents.report(event.clone(), cause(&format!("statement {at}")));
        if at != 1 {
            incidents.end(&event.key, at * 1_000 + 50);
        }
    }
    assert_eq!(incidents.forget(0), [2, 3, 4]);
    assert_eq!(incidents.forget(5_500), [5]);
    assert_eq!(incidents.list().map(|incident| incident.id).collect::<Vec<_>>(), [6, 1]);
}
