//! What the clauses of a text speak of.

use super::keys;

/// What a clause may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Resident,
    Licence,
    Passport,
    Phone,
    Card,
    Account,
    Corporation,
    Business,
}

/// Words, as they are found without case. Those in Latin letters count where no letter stands around them.
const WORDS: [(&str, Topic); 43] = [
    ("주민", Topic::Resident),
    ("외국인등록", Topic::Resident),
    ("rrn", Topic::Resident),
    ("jumin", Topic::Resident),
    ("ssn", Topic::Resident),
    ("resident", Topic::Resident),
    ("면허", Topic::Licence),
    ("license", Topic::Licence),
    ("licence", Topic::Licence),
    ("여권", Topic::Passport),
    ("passport", Topic::Passport),
    ("전화", Topic::Phone),
    ("연락처", Topic::Phone),
    ("휴대폰", Topic::Phone),
    ("핸드폰", Topic::Phone),
    ("팩스", Topic::Phone),
    ("phone", Topic::Phone),
    ("mobile", Topic::Phone),
    ("tel", Topic::Phone),
    ("fax", Topic::Phone),
    ("카드", Topic::Card),
    ("card", Topic::Card),
    ("cardno", Topic::Card),
    ("계좌", Topic::Account),
    ("은행", Topic::Account),
    ("뱅크", Topic::Account),
    ("농협", Topic::Account),
    ("수협", Topic::Account),
    ("신협", Topic::Account),
    ("새마을", Topic::Account),
    ("우체국", Topic::Account),
    ("입금", Topic::Account),
    ("송금", Topic::Account),
    ("bank", Topic::Account),
    ("bankaccount", Topic::Account),
    ("accountno", Topic::Account),
    ("account_no", Topic::Account),
    ("account_number", Topic::Account),
    ("acct", Topic::Account),
    ("iban", Topic::Account),
    ("법인", Topic::Corporation),
    ("corporation", Topic::Corporation),
    ("사업자", Topic::Business),
];

/// The topics of a text, clause by clause.
pub(super) struct Clauses {
    /// Which clause a character belongs to.
    of: Vec<u32>,
    /// For each clause its topics, with the character from which on each is known.
    topics: Vec<Vec<(Topic, usize)>>,
}

impl Clauses {
    pub(super) fn new(chars: &[char], key: Option<&str>) -> Self {
        let mut out = Self { of: Vec::with_capacity(chars.len()), topics: vec![Vec::new()] };
        if let Some(key) = key {
            // The name of a field is as good as a word: also in `customerPhone`.
            let key = keys::plain(key);
            let named =
                WORDS.iter().filter(|(word, _)| (word.len() > 3 && key.contains(word)) || key == *word);
            out.topics[0].extend(named.map(|(_, topic)| (*topic, 0)));
        }
        for at in 0..chars.len() {
            let clause = out.topics.len() - 1;
            out.of.push(clause as u32);
            for (word, topic) in WORDS.into_iter().filter(|_| may_begin(chars, at)) {
                let known = &mut out.topics[clause];
                if stands_at(chars, at, word) && !known.iter().any(|(other, _)| *other == topic) {
                    known.push((topic, at));
                }
            }
            let next = chars.get(at + 1);
            let ends = match chars[at] {
                '\n' | ';' | '!' | '?' => true,
                '.' | ',' => next.is_none_or(|next| *next == ' '),
                _ => false,
            };
            if ends {
                out.topics.push(Vec::new());
            }
        }
        out
    }

    /// Whether the clause of a character has spoken of something before it.
    pub(super) fn before(&self, at: usize, topic: Topic) -> bool {
        self.topics[self.of[at] as usize].iter().any(|(known, from)| *known == topic && *from <= at)
    }

    /// Whether the clause of a character speaks of something.
    pub(super) fn anywhere(&self, at: usize, topic: Topic) -> bool {
        self.topics[self.of[at] as usize].iter().any(|(known, _)| *known == topic)
    }
}

/// Whether a word may begin here: most characters of a log are in the middle of one.
fn may_begin(chars: &[char], at: usize) -> bool {
    let c = chars[at];
    let inside = at > 0 && chars[at - 1].is_ascii_alphabetic() && !c.is_ascii_uppercase();
    if c.is_ascii() { c.is_ascii_alphabetic() && !inside } else { super::keys::is_hangul(c) }
}

fn stands_at(chars: &[char], at: usize, word: &str) -> bool {
    let mut length = 0;
    for (index, wanted) in word.chars().enumerate() {
        if chars.get(at + index).is_none_or(|c| c.to_ascii_lowercase() != wanted) {
            return false;
        }
        length += 1;
    }
    if !word.is_ascii() {
        return true;
    }
    let letter = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_alphabetic);
    // A capital begins a word of `customerPhone`.
    let begins = (chars[at].is_ascii_uppercase() && word.len() > 3) || !letter(at.checked_sub(1));
    let next = chars.get(at + length);
    let ends = next.is_none_or(|next| !next.is_ascii_lowercase());
    // The name of a class, where something was masked before.
    let masked = at > 0 && chars[at - 1] == '[' && next == Some(&']');
    begins && ends && !masked
}
