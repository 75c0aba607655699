//! The bytes of a sketch in Redis: a header of 16, then registers of six bits, or run lengths of them.

use super::sketch::{Dense, REGISTERS};

const MAGIC: &[u8] = b"HYLL";
const HEADER: usize = 16;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// The highest value that a run can have.
const MAX_IN_RUN: u8 = 32;
/// Registers that one code of zeros covers at most.
const MAX_ZEROS: usize = 1 << 14;

pub(super) fn encode(registers: &Dense) -> Vec<u8> {
    let mut value = header(DENSE, Dense::BYTES);
    value.extend_from_slice(&registers.0);
    value
}

/// Registers with their values, in order, as runs; `None` where a value is too high for them.
pub(super) fn encode_few(registers: impl Iterator<Item = (usize, u8)>) -> Option<Vec<u8>> {
    let mut value = header(SPARSE, 64);
    let mut next = 0;
    for (index, register) in registers {
        if register > MAX_IN_RUN {
            return None;
        }
        zeros(&mut value, index - next);
        value.push(0x80 | (register - 1) << 2);
        next = index + 1;
    }
    zeros(&mut value, REGISTERS - next);
    Some(value)
}

fn zeros(value: &mut Vec<u8>, count: usize) {
    match count {
        0 => {}
        1..=64 => value.push((count - 1) as u8),
        _ => {
            debug_assert!(count <= MAX_ZEROS);
            value.extend_from_slice(&(0x4000 | (count - 1) as u16).to_be_bytes());
        }
    }
}

fn header(form: u8, room: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER + room);
    value.extend_from_slice(MAGIC);
    value.extend_from_slice(&[form, 0, 0, 0]);
    // The count that Redis has cached here: the highest bit tells that there is none.
    value.extend_from_slice(&(1u64 << 63).to_le_bytes());
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
