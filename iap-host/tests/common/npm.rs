//! Programs in JavaScript with packages of npm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::workspace;

/// The files of `source`, a directory below the workspace, with what they need from npm: in a directory below `target/`.
pub fn npm_project(source: &str, name: &str) -> PathBuf {
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        assert!(
            found.is_ok_and(|status| status.success()),
            "{program} is missing: install the package {package}"
        );
    }
    let (source, place) = (workspace().join(source), workspace().join("target").join(name));
    std::fs::create_dir_all(&place).unwrap();
    // Written last by npm: what was broken off is begun anew.
    let installed = |place: &Path| std::fs::read(place.join("package-lock.json")).ok();
    let fresh =
        installed(&source) == installed(&place) && place.join("node_modules/.package-lock.json").exists();
    for entry in std::fs::read_dir(source).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
        }
    }
    if !fresh {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        assert!(npm.current_dir(&place).status().unwrap().success(), "npm ci failed");
    }
    place
}
