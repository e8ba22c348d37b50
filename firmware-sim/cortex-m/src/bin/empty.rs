//! Nothing: what every image costs.
#![no_std]
#![no_main]

use halloo_cortex_m as _;

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    loop {
        core::hint::black_box(());
    }
}
