//! The device of `client`, over datagrams.
#![no_std]
#![no_main]

use core::hint::black_box;
use halloo_core::chat::client::{Client, Config, From, outbox_bytes};
use halloo_core::frame::Datagram;
use halloo_core::link::{Link, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_cortex_m::Pipe;

const OUTBOX: usize = outbox_bytes(4, 64);
const RX: usize = rx_bytes::<Datagram>(256);
const TX: usize = tx_bytes::<Datagram>(64);

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let mut ticks = 0;
    if let Ok(config) = Config::new(black_box([7; 16]), black_box("sensor")) {
        let mut client = Client::<2, OUTBOX>::new(config);
        let mut link = Link::<Datagram, RX, TX>::new(Datagram::new(RX));
        let lab = client.join(black_box("lab"), From::Latest).unwrap_or(0);
        link.connect(&mut client, Instant::from_ticks(ticks), black_box(1));
        loop {
            ticks += 1000;
            let now = Instant::from_ticks(black_box(ticks));
            let _ = black_box(link.poll(&mut Pipe, &mut client, now));
            let _ = black_box(client.post(lab, black_box(b"21.5")));
        }
    }
    loop {}
}
