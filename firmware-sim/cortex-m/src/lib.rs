//! A board for the images: an LM3S6965, as QEMU's `lm3s6965evb` has it.
//!
//! Knows registers, interrupts and memory, and is the only place with `unsafe`. Does not know what is
//! said over its lines. The images are programs of safe code over it: a loop that polls, posts, and
//! sleeps until an interrupt has something for it.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

#[cfg(feature = "defmt")]
use defmt_semihosting as _;

mod board;
mod log;
mod sensor;

pub use board::clock::Clock;
pub use board::retained::{Kept, Retained};
pub use board::slots::Slots;
pub use board::stopwatch::Stopwatch;
pub use board::uart::{Port, Rx, Tx, Uart, Uart0, Uart1, Uart2};
pub use board::{halt, sleep_while};
pub use sensor::{Line, Sensor, State, Step};

/// A UART of this image: a static of this name, with rings of so many bytes, and its interrupt.
#[macro_export]
macro_rules! port {
    ($name:ident: $uart:ident as $irq:ident, rx $rx:literal, tx $tx:literal) => {
        static $name: $crate::Port<$crate::$uart, $rx, $tx> = $crate::Port::new();

        const _: () = {
            #[unsafe(export_name = stringify!($irq))]
            extern "C" fn on_interrupt() {
                $name.on_interrupt();
            }
        };
    };
}

/// What a reset spares: a static of this name.
#[macro_export]
macro_rules! retained {
    ($name:ident: $what:ty) => {
        #[unsafe(link_section = ".uninit.retained")]
        static $name: $crate::Retained<$what> = $crate::Retained::new();
    };
}

/// Stops the board. Only the images with the feature `panics` link it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    halt()
}

/// A panic that can be reached, for the check that finds such; nothing without the feature `panics`.
pub fn bait() {
    #[cfg(feature = "panics")]
    {
        #[allow(clippy::unwrap_used)]
        let _ = core::hint::black_box(Some(0_u8)).unwrap();
    }
}
