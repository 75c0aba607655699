//! How a value is printed: the same way everywhere, so that a number can be found again.

use super::{Unit, Value};
use crate::zone::Zone;

/// A value with its unit; `-` for one that is unknown.
pub fn show(value: &Value, unit: Unit, zone: &Zone) -> String {
    let number = match value {
        Value::None => return "-".to_owned(),
        Value::Text(text) => return if unit == Unit::Code { format!("`{text}`") } else { text.clone() },
        Value::Number(number) => *number,
    };
    match unit {
        Unit::Us => duration(number),
        Unit::Percent => format!("{number:.1}%"),
        Unit::PerSecond => rate(number),
        Unit::Times => format!("{number:.2}×"),
        Unit::Bytes => bytes(number),
        Unit::Time => zone.minute(number.max(0.0) as u64),
        Unit::Count | Unit::Text | Unit::Route | Unit::Trace | Unit::Code => count(number),
    }
}

fn count(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

/// Three digits and a unit.
pub(crate) fn duration(us: f64) -> String {
    match us {
        _ if us < 1e3 => format!("{us:.0} µs"),
        _ if us < 1e6 => format!("{:.1} ms", us / 1e3),
        _ if us < 120e6 => format!("{:.2} s", us / 1e6),
        _ if us < 2.0 * 3_600e6 => format!("{:.0} min", us / 60e6),
        _ => format!("{:.1} h", us / 3_600e6),
    }
}

fn rate(number: f64) -> String {
    match number.abs() {
        size if size > 0.0 && size < 0.1 => format!("{number:.4}/s"),
        size if size < 100.0 => format!("{number:.2}/s"),
        _ => format!("{number:.1}/s"),
    }
}

fn bytes(number: f64) -> String {
    match number {
        _ if number < 1024.0 => format!("{number:.0} B"),
        _ if number < 1024.0 * 1024.0 => format!("{:.1} KiB", number / 1024.0),
        _ => format!("{:.1} MiB", number / (1024.0 * 1024.0)),
    }
}
