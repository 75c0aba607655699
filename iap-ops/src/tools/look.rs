//! Tools that answer as the assistant does: state, incidents, aggregates, forecast, report.

use iap_apm::{SeriesQuery, Window};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::reply::Rows;
use super::{Refused, Tools, refused};
use crate::assistant::Answer;
use crate::detect::{Incident, IncidentState, story};
use crate::facts::{Facts, Table};
use crate::question::{Intent, Language};
use crate::report::markdown;

/// Signals of requests.
const SIGNALS: [&str; 5] = ["requests", "errors", "p50", "p95", "p99"];
/// Steps of a series.
const MAX_STEPS: u64 = 1_000;

impl Tools {
    pub(super) async fn session_status(&self, given: &Arguments) -> Result<Rows, Refused> {
        let answer = self.assistant.about(Intent::SessionStatus, given.window, None, None).await?;
        let sessions = self.assistant.telemetry().sessions().await.ok();
        Ok(told(given, answer).with("sessions", json!(sessions.flatten())))
    }

    pub(super) fn list_incidents(&self, given: &Arguments) -> Result<Rows, Refused> {
        let wanted = |incident: &Incident| match given.text("state") {
            None => true,
            Some("active") => incident.is_active(),
            Some("open") => incident.state == IncidentState::Open,
            Some("acknowledged") => incident.state == IncidentState::Acknowledged,
            Some(_) => incident.state == IncidentState::Resolved,
        };
        let found = self.incidents(given.window);
        let watched = found.is_some();
        let rows =
            found.unwrap_or_default().into_iter().filter(wanted).map(|incident| self.incident(&incident));
        let about = self.assistant.answer_window(given.window);
        Ok(Rows::new(given, Some(about), rows.collect()).with("watched", watched))
    }

    pub(super) async fn explain_incident(&self, given: &Arguments) -> Result<Rows, Refused> {
        let Some(id) = given.integer("id") else {
            let answer =
                self.assistant.about(Intent::WhatIsWrong, given.window, given.text("route"), None).await?;
            return Ok(told(given, answer));
        };
        let all = self.incidents(Window::new(0, self.assistant.now().0)).unwrap_or_default();
        let Some(incident) = all.into_iter().find(|incident| incident.id == id) else {
            return refused(format!("id: there is no incident {id}; see list_incidents"));
        };
        let mut row = self.incident(&incident);
        row["story"] = json!(story(&incident, Language::English, self.assistant.now().1));
        row["cause"] = json!(incident.cause);
        let ids = incident.cause.evidence.iter().filter_map(|evidence| match evidence {
            crate::cause::Evidence::Trace(id) => Some(id.clone()),
            _ => None,
        });
        let evidence = ids.collect();
        let end = incident.resolved_s.map_or(self.assistant.now().0, |s| s.saturating_mul(1_000_000));
        let window = Window::new(incident.began_s.saturating_mul(1_000_000), end);
        let runbooks = self.assistant.about_incident(&incident).await;
        let mut rows = Rows::new(given, Some(self.assistant.answer_window(window)), vec![row]);
        rows.evidence = evidence;
        Ok(rows.with("runbooks", json!(runbooks)))
    }

    fn incidents(&self, window: Window) -> Option<Vec<Incident>> {
        self.assistant.telemetry().estate().and_then(|estate| estate.incidents(window))
    }

    fn incident(&self, incident: &Incident) -> Value {
        let told = story(incident, Language::English, self.assistant.now().1);
        json!({ "id": incident.id, "state": incident.state, "severity": incident.severity,
                "began_s": incident.began_s, "resolved_s": incident.resolved_s, "kind": incident.cause.kind,
                "confidence": incident.cause.confidence, "signals": incident.signals.len(),
                "title": told.title, "previous": incident.previous })
    }

    pub(super) async fn query_metrics(&self, given: &Arguments) -> Result<Rows, Refused> {
        let signal = given.text("metric").unwrap_or_default();
        let about = self.assistant.answer_window(given.window);
        let least = given.window.length_us().div_ceil(60).max(1);
        let step_us =
            given.integer("step_s").map_or(least.div_ceil(1_000_000) * 1_000_000, |s| s * 1_000_000);
        if given.window.length_us() / step_us > MAX_STEPS {
            return refused("step_s: at most 1000 steps in the window");
        }
        if !SIGNALS.contains(&signal) {
            return self.metric(given, signal, step_us).await;
        }
        let route = given.text("route").map(str::to_owned);
        let query = SeriesQuery { window: given.window, step_us, route };
        let points = self.assistant.telemetry().series(&query).await?;
        let rows = points.iter().map(|point| {
            let value = match signal {
                "requests" => point.count,
                "errors" => point.errors,
                "p50" => point.p50_us,
                "p95" => point.p95_us,
                _ => point.p99_us,
            };
            json!({ "start_us": point.start_us, "value": value })
        });
        Ok(Rows::new(given, Some(about), rows.collect()).with("step_us", step_us).with("signal", signal))
    }

