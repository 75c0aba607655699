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

/// Words of a message that are looked at, and bytes of each.
const MAX_WORDS: usize = 40;
const MAX_WORD: usize = 64;
/// What stands for any word.
const ANY: &str = "<*>";

/// A message without what differs from one time to the next: `<*>` for quoted texts and for words with a digit, once where
/// they follow one another; no control characters, and bounded.
pub(crate) fn template(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message.trim_start();
    let mut words = 0;
    while let Some(first) = rest.chars().next() {
        words += 1;
        if words > MAX_WORDS {
            out.push_str(" …");
            break;
        }
        let (word, after) = split_word(rest, first);
        rest = after.trim_start();
        let any = word.bytes().any(|byte| byte.is_ascii_digit()) || is_quoted(word);
        if any && out.ends_with(ANY) {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        if any {
            out.push_str(ANY);
        } else {
            out.extend(cut(word, MAX_WORD).chars().filter(|c| !c.is_control()));
        }
    }
    out
}

/// The first word of a text, or what is between its quotes, and what comes after it.
fn split_word(text: &str, first: char) -> (&str, &str) {
    let (inner, word) = (&text[first.len_utf8()..], text.find(char::is_whitespace));
    let closed = closing(first).and_then(|close| {
        let at = inner.find(close)?;
        Some(first.len_utf8() + at + close.len_utf8())
    });
    // A quote that is not closed is a letter of its word.
    text.split_at(closed.or(word).unwrap_or(text.len()))
}

/// Whether a word has something between quotes.
fn is_quoted(word: &str) -> bool {
    word.char_indices()
        .any(|(at, open)| closing(open).is_some_and(|close| word[at + open.len_utf8()..].contains(close)))
}

/// The quote that closes another.
fn closing(open: char) -> Option<char> {
    match open {
        '"' | '\'' | '`' => Some(open),
        '“' => Some('”'),
        '‘' => Some('’'),
        _ => None,
    }
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

    #[test]
    fn messages_that_differ_in_names_and_numbers_are_one() {
        let cases = [
            ("user 'kim' was not found", "user <*> was not found"),
            ("user \"kim lee\" was not found", "user <*> was not found"),
            ("timeout after 30s  at\n10.0.0.1:80", "timeout after <*> at <*>"),
            ("ids 1 2 3 are gone", "ids <*> are gone"),
            ("it's not closed", "it's not closed"),
            ("no row for name='kim' here", "no row for <*> here"),
            ("'not closed 1", "'not closed <*>"),
            ("“가나” 없음", "<*> 없음"),
            ("", ""),
        ];
        for (message, expected) in cases {
            assert_eq!(template(message), expected, "{message}");
        }
        let long = template(&format!("{} {}", "가".repeat(1_000), "word ".repeat(1_000)));
        assert!(long.len() < MAX_WORDS * (MAX_WORD + 1) && long.ends_with('…'), "{}", long.len());
        assert!(!template("a\u{7}b\u{1b}[31m").contains(char::is_control));
    }
}
