//! What the images share: a pipe that the optimiser cannot see through, and the panic handler.
#![no_std]

use core::hint::black_box;
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

/// A byte pipe of unknown behaviour: it stands for a board's UART where only sizes count.
#[derive(Debug)]
pub struct Pipe;

impl ErrorType for Pipe {
    type Error = core::convert::Infallible;
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(black_box(buf).len())
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        Ok(black_box(buf).len())
    }
    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl ReadReady for Pipe {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(black_box(true))
    }
}

impl WriteReady for Pipe {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(black_box(true))
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
