//! The hub of `hub`, over datagrams; cookies and addresses are the board's.
#![no_std]
#![no_main]

use core::hint::black_box;
use embedded_io::{Read, Write};
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub::{Config, Conn, Hub, Member, Pending, Room, Storage, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::{Message, binary};
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
    let (mut frame, mut out) = ([0; 300], [0; 300]);
    let (mut ticks, mut conn) = (0, None);
    loop {
        ticks += 1000;
        let now = Instant::from_ticks(black_box(ticks));
        hub.handle_timeout(now);
        let Ok(len) = Pipe.read(&mut frame);
        let datagram = frame.get(..len).and_then(Header::decode);
        let Some((header, message)) = datagram else {
            continue;
        };
        if let Ok(decoded) = binary::decode(message) {
            match (&decoded.message, conn) {
                (Message::Hello(hello), _) => {
                    conn = hub.open_datagram(now, now, &header, hello).ok();
                }
                (message, Some(conn)) => {
                    let _ = hub.handle_datagram(now, conn, &header, message);
                }
                (_, None) => {}
            }
        }
        hub.commit_in_memory();
        while let Some(ready) = hub.poll_ready() {
            match hub.poll_transmit(now, ready, &mut out) {
                Transmit::Idle | Transmit::Stored(_) | Transmit::Entries(_) => {}
                Transmit::Message(len) => {
                    let _ = Pipe.write(out.get(..len).unwrap_or_default());
                }
                Transmit::Close => hub.handle_disconnected(now, ready),
            }
        }
    }
}
