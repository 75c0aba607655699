//! Entity tags, by which whoever has a representation asks whether it is still the same (RFC 9110 sections 8.8.3 and 13.1).
//!
//! ```
//! use iap_core::entity_tag;
//!
//! let mut members = entity_tag::members("\"a,b\", W/\"c\"");
//! assert!(members.any(|theirs| entity_tag::is_weakly("\"c\"", theirs)));
//! ```

/// The members of a list of entity tags, as a field of conditions has it. A tag may hold a comma. `*`, which stands alone, is a
/// member as it is written.
pub fn members(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let opening = if rest.starts_with("W/\"") { 3 } else { usize::from(rest.starts_with('"')) };
        let end = match opening {
            0 => rest.find(',').unwrap_or(rest.len()),
            _ => rest[opening..].find('"').map_or(rest.len(), |quote| opening + quote + 1),
        };
        let (tag, after) = rest.split_at(end);
        rest = after;
        Some(tag.trim()).filter(|tag| !tag.is_empty())
    })
}

/// The strong comparison (RFC 9110 section 8.8.3.2): both are strong and the same.
pub fn is_strongly(ours: &str, theirs: &str) -> bool {
    ours.starts_with('"') && ours == theirs
}

/// The weak comparison (RFC 9110 section 8.8.3.2): they are the same but for being weak.
pub fn is_weakly(ours: &str, theirs: &str) -> bool {
    opaque(ours) == opaque(theirs)
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
