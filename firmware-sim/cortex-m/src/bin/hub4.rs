//! The rooms for four members on one chip: two serial lines, a log of 2 KiB, two rooms.
//!
//! A line is a bus of datagrams: each of them names its session, so two members share one line, as
//! behind an RS-485 transceiver or a gateway, and each passes over what is of the other.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use embedded_io::{Read, ReadReady, Write, WriteReady};
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub::{Config, Conn, Hub, Line, Member, Pending, Room, Storage, Transmit};
use halloo_core::frame::{Cobs, Decoder, Framing};
use halloo_core::link::{rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_core::wire::{DeviceId, Message, binary};
use halloo_cortex_m as board;
use halloo_cortex_m::{Slots, info};

/// The largest body of a post, of which a room's kilobyte of log holds a dozen.
const BODY: usize = 64;
/// Every message that a device sends fits, and every one that goes out.
const RX: usize = rx_bytes::<Cobs>(160);
const TX: usize = tx_bytes::<Cobs>(BODY);

board::port!(FIRST: Uart0 as UART0, rx 256, tx 128);
board::port!(SECOND: Uart1 as UART1, rx 256, tx 128);
board::retained!(SEED: u64);

static CONNS: Slots<Conn, 5> = Slots::new();
static MEMBERS: Slots<Member, 8> = Slots::new();
static ROOMS: Slots<Room, 2> = Slots::new();
static BYTES: Slots<u8, 2048> = Slots::new();
static INDEX: Slots<[u32; 4], 32> = Slots::new();
static PENDING: Slots<Pending, 4> = Slots::new();
static BUSES: Slots<Bus, 2> = Slots::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    board::bait();
    let (Some(mut clock), Some(mut seed)) = (board::Clock::start(), SEED.take(|noise| noise))
    else {
        board::halt();
    };
    // Another one at each start. A board with a source of randomness asks that.
    *seed = seed
        .wrapping_mul(0x5851_f42d_4c95_7f2d)
        .wrapping_add(0x1405_7b7e_f767_814f);
    seed.keep();
    let storage = Storage {
        conns: CONNS.fill(|| Conn::FREE),
        members: MEMBERS.fill(|| Member::FREE),
        rooms: ROOMS.fill(|| Room::FREE),
        bytes: BYTES.fill(|| 0),
        index: INDEX.fill(|| [0; 4]),
        pending: PENDING.fill(|| Pending::FREE),
    };
    let [high, low] = [(*seed >> 32) as u32, *seed as u32];
    let mut config = Config::new(*seed, [high, low, !high, !low], *seed);
    config.max_body = BODY as u16;
    let mut hub = Hub::new(config, storage);
    let (mut first, mut second) = (FIRST.open(), SECOND.open());
    let [on_first, on_second] = BUSES.fill(Bus::new) else {
        board::halt();
    };
    info!("hub: two lines, two members on each");
    loop {
        let now = clock.now();
        hub.handle_timeout(now);
        let mut is_busy = on_first.turn(&mut first, &mut hub, now);
        is_busy |= on_second.turn(&mut second, &mut hub, now);
        if !is_busy {
            board::sleep_while(|| !first.rx.is_ready() && !second.rx.is_ready());
        }
    }
}

/// A line with two members: what came of a frame, what is left of one to send, who is there.
struct Bus {
    decoder: Decoder<Cobs, RX>,
    out: [u8; TX],
    start: usize,
    end: usize,
    seats: [Seat; 2],
}

#[derive(Clone, Copy)]
struct Seat {
    line: Line,
    device: DeviceId,
}

impl Bus {
    fn new() -> Self {
        Self {
            decoder: Decoder::new(Cobs::new(RX)),
            out: [0; TX],
            start: 0,
            end: 0,
            seats: [Seat {
                line: Line::new(),
                device: [0; 16],
            }; 2],
        }
    }