    pub(super) async fn aggregate_traces(&self, given: &Arguments) -> Result<Rows, Refused> {
        let intent = match given.text("by") {
            None | Some("route") => {
                let mut routes = self.assistant.telemetry().route_stats(given.window).await?;
                routes.retain(|stats| given.text("route").is_none_or(|route| stats.route == route));
                let rows = routes.iter().map(|stats| json!(stats)).collect();
                return Ok(Rows::new(given, Some(self.assistant.answer_window(given.window)), rows));
            }
            Some("error") => Intent::ErrorsByKind,
            Some("sql") => Intent::SlowestSql,
            Some("performance") => Intent::PerformanceReport,
            Some("failures") => Intent::PastFailures,
            Some(_) => Intent::Bottleneck,
        };
        let answer = self.assistant.about(intent, given.window, given.text("route"), None).await?;
        Ok(told(given, answer))
    }

    pub(super) async fn forecast(&self, given: &Arguments) -> Result<Rows, Refused> {
        let length_us = given.integer("days").unwrap_or(31) * 24 * 3_600_000_000;
        let window = Window::new(given.window.to_us, given.window.to_us + length_us);
        let route = given.text("route");
        let answer = self.assistant.about(Intent::Capacity, window, route, given.number("limit")).await?;
        let mut rows = told(given, answer);
        // A cursor is about what the call was: the time it began.
        rows.window = Some(self.assistant.answer_window(window));
        Ok(rows)
    }

    pub(super) async fn report(&self, given: &Arguments) -> Result<Rows, Refused> {
        let kind = given
            .text("kind")
            .unwrap_or_default()
            .parse()
            .map_err(|text: &str| Refused::Arguments(text.into()))?;
        let language = if given.text("lang") == Some("ko") { Language::Korean } else { Language::English };
        let report = self.assistant.report(kind, given.window, language).await?;
        let text = markdown(&report, "");
        let lines =
            text.lines().filter(|line| !line.trim().is_empty()).map(|line| json!({ "markdown": line }));
        Ok(Rows::new(given, Some(self.assistant.answer_window(given.window)), lines.collect()))
    }
}

/// An answer of the assistant, as rows.
fn told(given: &Arguments, answer: Answer) -> Rows {
    let mut rows = Vec::new();
    if let Some(facts) = &answer.facts {
        of_facts(facts, &mut rows);
    }
    let findings = answer.findings.as_ref().map(|findings| json!(findings)).unwrap_or_default();
    let listed = |name: &str| findings[name].as_array().cloned().unwrap_or_default();
    for incident in answer.findings.iter().flat_map(|findings| &findings.incidents) {
        rows.push(json!({ "says": "incident", "incident": incident }));
    }
    rows.extend(
        listed("problems").into_iter().map(|finding| json!({ "says": "problem", "finding": finding })),
    );
    rows.extend(listed("unjudged").into_iter().map(|route| json!({ "says": "too_few", "route": route })));
    let mut out = Rows::new(given, answer.window, rows);
    out.evidence = answer.evidence;
    let first = answer.text.lines().nth(1).unwrap_or_default();
    let out = if answer.runbooks.is_empty() { out } else { out.with("runbooks", json!(answer.runbooks)) };
    out.with("outcome", json!(answer.outcome)).with("summary", first)
}

fn of_facts(facts: &Facts, rows: &mut Vec<Value>) {
    for said in &facts.sentences {
        let values = said.figures.iter().map(|figure| (figure.name.to_owned(), json!(figure.value)));
        let values: serde_json::Map<String, Value> = values.collect();
        rows.push(json!({ "says": said.says, "values": values, "text": said.text }));
    }
    for given in &facts.advice {
        let values = given.inputs.iter().map(|figure| (figure.name.to_owned(), json!(figure.value)));
        let values: serde_json::Map<String, Value> = values.collect();
        rows.push(json!({ "says": "advice", "formula": given.formula, "config_key": given.config_key,
                          "values": values, "text": given.text }));
    }
    facts.tables.iter().for_each(|table| of_table(table, rows));
}

fn of_table(table: &Table, rows: &mut Vec<Value>) {
    for cells in &table.rows {
        let mut row = serde_json::Map::new();
        row.insert("table".into(), json!(table.name));
        for (column, cell) in table.columns.iter().zip(cells) {
            let name = if column.unit == crate::facts::Unit::Trace { "trace_id" } else { column.name };
            row.insert(name.to_owned(), json!(cell));
        }
        rows.push(Value::Object(row));
    }
    if table.more > 0 {
        rows.push(json!({ "table": table.name, "more": table.more }));
    }
}
