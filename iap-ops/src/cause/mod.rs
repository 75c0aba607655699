//! Root cause: what an incident is due to, how sure that is, and what would disprove it.
//!
//! | module | what |
//! |---|---|
//! | [`ranking`] | by metrics alone: the change point, and what changed most |
//! | [`topology`] | by who calls whom |
//! | `traces` | by traces: failing against passing, slow against usual |
//! | `parameters` | with which kind of values a statement is to blame |
//! | `runtime` | inside a process: pauses, memory, event loops |
//! | `explain` | all together, for one event |

mod explain;
mod found;
mod parameters;
pub mod ranking;
mod runtime;
pub mod topology;
mod traces;

pub use explain::explain;
pub use found::{Candidate, CauseKind, Evidence, Impact, RootCause};
pub use parameters::Parameter;
