//! `iap-host top`: what happens in a running host now, asked every two seconds.
//!
//! | module | what it has |
//! |---|---|
//! | [`feed`] | what the host says, in the background |
//! | [`state`] | what is looked at, and what keys do |
//! | [`rows`] | the lines of each view |
//! | [`draw`] | the picture |

mod draw;
mod feed;
mod rows;
mod state;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use iap_core::BoxError;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::{DefaultTerminal, Terminal};
use unicode_width::UnicodeWidthStr as _;

use self::feed::{Feed, Update};
use self::state::{Flow, State};
use super::args::TopArgs;
use super::paint::Paint;
use super::{NO_ANSWER, print};
use crate::client::patiently;

/// How long a key is waited for before news of the host are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The size of a picture where nobody says one.
const USUAL_SIZE: (u16, u16) = (100, 30);

/// Shows it until somebody has seen enough; or prints one picture.
#[allow(clippy::print_stderr)] // Errors of the command line.
pub(crate) fn command(args: &TopArgs) -> Result<ExitCode, BoxError> {
    let is_terminal = std::io::stdout().is_terminal();
    let has_keys = is_terminal && std::io::stdin().is_terminal();
    if !(args.once || has_keys) {
        return Err("top needs a terminal; --once prints one picture".into());
    }
    let mut state = State::new(args.url.clone(), args.view, Paint::wanted(is_terminal));
    if args.once {
        let snapshot = match patiently(&args.url, feed::snapshot(&args.url)) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                eprintln!("iap-host: {error}");
                return Ok(ExitCode::from(NO_ANSWER));
            }
        };
        state.take(snapshot);
        let (columns, lines) = super::size();
        let size = (columns.unwrap_or(USUAL_SIZE.0), lines.unwrap_or(USUAL_SIZE.1));
        let picture = picture(&mut state, size)?;
        print(picture.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let feed = Feed::start(args.url.clone())?;
    // From here on a panic gives the terminal back as well.
    let mut terminal = ratatui::try_init()?;
    let ended = live(&mut terminal, &mut state, &feed);
    ratatui::try_restore()?;
    ended.map(|()| ExitCode::SUCCESS)
}

fn live(terminal: &mut DefaultTerminal, state: &mut State, feed: &Feed) -> Result<(), BoxError> {
    loop {
        terminal.draw(|frame| draw::draw(frame, state))?;
        if event::poll(LOOK_EVERY)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && state.press(key) == Flow::End
        {
            return Ok(());
        }
        while let Some(update) = feed.next() {
            match update {
                Update::Snapshot(snapshot) => state.take(*snapshot),
                Update::Trouble(text) => state.trouble(text),
                Update::End => return Ok(()),
            }
        }
    }
}

/// One picture as text, without colours.
fn picture(state: &mut State, (columns, lines): (u16, u16)) -> Result<String, BoxError> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines))?;
    terminal.draw(|frame| draw::draw(frame, state))?;
    let buffer = terminal.backend().buffer();
    let lines: Vec<String> = (0..lines).map(|line| line_of(buffer, line)).collect();
    Ok(lines.join("\n").trim_end().to_owned() + "\n")
}

fn line_of(buffer: &Buffer, line: u16) -> String {
    let (mut text, mut column) = (String::new(), 0);
    while column < buffer.area.width {
        let symbol = buffer[(column, line)].symbol();
        text += symbol;
        // A letter of Korean covers the place after it.
        column += u16::try_from(symbol.width()).unwrap_or(1).max(1);
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
