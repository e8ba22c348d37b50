//! The rooms for four members on one chip: a 2 KiB log, two rooms, one byte pipe.
#![no_std]
#![no_main]

use core::hint::black_box;
use embedded_io::{Read, Write};
use halloo_core::chat::hub::{Config, Conn, Hub, Member, Pending, Room, Storage, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::{MAX_CONTROL, binary};
use halloo_cortex_m::Pipe;

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let mut conns = [const { Conn::FREE }; 4];
    let mut members = [const { Member::FREE }; 8];
    let mut rooms = [const { Room::FREE }; 2];
    let mut bytes = [0; 2048];
    let mut index = [[0; 4]; 32];
    let mut pending = [Pending::FREE; 4];
    let storage = Storage {
        conns: &mut conns,
        members: &mut members,
        rooms: &mut rooms,
        bytes: &mut bytes,
        index: &mut index,
        pending: &mut pending,
    };
    let mut hub = Hub::new(
        Config::new(black_box(1), black_box([2; 4]), black_box(3)),
        storage,
    );
    let (mut frame, mut out) = ([0; 256], [0; MAX_CONTROL]);
    let mut ticks = 0;
    loop {
        ticks += 1000;
        let now = Instant::from_ticks(black_box(ticks));
        hub.handle_timeout(now);
        let Ok(conn) = hub.connect(now) else {
            continue;
        };
        let Ok(len) = Pipe.read(&mut frame);
        match frame.get(..len).map(binary::decode) {
            Some(Ok(decoded)) => {
                let _ = hub.handle_message(now, conn, &decoded.message);
            }
            Some(Err(error)) => hub.handle_bad_frame(now, conn, error.code()),
            None => {}
        }
        hub.commit_in_memory();
        while let Some(ready) = hub.poll_ready() {
            match hub.poll_transmit(now, ready, &mut out) {
                Transmit::Idle | Transmit::Stored(_) => {}
                Transmit::Message(len) => {
                    let _ = Pipe.write(out.get(..len).unwrap_or_default());
                }
                Transmit::Entries(entries) => {
                    let (sent, Ok(written)) = (entries.sent, Pipe.write(entries.head));
                    let rest = hub.handle_sent(now, ready, sent, written);
                    let _ = Pipe.write(rest);
                }
                Transmit::Close => hub.handle_disconnected(now, ready),
            }
        }
    }
}
