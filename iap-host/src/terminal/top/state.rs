//! What is looked at, and what keys do.

use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::args::View;
use super::super::paint::Paint;
use super::feed::Snapshot;
use super::rows::{self, Grid};

pub(super) const VIEWS: [View; 4] = [View::Requests, View::Routes, View::Servers, View::Incidents];
/// Lines that a page has, for the keys that turn them.
const PAGE: usize = 10;

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    GoesOn,
    End,
}

/// By which column lines are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: usize,
    pub(super) is_falling: bool,
}

/// All that the picture is made of.
pub(super) struct State {
    pub(super) url: String,
    pub(super) paint: Paint,
    pub(super) view: View,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
    pub(super) snapshot: Option<Snapshot>,
    /// Since when the host does not answer, and why.
    pub(super) trouble: Option<(Instant, String)>,
    sorts: [Sort; VIEWS.len()],
    selected: [usize; VIEWS.len()],
}

impl State {
    pub(super) fn new(url: String, view: View, paint: Paint) -> Self {
        let by = |column| Sort { column, is_falling: true };
        Self {
            url,
            paint,
            view,
            is_paused: false,
            shows_help: false,
            snapshot: None,
            trouble: None,
            // The longest, the busiest, as they are listed, the latest.
            sorts: [by(0), by(1), Sort { column: 0, is_falling: false }, by(0)],
            selected: [0; VIEWS.len()],
        }
    }

    /// Takes up what the host says.
    pub(super) fn take(&mut self, snapshot: Snapshot) {
        self.trouble = None;
        if !self.is_paused || self.snapshot.is_none() {
            self.snapshot = Some(snapshot);
        }
    }

    /// The host does not answer; what it said last stays.
    pub(super) fn trouble(&mut self, text: String) {
        let since = self.trouble.take().map_or_else(Instant::now, |(since, _)| since);
        self.trouble = Some((since, text));
    }

    /// The lines of what is looked at, in their order.
    pub(super) fn grid(&mut self) -> Grid {
        let place = self.place();
        let mut grid = rows::of(self.view, self.snapshot.as_ref());
        grid.sort(self.sorts[place]);
        self.selected[place] = self.selected[place].min(grid.rows.len().saturating_sub(1));
        grid
    }

    pub(super) fn sort(&self) -> Sort {
        self.sorts[self.place()]
    }

    pub(super) fn selected(&self) -> usize {
        self.selected[self.place()]
    }

    fn place(&self) -> usize {
        VIEWS.iter().position(|view| *view == self.view).unwrap_or_default()
    }

    /// Does what a key is for.
    pub(super) fn press(&mut self, key: KeyEvent) -> Flow {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if with_control => return Flow::End,
            KeyCode::Char('q') => return Flow::End,
            KeyCode::Esc if !self.shows_help => return Flow::End,
            KeyCode::Esc => self.shows_help = false,
            KeyCode::Char('?' | 'h') => self.shows_help = !self.shows_help,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(VIEWS.len() - 1),
            KeyCode::Char(digit @ '1'..='4') => self.view = VIEWS[digit as usize - '1' as usize],
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('r') => {
                let place = self.place();
                self.sorts[place].is_falling ^= true;
            }
            KeyCode::Up | KeyCode::Char('k') => self.go(|at| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.go(|at| at.saturating_add(1)),
            KeyCode::PageUp => self.go(|at| at.saturating_sub(PAGE)),
            KeyCode::PageDown => self.go(|at| at.saturating_add(PAGE)),
            KeyCode::Home => self.go(|_| 0),
            KeyCode::End => self.go(|_| usize::MAX),
            _ => {}
        }
        Flow::GoesOn
    }

    fn turn(&mut self, by: usize) {
        self.view = VIEWS[(self.place() + by) % VIEWS.len()];
    }

    fn sort_by_next(&mut self) {
        let (place, columns) = (self.place(), rows::columns(self.view).len());
        let sort = &mut self.sorts[place];
        *sort = Sort { column: (sort.column + 1) % columns, is_falling: true };
    }

    fn go(&mut self, to: impl Fn(usize) -> usize) {
        let (place, last) = (self.place(), self.grid().rows.len().saturating_sub(1));
        self.selected[place] = to(self.selected[place]).min(last);
    }
}
