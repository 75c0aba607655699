//! What a store says of itself.

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct StoreStats {
    /// The kind of store: `memory`, `redis`.
    pub backend: &'static str,
    /// Sessions that live.
    pub live: u64,
    /// Whether `live` was counted, not estimated from a sample.
    pub exact: bool,
    /// Bytes in use, as far as the store knows.
    pub bytes: Option<u64>,
    /// Sessions this process saw expire. A store that expires by itself reports 0.
    pub expired: u64,
    /// Sessions dropped by this process for want of room; see [`Pressure`] for what a server drops.
    pub evicted: u64,
}

/// How hard a store is pressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    /// The most commands that were under way at once since this was asked last: in the queue of the client, on the wire or
    /// at the server. `None` of a store without one.
    pub in_flight: Option<u64>,
    /// What was dropped for want of memory. A server counts from its own start, and all that it holds.
    pub dropped: u64,
}
