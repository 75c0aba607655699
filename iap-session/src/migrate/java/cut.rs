//! One object of a stream as a stream of its own.

use std::collections::HashMap;

use super::{Datum, Desc, FIRST_HANDLE, Id, MAGIC, Node, Stream, Text, code};

/// The longest stream that is written.
const MAX_BYTES: usize = 4 << 20;

/// Writes nodes; what was written before becomes a reference.
struct Writer<'a> {
    stream: &'a Stream,
    bytes: Vec<u8>,
    handles: HashMap<Id, u32>,
}

impl Stream {
    /// A stream of `id` and all it refers to; `None` if it would be too long.
    pub(in crate::migrate) fn cut(&self, id: Id) -> Option<Vec<u8>> {
        let mut writer = Writer { stream: self, bytes: MAGIC.to_vec(), handles: HashMap::new() };
        writer.node(id)?;
        Some(writer.bytes)
    }
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.extend_from_slice(bytes);
        (self.bytes.len() <= MAX_BYTES).then_some(())
    }

    fn short_text(&mut self, text: &Text) -> Option<()> {
        let length = u16::try_from(text.raw.len()).ok()?;
        self.put(&length.to_be_bytes())?;
        self.put(&text.raw)
    }

    fn begin(&mut self, kind: u8) -> Option<()> {
        self.put(&[kind])
    }

    fn assign(&mut self, id: Id) {
        let next = FIRST_HANDLE + self.handles.len() as u32;
        self.handles.insert(id, next);
    }

    fn node(&mut self, id: Id) -> Option<()> {
        if let Some(handle) = self.handles.get(&id).copied() {
            self.begin(code::REFERENCE)?;
            return self.put(&handle.to_be_bytes());
        }
        match self.stream.node(id) {
            Node::Null | Node::Pending => self.begin(code::NULL),
            Node::Text(text) => {
                self.assign(id);
                if text.raw.len() > usize::from(u16::MAX) {
                    self.begin(code::LONG_STRING)?;
                    self.put(&(text.raw.len() as u64).to_be_bytes())?;
                    return self.put(&text.raw);
                }
                self.begin(code::STRING)?;
                self.short_text(text)
            }
            Node::Block(bytes) => {
                match u8::try_from(bytes.len()) {
                    Ok(length) => self.put(&[code::BLOCK, length])?,
                    Err(_) => {
                        self.begin(code::BLOCK_LONG)?;
                        self.put(&(bytes.len() as u32).to_be_bytes())?;
                    }
                }
                self.put(bytes)
            }
            Node::Desc(desc) => self.desc(id, desc),
            Node::Proxy { names, annotation, parent } => {
                self.begin(code::PROXY_DESC)?;
                self.assign(id);
                self.put(&(names.len() as u32).to_be_bytes())?;
                names.iter().try_for_each(|name| self.short_text(name))?;
                self.annotation(annotation)?;
                self.node(*parent)
            }
            Node::Class(class) => {
                self.begin(code::CLASS)?;
                self.node(*class)?;
                self.assign(id);
                Some(())
            }
            Node::Enum { class, name } => {
                self.begin(code::ENUM)?;
                self.node(*class)?;
                self.assign(id);
                self.node(*name)
            }
            Node::Array { class, items } => {
                self.begin(code::ARRAY)?;
                self.node(*class)?;
                self.assign(id);
                self.put(&(items.len() as u32).to_be_bytes())?;
                items.iter().try_for_each(|item| self.datum(*item))
            }
            Node::Object { class, data } => {
                self.begin(code::OBJECT)?;
                self.node(*class)?;
                self.assign(id);
                for part in data {
                    part.values.iter().try_for_each(|value| self.datum(*value))?;
                    if let Some(annotation) = &part.annotation {
                        self.annotation(annotation)?;
                    }
                }
                Some(())
            }
        }
    }

    fn desc(&mut self, id: Id, desc: &Desc) -> Option<()> {
        self.begin(code::CLASS_DESC)?;
        self.short_text(&desc.name)?;
        self.put(&desc.uid)?;
        self.assign(id);
        self.put(&[desc.flags])?;
        self.put(&u16::try_from(desc.fields.len()).ok()?.to_be_bytes())?;
        for field in &desc.fields {
            self.put(&[field.kind])?;
            self.short_text(&field.name)?;
            if let Some(class) = field.class {
                self.node(class)?;
            }
        }
        self.annotation(&desc.annotation)?;
        self.node(desc.parent)
    }

    fn annotation(&mut self, annotation: &[Id]) -> Option<()> {
        annotation.iter().try_for_each(|id| self.node(*id))?;
        self.begin(code::END_BLOCK)
    }

    fn datum(&mut self, datum: Datum) -> Option<()> {
        match datum {
            Datum::Byte(value) => self.put(&value.to_be_bytes()),
            Datum::Char(value) => self.put(&value.to_be_bytes()),
            Datum::Double(value) => self.put(&value.to_be_bytes()),
            Datum::Float(value) => self.put(&value.to_be_bytes()),
            Datum::Int(value) => self.put(&value.to_be_bytes()),
            Datum::Long(value) => self.put(&value.to_be_bytes()),
            Datum::Short(value) => self.put(&value.to_be_bytes()),
            Datum::Bool(value) => self.put(&[value]),
            Datum::Object(id) => self.node(id),
        }
    }
}
