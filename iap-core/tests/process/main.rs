//! Managed processes, with real ones: Python and shells.
//!
//! The main is ours: a program with managed processes calls the guard first.

mod app;
mod end;
mod output;
mod serve;

use libtest_mimic::{Arguments, Trial};

fn main() {
    iap_core::process::guard();
    let arguments = Arguments::from_args();
    let tests: Vec<(&str, fn())> = [serve::TESTS, end::TESTS, output::TESTS].concat();
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit();
}
