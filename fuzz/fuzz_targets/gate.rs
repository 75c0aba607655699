//! The strict gate, and the canonical form of paths.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iap_core::fuzzing::gate(data));
