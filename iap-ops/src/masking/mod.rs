//! Masking of personal data in what leaves the platform. Without I/O.
//!
//! A text is normalised first (NFKC, zero-width characters, dashes), then looked through once; what is found is replaced in the
//! text as it was. [`Masked`] is the only type that is sent to a language model or an assistant, and only a [`Masker`] makes one.
//!
//! ```
//! use iap_ops::masking::Masker;
//!
//! let masker = Masker::default();
//! assert_eq!(masker.mask("연락처 010-1234-5678입니다").as_str(), "연락처 [phone]입니다");
//! assert_eq!(masker.mask("ts=1702012345678").as_str(), "ts=1702012345678");
//! ```

mod clause;
mod contact;
mod digits;
mod identity;
mod keys;
mod money;
mod name;
mod normal;
mod secret;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use self::clause::Clauses;
use self::normal::Normal;
pub(crate) use self::normal::is_unseen;

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// The number of a Korean resident. Its checksum rejects none: since October 2020 the digits are random.
    Resident,
    /// The number of a foreigner who lives in Korea.
    Foreigner,
    /// A Korean driver licence, in the form of today or the regional one before.
    Licence,
    /// A Korean passport, where the clause speaks of one.
    Passport,
    /// The number of a business, by its checksum.
    Business,
    /// A telephone number of a person: mobile, with an area code, 070; in Korea or with +82.
    Phone,
    /// A payment card, by issuer and Luhn's checksum.
    Card,
    /// A bank account, where the clause speaks of a bank or an account.
    Account,
    /// A Korean name, with a title after it or a key before it.
    Name,
    /// An e-mail address.
    Email,
    /// A password, a token or a key, by what it is called.
    Secret,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Resident,
        Self::Foreigner,
        Self::Licence,
        Self::Passport,
        Self::Business,
        Self::Phone,
        Self::Card,
        Self::Account,
        Self::Name,
        Self::Email,
        Self::Secret,
    ];

    /// The name, in the configuration and in brackets in a masked text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resident => "resident",
            Self::Foreigner => "foreigner",
            Self::Licence => "licence",
            Self::Passport => "passport",
            Self::Business => "business",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Account => "account",
            Self::Name => "name",
            Self::Email => "email",
            Self::Secret => "secret",
        }
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|class| class.as_str() == text);
        found.ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|class| class.as_str()).collect();
            format!("`{}` is none of {}", text.escape_debug(), known.join(", "))
        })
    }
}

/// Personal data in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub class: Class,
    /// Where it stands, in bytes of the text as it was given.
    pub range: Range<usize>,
}

/// A text without personal data. Only a [`Masker`] makes one, so that what takes it cannot be given anything else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Masked(String);

impl Masked {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Masked").field(&self.0).finish()
    }
}

/// A JSON document whose texts are without personal data. Only a [`Masker`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedJson(Value);

impl MaskedJson {
    /// The document.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// The document.
    pub fn into_value(self) -> Value {
        self.0
    }

    /// The document as text.
    pub fn to_text(&self) -> Masked {
        Masked(self.0.to_string())
    }
}

/// Finds personal data and replaces it with the name of its class in brackets.
#[derive(Debug, Clone)]
pub struct Masker {
    on: Vec<Class>,
}

impl Default for Masker {
    /// Looks for all classes.
    fn default() -> Self {
        Self { on: Class::ALL.to_vec() }
    }
}

impl Masker {
    /// Looks for all classes but these.
    pub fn without(off: &[Class]) -> Self {
        Self { on: Class::ALL.into_iter().filter(|class| !off.contains(class)).collect() }
    }

    /// The personal data in a text, in order, not overlapping.
    pub fn find(&self, text: &str) -> Vec<Found> {
        self.find_under(text, None)
    }

    /// A text without it.
    pub fn mask(&self, text: &str) -> Masked {
        self.mask_under(text, None)
    }

    /// A document without it, in its texts, its keys and its large whole numbers; a key counts as the context of its value.
    pub fn mask_json(&self, document: Value) -> MaskedJson {
        MaskedJson(self.walk(document, None))
    }

    fn walk(&self, value: Value, key: Option<&str>) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask_under(&text, key).0),
            Value::Array(items) => items.into_iter().map(|item| self.walk(item, key)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| {
                    let value = self.walk(value, Some(&name));
                    (self.mask(&name).0, value)
                });
                fields.collect()
            }
            Value::Number(number) if number.as_u64().is_some_and(|number| number >= MIN_NUMBER) => {
                let text = number.to_string();
                let masked = self.mask_under(&text, key).0;
                if masked == text { Value::Number(number) } else { Value::String(masked) }
            }
            other => other,
        }
    }

    fn mask_under(&self, text: &str, key: Option<&str>) -> Masked {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for found in self.find_under(text, key) {
            out.push_str(&text[at..found.range.start]);
            out.push('[');
            out.push_str(found.class.as_str());
            out.push(']');
            at = found.range.end;
        }
        out.push_str(&text[at..]);
        Masked(out)
    }

    fn find_under(&self, text: &str, key: Option<&str>) -> Vec<Found> {
        if self.on.is_empty() || text.is_empty() {
            return Vec::new();
        }
        let mut normal = Normal::new(text);
        let clauses = Clauses::new(&normal.chars, key);
        let mut found = Vec::new();
        let mut at = 0;
        while at < normal.chars.len() {
            let hit = Seen { chars: &normal.chars, clauses: &clauses, key }
                .at(at)
                .filter(|(class, _)| self.on.contains(class));
            // What is switched off is passed over one character at a time: a part of it may be something else.
            match hit {
                Some((class, Range { start, end })) => {
                    found.push(Found { class, range: normal.place(start..end) });
                    // What comes after stands beside the bracket that will be there.
                    normal.chars[end - 1] = ']';
                    at = end;
                }
                None => at += 1,
            }
        }
        found
    }
}

/// Smaller numbers of a document are no personal data.
const MIN_NUMBER: u64 = 100_000_000;

/// What is personal, and which characters.
type Hit = (Class, Range<usize>);

/// A normalised text with what is known of it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    chars: &'a [char],
    clauses: &'a Clauses,
    /// The key that the whole text stands under.
    key: Option<&'a str>,
}

impl Seen<'_> {
    /// What begins at a character.
    fn at(self, at: usize) -> Option<Hit> {
        let first = self.chars[at];
        if let Some(hit) = secret::at(self, at) {
            return Some(hit);
        }
        match first {
            '0'..='9' | '(' | '+' => self.number(at).or_else(|| contact::email(self, at)),
            'a'..='z' | 'A'..='Z' => identity::passport(self, at).or_else(|| contact::email(self, at)),
            '.' | '_' | '%' | '-' => contact::email(self, at),
            '가'..='힣' => identity::regional_licence(self, at).or_else(|| name::at(self, at)),
            _ => None,
        }
    }

    fn number(self, at: usize) -> Option<Hit> {
        let groups = digits::groups(self.chars, at)?;
        if keys::is_veto(&self.key_before(at)) {
            return None;
        }
        identity::number(self, &groups)
            .or_else(|| contact::phone(self, &groups))
            .or_else(|| money::card(self, &groups))
            .or_else(|| identity::business(self, &groups))
            .or_else(|| money::account(self, &groups))
    }

    /// The key of what begins at a character, by its words; empty where there is none.
    fn key_before(self, at: usize) -> String {
        keys::before(self.chars, at).unwrap_or_else(|first| match (first, self.key) {
            (true, Some(key)) => keys::words(key),
            _ => String::new(),
        })
    }
}

#[cfg(test)]
mod tests;
