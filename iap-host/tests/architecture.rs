//! The invariants of ARCHITECTURE.md that can be read off the source.

use std::path::{Path, PathBuf};

/// Lines that a source file may have. Goes down, never up.
const MAX_FILE: usize = 400;
/// Lines that a function may have, its signature included. Goes down, never up.
const MAX_FUNCTION: usize = 70;

/// Who may depend on whom: every crate on those before it in its own list only.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("iap-core", &[]),
    ("iap-session", &["iap-core"]),
    ("iap-apm", &["iap-core"]),
    ("iap-ops", &["iap-core", "iap-session", "iap-apm"]),
    ("iap-host", &["iap-core", "iap-session", "iap-apm", "iap-ops"]),
];

/// What reaches outside the process: files, sockets, processes, the environment, the clock.
const IO: [&str; 9] = [
    "std::fs",
    "tokio::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::process",
    "std::env",
    "SystemTime",
    "tokio::net",
];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "node_modules" | ".git" | ".venv") {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(workspace(), &mut found);
    assert!(found.len() > 50, "the sources are where they were expected");
    found
}

#[test]
fn dependencies_point_one_way() {
    for (krate, allowed) in ALLOWED {
        let manifest = std::fs::read_to_string(workspace().join(krate).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
        for line in dependencies.lines().filter(|line| line.starts_with("iap-")) {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&name), "{krate} must not depend on {name}");
        }
    }
}

/// The lint refuses unsafe code where nobody allows it.
#[test]
fn unsafe_code_is_where_it_is_argued_for() {
    let mut allowing: Vec<_> = all_sources()
        .into_iter()
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("allow(unsafe_code"))
        .map(|file| file.strip_prefix(workspace()).unwrap().to_owned())
        .collect();
    allowing.retain(|file| !file.ends_with("architecture.rs"));
    allowing.sort();
    // The others are tests, which count what is allocated.
    let argued = [
        "iap-core/src/hooks/await_point/waker.rs",
        "iap-core/tests/idle_memory.rs",
        "tests/support/allocations.rs",
    ];
    assert_eq!(allowing, argued.map(PathBuf::from));
}

#[test]
fn configuration_does_no_io() {
    let mut files = Vec::new();
    sources(&workspace().join("iap-host/src/config"), &mut files);
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in IO {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}

#[test]
fn files_and_functions_stay_small() {
    let mut too_long = Vec::new();
    for file in all_sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(workspace()).unwrap().display().to_string();
        let count = text.lines().count();
        if count > MAX_FILE {
            too_long.push(format!("{name}: {count} lines"));
        }
        too_long.extend(long_functions(&text).map(|(line, length)| format!("{name}:{line}: {length} lines")));
    }
    assert!(too_long.is_empty(), "split these:\n{}", too_long.join("\n"));
}

/// Functions over the limit. The sources are formatted: a function ends with the first `}` at the
/// indentation of its `fn`.
fn long_functions(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let is_function = code
            .strip_prefix("pub ")
            .or_else(|| code.strip_prefix("pub(crate) "))
            .or_else(|| code.strip_prefix("pub(super) "))
            .unwrap_or(code)
            .trim_start_matches("const ")
            .trim_start_matches("async ")
            .starts_with("fn ");
        if !is_function || code.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[start..].iter().position(|line| *line == end).map_or(1, |length| length + 1);
        if length > MAX_FUNCTION {
            found.push((start + 1, length));
        }
    }
    found.into_iter()
}

#[test]
fn main_only_wires() {
    let text = std::fs::read_to_string(workspace().join("iap-host/src/main.rs")).unwrap();
    assert!(text.lines().count() < 60);
}
