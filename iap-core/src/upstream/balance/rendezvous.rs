//! The same server for the same key: of all servers the one with the highest score for it.
//!
//! No table has to be built or kept; when a server leaves, only its own keys move. Source: Thaler and
//! Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998; weights by logarithms.

use std::sync::Arc;

use super::super::server::Server;
use super::mix;

pub(super) fn pick(servers: &[Arc<Server>], key: u64, eligible: impl Fn(usize) -> bool) -> Option<usize> {
    let scored = servers.iter().enumerate().map(|(index, server)| (index, score(key, server)));
    let open = scored.filter(|(index, _)| eligible(*index));
    open.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
}

fn score(key: u64, server: &Server) -> f64 {
    // From 53 bits, above 0 and below 1.
    let unit = ((mix(key ^ server.id) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(server.weight()) / unit.ln()
}
