//! The hub's machine under any calls, with devices that lie, crashes, and commits in any portion.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::hub::machine(data));
