//! Builds the console, when npm is there, into `OUT_DIR/console`; else a page that says how.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

const SOURCES: [&str; 6] =
    ["src", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"];

fn main() {
    let console = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("console");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("console");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", console.join(source).display());
    }
    println!("cargo:rerun-if-env-changed=IAP_SKIP_CONSOLE");
    let built = if env::var_os("IAP_SKIP_CONSOLE").is_some() {
        Err("IAP_SKIP_CONSOLE is set".to_owned())
    } else {
        build(&console, &out)
    };
    if let Err(reason) = built {
        println!("cargo:warning=the console was not built ({reason}); the host serves a plain page instead");
        plain_page(&out, &reason).expect("OUT_DIR is writable");
    }
}

/// Builds in a copy below `OUT_DIR`: a build script must not write into the source tree.
fn build(console: &Path, out: &Path) -> Result<(), String> {
    let work = out.with_file_name("console-build");
    for source in SOURCES {
        copy(&console.join(source), &work.join(source)).map_err(|error| format!("{source}: {error}"))?;
    }
    npm(&work, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    npm(&work, &["run", "build", "--silent"])?;
    let _ = fs::remove_dir_all(out);
    copy(&work.join("dist"), out).map_err(|error| format!("dist: {error}"))
}

fn npm(directory: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(arguments).current_dir(directory).output();
    let output = output.map_err(|error| format!("npm: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Err(format!("npm {}: {}", arguments[0], text.lines().take(5).collect::<Vec<_>>().join(" / ")))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        // What was removed from the source must not linger in the copy.
        let _ = fs::remove_dir_all(to);
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        Ok(())
    } else {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::copy(from, to).map(drop)
    }
}

fn plain_page(out: &Path, reason: &str) -> io::Result<()> {
    fs::create_dir_all(out)?;
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;");
    fs::write(
        out.join("index.html"),
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <title>iap</title><style>body{{font:16px system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}}</style>\
             <h1>The console is not in this build</h1><p>The platform runs; only its web pages are missing: {reason}.</p>\
             <p>Install Node.js 20 or later with npm and build again: <code>cargo build -p iap-host</code>.</p>\
             <p>Until then: <a href=/api/status>/api/status</a>, <a href=/api/live>/api/live</a>, \
             <a href=/api/transactions>/api/transactions</a>, <a href=/metrics>/metrics</a>.</p></html>"
        ),
    )
}
