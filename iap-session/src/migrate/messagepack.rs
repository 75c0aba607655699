//! MessagePack, as far as it has a JSON form.

use serde_json::{Map, Number, Value};

/// How deep lists and maps may lie in each other.
const MAX_DEPTH: usize = 32;

/// A value, or bytes, which JSON does not have.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Json(Value),
    Bytes(Vec<u8>),
}

/// Reads values one after the other. Nothing is allocated that the bytes are not there for.
pub(super) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A number of `size` bytes.
    fn uint(&mut self, size: usize) -> Option<u64> {
        Some(self.take(size)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn int(&mut self, size: usize) -> Option<i64> {
        let shift = 64 - 8 * size;
        Some((self.uint(size)? << shift).cast_signed() >> shift)
    }

    fn size(&mut self, size: usize) -> Option<usize> {
        usize::try_from(self.uint(size)?).ok()
    }

    /// How many items the array has that begins here.
    pub(super) fn array(&mut self) -> Option<usize> {
        match self.take(1)?[0] {
            byte @ 0x90..=0x9f => Some(usize::from(byte & 0x0f)),
            0xdc => self.size(2),
            0xdd => self.size(4),
            _ => None,
        }
    }

    pub(super) fn item(&mut self) -> Option<Item> {
        self.at_depth(MAX_DEPTH)
    }

    pub(super) fn json(&mut self) -> Option<Value> {
        match self.item()? {
            Item::Json(value) => Some(value),
            Item::Bytes(_) => None,
        }
    }

    fn at_depth(&mut self, depth: usize) -> Option<Item> {
        let byte = self.take(1)?[0];
        let value = match byte {
            0x00..=0x7f => byte.into(),
            0x80..=0x8f => self.map(usize::from(byte & 0x0f), depth)?,
            0x90..=0x9f => self.list(usize::from(byte & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(byte & 0x1f))?,
            0xc0 => Value::Null,
            0xc2 | 0xc3 => (byte == 0xc3).into(),
            0xc4..=0xc6 => {
                let length = self.size(1 << (byte - 0xc4))?;
                return Some(Item::Bytes(self.take(length)?.to_vec()));
            }
            0xca => {
                let bits = u32::try_from(self.uint(4)?).ok()?;
                Value::Number(Number::from_f64(f32::from_bits(bits).to_string().parse().ok()?)?)
            }
            0xcb => Value::Number(Number::from_f64(f64::from_bits(self.uint(8)?))?),
            0xcc..=0xcf => self.uint(1 << (byte - 0xcc))?.into(),
            0xd0..=0xd3 => self.int(1 << (byte - 0xd0))?.into(),
            0xd9..=0xdb => {
                let length = self.size(1 << (byte - 0xd9))?;
                self.text(length)?
            }
            0xdc | 0xdd => {
                let count = self.size(2 << (byte - 0xdc))?;
                self.list(count, depth)?
            }
            0xde | 0xdf => {
                let count = self.size(2 << (byte - 0xde))?;
                self.map(count, depth)?
            }
            0xe0..=0xff => byte.cast_signed().into(),
            // Extensions, and what is never used.
            _ => return None,
        };
        Some(Item::Json(value))
    }

    fn inner(&mut self, depth: usize) -> Option<Value> {
        match self.at_depth(depth.checked_sub(1)?)? {
            Item::Json(value) => Some(value),
            // As serde writes bytes that become JSON.
            Item::Bytes(bytes) => Some(bytes.into()),
        }
    }

    fn list(&mut self, count: usize, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.inner(depth)?);
        }
        Some(items.into())
    }

    fn map(&mut self, count: usize, depth: usize) -> Option<Value> {
        let mut map = Map::new();
        for _ in 0..count {
            let Value::String(name) = self.inner(depth)? else { return None };
            map.insert(name, self.inner(depth)?);
        }
        Some(map.into())
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        std::str::from_utf8(self.take(length)?).ok().map(Into::into)
    }
}
