//! The bytes of a sketch in Redis: a header of 16, then registers of six bits, or run lengths of them.

use super::sketch::{Dense, REGISTERS};

const MAGIC: &[u8] = b"HYLL";
const HEADER: usize = 16;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

pub(super) fn encode(registers: &Dense) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER + Dense::BYTES);
    value.extend_from_slice(MAGIC);
    value.extend_from_slice(&[DENSE, 0, 0, 0]);
    // The count that Redis has cached here: the highest bit tells that there is none.
    value.extend_from_slice(&(1u64 << 63).to_le_bytes());
    value.extend_from_slice(&registers.0);
    value
}

/// Shows each register; `None` if the bytes are no sketch.
pub(super) fn decode(value: &[u8], see: impl FnMut(usize, u8)) -> Option<()> {
    let (header, body) = value.split_at_checked(HEADER)?;
    if !header.starts_with(MAGIC) {
        return None;
    }
    match header[4] {
        DENSE => dense(body, see),
        SPARSE => sparse(body, see),
        _ => None,
    }
}

fn dense(body: &[u8], mut see: impl FnMut(usize, u8)) -> Option<()> {
    let registers = Dense(body.try_into().ok()?);
    (0..REGISTERS).for_each(|index| see(index, registers.get(index).min(51)));
    Some(())
}

/// Runs: `00` and six bits of length less one, of zeros; `01` and 14 bits, of zeros; `1`, five bits of the value
/// less one and two of the length less one.
fn sparse(body: &[u8], mut see: impl FnMut(usize, u8)) -> Option<()> {
    let mut bytes = body.iter().copied().map(usize::from);
    let mut index = 0;
    while let Some(code) = bytes.next() {
        let (length, value) = match code >> 6 {
            0 => (code + 1, 0),
            1 => (((code & 63) << 8 | bytes.next()?) + 1, 0),
            _ => ((code & 3) + 1, (code >> 2 & 31) as u8 + 1),
        };
        if index + length > REGISTERS {
            return None;
        }
        (index..index + length).for_each(|register| see(register, value));
        index += length;
    }
    (index == REGISTERS).then_some(())
}
