//! Who is behind proxies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iap_core::fuzzing::clients(data));
