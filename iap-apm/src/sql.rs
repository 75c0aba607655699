//! The shape of an SQL statement: literals out, so that calls of the same statement are one, and no
//! value of a customer is in an answer.

/// Bytes of a shape; a statement itself is bounded where it is recorded.
const MAX_BYTES: usize = 300;

/// The shape: white space is one space, strings and numbers are `?`, a list of them is `?` too.
pub fn fingerprint(statement: &str) -> String {
    let mut out = String::new();
    let mut chars = statement.chars().peekable();
    while let Some(c) = chars.next() {
        if out.len() >= MAX_BYTES {
            out.push('…');
            break;
        }
        match c {
            '\'' => {
                // A doubled quote is a quote inside the string.
                while let Some(inner) = chars.next() {
                    if inner == '\'' && chars.next_if_eq(&'\'').is_none() {
                        break;
                    }
                }
                placeholder(&mut out);
            }
            c if c.is_ascii_digit() && !ends_in_word(&out) => {
                while chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '.').is_some() {}
                placeholder(&mut out);
            }
            '?' => placeholder(&mut out),
            c if c.is_whitespace() || c.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Adds `?`, or nothing when it only continues a list of them.
fn placeholder(out: &mut String) {
    let before = out.trim_end();
    if before.strip_suffix(',').is_some_and(|list| list.trim_end().ends_with('?')) {
        out.truncate(before.len() - 1);
        out.truncate(out.trim_end().len());
    } else {
        out.push('?');
    }
}

fn ends_in_word(out: &str) -> bool {
    out.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, fingerprint};

    #[test]
    fn literals_and_layout_do_not_matter() {
        let cases = [
            ("SELECT  *\n FROM t1\tWHERE a = 12.5 AND b='x'", "SELECT * FROM t1 WHERE a = ? AND b=?"),
            ("SELECT 'it''s, 1' , ?", "SELECT ?"),
            ("WHERE id IN (1, 2,3 ,?)", "WHERE id IN (?)"),
            ("VALUES ('a', NULL, -5, 0x1F)", "VALUES (?, NULL, -?)"),
            ("WHERE a = $1 AND b = :name2", "WHERE a = $1 AND b = :name2"),
            ("SELECT 'never closed", "SELECT ?"),
            ("", ""),
        ];
        for (statement, expected) in cases {
            assert_eq!(fingerprint(statement), expected, "{statement}");
        }
        let list = (1..2_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(fingerprint(&format!("a IN ({list}) AND b = 1")), "a IN (?) AND b = ?");
        assert_eq!(fingerprint(&"a ".repeat(1_000)).chars().count(), MAX_BYTES + 1);
    }
}
