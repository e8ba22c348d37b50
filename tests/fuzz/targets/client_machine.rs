//! The device's machine under any calls, with a hub that lies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::client::machine(data));
