//! What two instances of one file may not share: identities; and on one machine listeners, and directories that only one process
//! may write.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use super::file::{Document, Instance, Reach};
use super::{Wrong, wrong};
use crate::config::Config;

/// Where a configuration listens, by the setting that says so.
pub(crate) fn listeners(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let mut addresses = vec![("server.listen", config.server.listen), ("admin.listen", config.admin.listen)];
    addresses.extend(config.server.tls.iter().map(|tls| ("server.tls.listen", tls.listen)));
    addresses.extend(config.sessions.enabled.then_some(("sessions.api", config.sessions.api)));
    addresses.extend(config.apm.enabled.then_some(("apm.otlp", config.apm.otlp)));
    addresses
}

/// Whether two listeners would fight for a port: the same address, or one of them on all addresses.
pub(crate) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let all = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && (all || a.ip() == b.ip())
}

/// Directories and files that only one process may write, by the setting that says so.
pub(crate) fn own_directories(config: &Config) -> Vec<(&'static str, &Path)> {
    let revisions = config.admin.revisions.directory.as_deref();
    let access = config.admin.access.as_ref().map(|access| access.directory.as_path());
    let all = [
        ("reports.directory", Some(config.reports.directory.as_path())),
        ("apm.history", config.apm.history.as_deref().filter(|_| config.apm.enabled)),
        ("admin.revisions.directory", revisions),
        ("admin.access.directory", access),
        ("sessions.snapshot", config.sessions.snapshot.as_deref()),
    ];
    all.into_iter().filter_map(|(setting, path)| Some((setting, path?))).collect()
}

/// The machine that an instance is on: empty for this one.
fn machine(reach: &Reach) -> String {
    let uri = reach.url.as_ref().and_then(|url| url.parse::<http::Uri>().ok());
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if host == "localhost" || is_loopback { String::new() } else { host }
}

/// Whether an instance is on the machine of those that say nothing else.
pub(crate) fn is_here(instance: &Instance) -> bool {
    machine(&instance.admin).is_empty()
}

/// Refuses instances that would be in each other's way.
pub(in crate::config) fn check(document: &Document, all: &[(&Instance, Config)]) -> Result<(), Wrong> {
    let mut ids = BTreeMap::new();
    for (instance, _) in all {
        if let Some(other) = ids.insert(&instance.id, &instance.name) {
            let text = format!(
                "instances `{other}` and `{}` have the same id: give it a UUID of its own",
                instance.name
            );
            return wrong(instance.place, text);
        }
    }
    for (index, (second, its)) in all.iter().enumerate() {
        for (first, theirs) in &all[..index] {
            if machine(&first.admin) == machine(&second.admin) {
                apart(document, (first, theirs), (second, its))?;
            }
        }
    }
    Ok(())
}

fn apart(
    document: &Document,
    (first, theirs): (&Instance, &Config),
    (second, its): (&Instance, &Config),
) -> Result<(), Wrong> {
    let names = format!("instances `{}` and `{}`", first.name, second.name);
    for (setting, address) in listeners(its) {
        let Some((other, at)) = listeners(theirs).into_iter().find(|(_, other)| overlap(*other, address))
        else {
            continue;
        };
        let (port, own) =
            (at.port(), if other == setting { String::new() } else { format!(", as {other} there") });
        let text =
            format!("{names} both listen on port {port}: give `{}` another {setting}{own}", second.name);
        return wrong(document.place_of(second, setting), text);
    }
    for (setting, path) in own_directories(its) {
        let is_same = |(_, other): &(&str, &Path)| plain(other) == plain(path);
        if let Some((other, _)) = own_directories(theirs).into_iter().find(is_same) {
            let text = format!(
                "{names} both write {}, by {other}: give `{}` another {setting}, like data/{}/{}",
                path.display(),
                second.name,
                second.name,
                path.file_name().unwrap_or_default().display(),
            );
            return wrong(document.place_of(second, setting), text);
        }
    }
    Ok(())
}

/// Without steps that lead nowhere. Looks at the path alone.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}
