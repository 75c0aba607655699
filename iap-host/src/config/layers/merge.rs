//! Layers laid over each other.

use std::collections::HashMap;

use super::tree::{Entry, Node, Tree};
use super::{Wrong, wrong};

/// Lays a layer over what is there.
pub(super) fn lay(under: Node, over: Node) -> Node {
    match (under.tree, over.tree) {
        (Tree::Block(mut entries), Tree::Block(others)) => {
            let places = entries.iter().enumerate().map(|(place, entry)| (entry.name.clone(), place));
            let places: HashMap<String, usize> = places.collect();
            for other in others {
                match places.get(&other.name).and_then(|place| entries.get_mut(*place)) {
                    Some(entry) => {
                        // Errors name the key that was written last.
                        entry.place = other.place;
                        entry.node = lay(std::mem::take(&mut entry.node), other.node);
                    }
                    None => entries.push(other),
                }
            }
            Node { tree: Tree::Block(entries), place: over.place, range: over.range, layer: over.layer }
        }
        (_, tree) => Node { tree, ..over },
    }
}

/// Refuses two profiles of one list that set the same to different values: they are equals, so none of them wins.
pub(super) fn agree(first: (&str, &Node), second: (&str, &Node), path: &str) -> Result<(), Wrong> {
    let ((one, mine), (other, theirs)) = (first, second);
    if let (Tree::Block(entries), Tree::Block(_)) = (&mine.tree, &theirs.tree) {
        let both =
            entries.iter().filter_map(|Entry { name, node, .. }| Some((name, node, theirs.get(name)?)));
        for (name, mine, theirs) in both {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            agree((one, mine), (other, theirs), &path)?;
        }
        return Ok(());
    }
    if mine.same(theirs) {
        return Ok(());
    }
    let ((line, column), (at, from)) = (mine.place, theirs.place);
    wrong(
        theirs.place,
        format!(
            "profiles `{one}` ({line}:{column}) and `{other}` ({at}:{from}) set {path} to different values: take it out of one \
             of them"
        ),
    )
}
