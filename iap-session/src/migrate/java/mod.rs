//! Serialised Java objects: the Java Object Serialization Specification, section 6, protocol version 2.
//!
//! Any stream is read, whatever classes it is of: the grammar tells where objects end. What becomes of them is
//! decided afterwards: well known classes have a JSON form ([`Stream::json`]), all others are cut out as a
//! stream of their own ([`Stream::cut`]), which a JVM can read.
//!
//! The bytes are not trusted: depth, objects and what comes out are bounded, and nothing is allocated that the
//! bytes are not there for.

mod convert;
mod cut;
mod parse;

use std::collections::BTreeMap;

/// How a stream begins.
pub(super) const MAGIC: [u8; 4] = [0xac, 0xed, 0x00, 0x05];

/// Type codes of the grammar.
mod code {
    pub(super) const NULL: u8 = 0x70;
    pub(super) const REFERENCE: u8 = 0x71;
    pub(super) const CLASS_DESC: u8 = 0x72;
    pub(super) const OBJECT: u8 = 0x73;
    pub(super) const STRING: u8 = 0x74;
    pub(super) const ARRAY: u8 = 0x75;
    pub(super) const CLASS: u8 = 0x76;
    pub(super) const BLOCK: u8 = 0x77;
    pub(super) const END_BLOCK: u8 = 0x78;
    pub(super) const RESET: u8 = 0x79;
    pub(super) const BLOCK_LONG: u8 = 0x7a;
    pub(super) const LONG_STRING: u8 = 0x7c;
    pub(super) const PROXY_DESC: u8 = 0x7d;
    pub(super) const ENUM: u8 = 0x7e;
}

/// Flags of a class.
const WRITE_METHOD: u8 = 0x01;
const SERIALIZABLE: u8 = 0x02;
const EXTERNALIZABLE: u8 = 0x04;
const BLOCK_DATA: u8 = 0x08;

/// The first handle of a stream.
const FIRST_HANDLE: u32 = 0x007e_0000;

/// Why a stream cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum JavaError {
    #[error("the bytes are no serialised Java object")]
    Malformed,
    #[error("the serialised Java object is too deep or too large")]
    TooLarge,
    #[error("the serialised Java object is of an old or unknown form")]
    Unsupported,
}

/// A place in a stream's list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(usize);

/// All that was read, and what stood at the top level.
#[derive(Debug)]
pub(super) struct Stream {
    nodes: Vec<Node>,
    top: Vec<Id>,
}

#[derive(Debug)]
enum Node {
    Null,
    /// Its place is known before its content: an object may refer to itself.
    Pending,
    Text(Text),
    Block(Vec<u8>),
    Desc(Box<Desc>),
    Proxy {
        names: Vec<Text>,
        annotation: Vec<Id>,
        parent: Id,
    },
    Class(Id),
    Enum {
        class: Id,
        name: Id,
    },
    Array {
        class: Id,
        items: Vec<Datum>,
    },
    /// The data of its classes, the topmost first.
    Object {
        class: Id,
        data: Vec<ClassData>,
    },
}

/// A string as it stood there, and as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    raw: Vec<u8>,
    text: String,
}

/// A class.
#[derive(Debug)]
struct Desc {
    name: Text,
    uid: [u8; 8],
    flags: u8,
    fields: Vec<Field>,
    annotation: Vec<Id>,
    parent: Id,
}

#[derive(Debug)]
struct Field {
    kind: u8,
    name: Text,
    /// The type's name, of fields that hold objects.
    class: Option<Id>,
}

/// What an object holds for one of its classes.
#[derive(Debug)]
struct ClassData {
    class: Id,
    values: Vec<Datum>,
    annotation: Option<Vec<Id>>,
}

/// A value of a field or of an array.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Datum {
    Byte(i8),
    Char(u16),
    Double(u64),
    Float(u32),
    Int(i32),
    Long(i64),
    Short(i16),
    Bool(u8),
    Object(Id),
}

impl Stream {
    /// Reads a whole stream.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, JavaError> {
        parse::Parser::new(bytes)?.stream()
    }

    /// The objects at the top level, in order.
    pub(super) fn top(&self) -> &[Id] {
        &self.top
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0]
    }

    fn desc(&self, id: Id) -> Option<&Desc> {
        match self.node(id) {
            Node::Desc(desc) => Some(desc),
            _ => None,
        }
    }

    /// A string.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    /// The name of an object's class, as Java writes it.
    pub(super) fn class_name(&self, id: Id) -> &str {
        let class = match self.node(id) {
            Node::Text(_) => return "java.lang.String",
            Node::Class(_) => return "java.lang.Class",
            Node::Object { class, .. } | Node::Array { class, .. } | Node::Enum { class, .. } => *class,
            _ => return "",
        };
        self.desc(class).map_or("", |desc| &desc.name.text)
    }

    /// The fields of an object, of all its classes; those of lower ones win.
    fn fields(&self, id: Id) -> BTreeMap<&str, Datum> {
        let mut found = BTreeMap::new();
        let Node::Object { data, .. } = self.node(id) else { return found };
        for part in data {
            let Some(desc) = self.desc(part.class) else { continue };
            let names = desc.fields.iter().map(|field| field.name.text.as_str());
            found.extend(names.zip(part.values.iter().copied()));
        }
        found
    }

    /// A field that holds an object.
    pub(super) fn object_field(&self, id: Id, name: &str) -> Option<Id> {
        match self.fields(id).get(name) {
            Some(Datum::Object(id)) => Some(*id),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) use tests::example;

#[cfg(test)]
mod tests;
