//! The iap host.
fn main() {}
