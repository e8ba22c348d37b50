//! Sends back whatever comes, byte for byte.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use embedded_io::{Read, Write};
use halloo_core::echo::{Mode, Responder};
use halloo_cortex_m as board;

board::port!(LINE: Uart0 as UART0, rx 128, tx 128);

#[cortex_m_rt::entry]
fn main() -> ! {
    board::bait();
    let _clock = board::Clock::start();
    let mut uart = LINE.open();
    let mut responder = Responder::new(Mode::Verbatim);
    let mut buf = [0; 64];
    loop {
        let Ok(len) = uart.read(&mut buf);
        let read = buf.get(..len).unwrap_or_default();
        let Some(mut reply) = responder.handle_bytes(read) else {
            board::halt();
        };
        while !reply.is_empty() {
            let piece = match reply.prefix {
                [] => reply.body,
                prefix => prefix,
            };
            // Not `write_all`: it panics at a write of nothing.
            let Ok(sent) = uart.write(piece);
            reply = reply.after(sent);
        }
    }
}
