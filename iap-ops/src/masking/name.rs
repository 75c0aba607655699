//! Korean names: a surname and one or two syllables, with a title after them or a key before.

use super::keys::is_hangul;
use super::{Class, Hit, Seen};

/// Surnames of one syllable.
const SURNAMES: &str = "김이박최정강조윤장임한오서신권황안송류유전홍고문양손배백허남심노하곽성차주우구민진나지엄채원천방공현함변염여추\
     도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용예경봉사부";
/// Surnames of two.
const LONG_SURNAMES: [&str; 8] = ["남궁", "황보", "제갈", "선우", "독고", "사공", "서문", "동방"];
/// What a person is called by.
const TITLES: [&str; 29] = [
    "고객님",
    "회원님",
    "선생님",
    "님",
    "씨",
    "과장",
    "대리",
    "부장",
    "차장",
    "팀장",
    "실장",
    "본부장",
    "사장",
    "이사",
    "상무",
    "전무",
    "대표",
    "주임",
    "사원",
    "교수",
    "박사",
    "의사",
    "변호사",
    "기자",
    "환자",
    "군",
    "양",
    "귀하",
    "고객",
];
/// Keys of a name, by their words without `_`: whatever stands there is one.
const KEYS: [&str; 20] = [
    "이름",
    "성명",
    "고객명",
    "성함",
    "예금주",
    "환자명",
    "수취인",
    "수령인",
    "받는사람",
    "보내는사람",
    "신청자",
    "담당자",
    "주문자",
    "회원명",
    "username",
    "customername",
    "realname",
    "fullname",
    "recipient",
    "holder",
];
/// Words of three syllables that begin like a name.
const WORDS: [&str; 34] = [
    "이용자",
    "구매자",
    "방문자",
    "신청자",
    "주문자",
    "운영자",
    "진행자",
    "참여자",
    "고객사",
    "고객센",
    "한국어",
    "전문가",
    "이벤트",
    "서비스",
    "서버가",
    "주문서",
    "정보를",
    "정상적",
    "조회수",
    "장바구",
    "배송지",
    "송금인",
    "수신자",
    "하나은",
    "신한은",
    "우리은",
    "국민은",
    "기업은",
    "성공함",
    "오류가",
    "시스템",
    "지원자",
    "사용자",
    "고객명",
];

/// A name that begins at a character.
pub(super) fn at(seen: Seen<'_>, at: usize) -> Option<Hit> {
    let chars = seen.chars;
    if at > 0 && is_hangul(chars[at - 1]) {
        return None;
    }
    let length = chars[at..].iter().take(16).take_while(|c| is_hangul(**c)).count();
    let surname = surname(&chars[at..at + length])?;
    let key = seen.key_before(at).replace('_', "");
    let keyed = |lengths: std::ops::RangeInclusive<usize>| lengths.contains(&length).then_some(length);
    let most = surname + 2;
    let by_key = match key.as_str() {
        key if KEYS.iter().any(|known| key.ends_with(known)) => keyed(surname + 1..=most),
        "name" => keyed(most..=most),
        _ => None,
    };
    let name = by_key.or_else(|| titled(chars, at, length, most))?;
    let text: String = chars[at..at + name].iter().collect();
    (!WORDS.contains(&text.as_str())).then_some((Class::Name, at..at + name))
}

/// How long the surname is that a word begins with.
fn surname(word: &[char]) -> Option<usize> {
    let long = LONG_SURNAMES.iter().any(|long| word.len() > 2 && long.chars().eq(word[..2].iter().copied()));
    match word.first() {
        _ if long => Some(2),
        Some(first) if SURNAMES.contains(*first) => Some(1),
        _ => None,
    }
}

/// How long the name is, if a title stands after it: in the same word, or as the next one.
fn titled(chars: &[char], at: usize, length: usize, most: usize) -> Option<usize> {
    if length < most {
        return None;
    }
    let spaced = length == most && chars.get(at + length) == Some(&' ');
    let from = if spaced { at + length + 1 } else { at + most };
    let rest = &chars[from.min(chars.len())..];
    let fits = |title: &&str| {
        let title: Vec<char> = title.chars().collect();
        let after = rest.get(title.len()).copied();
        // `님` may go on with a particle; other titles might be the beginning of a word.
        let ends = match title.last() {
            Some('님' | '씨') => true,
            _ => after.is_none_or(|c| !is_hangul(c) || "이가은는을를의에께도".contains(c)),
        };
        rest.starts_with(&title) && ends
    };
    // A single syllable that may be anything is a title only as a word of its own or as `님` and `씨`.
    let short = |title: &&&str| spaced || title.chars().count() > 1 || matches!(**title, "님" | "씨");
    TITLES.iter().filter(short).any(fits).then_some(most)
}
