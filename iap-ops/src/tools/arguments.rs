//! Arguments, checked: none is ignored.

use iap_apm::Window;
use serde_json::{Map, Value};

use super::spec::{Argument, Kind, Tool};
use crate::assistant::Assistant;

/// The longest time that may be asked about: 92 days.
const MAX_WINDOW_US: u64 = 92 * 24 * 3_600_000_000;

/// The arguments of a call.
pub(super) struct Arguments {
    given: Map<String, Value>,
    /// The time it is about.
    pub(super) window: Window,
    /// Rows that were given before.
    pub(super) skip: usize,
    /// Where a search of the history goes on.
    pub(super) inner: Option<String>,
}

impl Arguments {
    pub(super) fn read(
        tool: &Tool,
        mut given: Map<String, Value>,
        assistant: &Assistant,
    ) -> Result<Self, String> {
        let known: Vec<Argument> = tool.all_arguments().collect();
        let names = || known.iter().map(|argument| argument.name).collect::<Vec<_>>().join(", ");
        given.retain(|_, value| !value.is_null());
        for (name, value) in &mut given {
            let Some(argument) = known.iter().find(|argument| argument.name == name) else {
                let name: String = name.chars().take(64).collect();
                return Err(format!("unknown argument `{}`; valid are: {}", name.escape_debug(), names()));
            };
            check(argument, value)?;
        }
        if let Some(missing) = known.iter().find(|a| a.required && !given.contains_key(a.name)) {
            return Err(format!("`{}` is missing: {}", missing.name, missing.help));
        }
        let mut out = Self { given, window: Window::last(0, assistant.now().0), skip: 0, inner: None };
        out.window = out.asked_window(tool, assistant)?;
        if let Some(cursor) = out.text("cursor").map(str::to_owned) {
            out.resume(&cursor).ok_or("cursor: give next_cursor of the answer before, unchanged")?;
        }
        Ok(out)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// All that was given.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.given.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        self.given.get(name).and_then(Value::as_u64)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.given.get(name).and_then(Value::as_f64)
    }

    fn asked_window(&self, tool: &Tool, assistant: &Assistant) -> Result<Window, String> {
        let now_us = assistant.now().0;
        let help = "give `last` such as 15m, 6h or 7d, or `from` and a later `to`; at most 92 days";
        let window = match (self.text("last"), self.text("from"), self.text("to")) {
            (None, None, None) => Some(Window::last(tool.usual_s.unwrap_or(0) * 1_000_000, now_us)),
            (Some(last), None, None) => length_us(last).map(|length| Window::last(length, now_us)),
            (None, Some(from), to) => assistant.between(from, to),
            _ => None,
        };
        window.filter(|window| window.length_us() <= MAX_WINDOW_US).ok_or_else(|| help.to_owned())
    }

    /// Takes up where an answer has ended: `FROM.TO.SKIP` and, of a search, `.INNER`.
    fn resume(&mut self, cursor: &str) -> Option<()> {
        let mut parts = cursor.splitn(4, '.');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (from, to, skip) = (number()?, number()?, number()?);
        if from > to || to - from > MAX_WINDOW_US {
            return None;
        }
        self.window = Window::new(from, to);
        self.skip = usize::try_from(skip).ok()?;
        self.inner = parts.next().filter(|inner| !inner.is_empty()).map(str::to_owned);
        Some(())
    }
}

/// A value as it should be; a number in quotes is taken for the number.
fn check(argument: &Argument, value: &mut Value) -> Result<(), String> {
    if let (Kind::Integer(..) | Kind::Number, Value::String(text)) = (argument.kind, &*value) {
        let number = text.trim().parse::<u64>().ok().map(Value::from);
        let number = number.or_else(|| text.trim().parse::<f64>().ok().map(Value::from));
        *value = number.unwrap_or_else(|| value.clone());
    }
    let name = argument.name;
    let right = match argument.kind {
        Kind::Text(most) => value.as_str().is_some_and(|text| text.len() <= most),
        Kind::Integer(least, most) => value.as_u64().is_some_and(|number| (least..=most).contains(&number)),
        Kind::Number => value.as_f64().is_some_and(|number| number.is_finite() && number > 0.0),
        Kind::OneOf(words) => value.as_str().is_some_and(|text| words.contains(&text)),
    };
    match (right, argument.kind) {
        (true, _) => Ok(()),
        (false, Kind::Text(most)) => {
            Err(format!("`{name}`: a text of at most {most} bytes ({})", argument.help))
        }
        (false, Kind::Integer(least, most)) => {
            Err(format!("`{name}`: a whole number from {least} to {most}"))
        }
        (false, Kind::Number) => Err(format!("`{name}`: a number above zero")),
        (false, Kind::OneOf(words)) => Err(format!("`{name}`: one of {}", words.join(", "))),
    }
}

/// `15m`, `6h`, `7d`, in microseconds.
pub(crate) fn length_us(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.trim().parse::<u64>().ok()?.checked_mul(seconds * 1_000_000).filter(|us| *us > 0)
}
