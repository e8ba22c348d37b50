//! A device over a serial line: a loop that polls, posts and sleeps, without an operating system.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use halloo_core::frame::Cobs;
use halloo_core::time::after;
use halloo_cortex_m as board;
use halloo_cortex_m::{Line, Sensor, State, Step};

board::port!(LINE: Uart0 as UART0, rx 256, tx 128);
board::retained!(STATE: State);

#[cortex_m_rt::entry]
fn main() -> ! {
    board::bait();
    let (Some(mut clock), Some(kept)) = (board::Clock::start(), STATE.take(State::new)) else {
        board::halt();
    };
    let mut uart = LINE.open();
    let mut link = Line::new(Cobs::new(256));
    let mut sensor = Sensor::new(kept);
    loop {
        sensor.connect(&mut link, clock.now());
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
            if let Step::Wait(wait) = step {
                break wait;
            }
        };
        let until = after(clock.now(), wait);
        while clock.now() < until {
            board::sleep_while(|| true);
        }
    }
}
