//! The bytes below the parser, however they are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iap_core::fuzzing::scan(data));
