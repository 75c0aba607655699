use proptest::prelude::*;

use super::*;

/// A file with these counters, in either byte order.
pub(crate) fn file(counters: &[(&str, Result<i64, &str>)], is_little: bool) -> Vec<u8> {
    let size = |number: usize| {
        let number = number as i32;
        if is_little { number.to_le_bytes() } else { number.to_be_bytes() }
    };
    let mut out = [MAGIC.as_slice(), &[u8::from(is_little), 2, 0, 1]].concat();
    out.resize(24, 0);
    out.extend(size(HEADER));
    out.extend(size(counters.len()));
    for (name, value) in counters {
        let data = match value {
            Ok(number) if is_little => number.to_le_bytes().to_vec(),
            Ok(number) => number.to_be_bytes().to_vec(),
            Err(text) => [text.as_bytes(), &[0]].concat(),
        };
        let at = ENTRY + name.len() + 1;
        let length = (at + data.len()).next_multiple_of(8);
        let start = out.len();
        out.extend(size(length));
        out.extend(size(ENTRY));
        out.extend(size(if value.is_ok() { 0 } else { data.len() }));
        out.extend([if value.is_ok() { b'J' } else { b'B' }, 0, 1, 1]);
        out.extend(size(at));
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(data);
        out.resize(start + length, 0);
    }
    out
}

const SOME: [(&str, Result<i64, &str>); 3] =
    [("java.threads.live", Ok(42)), ("sun.gc.cause", Err("No GC")), ("odd", Ok(-1))];

#[test]
fn counters_are_read_in_both_byte_orders() {
    for is_little in [true, false] {
        let bytes = file(&SOME, is_little);
        let counters = parse(&bytes).unwrap();
        assert_eq!(counters.number("java.threads.live"), Some(42));
        assert_eq!(counters.text("sun.gc.cause").as_deref(), Some("No GC"));
        assert_eq!(
            (counters.number("odd"), counters.number("sun.gc.cause"), counters.text("none")),
            (None, None, None)
        );
    }
}

#[test]
fn what_is_no_such_file_is_refused() {
    let good = file(&SOME, true);
    for (at, byte) in [(0, 0), (4, 7), (5, 1)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(parse(&bad).is_none(), "{at}");
    }
    assert!(parse(&[]).is_none());
}

proptest! {
    #[test]
    fn truncated_and_damaged_files_never_panic(
        cut in 0usize..400, at in 0usize..400, byte: u8, is_little: bool
    ) {
        let mut bytes = file(&SOME, is_little);
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(cut % (length + 1));
        if let Some(counters) = parse(&bytes) {
            for (name, _) in SOME {
                let _ = (counters.number(name), counters.text(name));
            }
        }
    }

    #[test]
    fn any_bytes_behind_a_header_never_panic(rest in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&[MAGIC.as_slice(), &[1, 2, 0, 1], &rest].concat());
    }
}
