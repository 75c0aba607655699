//! The names that values stand under.

/// Characters of a key that are read.
const MAX_KEY: usize = 48;
/// Spaces and quotes between a key and its value.
const MAX_GAP: usize = 6;

/// Keys whose numbers are no personal data, without case and separators: as a whole, or as the last one or two words.
const VETO: [&str; 55] = [
    "ts",
    "time",
    "timestamp",
    "date",
    "epoch",
    "millis",
    "nanos",
    "micros",
    "ms",
    "us",
    "ns",
    "duration",
    "elapsed",
    "latency",
    "traceid",
    "spanid",
    "parentid",
    "parentspanid",
    "requestid",
    "reqid",
    "correlationid",
    "transactionid",
    "txid",
    "orderno",
    "ordernumber",
    "orderid",
    "invoiceno",
    "invoiceid",
    "trackingno",
    "seq",
    "sequence",
    "offset",
    "size",
    "length",
    "bytes",
    "count",
    "hash",
    "checksum",
    "crc",
    "etag",
    "version",
    "build",
    "revision",
    "pid",
    "tid",
    "cursor",
    "lsn",
    "nonce",
    "seed",
    "iat",
    "exp",
    "nbf",
    "at",
    "since",
    "until",
];
/// The same in Korean.
const VETO_KOREAN: [&str; 14] = [
    "주문번호",
    "주문",
    "송장번호",
    "송장",
    "운송장번호",
    "거래번호",
    "승인번호",
    "접수번호",
    "법인등록번호",
    "법인번호",
    "시각",
    "시간",
    "타임스탬프",
    "예약번호",
];

/// A key in lower case, with `_` between its words: `traceId`, `trace-id` and `trace.id` are one.
pub(super) fn words(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut low = false;
    for c in key.chars().take(MAX_KEY) {
        let gap = matches!(c, '_' | '-' | '.' | ' ');
        if gap || (c.is_ascii_uppercase() && low) {
            out.push('_');
        }
        if !gap {
            out.push(c.to_ascii_lowercase());
        }
        low = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    out
}

/// A key without case and separators.
pub(super) fn plain(key: &str) -> String {
    words(key).replace('_', "")
}

/// Whether numbers under a key, by its words, are no personal data.
pub(super) fn is_veto(words: &str) -> bool {
    let plain = words.replace('_', "");
    let mut last = words.rsplitn(3, '_');
    let (one, two) = (last.next().unwrap_or(""), last.next().unwrap_or(""));
    let ends = [one, &format!("{two}{one}"), &plain];
    ends.iter().any(|end| VETO.contains(end)) || VETO_KOREAN.iter().any(|veto| plain.ends_with(veto))
}

/// The key, by its words, of what begins at a character: `key=`, `"key": "` or, in Korean, a word before it. Without one, whether
/// the value is the first thing of the text.
pub(super) fn before(chars: &[char], value: usize) -> Result<String, bool> {
    let gap = |at: usize| {
        let skipped = chars[..at].iter().rev().take(MAX_GAP);
        at - skipped.take_while(|c| matches!(c, ' ' | '"' | '\'' | '\\' | '(' | '[' | '`')).count()
    };
    let end = gap(value);
    let Some(last) = end.checked_sub(1) else { return Err(true) };
    let end = match chars[last] {
        '=' | ':' => gap(last),
        c if is_hangul(c) => end,
        _ => return Err(false),
    };
    let part = |c: &&char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') || is_hangul(**c);
    let length = chars[..end].iter().rev().take(MAX_KEY).take_while(part).count();
    let key: String = chars[end - length..end].iter().collect();
    if key.is_empty() {
        return Err(false);
    }
    Ok(words(&key))
}

pub(super) fn is_hangul(c: char) -> bool {
    matches!(c, '가'..='힣')
}
