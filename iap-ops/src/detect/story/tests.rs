use super::story;
use crate::cause::{CauseKind, Impact, RootCause};
use crate::detect::{Alert, Entity, Incidents, Measure, SeriesKey};
use crate::question::Language;
use crate::zone::Zone;

#[test]
fn the_story_has_when_impact_cause_advice_and_disproof_in_both_languages() {
    let key = SeriesKey { entity: Entity::Route("search".into()), signal: "p95".into() };
    let alert = Alert {
        key: key.clone(),
        measure: Measure::Duration,
        since_s: 1_800_000_000,
        at_s: 1_800_000_020,
        expected: 0.02,
        value: 1.9,
        score: 9.0,
    };
    let mut cause = RootCause::new(CauseKind::Sql, "SELECT ?");
    (cause.confidence, cause.self_us) = (0.93, Some((1_800_000, 2_000)));
    cause.impact = Impact { transactions: 200, affected: 30, share_percent: 15.0, users: 4, sessions: 5 };
    let mut incidents = Incidents::default();
    let (id, _) = incidents.report(alert, cause);
    let tell = |incidents: &Incidents, language| {
        story(incidents.get(id).expect("it is kept"), language, &Zone::default())
    };
    let english = tell(&incidents, Language::English);
    assert!(english.cause.contains("SELECT ?") && english.cause.contains("93 %"), "{english:?}");
    assert!(english.cause.contains("2.0 ms to 1.80 s"), "{english:?}");
    assert!(english.impact.contains("30 of 200") && english.impact.contains("15.0 %"), "{english:?}");
    assert!(english.when.contains("going on") && english.when.contains("Asia/Seoul"), "{english:?}");
    assert_eq!(english.signals, ["search p95: usually 20.0 ms, at worst 1.90 s"]);
    let korean = tell(&incidents, Language::Korean);
    assert!(korean.impact.contains("200건 중 30건"), "{korean:?}");
    assert!(!korean.advice.is_empty() && !korean.disproof.is_empty());
    assert_ne!(korean.advice, english.advice);
    incidents.end(&key, 1_800_000_100);
    assert!(tell(&incidents, Language::Korean).when.contains("끝남"));
}
