//! An application in a JVM, for faults that only one can have. It is started by the host as any managed process, where there is a
//! JDK, and its faults are switched by files.

use std::io;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::config::{Config, RouteConfig};

const SOURCE: &str = include_str!("Stock.java");
/// The name of the route, and so of the process.
const NAME: &str = "stock";
/// What the JVM is told: a small heap fills soon, and pauses of this collector are seen whatever the machine is.
const OPTIONS: [&str; 3] = ["-Xmx128m", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=1"];

/// The directory of the program and of its switches; they go with it.
#[derive(Debug)]
pub(super) struct Stock(TempDir);

impl Stock {
    /// Adds the application to the configuration; `None` where no JDK is found.
    pub(super) fn add(config: &mut Config) -> io::Result<Option<Self>> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|directory| directory.join("javac").is_file()) {
            return Ok(None);
        }
        let directory = tempfile::Builder::new().prefix("iap-demo-").tempdir()?;
        let source = directory.path().join("Stock.java");
        std::fs::write(&source, SOURCE)?;
        let mut command = vec!["java".to_owned()];
        command.extend(OPTIONS.map(str::to_owned));
        command.extend([text(&source), "{port}".to_owned(), text(directory.path())]);
        let process = json!({ "command": command, "start_timeout": "10s" });
        config.routes.push(RouteConfig {
            name: NAME.into(),
            path: format!("/{NAME}"),
            process: Some(serde_json::from_value(process).expect("all else has defaults")),
            ..RouteConfig::default()
        });
        Ok(Some(Self(directory)))
    }

    /// Switches a fault on or off.
    pub(super) fn switch(&self, fault: &str, on: bool) -> io::Result<()> {
        let file = self.0.path().join(fault);
        match (on, file.exists()) {
            (true, _) => std::fs::write(file, ""),
            (false, true) => std::fs::remove_file(file),
            (false, false) => Ok(()),
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
