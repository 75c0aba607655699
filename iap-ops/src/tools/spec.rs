//! The tools: names, arguments, units.

use serde_json::{Map, Value, json};

use crate::actions::KINDS;

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A text of at most so many bytes.
    Text(usize),
    /// A whole number within bounds.
    Integer(u64, u64),
    /// A number above zero.
    Number,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// An argument of a tool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// What it means.
    pub help: &'static str,
}

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// The time it is about when none is given, in seconds; `None` for one that is about no time.
    pub usual_s: Option<u64>,
    /// Its arguments, besides the time and the cursor.
    pub arguments: &'static [Argument],
    /// The units of the fields in its answer.
    pub units: &'static [(&'static str, &'static str)],
}

const LAST: Argument = text("last", 16, "the time up to now: 15m, 6h, 7d");
const FROM: Argument = text("from", 40, "instead of last: date 2026-11-01, or RFC 3339 time");
const TO: Argument = text("to", 40, "end of from; default now");
const CURSOR: Argument = text("cursor", 200, "next_cursor of the answer before; other arguments unchanged");
const ROUTE: Argument = text("route", 200, "name of a route");

const fn text(name: &'static str, most: usize, help: &'static str) -> Argument {
    Argument { name, kind: Kind::Text(most), required: false, help }
}

