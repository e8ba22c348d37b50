//! A client in the tutorial's JSON at the hub, with any bytes in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::hub::tutorial::client(data));
