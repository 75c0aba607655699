//! Static files of a route: a directory, or a block with how it is served.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use iap_core::files::FilesSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TextOr;

/// A directory alone, or with settings.
pub(crate) type FilesRef = TextOr<FilesConfig>;

/// How a directory is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesConfig {
    pub(crate) root: PathBuf,
    /// The file that answers for a directory; null for none.
    #[serde(default = "index")]
    pub(crate) index: Option<String>,
    /// The file that answers navigations to paths that do not exist.
    #[serde(default)]
    pub(crate) fallback: Option<String>,
    /// Whether a directory without an index shows what is in it.
    #[serde(default)]
    pub(crate) listing: bool,
    /// Whether siblings named `.br`, `.zst` and `.gz` are sent to those who accept them.
    #[serde(default)]
    pub(crate) precompressed: bool,
    /// `Cache-Control` by pattern; the longest that fits wins.
    #[serde(default)]
    pub(crate) cache: BTreeMap<String, String>,
    /// Whether names that begin with a dot are served.
    #[serde(default)]
    pub(crate) dotfiles: bool,
}

fn index() -> Option<String> {
    FilesSettings::default().index
}

impl FilesRef {
    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Text(root) => Path::new(root),
            Self::Block(files) => &files.root,
        }
    }

    /// What the core is told.
    pub(crate) fn settings(&self) -> FilesSettings {
        let mut settings = FilesSettings::default();
        if let Self::Block(files) = self {
            settings.index.clone_from(&files.index);
            settings.fallback.clone_from(&files.fallback);
            settings.listing = files.listing;
            settings.precompressed = files.precompressed;
            settings.dotfiles = files.dotfiles;
            settings.cache = files.cache.clone().into_iter().collect();
        }
        settings
    }

    /// Everything that can be checked without a look at the directory.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.root().as_os_str().is_empty() {
            return Err("files: write the directory, like `files: www` or `files: {root: www}`".to_owned());
        }
        self.settings().check().map_err(|error| format!("files.{error}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn problem(files: &str) -> String {
        let text = format!("routes:\n  - name: www\n    files: {files}\n");
        match parse("iap.yaml", &text, &Default::default()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_path_and_a_block_say_the_same() {
        let read = |files: &str| {
            let text = format!("routes:\n  - name: www\n    files: {files}\n");
            let config = parse("iap.yaml", &text, &Default::default()).unwrap();
            config.routes[0].files.clone().unwrap()
        };
        let (text, block) = (read("www"), read("{root: www}"));
        assert_eq!((text.root(), text.settings()), (block.root(), block.settings()));
        let all = read(
            "{root: www, index: null, fallback: /app.html, listing: true, precompressed: true, dotfiles: true, \
             cache: {'*.js': max-age=60}}",
        );
        let settings = all.settings();
        assert_eq!((settings.index, settings.fallback.as_deref()), (None, Some("/app.html")));
        assert!(settings.listing && settings.precompressed && settings.dotfiles);
        assert_eq!(settings.cache, [("*.js".to_owned(), "max-age=60".to_owned())]);
    }

    #[test]
    fn errors_name_the_setting_and_the_remedy() {
        for (files, place, remedy) in [
            ("''", "iap.yaml:2:5: ", "write the directory"),
            ("{root: ''}", "iap.yaml:2:5: ", "write the directory"),
            ("{index: a.html}", "iap.yaml:3:13: ", "missing field `root`"),
            ("2024", "iap.yaml:3:5: ", "in quotes"),
            ("on", "iap.yaml:3:5: ", "in quotes"),
            ("{root: www, idnex: a}", "iap.yaml:3:24: ", "did you mean `index`?"),
            ("{root: www, index: a/b}", "iap.yaml:2:5: ", "files.index: `a/b` is not a file name"),
            ("{root: www, fallback: index.html}", "iap.yaml:2:5: ", "like /index.html"),
            (
                "{root: www, cache: {'a/*': no-cache}}",
                "iap.yaml:2:5: ",
                "files.cache: `a/*` is not a pattern",
            ),
            ("{root: www, cache: {'*': ''}}", "iap.yaml:2:5: ", "is not a Cache-Control"),
            ("{root: www, listing: maybe}", "iap.yaml:3:33: ", ""),
        ] {
            let error = problem(files);
            assert!(error.starts_with(place) && error.contains(remedy), "{files}: {error}");
        }
    }
}