const fn word(name: &'static str, words: &'static [&'static str], help: &'static str) -> Argument {
    Argument { name, kind: Kind::OneOf(words), required: false, help }
}

const fn integer(name: &'static str, least: u64, most: u64, help: &'static str) -> Argument {
    Argument { name, kind: Kind::Integer(least, most), required: false, help }
}

const fn required(argument: Argument) -> Argument {
    Argument { required: true, ..argument }
}

const HOUR: u64 = 3_600;
const TIMES: (&str, &str) = ("*_us", "microseconds; start_us, time_us: since 1970");
const PERCENT: (&str, &str) = ("*_percent", "percent");

/// What proposes an action: the one tool after which something may happen, once a person has approved. It is there where the host
/// has [actions](crate::actions).
pub const PROPOSE: Tool = Tool {
    name: "propose_action",
    title: "Propose an action",
    help: "Dry run of an action, kept for a person to approve in the console; nothing is done. drain, undrain: upstream, server; \
           weight: upstream, server, from, to; limit: setting, from, to; restart: process; rollback: from, to; end_sessions: at \
           least one of user, address, node, route.",
    usual_s: None,
    arguments: &[
        required(word("action", &KINDS, "what to do")),
        required(text("why", 300, "the reason, in a sentence with its evidence")),
        text("upstream", 200, "its name"),
        text("server", 200, "address of the server"),
        text("setting", 200, "a limit, as routes[shop].limits.in_flight"),
        integer("from", 1, u64::MAX >> 11, "weight, value or revision now"),
        integer("to", 1, u64::MAX >> 11, "the one wanted"),
        text("process", 200, "name of a managed process"),
        text("user", 200, "user's name"),
        text("address", 64, "address or network of clients"),
        text("node", 200, "gateway that created the sessions"),
        ROUTE,
        integer("incident", 1, u64::MAX >> 11, "number from list_incidents"),
    ],
    units: &[("*_ms", "milliseconds since 1970")],
};

/// All tools that only read.
pub const TOOLS: &[Tool] = &[
    Tool {
        name: "get_session_status",
        title: "Session status",
        help: "Sessions at this moment and the state of their store.",
        usual_s: Some(HOUR),
        arguments: &[],
        units: &[("active", "sessions"), ("bytes", "bytes")],
    },
    Tool {
        name: "list_incidents",
        title: "Incidents",
        help: "Incidents that detection has found, the latest first. Default: last 7 days.",
        usual_s: Some(7 * 24 * HOUR),
        arguments: &[word("state", &["active", "open", "acknowledged", "resolved"], "default: all")],
        units: &[("*_s", "seconds since 1970")],
    },
    Tool {
        name: "explain_incident",
        title: "Why something is wrong",
        help: "Cause, impact, evidence and advice of one incident; without id: what is wrong in the window (default: last 5 minutes).",
        usual_s: Some(300),
        arguments: &[integer("id", 1, u64::MAX >> 11, "number from list_incidents"), ROUTE],
        units: &[("*_s", "seconds since 1970"), TIMES, PERCENT],
    },
    Tool {
        name: "query_metrics",
        title: "Metrics over time",
        help: "A signal of the requests (requests, errors, p50, p95, p99) or a metric of an application (see list_fields), step by step.",
        usual_s: Some(HOUR),
        arguments: &[
            required(text("metric", 255, "requests, errors, p50, p95, p99, or a metric's name")),
            ROUTE,
            text("service", 255, "of a metric: its service"),
            word(
                "fn",
                &["rate", "sum", "avg", "min", "max", "last", "p50", "p95", "p99"],
                "of a metric: what to compute",
            ),
            integer("step_s", 1, 86_400, "default: 1/60 of the window"),
        ],
        units: &[("requests, errors", "requests in the step"), ("p50, p95, p99", "microseconds"), TIMES],
    },
    Tool {
        name: "search_traces",
        title: "Transactions",
        help: "Transactions that match all of the arguments.",
        usual_s: Some(HOUR),
        arguments: &[
            ROUTE,
            integer("status", 100, 599, "HTTP status"),
            word("errors", &["only", "all"], "default: all"),
            integer("min_ms", 0, 86_400_000, "at least this long"),
            text("user", 200, "user's name"),
            text("session", 16, "first 16 digits of a session's key"),
            word("order", &["newest", "slowest"], "default: newest"),
            integer("limit", 1, 100, "default: 20"),
        ],
        units: &[TIMES, ("bytes_out", "bytes"), ("weight", "transactions it stands for")],
    },
    Tool {
        name: "aggregate_traces",
        title: "Where requests fail and time goes",
        help: "Transactions in groups: by route (counts, percentiles), by error, by SQL statement, or bottlenecks on critical paths with advice.",
        usual_s: Some(HOUR),
        arguments: &[
            word("by", &["route", "error", "sql", "bottleneck", "performance", "failures"], "default: route"),
            ROUTE,
        ],
        units: &[TIMES, PERCENT],
    },
    Tool {
        name: "get_trace",
        title: "One transaction",
        help: "One trace: what its time went to (critical_path), or all of its spans (tree).",
        usual_s: None,
        arguments: &[
            required(text("trace_id", 32, "32 hexadecimal digits")),
            word("view", &["critical_path", "tree"], "default: critical_path"),
        ],
        units: &[TIMES, PERCENT],
    },
    Tool {
        name: "search_logs",
        title: "Log lines",
        help: "The latest log lines of the window, as patterns with counts or line by line. Reads at most 1000.",
        usual_s: Some(HOUR),
        arguments: &[
            word("view", &["patterns", "lines"], "default: patterns"),
            word("level", &["trace", "debug", "info", "warn", "error"], "at least this grave"),
            text("contains", 200, "text in the message"),
            text("service", 255, "the service that wrote it"),
            text("trace_id", 32, "of one trace"),
        ],
        units: &[TIMES, ("count", "lines")],
    },
    Tool {
        name: "list_fields",
        title: "What can be asked for",
        help: "Names of routes, or of metrics that applications send, with their kinds and units.",
        usual_s: Some(24 * HOUR),
        arguments: &[word("of", &["routes", "metrics"], "default: routes")],
        units: &[("count", "requests")],
    },
    Tool {
        name: "forecast_exceedance",
        title: "Probability of exceeding a limit",
        help: "Forecast of the load from up to 35 days of history, and the probability that an hourly mean exceeds a limit.",
        usual_s: None,
        arguments: &[
            Argument { name: "limit", kind: Kind::Number, required: true, help: "requests a second" },
            integer("days", 1, 62, "how far; default 31"),
            ROUTE,
        ],
        units: &[
            ("probability", "percent"),
            ("others", "requests per second; times in microseconds since 1970"),
        ],
    },
    Tool {
        name: "create_report",
        title: "Report",
        help: "A report in Markdown about the window (default: last 7 days; at most 92), in parts.",
        usual_s: Some(7 * 24 * HOUR),
        arguments: &[
            required(word("kind", &["executive", "incident", "capacity", "inspection"], "what it is for")),
            word("lang", &["ko", "en"], "default: en"),
        ],
        units: &[("markdown", "text with units in it")],
    },
];

impl Tool {
    /// All arguments.
    pub fn all_arguments(&self) -> impl Iterator<Item = Argument> {
        let times = [LAST, FROM, TO].into_iter().filter(|_| self.usual_s.is_some());
        self.arguments.iter().copied().chain(times).chain([CURSOR])
    }

    /// The JSON schema of its arguments.
    pub fn input_schema(&self) -> Map<String, Value> {
        let property = |argument: Argument| {
            let mut schema = match argument.kind {
                Kind::Text(most) => json!({ "type": "string", "maxLength": most }),
                Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
                Kind::Number => json!({ "type": "number", "exclusiveMinimum": 0 }),
                Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
            };
            schema["description"] = json!(argument.help);
            (argument.name.to_owned(), schema)
        };
        let properties: Map<String, Value> = self.all_arguments().map(property).collect();
        let required: Vec<_> = self.arguments.iter().filter(|a| a.required).map(|a| a.name).collect();
        let mut schema = Map::new();
        schema.insert("type".into(), json!("object"));
        schema.insert("properties".into(), Value::Object(properties));
        schema.insert("additionalProperties".into(), json!(false));
        if !required.is_empty() {
            schema.insert("required".into(), json!(required));
        }
        schema
    }

    /// The JSON schema of its answers, the same for all tools.
    pub fn output_schema() -> Map<String, Value> {
        let schema = json!({
            "type": "object",
            "properties": {
                "data": { "type": "object" },
                "unit": { "type": "object" },
                "window": { "type": ["object", "null"] },
                "evidence": { "type": "array", "items": { "type": "string" } },
                "truncated": { "type": "boolean" },
                "next_cursor": { "type": ["string", "null"] },
            },
            "required": ["data", "unit", "window", "evidence", "truncated", "next_cursor"],
        });
        schema.as_object().cloned().unwrap_or_default()
    }
}
