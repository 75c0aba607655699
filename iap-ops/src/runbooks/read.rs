//! A folder of Markdown, within bounds.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::index::Passage;
use super::{Origin, RunbookSettings};

/// Folders below the folder.
const MAX_DEPTH: usize = 8;
/// Entries that are looked at in all, Markdown or not.
const MAX_ENTRIES: usize = 50_000;
/// Bytes of one passage; longer ones become several.
const MAX_PASSAGE: usize = 6_000;
/// Characters of a heading.
const MAX_HEADING: usize = 200;

/// A file, as far as it tells whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    /// Below the folder, with `/`.
    name: String,
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
}

/// The files that are to be read, by their names, and how many were left out.
pub(super) fn list(root: &Path, settings: &RunbookSettings) -> io::Result<(Vec<Seen>, usize)> {
    let mut found = Vec::new();
    let (mut entries, mut left_out) = (0, 0);
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let listed = match std::fs::read_dir(&folder) {
            Ok(listed) => listed,
            // A folder below that cannot be read is left out; the folder itself has to be there.
            Err(error) if depth == 0 => return Err(error),
            Err(_) => continue,
        };
        for entry in listed.flatten() {
            entries += 1;
            let name = entry.file_name();
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let Some(kind) = entry.file_type().ok().filter(|_| !hidden && entries <= MAX_ENTRIES) else {
                continue;
            };
            if kind.is_dir() {
                if depth < MAX_DEPTH {
                    folders.push((entry.path(), depth + 1));
                }
            } else if is_markdown(Path::new(&name)) {
                match file(root, &entry.path()) {
                    Some(seen) if seen.bytes <= settings.max_file_bytes => found.push(seen),
                    _ => left_out += 1,
                }
            }
        }
    }
    found.sort();
    let mut left = settings.max_bytes;
    let all = found.len();
    let mut kept: Vec<Seen> = found.into_iter().take(settings.max_files).collect();
    kept.retain(|seen| {
        let fits = seen.bytes <= left;
        left = left.saturating_sub(if fits { seen.bytes } else { 0 });
        fits
    });
    left_out += all - kept.len();
    Ok((kept, left_out))
}

fn is_markdown(name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ending.eq_ignore_ascii_case("md") || ending.eq_ignore_ascii_case("markdown")
}

/// A regular file; a link counts where it leads to one within the folder.
fn file(root: &Path, path: &Path) -> Option<Seen> {
    let real = path.canonicalize().ok().filter(|real| real.starts_with(root))?;
    let known = std::fs::metadata(&real).ok().filter(std::fs::Metadata::is_file)?;
    let name = path.strip_prefix(root).ok()?.to_str()?.to_owned();
    Some(Seen { name, path: real, bytes: known.len(), modified: known.modified().ok() })
}

/// The passages of files, and how many files could not be read.
pub(super) fn passages(root: &Path, files: &[Seen], settings: &RunbookSettings) -> (Vec<Passage>, usize) {
    let mut found = Vec::new();
    let mut unreadable = 0;
    for seen in files {
        let text = text(&seen.path, settings.max_file_bytes).filter(|_| seen.path.starts_with(root));
        match text {
            Some(text) => found.extend(split(&seen.name, &text)),
            None => unreadable += 1,
        }
    }
    (found, unreadable)
}

fn text(path: &Path, most: u64) -> Option<String> {
    let mut text = String::new();
    // It may have grown since it was looked at.
    std::fs::File::open(path).ok()?.take(most).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A document, split at its headings (CommonMark, ATX headings).
pub(super) fn split(file: &str, text: &str) -> Vec<Passage> {
    let mut split = Split { file, found: Vec::new(), headings: Vec::new(), text: String::new() };
    let mut fence: Option<char> = None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let start = line.trim_start();
        let mark = start.chars().next().filter(|c| matches!(c, '`' | '~'));
        if let Some(mark) = mark.filter(|mark| start.chars().take_while(|c| c == mark).count() >= 3) {
            fence = match fence {
                None => Some(mark),
                Some(open) if open == mark => None,
                open => open,
            };
        }
        let level = start.chars().take_while(|c| *c == '#').count();
        let rest = &start[level..];
        let heading =
            fence.is_none() && (1..=6).contains(&level) && (rest.is_empty() || rest.starts_with([' ', '\t']));
        if heading {
            split.end();
            let title = rest.trim().trim_end_matches('#').trim();
            split.headings.retain(|(above, _)| *above < level);
            split
                .headings
                .push((level, title.chars().filter(|c| !c.is_control()).take(MAX_HEADING).collect()));
        } else {
            if split.text.len() + line.len() > MAX_PASSAGE {
                split.end();
            }
            let line: String = line.chars().take(MAX_PASSAGE / 4).collect();
            split.text.push_str(&line);
            split.text.push('\n');
        }
    }
    split.end();
    split.found
}

struct Split<'a> {
    file: &'a str,
    found: Vec<Passage>,
    headings: Vec<(usize, String)>,
    text: String,
}

impl Split<'_> {
    fn end(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return;
        }
        let mut titles: Vec<&str> = self.headings.iter().map(|(_, title)| title.as_str()).collect();
        let heading = titles.pop().unwrap_or(self.file).to_owned();
        self.found.push(Passage {
            origin: Origin::Runbook,
            file: self.file.to_owned(),
            heading,
            above: titles.join(" "),
            text: text.trim().to_owned(),
        });
    }
}
