//! [`Right::Detail`]: single requests, and the assistant.

use iap_apm::history::{ErrorAnswer, SpanGroups, StatementAnswer};
use iap_apm::{ActiveView, AwaitView, Followed, Interrupted, LogLine, TransactionPage, Window};
use iap_ops::{Answer, LogPattern, ReportKind};

use super::{Right, Table, get, list_of, object, of, post};
use crate::admin::{active, ask, config, drill, followed, logs, preview, report, telemetry};
use crate::reports::Kept;

const NO_APM: &str = "The APM is switched off.";

/// One by one.
pub(super) fn requests() -> Table {
    Table::of(Right::Detail)
        .add(
            get("/api/requests/active", "Requests that run, the longest-running first")
                .query(of::<active::ActiveQuery>)
                .answers(of::<ActiveView>)
                .fails(404, NO_APM),
            active::active,
        )
        .add(
            get(
                "/api/requests/active/{trace_id}/{span_id}/await",
                "Where the tasks of a request that runs wait",
            )
            .about("Of embedded services and layers; of a request that is only forwarded the stage says where it is.")
            .place::<String>("trace_id", "Its trace, 32 hexadecimal digits.")
            .place::<String>("span_id", "Its root span, 16 hexadecimal digits.")
            .answers(of::<AwaitView>)
            .fails(404, "No such request runs.")
            .fails(409, "It has no task that waits.")
            .fails(429, "Others ask about it at the moment."),
            active::await_points,
        )
        .add(
            get(
                "/api/requests/interrupted",
                "Requests that were in flight when the process before this one crashed",
            )
            .answers(list_of!("requests", Interrupted))
            .fails(404, NO_APM),
            active::interrupted,
        )
        .add(
            get("/api/followed", "Whose transactions are all kept")
                .answers(list_of!("followed", Followed))
                .fails(404, NO_APM),
            followed::list,
        )
        .add(
            get("/api/transactions", "Transactions, the newest or the slowest first")
                .query(of::<telemetry::ListQuery>)
                .answers(of::<TransactionPage>)
                .fails(404, NO_APM),
            telemetry::transactions,
        )
        .add(
            get(
                "/api/transactions/{trace_id}",
                "One transaction: its call tree, log lines, and the events that happened meanwhile",
            )
            .place::<String>("trace_id", "Its trace, 32 hexadecimal digits.")
            .query(of::<telemetry::TraceQuery>)
            .answers(telemetry::TRANSACTION)
            .fails(404, "There is no such transaction."),
            telemetry::transaction,
        )
        .add(
            get("/api/points", "The scatter of what `/api/transactions` would list")
                .query(of::<drill::PointsParams>)
                .answers(of::<drill::Scatter>)
                .fails(404, NO_APM),
            drill::points,
        )
}

/// What is below the figures, and what was logged.
pub(super) fn below() -> Table {
    Table::of(Right::Detail)
        .add(
            get("/api/statements", "SQL by its shape")
                .query(of::<drill::StatementParams>)
                .answers(of::<StatementAnswer>)
                .fails(404, NO_APM),
            drill::statements,
        )
        .add(
            get("/api/statements/{fingerprint}", "One statement, with who calls it")
                .place::<String>("fingerprint", "Its `id`.")
                .query(of::<drill::StatementParams>)
                .answers(of::<StatementAnswer>)
                .fails(404, "It was not called in this time."),
            drill::statement,
        )
        .add(
            get("/api/spans/groups", "Spans by service, name, kind and status")
                .about("Of all kept spans of whole minutes, not of a sample.")
                .query(of::<drill::SpanGroupParams>)
                .answers(of::<SpanGroups>)
                .fails(404, NO_APM),
            drill::span_groups,
        )
        .add(
            get("/api/errors", "Failures by what they say")
                .query(of::<drill::ErrorParams>)
                .answers(of::<ErrorAnswer>)
                .fails(404, NO_APM),
            drill::errors,
        )
        .add(
            get("/api/logs", "Log lines: the latest of a time, oldest first")
                .query(of::<logs::LogsQuery>)
                .answers(object! { "window": Window, "lines": Vec<LogLine> })
                .fails(404, NO_APM),
            logs::logs,
        )
        .add(
            get(
                "/api/logs/patterns",
                "What log lines say: those are one that differ in words with digits only",
            )
            .query(of::<logs::LogsQuery>)
            .answers(object! {
                "window": Window, "read": usize, "complete": bool, "patterns": Vec<LogPattern>
            })
            .fails(404, NO_APM),
            logs::patterns,
        )
}

/// Questions, reports, and what a setting would change.
pub(super) fn assistant() -> Table {
    Table::of(Right::Detail)
        .add(
            get("/api/ask", "A question to the assistant")
                .about("With `Accept: text/event-stream` its steps as they come, and the answer at the end.")
                .query(of::<ask::AskQuery>)
                .answers(of::<Answer>)
                .in_forms(&["text/event-stream"])
                .fails(404, "The APM is switched off.")
                .fails(503, "Telemetry cannot be read now, or 16 watch already."),
            ask::ask,
        )
        .add(
            post("/api/ask", "The same with the question in the body: what is asked stands in no address")
                .body(of::<ask::AskQuery>)
                .answers(of::<Answer>)
                .in_forms(&["text/event-stream"])
                .fails(404, "The APM is switched off.")
                .fails(503, "Telemetry cannot be read now, or 16 watch already."),
            ask::posted,
        )
        .add(
            get("/api/reports", "Reports that were made by themselves, the latest first")
                .answers(list_of!("reports", Kept))
                .fails(503, "They cannot be read now."),
            report::kept,
        )
        .add(
            get("/api/reports/kept/{file}", "One of them")
                .place::<String>("file", "Its name.")
                .in_forms(&["text/html"])
                .fails(404, "There is no such report."),
            report::one,
        )
        .add(
            get("/api/reports/{kind}", "A report about a time of at most 92 days, a week by default")
                .place::<ReportKind>("kind", "What it is for.")
                .query(of::<report::ReportQuery>)
                .in_forms(&["text/html", "text/markdown"])
                .fails(404, "There is no such kind of report."),
            report::report,
        )
        .add(
            get("/api/config/preview", "What another value of one setting would change")
                .query(of::<preview::PreviewQuery>)
                .answers(of::<config::Judged>)
                .fails(404, "The setting does not stand in the text as a single value."),
            preview::preview,
        )
        .add(
            post("/api/config/validate", "Whether a text is a configuration, and what it would change")
                .body(of::<config::Text>)
                .answers(of::<config::Judged>),
            config::validate,
        )
}
