//! Managed processes.
fn main() {}
