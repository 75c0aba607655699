//! The other questions over a real history with a made-up load; and of every answer, that its numbers are known.

mod answers;
mod conversation;
mod grounded;
#[path = "../what_is_wrong/load.rs"]
#[expect(dead_code, reason = "shared with the other test")]
mod load;
mod reports;
mod shop;
