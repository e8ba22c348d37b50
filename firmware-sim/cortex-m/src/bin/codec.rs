//! The binary codec alone: every message decoded and encoded again.
#![no_std]
#![no_main]

use core::hint::black_box;
use halloo_core::wire::binary::{decode, encode};
use halloo_cortex_m as _;

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let frame = [0; 256];
    let mut out = [0; 256];
    loop {
        if let Ok(decoded) = decode(black_box(&frame[..])) {
            let _ = black_box(encode(&decoded.message, black_box(&mut out)));
        }
    }
}
