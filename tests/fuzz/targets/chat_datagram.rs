//! Devices and a hub over datagrams that get lost; then all is well, and all has to arrive.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::chat::datagram(data));