    /// Takes a frame of what came, or reads more, and writes as much as the line takes; whether there was
    /// something to do.
    fn turn<IO>(&mut self, io: &mut IO, hub: &mut Hub<'_>, now: Instant) -> bool
    where
        IO: Read + Write + ReadReady + WriteReady,
    {
        let mut is_busy = false;
        // What is sent next may be an answer: so nothing is taken before what is there is out.
        if self.is_sent(io) {
            is_busy |= self.take(hub, now) || self.receive(io);
        }
        hub.commit_in_memory();
        while self.is_sent(io) && self.fill(hub, now) {
            is_busy = true;
        }
        is_busy
    }

    /// Reads what is there; whether something was.
    fn receive<IO: Read + ReadReady>(&mut self, io: &mut IO) -> bool {
        let is_ready = matches!(io.read_ready(), Ok(true));
        if is_ready && let Ok(len) = io.read(self.decoder.room()) {
            self.decoder.commit(len);
        }
        is_ready
    }

    /// Takes a frame; whether there was one, or noise, which is as good as lost.
    #[inline(never)]
    fn take(&mut self, hub: &mut Hub<'_>, now: Instant) -> bool {
        let frame = match self.decoder.poll_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return false,
            Err(_) => return true,
        };
        let datagram = self.decoder.bytes(frame);
        let Some(seat) = seat_of(&mut self.seats, hub, datagram) else {
            return true;
        };
        let room = self.out.get_mut(Cobs::HEADER..).unwrap_or_default();
        // A post that the hub cannot take now comes again.
        if let Ok(len @ 1..) = seat.line.handle_datagram(hub, now, datagram, room) {
            self.seal(len);
        }
        true
    }

    /// Has the next datagram of a member ready to be sent; whether there is one.
    fn fill(&mut self, hub: &mut Hub<'_>, now: Instant) -> bool {
        // The other one is first the next time.
        self.seats.rotate_left(1);
        for seat in &mut self.seats {
            let Some(conn) = seat.line.conn() else {
                continue;
            };
            let room = self.out.get_mut(Cobs::HEADER..).unwrap_or_default();
            match hub.poll_datagram(now, conn, room) {
                Transmit::Message(len) => {
                    self.seal(len);
                    return true;
                }
                Transmit::Close => seat.line.hang_up(hub, now),
                // Of hubs that have streams, or a store.
                Transmit::Idle | Transmit::Entries(_) | Transmit::Stored(_) => {}
            }
        }
        false
    }

    fn seal(&mut self, len: usize) {
        self.start = 0;
        self.end = Cobs::new(TX).seal(&mut self.out, len).unwrap_or(0);
    }

    /// Writes what the line takes; whether nothing is left.
    fn is_sent<IO: Write + WriteReady>(&mut self, io: &mut IO) -> bool {
        while let Some(bytes @ [_, ..]) = self.out.get(self.start..self.end) {
            if !matches!(io.write_ready(), Ok(true)) {
                return false;
            }
            let written = io.write(bytes).unwrap_or(bytes.len());
            self.start = self.start.saturating_add(written);
        }
        true
    }
}

/// Whose datagram it is: that of the seat with its session, and a `Hello`, of the seat that its device
/// had, or of one that is free.
fn seat_of<'s>(seats: &'s mut [Seat; 2], hub: &Hub<'_>, datagram: &[u8]) -> Option<&'s mut Seat> {
    let (header, message) = Header::decode(datagram)?;
    let hello = match binary::decode_from_device(message).ok()?.message {
        Message::Hello(hello) => Some(hello.device),
        _ => None,
    };
    let is_free = |seat: &Seat| seat.line.conn().is_none();
    let wanted = |seat: &Seat| match hello {
        Some(device) => seat.device == device,
        None => seat.line.conn().and_then(|conn| hub.session(conn)) == Some(header.session),
    };
    // What is of no session, any seat answers.
    let at = seats
        .iter()
        .position(wanted)
        .or_else(|| seats.iter().position(is_free))
        .or(hello.is_none().then_some(0))?;
    let seat = seats.get_mut(at)?;
    if let Some(device) = hello {
        seat.device = device;
    }
    Some(seat)
}
