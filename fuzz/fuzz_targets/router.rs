//! The route table, against a search through all routes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iap_core::fuzzing::router(data));
