//! Alerts over a real history, and those who are told of them over real connections.

#[path = "../what_is_wrong/load.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod load;
mod rules;
mod told;
