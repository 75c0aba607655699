//! Detection: is something otherwise than usual, since when, and which incident does it belong to. Without I/O: a host feeds it.
//!
//! | module | what |
//! |---|---|
//! | [`rule`] | what a series measures, and what matters |
//! | [`series`] | one series: what is expected, and events |
//! | [`growth`] | what only grows: a leak |
//! | [`monitor`] | many series |
//! | [`novelty`] | lines that were never logged before |
//! | [`incident`] | events that belong together |
//! | [`mod@story`] | an incident in words |

pub mod growth;
pub mod incident;
pub mod monitor;
pub mod novelty;
pub(crate) mod robust;
pub mod rule;
mod season;
pub mod series;
pub mod story;

pub use growth::{Grower, Growth};
pub use incident::{Ack, AckError, Incident, IncidentState, Incidents, Severity, Signal};
pub use monitor::{Alert, Changes, Entity, Monitor, Sample, SeriesKey};
pub use novelty::Templates;
pub use rule::{Direction, Measure};
pub use series::{Detector, Judgement};
pub use story::{Story, story};
