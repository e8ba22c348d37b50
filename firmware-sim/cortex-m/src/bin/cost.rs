//! What each kind of message costs a device, in instructions: from the bytes in the receive ring to the
//! application, and from the application to the bytes in the send ring, framing and check included.
//!
//! For QEMU with `-icount shift=0`. The figures go out by defmt.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use halloo_core::chat::client::{Cause, Config, Event, From, PostError, outbox_bytes};
use halloo_core::chat::datagram::{HEADER, Header};
use halloo_core::chat::{Backoff, Client, hub};
use halloo_core::echo::{Mode, Responder};
use halloo_core::frame::{Cobs, FrameError, Framing};
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::time::{Instant, after, millis};
use halloo_core::wire::{
    ByeReason, Entry, Gap, GapReason, Joined, Lineage, Message, Notice, NoticeKind, Welcome,
    WireError, binary,
};
use halloo_cortex_m as board;
use halloo_cortex_m::Stopwatch;

/// How often each is done; the figure is the mean.
const ROUNDS: u32 = 32;
/// An instruction takes 1 ns, a tick of the clock after a reset 80.
const INSTRUCTIONS_PER_TICK: u32 = 80;
const NONCE: u64 = 0x1234_5678_9abc_def0;
const SESSION: u64 = 0x0fed_cba9_8765_4321;
const BODY: [u8; 16] = *b"21.5 C at 12:34 ";

type Line = Link<Cobs, { rx_bytes::<Cobs>(256) }, { tx_bytes::<Cobs>(32) }>;
type Device = Client<2, { outbox_bytes(4, 32) }>;

/// A line in memory: one frame to the device, and a count of those from it.
struct Pipe {
    frame: [u8; 300],
    at: usize,
    end: usize,
    /// How many datagrams have come and gone.
    told: u32,
    said: u32,
}

impl Pipe {
    /// Puts a message of the hub's on the line.
    fn tell(&mut self, message: &Message<'_>) {
        let session = match message {
            Message::Welcome(_) => NONCE,
            _ => SESSION,
        };
        self.told = self.told.wrapping_add(1);
        let header = Header {
            session,
            number: self.told,
            seen: self.said,
        };
        let payload = self.frame.get_mut(Cobs::HEADER..).unwrap_or_default();
        let (head, rest) = payload.split_at_mut(HEADER);
        head.copy_from_slice(&header.encode());
        let len = binary::encode(message, rest).unwrap_or(0);
        self.at = 0;
        self.end = Cobs::new(256)
            .seal(&mut self.frame, HEADER.wrapping_add(len))
            .unwrap_or(0);
    }
}

impl ErrorType for Pipe {
    type Error = Infallible;
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let rest = self.frame.get(self.at..self.end).unwrap_or_default();
        let len = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.wrapping_add(len);
        Ok(len)
    }
}

