//! Any stream, cut in any way.

use super::{Fault, Scanner};

/// Scans `data` but for its first byte in one piece, and in pieces whose size that byte says.
pub(crate) fn scan(data: &[u8]) {
    let Some((seed, stream)) = data.split_first() else { return };
    let whole = in_pieces(stream, |_| stream.len());
    let by_size = in_pieces(stream, |_| usize::from(*seed).max(1));
    // The first cut anywhere, and then nothing but small ones.
    let first = usize::from(*seed) * 7 % stream.len().max(1);
    let by_place = in_pieces(stream, |done| if done == 0 { first.max(1) } else { 1 });
    assert!(agree(&whole, &by_size), "{whole:?}, but {by_size:?} in pieces of {seed}");
    assert!(agree(&whole, &by_place), "{whole:?}, but {by_place:?} after {first}");
}

/// Where the scanner stands in the end, or why it refused.
type Verdict = Result<String, Fault>;

/// Of a line of chunks that is too long and ends wrongly, one fault is found before the other.
fn agree(one: &Verdict, other: &Verdict) -> bool {
    let in_chunks = |verdict: &Verdict| matches!(verdict, Err(fault) if !fault.is_in_head());
    one == other || (in_chunks(one) && in_chunks(other))
}

fn in_pieces(stream: &[u8], size: impl Fn(usize) -> usize) -> Verdict {
    let (mut scanner, mut done) = (Scanner::new(), 0);
    while done < stream.len() {
        let end = stream.len().min(done + size(done));
        scanner.scan(&stream[done..end]).map_err(|(at, fault)| {
            assert!(at <= end - done, "a place in the piece");
            fault
        })?;
        assert!(scanner.kept.len() <= super::MAX_KEPT, "bounded memory");
        done = end;
    }
    Ok(format!("{:?} {} {}", scanner.state, scanner.length, scanner.chunked))
}
