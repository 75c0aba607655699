//! The counters that a JVM shows in a file: `hsperfdata`.
//!
//! Source: `perfMemory.hpp` and `PerfDataBuffer` of OpenJDK, version 2.0 of the format. A header of 32 bytes (magic
//! `cafec0c0`, byte order, version, used, entry offset, number of entries), then entries of length, name offset,
//! vector length, type, flags, unit, variability and data offset. The file belongs to somebody else: everything in
//! it may be wrong.

use std::collections::HashMap;

const MAGIC: [u8; 4] = [0xca, 0xfe, 0xc0, 0xc0];
const HEADER: usize = 32;
const ENTRY: usize = 20;
/// Entries that are read; a JVM has some 300.
const MAX_ENTRIES: usize = 4_096;

/// The counters by name, as they lie in the file.
#[derive(Debug, Default)]
pub(crate) struct Counters<'a>(HashMap<&'a str, Value<'a>>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Long(i64),
    Text(&'a [u8]),
}

impl Counters<'_> {
    /// A number, unless it is below zero.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Long(number) => u64::try_from(*number).ok(),
            Value::Text(_) => None,
        }
    }

    /// A text, up to its first zero byte. It is data from outside.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::Text(bytes) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                let text = String::from_utf8_lossy(&bytes[..end.min(1_024)]).into_owned();
                Some(text).filter(|text| !text.is_empty())
            }
            Value::Long(_) => None,
        }
    }
}

/// Reads a file; `None` when it is none, or of another version. Entries that are not whole are left out.
pub(crate) fn parse(bytes: &[u8]) -> Option<Counters<'_>> {
    let header = bytes.get(..HEADER)?;
    if header[..4] != MAGIC || header[4] > 1 || header[5] != 2 {
        return None;
    }
    let is_little = header[4] == 1;
    let read = Reader { bytes, is_little };
    let (mut at, count) = (read.size(24)?, read.size(28)?);
    let mut counters = Counters::default();
    for _ in 0..count.min(MAX_ENTRIES) {
        let Some(entry) = read.at(at) else { break };
        let Some(length) = entry.size(0).filter(|length| *length >= ENTRY) else { break };
        let whole = Reader { bytes: &entry.bytes[..length.min(entry.bytes.len())], is_little };
        if let Some((name, value)) = whole.entry() {
            counters.0.insert(name, value);
        }
        at = at.checked_add(length)?;
    }
    Some(counters)
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

impl<'a> Reader<'a> {
    fn at(self, offset: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(offset..)?, ..self })
    }

    fn size(self, at: usize) -> Option<usize> {
        let bytes: [u8; 4] = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let number = if self.is_little { i32::from_le_bytes(bytes) } else { i32::from_be_bytes(bytes) };
        usize::try_from(number).ok()
    }

    fn entry(self) -> Option<(&'a str, Value<'a>)> {
        let (name, vector, data) = (self.size(4)?, self.size(8)?, self.size(16)?);
        let kind = *self.bytes.get(12)?;
        let rest = self.bytes.get(name..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = std::str::from_utf8(&rest[..end]).ok()?;
        let value = match kind {
            b'J' if vector == 0 => {
                let bytes: [u8; 8] = self.bytes.get(data..data.checked_add(8)?)?.try_into().ok()?;
                Value::Long(if self.is_little {
                    i64::from_le_bytes(bytes)
                } else {
                    i64::from_be_bytes(bytes)
                })
            }
            b'B' if vector > 0 => Value::Text(self.bytes.get(data..data.checked_add(vector)?)?),
            _ => return None,
        };
        Some((name, value))
    }
}

#[cfg(test)]
pub(crate) mod tests;
