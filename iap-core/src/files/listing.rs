//! A directory as a page.

use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;
use std::time::SystemTime;

use super::beneath::{Root, Type};
use super::path::is_hidden;
use crate::gate::percent_encode;
use crate::html::escape;

/// Entries that are looked at; a page of more helps nobody and costs time.
const MAX_ENTRIES: usize = 5_000;

struct Row {
    name: String,
    kind: Type,
    bytes: u64,
    modified: Option<SystemTime>,
}

/// The page of the directory at `path` below the root (empty for the root itself). Links that lead out, and whatever else would
/// not be served, are left out.
pub(super) fn page(root: &Root, directory: &OwnedFd, path: &str, dotfiles: bool) -> io::Result<String> {
    let (mut rows, is_cut) = rows(root, directory, path, dotfiles)?;
    rows.sort_by(|a, b| (a.kind == Type::File, &a.name).cmp(&(b.kind == Type::File, &b.name)));
    let title = escape(&format!("/{path}"));
    let mut html = format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n\
         <body><h1>{title}</h1>\n<table>\n<tr><th>Name</th><th>Bytes</th><th>Modified</th></tr>\n"
    );
    if !path.is_empty() {
        html.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for row in &rows {
        let (slash, bytes) = match row.kind {
            Type::Directory => ("/", String::new()),
            Type::File => ("", row.bytes.to_string()),
        };
        let modified = row.modified.map(httpdate::fmt_http_date).unwrap_or_default();
        // `./` keeps a name with a colon from being read as a scheme.
        let (href, name) = (percent_encode(&row.name), escape(&row.name));
        let _ = writeln!(
            html,
            "<tr><td><a href=\"./{href}{slash}\">{name}{slash}</a></td><td>{bytes}</td><td>{modified}</td></tr>"
        );
    }
    html.push_str("</table>\n");
    if is_cut {
        let _ = writeln!(html, "<p>Only the first {MAX_ENTRIES} entries are shown.</p>");
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

/// The rows, and whether there are more.
fn rows(root: &Root, directory: &OwnedFd, path: &str, dotfiles: bool) -> io::Result<(Vec<Row>, bool)> {
    let (mut rows, mut seen) = (Vec::new(), 0);
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") || name.contains('\\') || (!dotfiles && is_hidden(name)) {
            continue;
        }
        seen += 1;
        if seen > MAX_ENTRIES {
            return Ok((rows, true));
        }
        let Ok((kind, handle)) = root.peek(&format!("{path}{name}")) else { continue };
        let Ok(metadata) = handle.metadata() else { continue };
        let modified = metadata.modified().ok().filter(|time| *time >= SystemTime::UNIX_EPOCH);
        rows.push(Row { name: name.to_owned(), kind, bytes: metadata.len(), modified });
    }
    Ok((rows, false))
}
