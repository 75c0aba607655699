//! From a call stack to the functions that wait.

use std::backtrace::Backtrace;
use std::fmt;

/// The functions between the task and what it waits for.
const INNER: &str = "hooks::await_point::waker::";
const OUTER: &str = "hooks::await_point::watched";
/// Of these only what leads to a crate's own path is told, not where it lies on a machine.
const LIBRARIES: [(&str, usize); 2] = [("/registry/src/", 1), ("/git/checkouts/", 0)];

/// A function that waits for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its path; `{{closure}}` or `{async_fn#0}` stands for the body of an `async` function or block. Where a program has
    /// only tables of its lines, that is all there is of it.
    pub function: String,
    /// The file and the line where it waits, where the program has them: the crate's directory and what is below for
    /// a dependency, `std` and what is below for the standard library.
    pub place: Option<(String, u32)>,
    /// Whether it is of a dependency or of the standard library.
    pub is_library: bool,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match &self.place {
            Some((file, line)) => write!(f, " at {file}:{line}"),
            None => Ok(()),
        }
    }
}

/// What a task waits for: who called whom, down to what took its waker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitPoint {
    /// From the task inwards.
    pub frames: Vec<Frame>,
}

impl AwaitPoint {
    /// Looks up the names of a stack. This reads the program's debug information: call it where blocking is allowed.
    pub fn resolve(stack: &Backtrace) -> Self {
        let mut frames = parse(&stack.to_string());
        let from = frames.iter().rposition(|frame| frame.function.contains(INNER)).map_or(0, |at| at + 1);
        let to = frames.iter().position(|frame| frame.function.contains(OUTER)).unwrap_or(frames.len());
        frames.truncate(to.max(from));
        frames.drain(..from);
        frames.reverse();
        Self { frames }
    }

    /// The innermost function that is not of a library: the line that waits. Of functions without a place nobody knows
    /// whether they are, so one with a place goes before them.
    pub fn line(&self) -> Option<&Frame> {
        let own = || self.frames.iter().rev().filter(|frame| !frame.is_library);
        own().find(|frame| frame.place.is_some()).or_else(|| own().next())
    }
}

/// Reads what the standard library writes: a number and a name, and on the next line `at FILE:LINE:COLUMN`.
fn parse(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                (frame.place, frame.is_library) = placed(place, frame.is_library);
            }
        } else if let Some((number, function)) = line.split_once(": ")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            let is_library = is_of_std(function);
            frames.push(Frame { function: function.to_owned(), place: None, is_library });
        }
    }
    frames
}

fn is_of_std(function: &str) -> bool {
    let path = function.trim_start_matches('<');
    ["core::", "std::", "alloc::"].iter().any(|name| path.starts_with(name))
}

fn placed(place: &str, is_of_std: bool) -> (Option<(String, u32)>, bool) {
    let mut parts = place.rsplitn(3, ':');
    let (_column, line, file) = (parts.next(), parts.next(), parts.next());
    let Some((file, line)) = file.zip(line.and_then(|line| line.parse().ok())) else {
        return (None, is_of_std);
    };
    let file = file.replace('\\', "/");
    if let Some((_, inside)) = file.split_once("/library/").filter(|_| file.contains("rustc")) {
        return (Some((format!("std/{inside}"), line)), true);
    }
    for (folder, skipped) in LIBRARIES {
        if let Some((_, rest)) = file.split_once(folder) {
            let inside = rest.splitn(skipped + 1, '/').last().unwrap_or(rest);
            return (Some((inside.to_owned(), line)), true);
        }
    }
    (Some((file.trim_start_matches("./").to_owned(), line)), is_of_std)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_without_the_machine() {
        let place = |text: &str| placed(text, false);
        let at = |file: &str, line| Some((file.to_owned(), line));
        assert_eq!(place("./src/shop.rs:12:9"), (at("src/shop.rs", 12), false));
        assert_eq!(place("/home/me/app/src/shop.rs:12:9"), (at("/home/me/app/src/shop.rs", 12), false));
        let tokio =
            "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/time/sleep.rs:3:1";
        assert_eq!(place(tokio), (at("tokio-1.54.1/src/time/sleep.rs", 3), true));
        let git = "/root/.cargo/git/checkouts/shop-0123/4567/src/lib.rs:3:1";
        assert_eq!(place(git), (at("shop-0123/4567/src/lib.rs", 3), true));
        assert_eq!(
            place("/rustc/5980/library/core/src/future/mod.rs:7:2"),
            (at("std/core/src/future/mod.rs", 7), true)
        );
        assert_eq!(place("C:\\app\\src\\main.rs:7:2"), (at("C:/app/src/main.rs", 7), false));
        assert_eq!(place("nowhere"), (None, false));
    }

    #[test]
    fn what_has_no_names_is_empty_not_wrong() {
        assert_eq!(parse("disabled backtrace"), []);
        let frames =
            parse("   0: <unknown>\n   1: shop::pay::{{closure}}\n             at ./src/pay.rs:9:30\n");
        assert_eq!(
            frames.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["<unknown>", "shop::pay::{{closure}} at src/pay.rs:9"]
        );
    }
}
