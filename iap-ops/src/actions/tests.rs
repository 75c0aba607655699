use super::*;
use crate::cause::{CauseKind, RootCause};
use crate::detect::{Incident, IncidentState, Severity};
use crate::estate::ServerState;

const NOW: u64 = 1_790_000_000_000;
const HOUR: u64 = 3_600_000;

fn drain(server: &str) -> Action {
    Action::Drain { upstream: "shop".into(), server: server.into() }
}

fn request(action: Action) -> Request {
    Request { action, why: "it is ill".into(), incident: None }
}

fn kim() -> By {
    By::Person("kim".into())
}

fn book(policy: Policy) -> Book {
    Book::new(policy, Vec::new())
}

#[test]
fn an_action_is_written_as_it_is_read_and_names_what_takes_it_back() {
    let written = serde_json::json!({ "kind": "end_sessions", "filter": { "user": "kim" } });
    let action: Action = serde_json::from_value(written.clone()).expect("an action");
    assert_eq!(serde_json::to_value(&action).expect("written"), written);
    assert_eq!(action.to_string(), "end sessions user=kim");
    assert!(
        serde_json::from_str::<Action>(r#"{"kind":"drain","upstream":"a","server":"b","force":true}"#)
            .is_err()
    );
    assert_eq!(drain("a").inverse().and_then(|back| back.inverse()), Some(drain("a")));
    assert_eq!(action.inverse(), None);
    for (written, back) in [
        (
            serde_json::json!({ "kind": "weight", "upstream": "shop", "server": "a", "from": 1, "to": 5 }),
            "weight of shop a from 5 to 1",
        ),
        (
            serde_json::json!({ "kind": "limit", "setting": "routes[shop].limits.in_flight", "from": 9, "to": 7 }),
            "limit routes[shop].limits.in_flight from 7 to 9",
        ),
    ] {
        let action: Action = serde_json::from_value(written).expect("an action");
        let inverse = action.inverse().expect("it can be taken back");
        assert_eq!((inverse.to_string().as_str(), inverse.inverse()), (back, Some(action)));
    }
    assert!(SessionFilter::default().is_empty());
}

#[test]
fn nothing_runs_that_nobody_answers_for() {
    let mut book = book(Policy { four_eyes: true, ..Policy::default() });
    let id = book.propose(request(drain("a")), By::Assistant, Vec::new(), NOW).expect("taken up").id;
    assert_eq!(book.approve(id, By::Assistant, "I am sure", NOW), Err(Refusal::NoPerson));
    assert_eq!(book.approve(id, By::Policy, "automatic", NOW), Err(Refusal::NoPerson));
    assert_eq!(book.approve(id, kim(), " ", NOW), Err(Refusal::Why));
    assert_eq!(book.approve(id + 1, kim(), "yes", NOW), Err(Refusal::Unknown));
    let approved = book.approve(id, kim(), "seen it", NOW).expect("approved");
    assert_eq!(
        (approved.state, approved.decision.as_ref().map(|d| d.by.clone())),
        (State::Running, Some(kim()))
    );
    assert_eq!(book.approve(id, kim(), "again", NOW), Err(Refusal::Decided));

    let own = book.propose(request(drain("b")), kim(), Vec::new(), NOW).expect("taken up").id;
    assert_eq!(book.approve(own, kim(), "my own", NOW), Err(Refusal::SamePerson));
    assert!(book.approve(own, By::Person("lee".into()), "fine", NOW).is_ok());
}

#[test]
fn the_policy_decides_by_kind() {
    let modes = [
        (ActionKind::Drain, Mode::Automatic),
        (ActionKind::Restart, Mode::Propose),
        (ActionKind::EndSessions, Mode::Off),
    ];
    let mut book = book(Policy { modes: modes.into(), ..Policy::default() });
    let one = book.propose(request(drain("a")), By::Detection, Vec::new(), NOW).expect("taken up").id;
    assert!(book.approve(one, By::Policy, "automatic", NOW).is_ok());
    let restart = Action::Restart { process: "app".into() };
    let two = book.propose(request(restart), kim(), Vec::new(), NOW).expect("taken up").id;
    assert_eq!(book.approve(two, kim(), "now", NOW), Err(Refusal::Policy("propose")));
    let end = Action::EndSessions { filter: SessionFilter::default() };
    assert_eq!(book.propose(request(end), kim(), Vec::new(), NOW), Err(Refusal::Policy("off")));
}

#[test]
fn so_many_in_an_hour_and_no_more() {
    let mut book = book(Policy { per_hour: 2, ..Policy::default() });
    let propose = |book: &mut Book, n: u32, now| {
        book.propose(request(drain(&n.to_string())), kim(), Vec::new(), now).expect("taken up").id
    };
    for n in 0..2 {
        let id = propose(&mut book, n, NOW);
        book.approve(id, kim(), "yes", NOW).expect("approved");
        book.advance(id, State::Reverted, Some("worse".into()), NOW);
    }
    let third = propose(&mut book, 3, NOW + 1);
    assert_eq!(book.approve(third, kim(), "yes", NOW + 1), Err(Refusal::TooMany(2)));
    assert!(book.reject(third, kim(), "no", NOW + 1).is_ok(), "no is always possible");
    let fourth = propose(&mut book, 4, NOW + HOUR);
    assert!(book.approve(fourth, kim(), "yes", NOW + HOUR).is_ok(), "an hour later");
}

#[test]
fn the_same_is_proposed_once_and_not_for_ever() {
    let mut book = book(Policy::default());
    let first = book.propose(request(drain("a")), kim(), Vec::new(), NOW).expect("taken up").id;
    let again = book.propose(request(drain("a")), By::Assistant, Vec::new(), NOW + 1).expect("known").id;
    assert_eq!(first, again);
    assert_eq!(book.approve(first, kim(), "late", NOW + HOUR), Err(Refusal::Decided));
    assert_eq!(book.get(first).map(|known| known.state), Some(State::Expired));
    let request = Request { incident: Some(7), ..request(drain("b")) };
    let id = book.propose(request, By::Detection, Vec::new(), NOW + HOUR).expect("taken up").id;
    assert!(book.was_proposed(&drain("b"), 7) && !book.was_proposed(&drain("b"), 8));
    assert!(!book.withdraw(NOW + HOUR, |incident| incident != 7));
    assert!(book.withdraw(NOW + HOUR, |incident| incident == 7));
    assert_eq!(book.get(id).map(|known| known.state), Some(State::Expired));
}

#[test]
fn the_next_process_does_not_pretend_that_it_was_done() {
    let mut book = book(Policy::default());
    let id = book.propose(request(drain("a")), kim(), vec!["1 of 2".into()], NOW).expect("taken up").id;
    book.approve(id, kim(), "yes", NOW).expect("approved");
    book.advance(id, State::Watching, None, NOW);
    let kept = serde_json::to_string(&book.list().collect::<Vec<_>>()).expect("written");
    let mut next = Book::new(Policy::default(), serde_json::from_str(&kept).expect("read"));
    assert_eq!(next.get(id).map(|known| known.state), Some(State::Failed));
    assert!(next.propose(request(drain("a")), kim(), Vec::new(), NOW).expect("anew").id > id);
}

#[test]
fn worse_is_more_failures_or_much_slower_and_few_say_nothing() {
    let gate = Gate::default();
    let health = |count, errors, p95_us| Health { count, errors, p95_us };
    let before = health(1_000, 10, 100_000);
    assert_eq!(gate.judge(&before, &health(19, 19, 100_000)), Verdict::TooFew);
    assert_eq!(gate.judge(&before, &health(1_000, 60, 199_000)), Verdict::Fine);
    assert_eq!(gate.judge(&before, &health(1_000, 70, 100_000)), Verdict::MoreFail(1.0, 7.0));
    assert_eq!(gate.judge(&before, &health(1_000, 0, 201_000)), Verdict::Slower(100_000, 201_000));
    assert_eq!(
        gate.judge(&health(1_000, 0, 1_000), &health(1_000, 0, 9_000)),
        Verdict::Fine,
        "nobody notices"
    );
    assert_eq!(
        gate.judge(&health(0, 0, 0), &health(100, 0, 900_000)),
        Verdict::Fine,
        "nothing to compare with"
    );
}

fn incident(cause: RootCause) -> Incident {
    Incident {
        id: 3,
        state: IncidentState::Open,
        severity: Severity::Warning,
        began_s: 0,
        detected_s: 0,
        resolved_s: None,
        cause,
        signals: Vec::new(),
        more: 0,
        acks: Vec::new(),
        previous: None,
    }
}

#[test]
fn an_ill_server_is_drained_while_others_can_take_over() {
    let server = |address: &str, state: &str| ServerState {
        upstream: "shop".into(),
        address: address.into(),
        state: state.into(),
        in_flight: 0,
        connections: 0,
        failed: 0,
        last_error: None,
    };
    let mut cause = RootCause::new(CauseKind::Upstream, "shop");
    (cause.upstream, cause.node, cause.confidence) = (Some("shop".into()), Some("a:1".into()), 0.9);
    let mut incident = incident(cause);
    let servers = [server("a:1", "up"), server("b:1", "up")];
    let wanted = |incident: &Incident, servers: &[ServerState]| {
        suggest(incident, servers, 0.8).map(|(action, _)| action)
    };
    assert_eq!(wanted(&incident, &servers), Some(drain("a:1")));
    assert_eq!(
        wanted(&incident, &[server("a:1", "up"), server("b:1", "unhealthy")]),
        None,
        "never the last one"
    );
    assert_eq!(wanted(&incident, &[server("a:1", "draining"), server("b:1", "up")]), None, "it is done");
    incident.cause.confidence = 0.7;
    assert_eq!(wanted(&incident, &servers), None, "not sure enough");
    incident.cause.confidence = 0.9;
    incident.state = IncidentState::Resolved;
    assert_eq!(wanted(&incident, &servers), None, "it is over");
}

#[test]
fn a_configuration_that_is_to_blame_is_taken_back() {
    let running = RunningRevision { number: 7, parent: 5, since_ms: NOW };
    let back = Action::Rollback { from: 7, to: 5 };
    let mut cause = RootCause::new(CauseKind::Change, "routes (revision 7)");
    (cause.change, cause.confidence) = (Some((NOW, "routes (revision 7)".into())), 0.9);
    let mut incident = incident(cause);
    let wanted = |incident: &Incident| suggest_rollback(incident, &running, 0.8).map(|(action, _)| action);
    assert_eq!(wanted(&incident), Some(back.clone()));
    assert_eq!(back.inverse(), Some(Action::Rollback { from: 5, to: 7 }));
    assert_eq!(back.to_string(), "rollback from revision 7 to 5");
    incident.cause.confidence = 0.7;
    assert_eq!(wanted(&incident), None, "not sure enough");
    incident.cause.confidence = 0.9;
    incident.cause.change = Some((NOW + 1, "a deployment".into()));
    assert_eq!(wanted(&incident), None, "another change");
    incident.cause.change = Some((NOW, "routes".into()));
    incident.cause.kind = CauseKind::Sql;
    assert_eq!(wanted(&incident), None, "another cause");
    incident.cause.kind = CauseKind::Change;
    incident.state = IncidentState::Resolved;
    assert_eq!(wanted(&incident), None, "it is over");
}
