//! The binary layout: any bytes, any messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::wire::binary(data));
