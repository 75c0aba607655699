//! The configuration of the host, whose binary has no library: its module is compiled in here.
#![no_main]
#![allow(dead_code, unused_imports)] // Only its parser is asked.

#[path = "../../iap-host/src/config/mod.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|data: &[u8]| config::fuzzing::config(data));
