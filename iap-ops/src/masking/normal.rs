//! A text as it is looked through: NFKC, without characters that are not seen, with one kind of dash; and where each
//! character came from.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters that are normalised together; a longer cluster is cut.
const MAX_CLUSTER: usize = 16;

/// A normalised text.
pub(super) struct Normal {
    pub(super) chars: Vec<char>,
    /// The bytes of the text as it was that each character stands for.
    places: Vec<(usize, usize)>,
}

impl Normal {
    pub(super) fn new(text: &str) -> Self {
        let mut normal =
            Self { chars: Vec::with_capacity(text.len()), places: Vec::with_capacity(text.len()) };
        let mut rest = text.char_indices().peekable();
        let mut cluster = String::new();
        while let Some((start, first)) = rest.next() {
            let mut end = start + first.len_utf8();
            if is_unseen(first) {
                continue;
            }
            if first.is_ascii() && rest.peek().is_none_or(|(_, next)| next.is_ascii()) {
                normal.push(first, start, end);
                continue;
            }
            cluster.clear();
            cluster.push(first);
            let mut length = 1;
            while let Some((at, next)) = rest.next_if(|(_, next)| length < MAX_CLUSTER && joins(*next)) {
                length += 1;
                end = at + next.len_utf8();
                cluster.push(next);
            }
            if is_digit_and_more(&cluster) {
                normal.push(first, start, end);
                continue;
            }
            for c in cluster.nfkc().filter(|c| !is_unseen(*c)) {
                normal.push(c, start, end);
            }
        }
        normal
    }

    fn push(&mut self, c: char, start: usize, end: usize) {
        let c = match c {
            c if is_dash(c) => '-',
            '\n' => '\n',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        self.chars.push(c);
        self.places.push((start, end));
    }

    /// The bytes that some characters stand for.
    pub(super) fn place(&self, chars: Range<usize>) -> Range<usize> {
        self.places[chars.start].0..self.places[chars.end - 1].1
    }
}

/// Whether one character stands for a digit and something else, as `¼` does: it is taken as a whole or not at all, so a
/// digit of it is no part of a number beside it.
fn is_digit_and_more(cluster: &str) -> bool {
    let mut kinds = cluster.nfkc().map(|c| c.is_ascii_digit());
    let first = kinds.next();
    let mixed = first.is_some_and(|first| kinds.any(|kind| kind != first));
    mixed && cluster.chars().nth(1).is_none()
}

/// Whether a character is one with what stands before it: a mark, or a vowel or final consonant of Hangul.
fn joins(c: char) -> bool {
    is_combining_mark(c) || matches!(c, '\u{1160}'..='\u{11ff}' | '\u{ff9e}' | '\u{ff9f}')
}

/// Whether a character is not seen, or turns the direction of writing.
pub(crate) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn is_dash(c: char) -> bool {
    matches!(
        c,
        '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{2212}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{30a0}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{ff0d}'
                | '\u{2500}'
                | '\u{3161}'
    )
}
