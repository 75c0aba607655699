//! Bytes to nodes.

use super::{
    BLOCK_DATA, ClassData, Datum, Desc, EXTERNALIZABLE, FIRST_HANDLE, Field, Id, JavaError, MAGIC, Node,
    SERIALIZABLE, Stream, Text, WRITE_METHOD, code,
};

/// How deep objects may lie in each other, and classes below each other.
const MAX_DEPTH: usize = 48;
/// The most nodes and values.
const MAX_NODES: usize = 100_000;
/// The longest stream.
const MAX_BYTES: usize = 4 << 20;

pub(super) struct Parser<'a> {
    rest: &'a [u8],
    nodes: Vec<Node>,
    handles: Vec<Id>,
    values: usize,
    depth: usize,
}

type Parsed<T> = Result<T, JavaError>;

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Parsed<Self> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(JavaError::Malformed)?;
        if rest.len() > MAX_BYTES {
            return Err(JavaError::TooLarge);
        }
        Ok(Self { rest, nodes: Vec::new(), handles: Vec::new(), values: 0, depth: 0 })
    }

    pub(super) fn stream(mut self) -> Parsed<Stream> {
        let mut top = Vec::new();
        while !self.rest.is_empty() {
            if let Some(id) = self.content()? {
                top.push(id);
            }
        }
        Ok(Stream { nodes: self.nodes, top })
    }

    fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(JavaError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| JavaError::Malformed)
    }

    fn byte(&mut self) -> Parsed<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn short(&mut self) -> Parsed<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn count(&mut self) -> Parsed<usize> {
        usize::try_from(i32::from_be_bytes(self.array()?)).map_err(|_| JavaError::Malformed)
    }

    fn short_text(&mut self) -> Parsed<Text> {
        let length = usize::from(self.short()?);
        text(self.take(length)?)
    }

    fn add(&mut self, node: Node) -> Parsed<Id> {
        self.counted()?;
        self.nodes.push(node);
        Ok(Id(self.nodes.len() - 1))
    }

    fn counted(&mut self) -> Parsed<()> {
        self.values += 1;
        if self.values > MAX_NODES { Err(JavaError::TooLarge) } else { Ok(()) }
    }

    /// A node that others may refer to from now on.
    fn referable(&mut self, node: Node) -> Parsed<Id> {
        let id = self.add(node)?;
        self.handles.push(id);
        Ok(id)
    }

    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(JavaError::TooLarge);
        }
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// One object or block; `None` for what is neither.
    fn content(&mut self) -> Parsed<Option<Id>> {
        let kind = self.byte()?;
        match kind {
            code::BLOCK => {
                let length = usize::from(self.byte()?);
                let bytes = self.take(length)?.to_vec();
                self.add(Node::Block(bytes)).map(Some)
            }
            code::BLOCK_LONG => {
                let length = self.count()?;
                let bytes = self.take(length)?.to_vec();
                self.add(Node::Block(bytes)).map(Some)
            }
            code::RESET => {
                self.handles.clear();
                Ok(None)
            }
            _ => self.deeper(|parser| parser.object(kind)).map(Some),
        }
    }

    fn next_object(&mut self) -> Parsed<Id> {
        let kind = self.byte()?;
        self.deeper(|parser| parser.object(kind))
    }

    fn object(&mut self, kind: u8) -> Parsed<Id> {
        match kind {
            code::NULL => self.add(Node::Null),
            code::REFERENCE => self.reference(),
            code::STRING => {
                let text = self.short_text()?;
                self.referable(Node::Text(text))
            }
            code::LONG_STRING => {
                let length = u64::from_be_bytes(self.array()?);
                let length = usize::try_from(length).map_err(|_| JavaError::Malformed)?;
                let text = text(self.take(length)?)?;
                self.referable(Node::Text(text))
            }
            code::CLASS => {
                let class = self.class()?;
                self.referable(Node::Class(class))
            }
            code::ENUM => {
                let class = self.class()?;
                let id = self.referable(Node::Pending)?;
                let name = self.next_object()?;
                self.nodes[id.0] = Node::Enum { class, name };
                Ok(id)
            }
            code::ARRAY => self.java_array(),
            code::OBJECT => self.instance(),
            code::CLASS_DESC | code::PROXY_DESC => self.class_desc(kind),
            _ => Err(JavaError::Unsupported),
        }
    }

    fn reference(&mut self) -> Parsed<Id> {
        let handle = u32::from_be_bytes(self.array()?);
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(JavaError::Malformed)?;
        self.handles.get(index as usize).copied().ok_or(JavaError::Malformed)
    }

    /// A class: new, known, or none.
    fn class(&mut self) -> Parsed<Id> {
        let kind = self.byte()?;
        self.deeper(|parser| match kind {
            code::CLASS_DESC | code::PROXY_DESC => parser.class_desc(kind),
            code::NULL => parser.add(Node::Null),
            code::REFERENCE => {
                let id = parser.reference()?;
                // A class that is still being read cannot be told yet; it has no instances in itself.
                match parser.nodes[id.0] {
                    Node::Desc(_) | Node::Proxy { .. } => Ok(id),
                    _ => Err(JavaError::Malformed),
                }
            }
            _ => Err(JavaError::Malformed),
        })
    }

    fn class_desc(&mut self, kind: u8) -> Parsed<Id> {
        if kind == code::PROXY_DESC {
            let id = self.referable(Node::Pending)?;
            let count = self.count()?;
            let mut names = Vec::new();
            for _ in 0..count {
                self.counted()?;
                names.push(self.short_text()?);
            }
            let annotation = self.annotation()?;
            let parent = self.class()?;
            self.nodes[id.0] = Node::Proxy { names, annotation, parent };
            return Ok(id);
        }
        let name = self.short_text()?;
        let uid = self.array()?;
        let id = self.referable(Node::Pending)?;
        let flags = self.byte()?;
        let count = self.short()?;
        let mut fields = Vec::new();
        for _ in 0..count {
            self.counted()?;
            let kind = self.byte()?;
            let name = self.short_text()?;
            let class = match kind {
                b'[' | b'L' => Some(self.next_object()?),
                b'B' | b'C' | b'D' | b'F' | b'I' | b'J' | b'S' | b'Z' => None,
                _ => return Err(JavaError::Malformed),
            };
            fields.push(Field { kind, name, class });
        }
        let annotation = self.annotation()?;
        let parent = self.class()?;
        self.nodes[id.0] = Node::Desc(Box::new(Desc { name, uid, flags, fields, annotation, parent }));
        Ok(id)
    }

    /// Everything up to the end mark.
    fn annotation(&mut self) -> Parsed<Vec<Id>> {
        let mut found = Vec::new();
        while self.rest.first() != Some(&code::END_BLOCK) {
            found.extend(self.content()?);
        }
        self.take(1)?;
        Ok(found)
    }

    fn java_array(&mut self) -> Parsed<Id> {
        let class = self.class()?;
        let id = self.referable(Node::Pending)?;
        let Node::Desc(desc) = &self.nodes[class.0] else { return Err(JavaError::Malformed) };
        let kind = desc.name.raw.get(1).copied().ok_or(JavaError::Malformed)?;
        let count = self.count()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.datum(kind)?);
        }
        self.nodes[id.0] = Node::Array { class, items };
        Ok(id)
    }

    fn instance(&mut self) -> Parsed<Id> {
        let class = self.class()?;
        let id = self.referable(Node::Pending)?;
        let mut classes = Vec::new();
        let mut next = class;
        loop {
            next = match &self.nodes[next.0] {
                Node::Desc(desc) => {
                    let kinds: Vec<u8> = desc.fields.iter().map(|field| field.kind).collect();
                    classes.push((next, desc.flags, kinds));
                    desc.parent
                }
                Node::Proxy { parent, .. } => {
                    classes.push((next, SERIALIZABLE, Vec::new()));
                    *parent
                }
                _ => break,
            };
            if classes.len() > MAX_DEPTH {
                return Err(JavaError::TooLarge);
            }
        }
        let mut data = Vec::new();
        for (class, flags, kinds) in classes.into_iter().rev() {
            let mut part = ClassData { class, values: Vec::new(), annotation: None };
            if flags & SERIALIZABLE != 0 {
                for kind in kinds {
                    part.values.push(self.datum(kind)?);
                }
                if flags & WRITE_METHOD != 0 {
                    part.annotation = Some(self.annotation()?);
                }
            } else if flags & EXTERNALIZABLE != 0 {
                // Before version 2 only the class itself knew where its data ends.
                if flags & BLOCK_DATA == 0 {
                    return Err(JavaError::Unsupported);
                }
                part.annotation = Some(self.annotation()?);
            }
            data.push(part);
        }
        self.nodes[id.0] = Node::Object { class, data };
        Ok(id)
    }

    fn datum(&mut self, kind: u8) -> Parsed<Datum> {
        self.counted()?;
        Ok(match kind {
            b'B' => Datum::Byte(self.byte()?.cast_signed()),
            b'C' => Datum::Char(self.short()?),
            b'D' => Datum::Double(u64::from_be_bytes(self.array()?)),
            b'F' => Datum::Float(u32::from_be_bytes(self.array()?)),
            b'I' => Datum::Int(i32::from_be_bytes(self.array()?)),
            b'J' => Datum::Long(i64::from_be_bytes(self.array()?)),
            b'S' => Datum::Short(i16::from_be_bytes(self.array()?)),
            b'Z' => Datum::Bool(self.byte()?),
            b'L' | b'[' => Datum::Object(self.next_object()?),
            _ => return Err(JavaError::Malformed),
        })
    }
}

/// Modified UTF-8: each UTF-16 unit for itself, and two bytes for zero.
fn text(raw: &[u8]) -> Parsed<Text> {
    let mut units = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    let mut next = || bytes.next();
    while let Some(first) = next() {
        let mut more = || match next() {
            Some(byte) if byte & 0xc0 == 0x80 => Ok(u16::from(byte & 0x3f)),
            _ => Err(JavaError::Malformed),
        };
        units.push(match first {
            0x00..=0x7f => u16::from(first),
            0xc0..=0xdf => u16::from(first & 0x1f) << 6 | more()?,
            0xe0..=0xef => u16::from(first & 0x0f) << 12 | more()? << 6 | more()?,
            _ => return Err(JavaError::Malformed),
        });
    }
    Ok(Text { raw: raw.to_vec(), text: String::from_utf16_lossy(&units) })
}
