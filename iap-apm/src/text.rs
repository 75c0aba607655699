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

/// Bytes of a [`Short`] text that need no allocation.
const INLINE: usize = 95;

/// Text that is kept in place while it is short.
pub(crate) enum Short {
    Inline(u8, [u8; INLINE]),
    Long(Box<str>),
}

impl Short {
    /// Two texts as one.
    pub(crate) fn of(first: &str, second: &str) -> Self {
        let len = first.len() + second.len();
        if len > INLINE {
            return Self::Long([first, second].concat().into_boxed_str());
        }
        let mut bytes = [0; INLINE];
        bytes[..first.len()].copy_from_slice(first.as_bytes());
        bytes[first.len()..len].copy_from_slice(second.as_bytes());
        Self::Inline(len as u8, bytes)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Inline(len, bytes) => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).expect("made of two texts, not cut")
            }
            Self::Long(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_read_the_same() {
        for len in [0, 1, INLINE - 3, INLINE - 2, 2_000] {
            let first = "a".repeat(len);
            assert_eq!(Short::of(&first, "가").as_str(), first.clone() + "가");
            assert_eq!(Short::of("가", &first).as_str(), "가".to_owned() + &first);
        }
        assert!(matches!(Short::of(&"a".repeat(INLINE), ""), Short::Inline(..)));
    }

    #[test]
    fn cuts_at_characters() {
        assert_eq!(cut("가나다", 5), "가");
        assert_eq!(cut("abc", 5), "abc");
        assert_eq!(cut_owned("가나다".into(), 7), "가나…");
        assert_eq!(cut_owned("가나".into(), 6), "가나");
    }
}
