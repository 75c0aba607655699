//! A language model beside the assistant: a real server speaks each format, and misbehaves on order.

#[path = "../what_is_wrong/load.rs"]
#[expect(dead_code, reason = "shared with the other test")]
mod load;
mod misbehaving;
mod policy;
mod server;
mod speaking;
mod stage;
