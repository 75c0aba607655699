//! From an open file to a response.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use super::beneath::{Entry, Root};
use super::body::{CHUNK, FileBody, Part, read};
use super::encoding::{self, Coding};
use super::range::{Selection, select};
use super::validators::{Validators, Verdict};
use super::{Ask, Site, failed, media_type};
use crate::body::Body;
use crate::error::{Error, Kind, Origin};

impl Site {
    /// Answers with a file, whose name is relative to the root. Everything is read off the open file,
    /// so that all of the answer is about one version.
    pub(super) fn file(
        &self,
        root: &Root,
        file: File,
        name: &str,
        ask: &Ask,
    ) -> Result<Response<Body>, Error> {
        let (file, coding) = match self.precompressed(root, name, ask) {
            Some((file, coding)) => (file, Some(coding)),
            None => (file, None),
        };
        let metadata = file.metadata().map_err(failed)?;
        let (length, coding) = (metadata.len(), coding.map(|coding| coding.name));
        let validators = Validators::of(&metadata, coding, SystemTime::now());
        let mut response = Response::new(Body::empty());
        let fields = response.headers_mut();
        fields.extend(validators.fields());
        if let Some(value) = self.cache.of(name) {
            fields.insert(CACHE_CONTROL, value.clone());
        }
        if self.settings.precompressed {
            fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        match validators.check(&ask.fields) {
            Verdict::Proceed => {}
            Verdict::NotModified => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok(response);
            }
            Verdict::Failed => {
                let message = "the file is not in the state that the request asks for";
                return Err(Error::new(Kind::PreconditionFailed, Origin::Client, message));
            }
        }
        fields.insert(CONTENT_TYPE, media_type::of(name));
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(coding) = coding {
            fields.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        // Ranges are for GET only (RFC 9110 section 14.2).
        let counts = !ask.is_head && validators.allow_range(&ask.fields);
        match if counts { select(&ask.fields, length) } else { Selection::Whole } {
            Selection::Whole => whole(&mut response, file, length, ask.is_head),
            Selection::Parts(ranges) => parts(&mut response, file, length, &ranges),
            Selection::Unsatisfiable => return Err(unsatisfiable(length)),
        }
        .map_err(failed)?;
        Ok(response)
    }

    /// The precompressed sibling that the client likes best.
    fn precompressed(&self, root: &Root, name: &str, ask: &Ask) -> Option<(File, Coding)> {
        if !self.settings.precompressed {
            return None;
        }
        encoding::accepted(&ask.fields).into_iter().find_map(|coding| {
            match root.entry(&format!("{name}{}", coding.suffix)) {
                Ok(Entry::File(file)) => Some((file, coding)),
                _ => None,
            }
        })
    }
}

fn whole(response: &mut Response<Body>, file: File, length: u64, is_head: bool) -> io::Result<()> {
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    if !is_head {
        *response.body_mut() = one(file, 0..length)?;
    }
    Ok(())
}

fn parts(response: &mut Response<Body>, file: File, length: u64, ranges: &[Range<u64>]) -> io::Result<()> {
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    if let [range] = ranges {
        let value = HeaderValue::from_str(&content_range(range, length)).map_err(io::Error::other)?;
        response.headers_mut().insert(CONTENT_RANGE, value);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        *response.body_mut() = one(file, range.clone())?;
        return Ok(());
    }
    // Random, so that nobody can write a file that ends its own part.
    let boundary = format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
    let own = format!("multipart/byteranges; boundary={boundary}");
    let own = HeaderValue::from_str(&own).map_err(io::Error::other)?;
    let media_type = response.headers_mut().insert(CONTENT_TYPE, own);
    let media_type = media_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut pieces = Vec::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        let span = content_range(range, length);
        let head = format!("\r\n--{boundary}\r\ncontent-type: {media_type}\r\ncontent-range: {span}\r\n\r\n");
        pieces.push(Part::Text(head.into()));
        pieces.push(Part::Bytes(range.clone()));
    }
    pieces.push(Part::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
    let body = FileBody::new(file, pieces);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.left()));
    *response.body_mut() = Body::new(body);
    Ok(())
}

/// One piece of a file: short ones are read at once, in the same go as the opening.
fn one(file: File, range: Range<u64>) -> io::Result<Body> {
    if range.end - range.start <= CHUNK {
        return Ok(read(&file, range)?.into());
    }
    Ok(Body::new(FileBody::new(file, [Part::Bytes(range)])))
}

fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

fn unsatisfiable(length: u64) -> Error {
    let error =
        Error::new(Kind::RangeNotSatisfiable, Origin::Client, "the file has nothing in the range asked for");
    match HeaderValue::from_str(&format!("bytes */{length}")) {
        Ok(value) => error.with_field(CONTENT_RANGE, value),
        Err(_) => error,
    }
}
