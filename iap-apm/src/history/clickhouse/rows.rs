//! Rows in ClickHouse's `RowBinary` format, written and read.
//!
//! Numbers and ids go as they are, so that nothing is printed, parsed or rounded on either side, and no text can be
//! taken for anything else. Source: <https://clickhouse.com/docs/interfaces/formats/RowBinary>.

use crate::error::{HistoryError, HistoryErrorKind};

/// Rows that are being written: the values of each, one after the other.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
}

impl Rows {
    pub(super) fn byte(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// `UInt16`.
    pub(super) fn short(&mut self, value: u16) -> &mut Self {
        self.fixed(&value.to_le_bytes())
    }

    /// `DateTime`, or `UInt32`.
    pub(super) fn word(&mut self, value: u32) -> &mut Self {
        self.fixed(&value.to_le_bytes())
    }

    /// `UInt64`.
    pub(super) fn number(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_le_bytes())
    }

    /// `Float64`.
    pub(super) fn float(&mut self, value: f64) -> &mut Self {
        self.fixed(&value.to_le_bytes())
    }

    /// `FixedString`, of the length of the column.
    pub(super) fn fixed(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// `String`.
    pub(super) fn text(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        self.length(value.len()).fixed(value)
    }

    /// `Nullable` of what `write` writes.
    pub(super) fn optional<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        match value {
            Some(value) => write(self.byte(0), value),
            None => self.byte(1),
        }
    }

    /// How many elements or bytes follow.
    pub(super) fn length(&mut self, length: usize) -> &mut Self {
        let mut rest = length as u64;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8)
    }

    /// A row is complete.
    pub(super) fn end(&mut self) {
        self.count += 1;
    }
}

/// Rows that are being read.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads all rows of an answer.
    pub(super) fn all<T>(
        bytes: &'a [u8],
        mut row: impl FnMut(&mut Self) -> Result<T, HistoryError>,
    ) -> Result<Vec<T>, HistoryError> {
        let (mut reader, mut rows) = (Self(bytes), Vec::new());
        while !reader.0.is_empty() {
            rows.push(row(&mut reader)?);
        }
        Ok(rows)
    }

    pub(super) fn byte(&mut self) -> Result<u8, HistoryError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn short(&mut self) -> Result<u16, HistoryError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn number(&mut self) -> Result<u64, HistoryError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn float(&mut self) -> Result<f64, HistoryError> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// `FixedString`.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], HistoryError> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], HistoryError> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, HistoryError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| damaged())
    }

    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, HistoryError>,
    ) -> Result<Option<T>, HistoryError> {
        match self.byte()? {
            0 => read(self).map(Some),
            _ => Ok(None),
        }
    }

    /// `Array`.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, HistoryError>,
    ) -> Result<Vec<T>, HistoryError> {
        // Not reserved for: what is announced may be more than there is.
        let mut list = Vec::new();
        for _ in 0..self.length()? {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub(super) fn length(&mut self) -> Result<usize, HistoryError> {
        let mut length = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(length).map_err(|_| damaged());
            }
        }
        Err(damaged())
    }
}

/// An answer that is not what was asked for.
pub(super) fn damaged() -> HistoryError {
    HistoryError::new(HistoryErrorKind::Unavailable, "the answer of ClickHouse cannot be read")
}
