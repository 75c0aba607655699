//! Output in the log.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::app::{App, settings, until};

pub(crate) const TESTS: &[(&str, fn())] =
    &[("lines_arrive_with_their_trace_id", lines_arrive_with_their_trace_id)];

/// Keeps what commands have written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "process"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// An event's fields.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("[{}={value:?}]", field.name()));
    }
}

fn lines() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES
        .get_or_init(|| {
            let lines = Lines::default();
            tracing::subscriber::set_global_default(lines.clone()).unwrap();
            lines
        })
        .clone()
}

fn lines_arrive_with_their_trace_id() {
    let lines = lines();
    let mut settings = settings();
    settings.command[2] =
        format!("import sys\nprint('wrong', file=sys.stderr, flush=True)\n{}", settings.command[2]);
    let app = App::ready(settings);
    let (id, address) = ("4bf92f3577b34da6a3ce929d0e0e4736", app.address());
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(
        &mut stream,
        format!("GET /log HTTP/1.1\r\nhost: t\r\ntraceparent: 00-{id}-00f067aa0ba902b7-01\r\n\r\n")
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(app.get("/log/plain").0, 200);
    let has = |parts: &[&str]| lines.0.lock().iter().any(|line| parts.iter().all(|part| line.contains(part)));
    let of_app = ["[process=\"app\"]", "[instance=1]"];
    until("a line of standard error", || has(&[of_app[0], of_app[1], "[stream=\"stderr\"]", "wrong"]));
    until("a plain line", || has(&[of_app[0], "[stream=\"stdout\"]", "[message=/log/plain]"]));
    until("a line with a trace id", || has(&[of_app[0], &format!("[trace_id={id}]"), "[message=00-4bf9"]));
    let plain = |line: &&String| line.contains("/log/plain");
    assert!(!lines.0.lock().iter().find(plain).unwrap().contains("trace_id"));
    assert_eq!(app.process.status().dropped_lines, 0);
}
