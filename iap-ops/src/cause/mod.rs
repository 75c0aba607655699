//! Root cause: what an incident is due to, how sure that is, and what would disprove it.
//!
//! | module | what |
//! |---|---|
//! | [`ranking`] | by metrics alone: the change point, and what changed most |
//! | [`topology`] | by who calls whom |

pub mod ranking;
pub mod topology;
