//! What stands in front of a datagram, and the cookies of the hub.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::datagram::header_and_cookie(data));
