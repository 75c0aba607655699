//! A program in a terminal of its own, by `script`.
#![allow(unreachable_pub)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::common::{Process, eventually};

/// A terminal of 80 x 24 with a program in it.
pub struct Pty {
    child: Process,
    keys: ChildStdin,
    written: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    all: Vec<u8>,
}

impl Pty {
    /// Runs a line of a shell. What is on the screen can be read, and keys pressed.
    pub fn start(directory: &Path, line: &str) -> Self {
        // `stty -a` after it says whether lines are echoed again.
        let line = format!(
            "stty cols 80 rows 24; {line}; code=$?; stty -a | grep -qw echo && echo tty is sane; exit $code"
        );
        let mut child = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .env_remove("IAP_TOKEN")
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .env_remove("LINES")
            .env("TERM", "xterm-256color")
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let mut out = child.stdout.take().unwrap();
        let (send, written) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                let _ = send.send(buffer[..count].to_vec());
            }
        });
        let screen = vt100::Parser::new(24, 80, 0);
        Self { child: Process(child), keys, written, screen, all: Vec::new() }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// What stands on the screen now.
    pub fn text(&mut self) -> String {
        while let Ok(bytes) = self.written.try_recv() {
            self.screen.process(&bytes);
            self.all.extend(bytes);
        }
        self.screen.screen().contents()
    }

    /// Waits until something stands on the screen.
    pub fn shows(&mut self, part: &str) {
        let started = std::time::Instant::now();
        loop {
            let text = self.text();
            if text.contains(part) {
                return;
            }
            assert!(started.elapsed() < crate::common::SOON, "`{part}` does not come:\n{text}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Waits for the end: the terminal is as it was before.
    pub fn ends(mut self) {
        let status = eventually("it ends", || self.child.0.try_wait().unwrap());
        assert!(status.success(), "{status:?}");
        let all = eventually("the terminal is given back", || {
            self.text();
            let all = String::from_utf8_lossy(&self.all).into_owned();
            all.contains("tty is sane").then_some(all)
        });
        let (entered, left) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
        assert!(all.contains(entered) && all.contains(left) && all.contains("\u{1b}[?25h"), "{all:?}");
    }
}
