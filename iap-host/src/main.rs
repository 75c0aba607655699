//! The iap host.
mod config;
fn main() {
    let c = config::parse("x", "", &Default::default());
    let _ = c;
}
