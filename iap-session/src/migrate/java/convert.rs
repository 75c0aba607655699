//! The JSON form of well known classes.

use serde_json::{Map, Number, Value};

use super::{ClassData, Datum, Id, Node, Stream};

/// How deep a value may be, and how many values it may have: a small stream can refer to one list many times.
const MAX_DEPTH: usize = 32;
const MAX_VALUES: usize = 20_000;

/// What one value may still cost.
struct Budget {
    values: usize,
}

impl Stream {
    /// The JSON form of an object: numbers, booleans, strings, dates (as ISO 8601 text), and lists, sets and maps
    /// with text for keys of those. `None` for everything else.
    pub(in crate::migrate) fn json(&self, id: Id) -> Option<Value> {
        self.value(id, MAX_DEPTH, &mut Budget { values: MAX_VALUES })
    }

    fn value(&self, id: Id, depth: usize, budget: &mut Budget) -> Option<Value> {
        budget.values = budget.values.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        match self.node(id) {
            Node::Null => return Some(Value::Null),
            Node::Text(text) => return Some(text.text.clone().into()),
            Node::Object { .. } => {}
            _ => return None,
        }
        match self.class_name(id) {
            "java.lang.Long"
            | "java.lang.Integer"
            | "java.lang.Short"
            | "java.lang.Byte"
            | "java.lang.Boolean"
            | "java.lang.Double"
            | "java.lang.Float"
            | "java.lang.Character" => self.plain(*self.fields(id).get("value")?),
            "java.util.Date" => {
                let (block, _) = self.annotation_of(id, "java.util.Date")?;
                let ms = i64::from_be_bytes(block.get(..8)?.try_into().ok()?);
                crate::migrate::time::iso(ms).map(Value::from)
            }
            "java.util.ArrayList" | "java.util.LinkedList" | "java.util.ArrayDeque" => {
                let (_, items) = self.annotation_of(id, self.class_name(id))?;
                self.list(items, depth, budget)
            }
            "java.util.HashSet" | "java.util.LinkedHashSet" => {
                let (_, items) = self.annotation_of(id, "java.util.HashSet")?;
                self.list(items, depth, budget)
            }
            "java.util.HashMap" | "java.util.LinkedHashMap" => {
                let (_, items) = self.annotation_of(id, "java.util.HashMap")?;
                self.map(items, depth, budget)
            }
            "java.util.Arrays$ArrayList" => {
                let Node::Array { items, .. } = self.node(self.object_field(id, "a")?) else { return None };
                let ids = items.iter().map(|item| match item {
                    Datum::Object(id) => Some(*id),
                    _ => None,
                });
                self.list(&ids.collect::<Option<Vec<_>>>()?, depth, budget)
            }
            // What List.of, Set.of and Map.of make; the low byte of the tag says which.
            "java.util.CollSer" => {
                let (_, items) = self.annotation_of(id, "java.util.CollSer")?;
                match self.fields(id).get("tag")? {
                    Datum::Int(tag) if matches!(tag & 0xff, 1 | 2) => self.list(items, depth, budget),
                    Datum::Int(tag) if tag & 0xff == 3 => self.map(items, depth, budget),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn plain(&self, datum: Datum) -> Option<Value> {
        Some(match datum {
            Datum::Byte(value) => value.into(),
            Datum::Short(value) => value.into(),
            Datum::Int(value) => value.into(),
            Datum::Long(value) => value.into(),
            Datum::Bool(value) => (value != 0).into(),
            Datum::Char(unit) => char::from_u32(unit.into())?.to_string().into(),
            Datum::Double(bits) => Value::Number(Number::from_f64(f64::from_bits(bits))?),
            // By its shortest text, so that 0.1f stays 0.1.
            Datum::Float(bits) => {
                Value::Number(Number::from_f64(f32::from_bits(bits).to_string().parse().ok()?)?)
            }
            Datum::Object(_) => return None,
        })
    }

    /// What a class has written besides its fields: a block of numbers, then objects.
    fn annotation_of(&self, id: Id, class: &str) -> Option<(&[u8], &[Id])> {
        let Node::Object { data, .. } = self.node(id) else { return None };
        let named = |part: &&ClassData| self.desc(part.class).is_some_and(|desc| desc.name.text == class);
        let annotation = data.iter().find(named)?.annotation.as_deref()?;
        match annotation.split_first() {
            Some((first, rest)) => match self.node(*first) {
                Node::Block(block) => Some((block, rest)),
                _ => None,
            },
            None => None,
        }
    }

    fn list(&self, items: &[Id], depth: usize, budget: &mut Budget) -> Option<Value> {
        items.iter().map(|id| self.value(*id, depth, budget)).collect::<Option<Vec<_>>>().map(Value::from)
    }

    fn map(&self, items: &[Id], depth: usize, budget: &mut Budget) -> Option<Value> {
        let (pairs, []) = items.as_chunks::<2>() else { return None };
        let mut map = Map::new();
        for [name, value] in pairs {
            map.insert(self.text(*name)?.to_owned(), self.value(*value, depth, budget)?);
        }
        Some(Value::Object(map))
    }
}
