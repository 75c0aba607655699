//! What `INFO` says.

use std::collections::HashMap;

use fred::types::config::Server;

/// A section of `INFO`: lines of `name:value`.
pub(super) struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// The servers that follow: `slave0:ip=10.0.0.2,port=6379,state=online,offset=56,lag=0`. One that still
    /// takes the first copy of the data is not among them.
    pub(super) fn followers(&self) -> Vec<Server> {
        let follower = |line: &str| {
            let field =
                |name: &str| line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            let port = field("port")?.parse().ok()?;
            (field("state") == Some("online")).then(|| Server::new(field("ip").unwrap_or_default(), port))
        };
        let numbered = |name: &str| {
            name.strip_prefix("slave").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        let lines = self.0.iter().filter(|(name, _)| numbered(name));
        let mut servers: Vec<Server> = lines.filter_map(|(_, line)| follower(line)).collect();
        servers.retain(|server| !server.host.is_empty());
        servers.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
        servers
    }
}
