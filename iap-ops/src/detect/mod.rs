//! Detection: is something otherwise than usual, since when, and which incident does it belong to. Without I/O: a host feeds it.
//!
//! | module | what |
//! |---|---|
//! | [`series`] | one series: what is expected, and events |

pub(crate) mod robust;
pub mod rule;
mod season;
pub mod series;

pub use rule::{Direction, Measure};
pub use series::{Detector, Judgement};
