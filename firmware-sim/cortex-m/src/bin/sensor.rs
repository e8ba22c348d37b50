//! A device over a serial line: a loop that polls, posts and sleeps, without an operating system.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use halloo_core::frame::Cobs;
use halloo_core::time::after;
use halloo_cortex_m as board;
use halloo_cortex_m::{Line, Sensor, Slots, State, Step};

board::port!(LINE: Uart0 as UART0, rx 128, tx 64);
board::retained!(STATE: State);

static LINK: Slots<Line, 1> = Slots::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    board::bait();
    let (Some(mut clock), Some(mut sensor)) = (board::Clock::start(), Sensor::start(&STATE)) else {
        board::halt();
    };
    let [link] = LINK.fill(|| Line::new(Cobs::new(256))) else {
        board::halt();
    };
    let mut uart = LINE.open();
    loop {
        sensor.connect(link, clock.now());
        let wait = loop {
            let now = clock.now();
            let step = match link.poll(&mut uart, sensor.client(), now) {
                Ok(output) => sensor.handle(now, output),
                Err(nb::Error::Other(_)) => sensor.over(now),
                Err(nb::Error::WouldBlock) => {
                    if !sensor.post(now) && !link.is_cut_short() {
                        uart.sleep();
                    }
                    Step::On
                }
            };
            match step {
                Step::On => {}
                Step::Wait(wait) => break wait,
                Step::Halt => board::halt(),
            }
        };
        let until = after(clock.now(), wait);
        while clock.now() < until {
            board::sleep_while(|| true);
        }
    }
}
