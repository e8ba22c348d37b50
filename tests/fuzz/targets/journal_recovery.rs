//! A journal on a disk that crashes and rots.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| halloo_fuzz::journal::recovery(data));
