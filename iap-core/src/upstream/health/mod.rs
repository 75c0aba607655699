//! Which servers are well.
//!
//! | file | holds |
//! |---|---|
//! | `check` | asking each server regularly |
//! | `ejection` | what the outcomes of requests say: outlier ejection and circuit breaker in one |

mod check;
mod ejection;

pub use check::HealthCheck;
pub(super) use check::watch;
pub(crate) use check::{is_expected, question};
pub use ejection::Ejection;
pub(super) use ejection::Outlier;
