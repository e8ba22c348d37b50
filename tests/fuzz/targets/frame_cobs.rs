//! `Cobs` over any stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::framing::cobs(data));
