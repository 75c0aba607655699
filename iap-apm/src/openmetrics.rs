//! The metrics of the process as OpenMetrics, with exemplars.
//!
//! Source: OpenMetrics 1.0, <https://prometheus.io/docs/specs/om/open_metrics_spec/>. The recorder writes the
//! older format, from which this one differs in little.

use crate::exemplars::{Exemplars, HttpLabels};
use crate::export::sample;

const DURATION_BUCKET: &str = "iap_http_request_duration_seconds_bucket";

/// From the text of Prometheus.
pub(crate) fn render(text: &str, exemplars: &Exemplars) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let head = ["# TYPE ", "# HELP "].into_iter().find_map(|kind| Some((kind, line.strip_prefix(kind)?)));
        match head {
            // A family of counters is named without what its samples end with.
            Some((kind, rest)) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let name = name.strip_suffix("_total").unwrap_or(name);
                out.extend([kind, name, " ", rest]);
            }
            None if line.starts_with('#') => continue,
            None => {
                out.push_str(line);
                if line.starts_with(DURATION_BUCKET) {
                    out.extend(exemplar(line, exemplars));
                }
            }
        }
        out.push('\n');
    }
    out.push_str("# EOF\n");
    out
}

/// What is written behind a bucket.
fn exemplar(line: &str, exemplars: &Exemplars) -> Option<String> {
    let (_, labels, _) = sample(line)?;
    let value = |name: &str| labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let key: HttpLabels = [value("route")?, value("method")?, value("status_class")?];
    let found = exemplars.find(&key, value("le")?.parse().ok()?)?;
    let (seconds, time) = (found.seconds, found.time_us as f64 / 1e6);
    Some(format!(" # {{trace_id=\"{}\"}} {seconds} {time:.6}", found.trace_id))
}
