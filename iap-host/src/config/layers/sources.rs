//! Where each setting of a configuration was written.

use super::tree::read;
use super::{Document, Layer, Node};

/// What a text says for one of its instances, part by part.
#[derive(Debug)]
pub(crate) struct Sources {
    root: Option<Node>,
    document: Option<Document>,
}

impl Sources {
    /// Of a text; of none that cannot be read.
    pub(crate) fn new(text: &str, instance: Option<&str>) -> Self {
        match Document::read(text) {
            None => Self { root: read(text).ok().flatten(), document: None },
            Some(Err(_)) => Self { root: None, document: None },
            Some(Ok(document)) => {
                let merged = document.instance(instance).and_then(|one| document.merged(one));
                Self { root: merged.ok(), document: Some(document) }
            }
        }
    }

    /// All that is written.
    pub(crate) fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }

    /// Whose word a part is.
    pub(crate) fn layer(&self, node: &Node) -> Layer {
        self.document.as_ref().map_or(Layer::File, |document| document.layer(node).clone())
    }
}
