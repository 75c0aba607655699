//! Records in parts, each of which is a request.

/// Records of a part, and about its bytes before it is compressed, so that it stays well below what collectors take. A record that
/// is larger is a part by itself.
const MAX_RECORDS: usize = 2_000;
const MAX_BYTES: usize = 1 << 20;

/// The records in parts, in their order; `bytes` is how many one takes.
pub(super) fn parts<R>(
    records: impl Iterator<Item = R>,
    bytes: impl Fn(&R) -> usize,
) -> impl Iterator<Item = Vec<R>> {
    let sized = records.map(move |record| {
        let bytes = bytes(&record);
        (record, bytes)
    });
    let mut records = sized.peekable();
    std::iter::from_fn(move || {
        let (mut part, mut all) = (Vec::new(), 0);
        while let Some((record, bytes)) = records
            .next_if(|(_, bytes)| part.is_empty() || (part.len() < MAX_RECORDS && all + bytes <= MAX_BYTES))
        {
            all += bytes;
            part.push(record);
        }
        Some(part).filter(|part| !part.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_by_number_or_by_bytes_and_nothing_is_lost() {
        let lengths = |sizes: &[usize]| -> Vec<usize> {
            let parts: Vec<Vec<usize>> = parts(sizes.iter().copied(), |bytes| *bytes).collect();
            assert_eq!(parts.concat(), sizes, "all of them, in their order");
            parts.iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[1; 4_001]), [2_000, 2_000, 1]);
        assert_eq!(lengths(&[MAX_BYTES / 2; 5]), [2, 2, 1]);
        assert_eq!(lengths(&[1, 5 * MAX_BYTES, 1, 1]), [1, 1, 2], "one that is too large is alone");
    }
}
