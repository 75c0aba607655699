//! A configuration as it is written: each part with its place and its range in the text, and whose word it is.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{Place, Wrong, wrong};

/// Parts of a text, each use of an anchor counted anew: more is no configuration.
const MAX_PARTS: usize = 200_000;
/// Blocks within blocks.
const MAX_DEPTH: usize = 64;

/// A part of a text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(super) place: Place,
    /// Bytes of the text, of a value that stands there by itself.
    pub(super) range: Range<usize>,
    /// Whose word it is: a number in the list of layers.
    pub(super) layer: usize,
    pub(super) tree: Tree,
}

/// What stands there.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Block(Vec<Entry>),
    List(Vec<Node>),
    /// A single value, as it is written; `plain` without quotes, so that it may be a number.
    Value {
        text: String,
        plain: bool,
    },
}

/// A key of a block.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) place: Place,
    /// Where the key begins, in bytes.
    pub(super) start: usize,
    pub(super) node: Node,
}

impl Node {
    /// Something that no text has.
    pub(super) fn made(place: Place, layer: usize, tree: Tree) -> Self {
        Self { place, range: 0..0, layer, tree }
    }

    /// A text that no file has.
    pub(super) fn made_text(place: Place, layer: usize, text: String) -> Self {
        Self::made(place, layer, Tree::Value { text, plain: false })
    }

    /// A block that no file has.
    pub(super) fn made_block(place: Place, layer: usize, entries: Vec<(&str, Self)>) -> Self {
        let entry = |(name, node): (&str, Self)| Entry { name: name.to_owned(), place, start: 0, node };
        Self::made(place, layer, Tree::Block(entries.into_iter().map(entry).collect()))
    }

    /// The keys of a block; none of anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.tree {
            Tree::Block(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.name == name)
    }

    /// What stands below a key.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|entry| &entry.node)
    }

    /// An item of a list.
    pub(crate) fn item(&self, index: usize) -> Option<&Self> {
        match &self.tree {
            Tree::List(items) => items.get(index),
            _ => None,
        }
    }

    /// Whether it has parts that go by keys.
    pub(crate) fn is_block(&self) -> bool {
        matches!(self.tree, Tree::Block(_))
    }

    /// Whether it has parts that go by numbers.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.tree, Tree::List(_))
    }

    /// A single value that is a text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Value { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The part at a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// Whether two parts say the same, wherever they stand.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (&self.tree, &other.tree) {
            (Tree::Block(mine), Tree::Block(theirs)) => {
                mine.len() == theirs.len()
                    && mine
                        .iter()
                        .all(|entry| other.get(&entry.name).is_some_and(|node| entry.node.same(node)))
            }
            (Tree::List(mine), Tree::List(theirs)) => {
                mine.len() == theirs.len() && mine.iter().zip(theirs).all(|(a, b)| a.same(b))
            }
            (Tree::Value { text: a, plain: b }, Tree::Value { text: c, plain: d }) => a == c && b == d,
            _ => false,
        }
    }

    /// The same as the word of somebody else.
    pub(super) fn of(mut self, layer: usize) -> Self {
        self.layer = layer;
        match &mut self.tree {
            Tree::Block(entries) => {
                for entry in entries {
                    entry.node = std::mem::take(&mut entry.node).of(layer);
                }
            }
            Tree::List(items) => {
                for item in items {
                    *item = std::mem::take(item).of(layer);
                }
            }
            Tree::Value { .. } => {}
        }
        self
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::made((1, 1), 0, Tree::Block(Vec::new()))
    }
}

/// Reads a text. `None` where it has nothing; an error where it is no YAML, which the parser of settings tells better.
pub(super) fn read(text: &str) -> Result<Option<Node>, Wrong> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), parts: 0 };
    let mut root = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(root),
            (Event::DocumentStart(..), span) if root.is_some() => {
                return wrong(place(&span), "more than one document: remove the line `---`");
            }
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) => root = Some(reader.node(event, &span, 0)?),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    parts: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Wrong> {
        for next in self.events.by_ref() {
            match next {
                Ok((Event::Comment(..), _)) => {}
                Ok(found) => return Ok(found),
                Err(error) => {
                    let marker = error.marker();
                    return wrong((marker.line() as u64, marker.col() as u64 + 1), error.info());
                }
            }
        }
        wrong((1, 1), "it ends too early")
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Wrong> {
        self.parts += 1;
        if self.parts > MAX_PARTS || depth > MAX_DEPTH {
            return wrong(place(span), "too much for a configuration");
        }
        let start = span.start.byte_offset().unwrap_or(0);
        let (anchor, tree) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_deref(), span)?;
                (anchor, Tree::Value { text: text.into_owned(), plain })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.block(depth)?),
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let Some(node) = node else { return wrong(place(span), "there is no such anchor here") };
                self.parts += count(&node);
                return Ok(Node { place: place(span), range: 0..0, ..node });
            }
            _ => return wrong(place(span), "a value is expected here"),
        };
        let end = span.end.byte_offset().unwrap_or(start);
        let node = Node { place: place(span), range: start..end, layer: 0, tree };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Tree::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn block(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut names, mut merged) = (HashSet::new(), Vec::new());
        loop {
            let (event, key) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let Event::Scalar(name, style, ..) = event else {
                return wrong(place(&key), "the name of a setting is expected here");
            };
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            if name == "<<" && style == ScalarStyle::Plain {
                merged.push(node);
                continue;
            }
            if !names.insert(name.to_string()) {
                return wrong(place(&key), "a duplicate key: each setting stands once in its block");
            }
            let start = key.start.byte_offset().unwrap_or(0);
            entries.push(Entry { name: name.into_owned(), place: place(&key), start, node });
        }
        // What is merged in (`<<`) gives way to what stands there.
        for node in merged {
            let place = node.place;
            let from: Vec<Node> = match node.tree {
                Tree::List(items) => items,
                _ => vec![node],
            };
            for node in from {
                let Tree::Block(others) = node.tree else {
                    return wrong(place, "`<<`: a block of settings is expected here");
                };
                for other in others {
                    if names.insert(other.name.clone()) {
                        entries.push(other);
                    }
                }
            }
        }
        Ok(Tree::Block(entries))
    }
}

/// Line and column, both from 1.
fn place(span: &Span) -> Place {
    (span.start.line() as u64, span.start.col() as u64 + 1)
}

/// Whether a tag makes a text of what stands there.
fn is_text(tag: Option<&Tag>, span: &Span) -> Result<bool, Wrong> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema_tag("str") => Ok(true),
        Some(_) => wrong(place(span), "tags mean nothing here: write the value without one"),
    }
}

/// How many parts it has.
pub(super) fn count(node: &Node) -> usize {
    1 + match &node.tree {
        Tree::Block(entries) => entries.iter().map(|entry| count(&entry.node)).sum(),
        Tree::List(items) => items.iter().map(count).sum(),
        Tree::Value { .. } => 0,
    }
}
