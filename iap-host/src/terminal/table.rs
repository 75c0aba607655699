//! Tables that fit the terminal: columns are as wide as what stands in them, and those that may shrink do where there is no room.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Screen;
use super::paint::{Paint, Tone};
use crate::client::printable;

/// What lies between two columns.
const GAP: usize = 2;
/// A column that shrinks keeps as much while others are there that are spare, and in the end.
const READABLE: usize = 10;
const NARROWEST: usize = 4;

/// How wide the name of a [`fact`] is.
const NAME: usize = 10;

/// How a column behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text that is always whole.
    Text,
    /// The same, at the right side: numbers.
    Number,
    /// A text that is cut where there is no room.
    Shrinking,
    /// The same; it is left out where that is not enough, the last one first.
    Spare,
}

/// A cell: its text, and what it means.
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: plain(&text.to_string()), tone: Tone::Plain }
    }
}

impl Cell {
    pub(super) fn toned(text: impl ToString, tone: Tone) -> Self {
        Self { tone, ..Self::from(text) }
    }
}

/// A table that is filled row by row.
pub(super) struct Table {
    columns: Vec<(&'static str, Kind)>,
    rows: Vec<Vec<Cell>>,
    /// Lines that stand below rows, by the place of the row.
    notes: BTreeMap<usize, String>,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Kind)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), notes: BTreeMap::new() }
    }

    /// Adds a row, which has as many cells as there are columns.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Puts a line below the last row, which is never cut.
    pub(super) fn note(&mut self, text: &str) {
        self.notes.insert(self.rows.len(), plain(text));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text. Columns in which nothing stands are left out.
    pub(super) fn show(&self, screen: Screen) -> String {
        let used =
            |at: &usize| self.rows.iter().any(|row| row.get(*at).is_some_and(|cell| !cell.text.is_empty()));
        let (shown, widths) = self.fitted((0..self.columns.len()).filter(used).collect(), screen.width);
        let mut text = String::new();
        let head = |at: usize| Cell { text: self.columns[at].0.to_uppercase(), tone: Tone::Strong };
        let heads: Vec<Cell> = (0..self.columns.len()).map(head).collect();
        for (number, row) in std::iter::once(&heads).chain(&self.rows).enumerate() {
            let mut line = String::new();
            for (place, (at, width)) in shown.iter().zip(&widths).enumerate() {
                let Some(cell) = row.get(*at) else { continue };
                let (kind, is_last) = (self.columns[*at].1, place + 1 == shown.len());
                let cut = cut(&cell.text, *width);
                let blank = " ".repeat(width.saturating_sub(cut.width()));
                let painted = screen.paint.text(cell.tone, &cut);
                line += &match kind {
                    Kind::Number => format!("{blank}{painted}"),
                    _ if is_last => painted,
                    _ => format!("{painted}{blank}"),
                };
                if !is_last {
                    line += &" ".repeat(GAP);
                }
            }
            text += line.trim_end();
            text.push('\n');
            if let Some(note) = self.notes.get(&number) {
                text += &format!("  {}\n", screen.paint.text(Tone::Faint, note));
            }
        }
        text
    }

    /// The columns that are shown, and how wide each is. What is spare goes before others are hard to read.
    fn fitted(&self, mut shown: Vec<usize>, room: Option<usize>) -> (Vec<usize>, Vec<usize>) {
        loop {
            let spare = shown.iter().rposition(|at| self.columns[*at].1 == Kind::Spare);
            let widths = self.widths(&shown, room, if spare.is_some() { READABLE } else { NARROWEST });
            match spare {
                Some(place) if is_over(&widths, room) => drop(shown.remove(place)),
                _ => return (shown, widths),
            }
        }
    }

    /// How wide columns are, where those that shrink keep some places.
    fn widths(&self, shown: &[usize], room: Option<usize>, least: usize) -> Vec<usize> {
        let widest =
            |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width()).max();
        let mut widths: Vec<usize> =
            shown.iter().map(|at| widest(*at).unwrap_or_default().max(self.columns[*at].0.width())).collect();
        while is_over(&widths, room) {
            // The widest of those that may shrink gives one.
            let shrinks = |place: &usize| {
                matches!(self.columns[shown[*place]].1, Kind::Shrinking | Kind::Spare)
                    && widths[*place] > least
            };
            let Some(place) = (0..shown.len()).filter(shrinks).max_by_key(|place| widths[*place]) else {
                break;
            };
            widths[place] -= 1;
        }
        widths
    }
}

/// Whether columns and what lies between them are wider than there is room.
fn is_over(widths: &[usize], room: Option<usize>) -> bool {
    let gaps = GAP * widths.len().saturating_sub(1);
    room.is_some_and(|room| widths.iter().sum::<usize>() + gaps > room)
}

/// A text in one line, without what a terminal would act on.
pub(super) fn plain(text: &str) -> String {
    printable(&text.replace(['\n', '\t'], " "))
}

/// As much of a text as fits; `…` stands for the rest. Letters of Korean take two columns.
pub(super) fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or_default();
        let is_room = width <= left;
        left = left.saturating_sub(width);
        is_room
    };
    let mut out: String = text.chars().take_while(fits).collect();
    if room > 0 {
        out.push('…');
    }
    out
}

/// Adds a line with a name and what it is, unless that is empty.
pub(super) fn fact(text: &mut String, paint: Paint, name: &str, (value, tone): (&str, Tone)) {
    if !value.is_empty() {
        let name = paint.text(Tone::Faint, &padded(name, NAME));
        let _ = writeln!(text, "{name}{}", paint.text(tone, &plain(value)));
    }
}

/// Fills a text up to a width.
pub(super) fn padded(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let blank = width.saturating_sub(text.width());
    text + &" ".repeat(blank)
}

#[cfg(test)]
mod tests;
