//! Bounds for text from outside.

/// At most `max` bytes of a text, ending at a character.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// As [`cut`], with a mark where something is missing.
pub(crate) fn cut_owned(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_characters() {
        assert_eq!(cut("가나다", 5), "가");
        assert_eq!(cut("abc", 5), "abc");
        assert_eq!(cut_owned("가나다".into(), 7), "가나…");
        assert_eq!(cut_owned("가나".into(), 6), "가나");
    }
}
