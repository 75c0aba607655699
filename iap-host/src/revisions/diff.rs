//! What differs between two texts.

use std::time::Duration;

use similar::TextDiff;

/// Lines around a change.
const CONTEXT: usize = 3;
/// After this long a longer diff will do.
const PATIENCE: Duration = Duration::from_secs(1);

/// A unified diff; empty where nothing differs.
pub(crate) fn unified((from, before): (&str, &str), (to, after): (&str, &str)) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    diff.unified_diff().context_radius(CONTEXT).header(from, to).to_string()
}
