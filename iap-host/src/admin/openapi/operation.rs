//! One method of one path.

use axum::routing::MethodFilter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::shape::of;
use crate::access::Right;

/// What is said of answers that need no words.
const WELL: &str = "What was asked for.";

/// Makes a schema, and those that it refers to.
pub(in crate::admin) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What there is to know of it. `path` is as the router has it, `{name}` for what varies.
pub(in crate::admin) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    /// What one needs for it; `None`: everybody may.
    pub(super) right: Option<Right>,
    /// The parts of the path that vary: name, what it is, its schema.
    pub(super) places: Vec<(&'static str, &'static str, Shape)>,
    /// An object whose members are the parameters of the query.
    pub(super) query: Option<Shape>,
    /// Fields of the request's head that mean something: name, what for.
    pub(super) fields: Vec<(&'static str, &'static str)>,
    pub(super) body: Option<Shape>,
    pub(super) answers: Vec<Answer>,
    /// Problems besides those that every operation may have: status, what it means.
    pub(super) problems: Vec<(u16, &'static str)>,
}

/// A good answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: &'static str,
    /// Types of media with their schemas, where they have one.
    pub(super) content: Vec<(&'static str, Option<Shape>)>,
    pub(super) has_etag: bool,
}

/// Reads something.
pub(in crate::admin) fn get(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("get", path, summary)
}

/// Does something, or asks with a body.
pub(in crate::admin) fn post(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("post", path, summary)
}

/// Sets something.
pub(in crate::admin) fn put(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("put", path, summary)
}

/// Takes something away.
pub(in crate::admin) fn delete(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("delete", path, summary)
}

impl Operation {
    fn new(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            summary,
            about: "",
            right: None,
            places: Vec::new(),
            query: None,
            fields: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Says more than the summary.
    pub(in crate::admin) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Describes a part of the path.
    pub(in crate::admin) fn place<T: JsonSchema>(mut self, name: &'static str, text: &'static str) -> Self {
        self.places.push((name, text, of::<T>));
        self
    }

    /// Describes the parameters of the query: the members of an object.
    pub(in crate::admin) fn query(mut self, shape: Shape) -> Self {
        self.query = Some(shape);
        self
    }

    /// Describes a field of the request's head.
    pub(in crate::admin) fn field(mut self, name: &'static str, text: &'static str) -> Self {
        self.fields.push((name, text));
        self
    }

    /// Describes the body, which is JSON.
    pub(in crate::admin) fn body(mut self, shape: Shape) -> Self {
        self.body = Some(shape);
        self
    }

    /// Answers 200 with JSON.
    pub(in crate::admin) fn answers(self, shape: Shape) -> Self {
        self.answers_with(200, WELL, shape)
    }

    /// Answers 200 with JSON of a kind that has a name of its own.
    pub(in crate::admin) fn answers_as(mut self, form: &'static str, shape: Shape) -> Self {
        let content = vec![(form, Some(shape))];
        self.answers.push(Answer { status: 200, text: WELL, content, has_etag: false });
        self
    }

    /// Answers with JSON and a status.
    pub(in crate::admin) fn answers_with(mut self, status: u16, text: &'static str, shape: Shape) -> Self {
        let content = vec![("application/json", Some(shape))];
        self.answers.push(Answer { status, text, content, has_etag: false });
        self
    }

    /// Answers 200 in other forms than JSON, or in these as well.
    pub(in crate::admin) fn in_forms(mut self, forms: &[&'static str]) -> Self {
        if self.answers.is_empty() {
            self.answers.push(Answer { status: 200, text: WELL, content: Vec::new(), has_etag: false });
        }
        let forms = forms.iter().map(|form| (*form, None));
        self.answers.iter_mut().take(1).for_each(|answer| answer.content.extend(forms.clone()));
        self
    }

    /// Answers 204.
    pub(in crate::admin) fn says_nothing(mut self) -> Self {
        self.answers.push(Answer { status: 204, text: "It is done.", content: Vec::new(), has_etag: false });
        self
    }

    /// Answers 303.
    pub(in crate::admin) fn leads_on(mut self) -> Self {
        self.answers.push(Answer { status: 303, text: "It leads on.", content: Vec::new(), has_etag: false });
        self
    }

    /// Its answers carry an `ETag`.
    pub(in crate::admin) fn with_etag(mut self) -> Self {
        self.answers.iter_mut().for_each(|answer| answer.has_etag = true);
        self
    }

    /// May have a problem of its own.
    pub(in crate::admin) fn fails(mut self, status: u16, text: &'static str) -> Self {
        self.problems.push((status, text));
        self
    }

    /// The method, as routers know it.
    pub(super) fn filter(&self) -> MethodFilter {
        match self.method {
            "post" => MethodFilter::POST,
            "put" => MethodFilter::PUT,
            "delete" => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        }
    }
}
