//! A real browser: chromium, driven by the scripts of `browser`.

use std::path::{Path, PathBuf};

use super::npm::npm_project;

/// Debian's place, as in the list of packages that `make test-tools` installs.
pub const CHROMIUM: &str = "/usr/bin/chromium";

/// The scripts and their driver, in a directory below `target/`.
pub fn prepare_driver() -> PathBuf {
    assert!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is missing: install the package chromium");
    npm_project("iap-host/tests/browser", "browser-test")
}
