//! Mistakes of typing: one letter wrong, missing, too many, or two swapped. Hangul is compared by its letters,
//! so that `장얘` is one away from `장애`.

use super::is_hangul;

/// Letters that a word must have before a mistake in it is forgiven.
const MIN_LATIN: usize = 5;
const MIN_JAMO: usize = 6;

/// Whether an English word is another one with one mistake. The first letter must be right.
pub(super) fn nearly(word: &str, wanted: &str) -> bool {
    let (word, wanted): (Vec<char>, Vec<char>) = (word.chars().collect(), wanted.chars().collect());
    wanted.len() >= MIN_LATIN
        && word.len().abs_diff(wanted.len()) <= 1
        && word.first() == wanted.first()
        && distance_is_one(&word, &wanted)
}

/// Whether a Korean stem is in a text with at most one mistake.
pub(super) fn contains(letters: &str, stem: &str) -> bool {
    if !stem.chars().all(is_hangul) {
        return false;
    }
    let stem_jamo = jamo(stem);
    if stem_jamo.len() < MIN_JAMO {
        return false;
    }
    let chars: Vec<char> = letters.chars().collect();
    let count = stem.chars().count();
    // A syllable as long: spaces and particles are outside.
    chars.windows(count).any(|window| {
        let window: String = window.iter().collect();
        let typed = jamo(&window);
        typed.len().abs_diff(stem_jamo.len()) <= 1
            && typed[0] == stem_jamo[0]
            && distance_is_one(&typed, &stem_jamo)
    })
}

/// At most one insertion, deletion, substitution or swap of neighbours.
fn distance_is_one(a: &[char], b: &[char]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    if long.len() > short.len() {
        return short[same..] == long[same + 1..];
    }
    if same == short.len() || short[same + 1..] == long[same + 1..] {
        return true;
    }
    let swapped = same + 1 < short.len() && short[same] == long[same + 1] && short[same + 1] == long[same];
    swapped && short[same + 2..] == long[same + 2..]
}

/// The letters of Hangul syllables: initial, medial, final.
fn jamo(text: &str) -> Vec<char> {
    const BASE: u32 = 0xAC00;
    let mut letters = Vec::with_capacity(text.len());
    for c in text.chars() {
        let code = u32::from(c);
        if !('가'..='힣').contains(&c) {
            letters.push(c);
            continue;
        }
        let (initial, medial, last) = ((code - BASE) / 588, (code - BASE) % 588 / 28, (code - BASE) % 28);
        letters.extend(char::from_u32(0x1100 + initial));
        letters.extend(char::from_u32(0x1161 + medial));
        letters.extend((last > 0).then(|| char::from_u32(0x11A7 + last)).flatten());
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::{contains, nearly};

    #[test]
    fn one_mistake_is_forgiven_and_two_are_not() {
        for (word, wanted) in [
            ("slowset", "slowest"),
            ("capasity", "capacity"),
            ("forcast", "forecast"),
            ("botleneck", "bottleneck"),
        ] {
            assert!(nearly(word, wanted), "{word}");
        }
        for (word, wanted) in
            [("slow", "slaw"), ("fowest", "lowest"), ("rooted", "routes"), ("performs", "performance")]
        {
            assert!(!nearly(word, wanted), "{word}");
        }
        assert!(contains("용랑예측", "용량") && contains("병먹원인", "병목"));
        assert!(!contains("영화추천", "용량") && !contains("점심뭐먹을까", "병목"));
    }
}
