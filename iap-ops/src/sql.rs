//! What the text of an SQL statement tells of the indexes that would serve it.

use iap_apm::sql::fingerprint;

/// The table that a statement reads and the columns that it looks for, of those an index could serve:
/// equalities first, then ranges. `None` for one that looks for nothing, or in more
/// than one table.
pub(crate) fn looked_for(statement: &str) -> Option<(String, Vec<String>)> {
    const COLUMNS: usize = 3;
    let shape = fingerprint(statement, None);
    let spaced = ["=", "<", ">", "(", ")", ",", "!"]
        .iter()
        .fold(shape, |text, mark| text.replace(mark, &format!(" {mark} ")));
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let at = |wanted: &str| lower.iter().position(|word| word == wanted);
    // Of several tables, a query in a query or a common table, the text does not tell whose a column is.
    let count = |wanted: &str| lower.iter().filter(|word| *word == wanted).count();
    if lower.first().is_some_and(|word| word == "with") || count("join") > 0 || count("select") > 1 {
        return None;
    }
    let table = at("from").or_else(|| at("update")).and_then(|at| words.get(at + 1))?;
    let from = at("where")? + 1;
    let listed =
        at("from").is_some_and(|at| words.get(at + 2..from).is_some_and(|words| words.contains(&",")));
    if listed {
        return None;
    }
    let end = lower
        .iter()
        .position(|word| matches!(word.as_str(), "group" | "order" | "limit"))
        .unwrap_or(words.len());
    let (mut equal, mut ranged) = (Vec::new(), Vec::new());
    for (at, word) in words.iter().enumerate().take(end).skip(from) {
        let name = word.rsplit('.').next().unwrap_or("").trim_matches(['"', '`', '[', ']']);
        let plain = !name.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        let found = match lower.get(at + 1).map(String::as_str) {
            Some("=" | "in") => &mut equal,
            Some("<" | ">" | "between") => &mut ranged,
            _ => continue,
        };
        if plain && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    // A second range cannot use the same index.
    ranged.truncate(1);
    ranged.retain(|name| !equal.contains(name));
    equal.extend(ranged);
    equal.truncate(COLUMNS);
    let table = table.trim_matches(['"', '`', '(', ')']).to_owned();
    (!equal.is_empty() && !table.is_empty()).then_some((table, equal))
}

#[cfg(test)]
mod tests {
    use super::looked_for;

    #[test]
    fn the_columns_that_are_looked_for_are_found() {
        for (statement, expected) in [
            (
                "SELECT * FROM orders WHERE customer = 7 AND note='x'",
                Some(("orders", vec!["customer", "note"])),
            ),
            ("select a from t1 where t1.b>=3 and \"c\" in (1,2) order by d", Some(("t1", vec!["c", "b"]))),
            ("UPDATE stock SET left = left - 1 WHERE id=$1", Some(("stock", vec!["id"]))),
            ("SELECT * FROM a JOIN b ON a.id = b.id WHERE a.x = 1", None),
            ("SELECT * FROM a, b WHERE a.id = b.id", None),
            ("WITH c AS (SELECT 1) SELECT * FROM c WHERE n = 1", None),
            ("SELECT * FROM a WHERE id IN (SELECT b FROM c WHERE d = 1)", None),
            ("SELECT 1", None),
            ("SELECT * FROM t WHERE lower(name) LIKE 'a%'", None),
        ] {
            let found = looked_for(statement);
            let found = found.as_ref().map(|(table, columns)| {
                (table.as_str(), columns.iter().map(String::as_str).collect::<Vec<_>>())
            });
            assert_eq!(found, expected, "{statement}");
        }
    }
}
