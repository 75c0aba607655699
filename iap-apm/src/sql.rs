//! The shape of an SQL statement: literals out, so that calls of the same statement are one, and no
//! value of a customer is in an answer.

/// Bytes of a shape; a statement itself is bounded where it is recorded.
const MAX_BYTES: usize = 300;

/// The shape: white space and comments are one space, strings and numbers are `?`, a list of them is `?` too. `system` is the
/// database product as OpenTelemetry names it, where it is known: what MySQL puts between double quotes is a string, and
/// names to others.
pub fn fingerprint(statement: &str, system: Option<&str>) -> String {
    let is_mysql = system.is_some_and(|system| matches!(system, "mysql" | "mariadb"));
    let (mut out, mut rest) = (String::new(), statement);
    while let Some(c) = rest.chars().next() {
        if out.len() >= MAX_BYTES {
            out.push('…');
            break;
        }
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\'' => {
                let escapes = is_mysql || is_escape_string(&out);
                placeholder(&mut out);
                after_string(after, c, escapes)
            }
            '"' if is_mysql => {
                placeholder(&mut out);
                after_string(after, c, true)
            }
            '$' if !ends_in_word(&out) => match after_dollars(rest) {
                Some(after) => {
                    placeholder(&mut out);
                    after
                }
                None => {
                    out.push(c);
                    after
                }
            },
            '-' if after.starts_with('-') => after.find('\n').map_or("", |at| &after[at..]),
            '/' if after.starts_with('*') => {
                space(&mut out);
                after[1..].find("*/").map_or("", |at| &after[at + 3..])
            }
            c if c.is_ascii_digit() && !ends_in_word(&out) => {
                placeholder(&mut out);
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
            }
            '?' => {
                placeholder(&mut out);
                after
            }
            c if c.is_whitespace() || c.is_control() => {
                space(&mut out);
                after
            }
            c => {
                out.push(c);
                after
            }
        };
    }
    out.truncate(out.trim_end().len());
    out
}

/// What comes after a string whose first quote was read. A doubled quote is a quote inside.
fn after_string(text: &str, quote: char, escapes: bool) -> &str {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return &text[at + 1..];
        }
    }
    ""
}

/// Whether a string that begins here is PostgreSQL's `E'...'`, in which a backslash escapes.
fn is_escape_string(out: &str) -> bool {
    out.strip_suffix(['E', 'e']).is_some_and(|before| !ends_in_word(before))
}

/// What comes after PostgreSQL's `$tag$...$tag$`, if the text begins with one; the tag may be empty.
fn after_dollars(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let (tag, body) = text.split_at(end);
    let name = &tag[1..end - 1];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(body.find(tag).map_or("", |at| &body[at + tag.len()..]))
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
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
            assert_eq!(fingerprint(statement, None), expected, "{statement}");
        }
        let list = (1..2_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(fingerprint(&format!("a IN ({list}) AND b = 1"), None), "a IN (?) AND b = ?");
        assert_eq!(fingerprint(&"a ".repeat(1_000), None).chars().count(), MAX_BYTES + 1);
    }

    #[test]
    fn no_string_of_any_product_is_left() {
        let cases = [
            (
                Some("mysql"),
                r#"WHERE a = "it\"s secret" AND b = 'it\'s secret' AND c"#,
                "WHERE a = ? AND b = ? AND c",
            ),
            (Some("postgresql"), r"WHERE a = E'it\'s secret' AND b", "WHERE a = E? AND b"),
            (Some("postgresql"), r"WHERE path = 'C:\' AND b", "WHERE path = ? AND b"),
            (Some("postgresql"), "SELECT $$it's secret$$, $a_1$ $b$ secret $a_1$, $2", "SELECT ?, $2"),
            (
                Some("postgresql"),
                r#"SELECT "name" FROM "t" WHERE a$b$c = 1"#,
                r#"SELECT "name" FROM "t" WHERE a$b$c = ?"#,
            ),
            (None, "SELECT 1 /* of 'secret */ -- it's secret\n FROM t", "SELECT ? FROM t"),
            (None, "SELECT a/b, a - -1 FROM t /* never closed", "SELECT a/b, a - -? FROM t"),
            (Some("mysql"), r#"SELECT "never closed \"#, "SELECT ?"),
            (None, "SELECT $secret", "SELECT $secret"),
        ];
        for (system, statement, expected) in cases {
            assert_eq!(fingerprint(statement, system), expected, "{statement}");
        }
    }
}
