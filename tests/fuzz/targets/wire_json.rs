//! The JSON encoding: any bytes, any messages, and serde_json as the judge of syntax.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::wire::json(data));