impl ReadReady for Pipe {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.at < self.end)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        self.said = self.said.wrapping_add(1);
        Ok(core::hint::black_box(buf).len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl WriteReady for Pipe {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

struct Bench {
    watch: Stopwatch,
    pipe: Pipe,
    line: Line,
    client: Device,
    now: Instant,
}

impl Bench {
    /// Polls until there is nothing more; what it took, and whether the wanted thing was among it.
    fn poll(&mut self, is_wanted: impl Fn(&Output<'_>) -> bool) -> (u32, bool) {
        let (mut sum, mut is_found) = (0, false);
        loop {
            let now = self.now;
            let (line, pipe, client) = (&mut self.line, &mut self.pipe, &mut self.client);
            let (ticks, polled) = self.watch.ticks(|| line.poll(pipe, client, now));
            sum += ticks;
            match polled {
                Ok(output) => is_found |= is_wanted(&output),
                Err(_) => return (sum, is_found),
            }
        }
    }

    fn tell(&mut self, message: &Message<'_>, is_wanted: impl Fn(&Output<'_>) -> bool) -> u32 {
        self.pipe.tell(message);
        let (ticks, is_found) = self.poll(is_wanted);
        if !is_found {
            defmt::error!("no answer to {}", message);
        }
        ticks
    }
}

/// Each type that somebody looks for in a log, as it prints.
fn print(bench: &Bench, welcome: &Message<'_>) {
    defmt::info!("prints {}", bench.client);
    defmt::info!("prints {}", bench.line);
    defmt::info!("prints {}", welcome);
    defmt::info!(
        "prints {}",
        Event::Closed {
            cause: Cause::Bye(ByeReason::Replaced)
        }
    );
    defmt::info!("prints {}", PostError::OutboxFull);
    defmt::info!("prints {}", LinkError::<Infallible>::Stalled);
    defmt::info!("prints {}", FrameError::Oversize { limit: 256 });
    defmt::info!("prints {}", WireError::UnknownKind(0xff));
    defmt::info!("prints {}", Backoff::new());
    defmt::info!("prints {}", hub::Config::new(1, [2; 4], 3));
    defmt::info!("prints {}", hub::Room::FREE);
    defmt::info!("prints {}", hub::Counters::default());
    defmt::info!("prints {}", Responder::new(Mode::Prefixed(b"Echo: ")));
    defmt::info!("all is printed");
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let (Some(watch), Ok(config)) = (Stopwatch::start(), Config::new([7; 16], "board")) else {
        board::halt();
    };
    let mut bench = Bench {
        watch,
        pipe: Pipe {
            frame: [0; 300],
            at: 0,
            end: 0,
            told: 0,
            said: 0,
        },
        line: Line::new(Cobs::new(256)),
        client: Device::new(config),
        now: Instant::from_ticks(1_000_000),
    };
    let Ok(slot) = bench.client.join("readings", From::Latest) else {
        board::halt();
    };
    let report = |kind: &str, ticks: u32, rounds: u32| {
        defmt::info!(
            "cost of {=str}: {=u32}",
            kind,
            ticks * INSTRUCTIONS_PER_TICK / rounds
        );
    };

    // The poll that finds nothing is part of each of the others.
    bench.line.connect(&mut bench.client, bench.now, NONCE);
    report("Hello, sent", bench.poll(|_| false).0, 1);
    let mut idle = 0;
    for _ in 0..ROUNDS {
        idle += bench.poll(|_| false).0;
    }
    report("nothing to do", idle, ROUNDS);
    let welcome = Message::Welcome(Welcome {
        version: 1,
        suite: 0,
        flags: 0,
        nonce: NONCE,
        session: SESSION,
        store: 1,
        generation: 1,
        keepalive: 25,
        max_body: 32,
        window: 4,
        proof: &[],
        lineage: Lineage::NONE,
    });
    let ticks = bench.tell(&welcome, |found| {
        matches!(found, Output::Event(Event::Welcomed))
    });
    report("Welcome, and Join sent", ticks, 1);
    let joined = Message::Joined(Joined {
        slot,
        room: 5,
        up_seq: 0,
        rejects: 0,
        start: 0,
        head: 0,
        members: 1,
        presence: 1,
    });
    let ticks = bench.tell(&joined, |found| {
        matches!(found, Output::Event(Event::Joined { .. }))
    });
    report("Joined", ticks, 1);

    let (mut posts, mut acks, mut entries, mut credits) = (0, 0, 0, 0);
    for round in 1..=ROUNDS {
        let client = &mut bench.client;
        let (ticks, _) = bench.watch.ticks(|| client.post(slot, &BODY));
        posts += ticks + bench.poll(|_| false).0;
        let ack = Message::Ack {
            slot,
            up_seq: round,
            rejects: 0,
        };
        acks += bench.tell(&ack, |found| {
            matches!(found, Output::Event(Event::Acked { .. }))
        });
        let entry = Message::Entry(Entry {
            room: 5,
            offset: round.into(),
            flags: 0,
            from: "host",
            body: &BODY,
        });
        entries += bench.tell(&entry, |found| matches!(found, Output::Delivery(_)));
        bench.now = after(bench.now, millis(60));
        credits += bench.poll(|_| false).0;
    }
    report("Post of 16 bytes, sent", posts, ROUNDS);
    report("Ack", acks, ROUNDS);
    report("Entry of 16 bytes", entries, ROUNDS);
    report("Credit, sent", credits, ROUNDS);

    let (mut gaps, mut notices, mut pings) = (0, 0, 0);
    for round in 1..=ROUNDS {
        let offset = u64::from(ROUNDS + round);
        let gap = Message::Gap(Gap {
            slot,
            from: offset,
            to: offset,
            reason: GapReason::Retention,
        });
        gaps += bench.tell(&gap, |found| matches!(found, Output::Delivery(_)));
        bench.now = after(bench.now, millis(60));
        bench.poll(|_| false);
        let notice = Message::Notice(Notice {
            slot,
            version: round,
            kind: NoticeKind::Joined,
            members: 2,
            who: "host",
        });
        notices += bench.tell(&notice, |found| matches!(found, Output::Delivery(_)));
        bench.pipe.tell(&Message::Ping { token: round });
        pings += bench.poll(|_| false).0;
    }
    report("Gap", gaps, ROUNDS);
    report("Notice", notices, ROUNDS);
    report("Ping, and Pong sent", pings, ROUNDS);
    defmt::info!("cost is known");
    print(&bench, &welcome);
    board::halt()
}
