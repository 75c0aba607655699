//! Tools that look something up: transactions, traces, log lines, metrics.

use iap_apm::history::MAX_LIMIT;
use iap_apm::{LogQuery, MetricNamesQuery, MetricQuery, Order, SpanNode, StatusFilter, TransactionQuery};
use iap_core::TraceId;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::reply::Rows;
use super::{Refused, Tools, refused};
use crate::blame;
use crate::log_patterns;
use crate::telemetry::TelemetryError;

/// Transactions of a page when nothing is said.
const USUAL_LIMIT: u64 = 20;

impl Tools {
    pub(super) async fn search_traces(&self, given: &Arguments) -> Result<Rows, Refused> {
        let mut query = TransactionQuery::new(given.window);
        query.route = given.text("route").map(str::to_owned);
        query.status = given.integer("status").map(|status| StatusFilter::Exact(status as u16));
        query.errors_only = given.text("errors") == Some("only");
        query.min_duration_us = given.integer("min_ms").map(|ms| ms * 1_000);
        query.user = given.text("user").map(str::to_owned);
        query.session = given.text("session").map(str::to_owned);
        query.order = if given.text("order") == Some("slowest") { Order::Slowest } else { Order::Newest };
        query.limit = given.integer("limit").unwrap_or(USUAL_LIMIT) as usize;
        query.cursor.clone_from(&given.inner);
        let page = self.assistant.telemetry().transactions(&query).await.map_err(readable)?;
        let rows = page.items.iter().map(|item| json!(item)).collect();
        let mut rows = Rows::new(given, Some(self.assistant.answer_window(given.window)), rows);
        rows.inner_next = page.next;
        Ok(rows)
    }

    pub(super) async fn get_trace(&self, given: &Arguments) -> Result<Rows, Refused> {
        let Some(trace_id) = trace_id(given)? else { return refused("trace_id is missing") };
        let Some(trace) = self.assistant.telemetry().trace(trace_id).await? else {
            return refused("trace_id: there is no such trace; see search_traces");
        };
        let tree = trace.tree();
        let rows = match given.text("view") {
            Some("tree") => {
                let mut rows = Vec::new();
                tree.roots.iter().for_each(|root| flatten(root, 0, root.span.start_us, &mut rows));
                rows
            }
            _ => tree.roots.iter().flat_map(path).collect(),
        };
        let mut rows = Rows::new(given, None, rows).with(
            "trace",
            json!({ "trace_id": trace_id.to_string(), "spans": trace.spans.len(),
                                   "incomplete": trace.truncated, "summary": trace.summary }),
        );
        rows.evidence = vec![trace_id.to_string()];
        Ok(rows)
    }

    pub(super) async fn search_logs(&self, given: &Arguments) -> Result<Rows, Refused> {
        let mut query = LogQuery::new(given.window);
        query.trace_id = trace_id(given)?;
        query.min_level = match given.text("level") {
            None => None,
            Some(name) => serde_json::from_value(json!(name)).ok(),
        };
        query.contains = given.text("contains").map(str::to_owned);
        query.service = given.text("service").map(str::to_owned);
        query.limit = MAX_LIMIT;
        let mut lines = self.assistant.telemetry().logs(&query).await?;
        lines.reverse();
        let rows = match given.text("view") {
            Some("lines") => lines.iter().map(|line| json!(line)).collect(),
            _ => log_patterns(&lines).iter().map(|pattern| json!(pattern)).collect(),
        };
        let rows = Rows::new(given, Some(self.assistant.answer_window(given.window)), rows);
        Ok(rows.with("read", lines.len()).with("all_read", lines.len() < MAX_LIMIT))
    }

    pub(super) async fn list_fields(&self, given: &Arguments) -> Result<Rows, Refused> {
        let telemetry = self.assistant.telemetry();
        let rows = match given.text("of") {
            Some("metrics") => {
                let query = MetricNamesQuery { window: given.window, service: None };
                let found = telemetry.metric_names(&query).await?;
                found.iter().map(|metric| json!({ "metric": metric })).collect()
            }
            _ => {
                let found = telemetry.route_stats(given.window).await?;
                found.iter().map(|stats| json!({ "route": stats.route, "count": stats.count })).collect()
            }
        };
        Ok(Rows::new(given, Some(self.assistant.answer_window(given.window)), rows))
    }

    /// A metric of an application.
    pub(super) async fn metric(&self, given: &Arguments, name: &str, step_us: u64) -> Result<Rows, Refused> {
        let mut query = MetricQuery::new(name, given.window);
        query.step_us = step_us;
        query.service = given.text("service").map(str::to_owned);
        query.function = given.text("fn").and_then(|name| serde_json::from_value(json!(name)).ok());
        let found = self.assistant.telemetry().metric(&query).await.map_err(readable)?;
        let from_us = found.window.from_us;
        let rows = found.groups.iter().flat_map(|group| {
            let points = group.values.iter().enumerate();
            points
                .map(move |(at, value)| json!({ "start_us": from_us + at as u64 * step_us, "value": value }))
        });
        let rows = Rows::new(given, Some(self.assistant.answer_window(given.window)), rows.collect());
        Ok(rows
            .with("step_us", step_us)
            .with("metric_kind", json!(found.kind))
            .with("fn", json!(found.function))
            .with("metric_unit", found.unit))
    }
}

/// A query that the history refuses is the caller's.
fn readable(error: TelemetryError) -> Refused {
    match error {
        TelemetryError::History(error) if error.kind() == iap_apm::HistoryErrorKind::InvalidQuery => {
            Refused::Arguments(error.message().to_string())
        }
        other => Refused::Telemetry(other),
    }
}

fn trace_id(given: &Arguments) -> Result<Option<TraceId>, Refused> {
    match given.text("trace_id").map(TraceId::from_hex) {
        None => Ok(None),
        Some(Some(id)) => Ok(Some(id)),
        Some(None) => refused("trace_id: 32 hexadecimal digits"),
    }
}

/// What the time of a transaction went to.
fn path(root: &SpanNode) -> Vec<Value> {
    let all = root.span.duration_us.max(1);
    let mut parts: Vec<_> = blame::critical_path(root).into_iter().collect();
    parts.sort_by_key(|(_, us)| std::cmp::Reverse(*us));
    let part = |(blame, us): (blame::Blame, u64)| {
        json!({ "kind": blame.kind, "service": blame.service, "what": blame.name, "own_us": us,
                "share_percent": us as f64 * 100.0 / all as f64 })
    };
    parts.into_iter().map(part).collect()
}

/// A tree is at most [`iap_apm::model::MAX_DEPTH`] deep, so this may recurse.
fn flatten(node: &SpanNode, depth: u32, begin_us: u64, rows: &mut Vec<Value>) {
    let span = &node.span;
    rows.push(json!({
        "depth": depth, "span_id": span.span_id.to_string(), "kind": span.kind, "status": span.status,
        "after_us": span.start_us.saturating_sub(begin_us), "duration_us": span.duration_us, "self_us": node.self_us,
        "what": span.name, "service": span.service, "error": span.error, "attributes": span.attributes,
        "logs": node.logs.iter().map(|line| &line.message).collect::<Vec<_>>(),
    }));
    node.children.iter().for_each(|child| flatten(child, depth + 1, begin_us, rows));
}
