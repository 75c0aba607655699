//! What answers a path: a file, the index of a directory, its listing, the fallback.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::beneath::{Entry, Root};
use super::path::{Wanted, is_hidden, wanted};
use super::{Ask, Site, failed, is_absent, listing};
use crate::body::Body;
use crate::error::Error;

enum Found {
    /// A file, and its name below the root.
    File(File, String),
    /// A directory without an index, and its name below the root with a slash at its end.
    Listing(OwnedFd, String),
    /// A directory that was asked for without a slash: relative links on its page would lead elsewhere.
    NoSlash,
}

impl Site {
    /// Answers a request. Waits for the disk.
    pub(super) fn serve(&self, ask: &Ask) -> Result<Response<Body>, Error> {
        let nothing = || failed(io::ErrorKind::NotFound.into());
        let root = Root::open(&self.root).map_err(failed)?;
        let wanted = match &*ask.rest {
            "" => Wanted { name: String::new(), is_directory: false },
            path => wanted(path).ok_or_else(nothing)?,
        };
        if !self.settings.dotfiles && wanted.name.split('/').any(is_hidden) {
            return Err(nothing());
        }
        match self.find(&root, &wanted) {
            Ok(Found::File(file, name)) => self.file(&root, file, &name, ask),
            Ok(Found::Listing(directory, name)) => self.listing(&root, &directory, &name, ask),
            Ok(Found::NoSlash) => redirect(&ask.with_slash),
            Err(error) if is_absent(&error) && is_navigation(&wanted, &ask.fields) => {
                self.fallback(&root, ask).unwrap_or_else(|| Err(failed(error)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn find(&self, root: &Root, wanted: &Wanted) -> io::Result<Found> {
        let directory = match root.entry(&wanted.name)? {
            Entry::File(file) if !wanted.is_directory => return Ok(Found::File(file, wanted.name.clone())),
            Entry::File(_) => return Err(io::ErrorKind::NotFound.into()),
            Entry::Directory(_) if !wanted.is_directory => return Ok(Found::NoSlash),
            Entry::Directory(directory) => directory,
        };
        let slash = if wanted.name.is_empty() { "" } else { "/" };
        let base = format!("{}{slash}", wanted.name);
        if let Some(index) = &self.settings.index {
            let name = format!("{base}{index}");
            match root.entry(&name) {
                Ok(Entry::File(file)) => return Ok(Found::File(file, name)),
                Ok(Entry::Directory(_)) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if self.settings.listing {
            return Ok(Found::Listing(directory, base));
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn fallback(&self, root: &Root, ask: &Ask) -> Option<Result<Response<Body>, Error>> {
        let name = wanted(self.settings.fallback.as_deref()?)?.name;
        let file = match root.entry(&name) {
            Ok(Entry::File(file)) => file,
            Ok(Entry::Directory(_)) => return None,
            Err(error) if is_absent(&error) => return None,
            Err(error) => return Some(Err(failed(error))),
        };
        Some(self.file(root, file, &name, ask).map(|mut response| {
            // Another kind of request for the same path gets 404.
            response
                .headers_mut()
                .append(http::header::VARY, HeaderValue::from_static("accept, sec-fetch-mode"));
            response
        }))
    }

    fn listing(
        &self,
        root: &Root,
        directory: &OwnedFd,
        name: &str,
        ask: &Ask,
    ) -> Result<Response<Body>, Error> {
        let page = listing::page(root, directory, name, self.settings.dotfiles).map_err(failed)?;
        let length = HeaderValue::from(page.len());
        let mut response = Response::new(if ask.is_head { Body::empty() } else { Body::from(page) });
        let fields = response.headers_mut();
        fields.insert(http::header::CONTENT_LENGTH, length);
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // Names are escaped; nothing on the page has a reason to run or load anything.
            (CONTENT_SECURITY_POLICY, "default-src 'none'"),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }
}

fn redirect(to: &str) -> Result<Response<Body>, Error> {
    // Two slashes would be another host.
    let to = (!to.starts_with("//")).then(|| HeaderValue::from_str(to).ok()).flatten();
    let to = to.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let mut response = Response::new(Body::empty());
    // For now: a file may take the directory's place.
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(LOCATION, to);
    Ok(response)
}

/// Whether a browser goes to a page, rather than a page loading something. `Sec-Fetch-Mode` says it for
/// sure; without it, whoever takes HTML does.
fn is_navigation(wanted: &Wanted, fields: &HeaderMap) -> bool {
    let last = wanted.name.rsplit('/').next().unwrap_or_default();
    if last.contains('.') {
        return false;
    }
    if let Some(mode) = fields.get("sec-fetch-mode") {
        return mode == "navigate";
    }
    let mut accepted = fields.get_all(ACCEPT).iter().peekable();
    if accepted.peek().is_none() {
        return true;
    }
    let types = accepted.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let mut names = types.map(|range| range.split(';').next().unwrap_or_default().trim());
    names.any(|name| matches!(name, "*/*" | "text/*" | "text/html" | "application/xhtml+xml"))
}
