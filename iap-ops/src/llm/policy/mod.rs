//! Who is asked for what, how often, and who is left alone for a while.

pub(super) mod breaker;
pub(super) mod budget;
