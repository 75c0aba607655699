//! A real browser: chromium, driven by the scripts of `browser`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::workspace;

/// Debian's place, as in the list of packages that `make test-tools` installs.
pub const CHROMIUM: &str = "/usr/bin/chromium";

/// The scripts and their driver, in a directory below `target/`.
pub fn prepare_driver() -> PathBuf {
    assert!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is missing: install the package chromium");
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        assert!(
            found.is_ok_and(|status| status.success()),
            "{program} is missing: install the package {package}"
        );
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let place = workspace().join("target/browser-test");
    std::fs::create_dir_all(&place).unwrap();
    let lock = "package-lock.json";
    let fresh = std::fs::read(place.join(lock)).ok() == std::fs::read(source.join(lock)).ok();
    for entry in std::fs::read_dir(source).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
        }
    }
    if !(fresh && place.join("node_modules/playwright-core").exists()) {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        assert!(npm.current_dir(&place).status().unwrap().success(), "npm ci failed");
    }
    place
}
