//! The device of `sensor`, as a task of an executor.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use embassy_executor::Executor;
use halloo_core::frame::Cobs;
use halloo_core::time::after;
use halloo_cortex_m as board;
use halloo_cortex_m::{Clock, Line, Sensor, Slots, State, Step};

board::port!(LINE: Uart0 as UART0, rx 128, tx 64);
board::retained!(STATE: State);

static EXECUTOR: Slots<Executor, 1> = Slots::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    board::bait();
    let (Some(clock), Some(sensor)) = (board::Clock::start(), Sensor::start(&STATE)) else {
        board::halt();
    };
    let [executor] = EXECUTOR.fill(Executor::new) else {
        board::halt();
    };
    executor.run(|spawner| {
        if let Ok(task) = run(clock, sensor) {
            spawner.spawn(task);
        }
    })
}

#[embassy_executor::task]
async fn run(mut clock: Clock, mut sensor: Sensor) -> ! {
    let mut uart = LINE.open();
    let mut link = Line::new(Cobs::new(256));
    loop {
        sensor.connect(&mut link, clock.now());
        let wait = loop {
            let now = clock.now();
            sensor.post(now);
            let timer = clock.until(sensor.due(&link, now));
            let output = link
                .next(&mut uart.rx, &mut uart.tx, sensor.client(), now, timer)
                .await;
            let step = match output {
                Ok(Some(output)) => sensor.handle(now, output),
                Ok(None) => Step::On,
                Err(_) => sensor.over(now),
            };
            match step {
                Step::On => {}
                Step::Wait(wait) => break wait,
                Step::Halt => board::halt(),
            }
        };
        let until = after(clock.now(), wait);
        clock.until(until).await;
    }
}
