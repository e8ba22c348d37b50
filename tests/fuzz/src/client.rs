//! The device's machine under any calls in any order, with a hub that says anything.

use std::collections::VecDeque;

use arbitrary::{Result, Unstructured};
use halloo_core::chat::Client;
use halloo_core::chat::client::{Config, Delivery, Event, From, Store, outbox_bytes};
use halloo_core::chat::datagram::{HEADER, Header};
use halloo_core::time::{Duration, Instant, after, secs, since};
use halloo_core::wire::{
    Code, Entry, Gap, GapReason, Join, Joined, Lineage, Message, Welcome, binary,
};

use crate::message;

const OUTBOX: usize = outbox_bytes(3, 8);
/// Of stores whose generations are 0 to 2.
const LINEAGES: [&[u8]; 4] = [b"", b"\0\0\0\0", b"\0\0\0\x01", b"\0\0\0\x01\0\0\0\0"];

const ROOMS: [&str; 3] = ["lab", "yard", "roof"];

/// More than a device has to say or to tell at once.
const ENOUGH: usize = 100;

/// What the application knows of a slot.
#[derive(Debug, Default)]
struct Slot {
    is_room: bool,
    /// Its posts without verdict: number and body.
    open: VecDeque<(u32, Vec<u8>)>,
    /// How many of them were sent on this connection.
    sent: usize,
    /// Its cursor was moved in a way that it has to be told of.
    is_moved: bool,
}

struct Run {
    client: Client<2, OUTBOX>,
    now: Instant,
    slots: [Slot; 2],
    is_datagram: bool,
    /// Between `handle_connected` and the end of that.
    is_up: bool,
    nonce: u64,
    /// Over datagrams: the session or nonce, the next number to the device, the last one from it.
    tag: u64,
    next: u32,
    last: u32,
    posts: u16,
    /// What the session's hub told of its store.
    store: Store,
    lineage: Vec<u8>,
}

/// Runs the machine.
pub fn machine(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(settings) = u.arbitrary::<u8>() else {
        return;
    };
    let config = Config {
        credit: 1 << (settings & 7),
        keepalive: if settings & 8 == 0 { 0 } else { 60 },
        is_ephemeral: settings & 16 != 0,
        ..Config::new([1; 16], "dev").expect("a good name")
    };
    let mut run = Run {
        client: Client::new(config),
        now: Instant::from_ticks(0),
        slots: Default::default(),
        is_datagram: false,
        is_up: false,
        nonce: 0,
        tag: 0,
        next: 0,
        last: 0,
        posts: 0,
        store: Store {
            id: 0,
            generation: 0,
        },
        lineage: Vec::new(),
    };
    while !u.is_empty() {
        if run.step(&mut u).is_err() {
            break;
        }
        run.check();
    }
    run.settle();
}

impl Run {
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=18)? {
            0 => self.connect(u)?,
            1 => {
                self.client.handle_disconnected(self.now);
                self.events();
                self.is_up = false;
            }
            2 => {
                let message = message::any(u)?;
                self.handle(u, &message)?;
            }
            3 => {
                // One in four answers another attempt.
                let nonce = match u.ratio(1, 4)? {
                    true => message::long(u)?,
                    false => self.nonce,
                };
                let welcome = welcome(u, nonce)?;
                self.handle(u, &Message::Welcome(welcome))?;
            }
            4..=8 => self.plausible(u)?,
            9 => {
                let span = match u.arbitrary::<u8>()? {
                    ms @ 0..100 => Duration::from_ticks(u64::from(ms) * 10_000),
                    s @ 100..200 => secs(u64::from(s) - 99),
                    far => Duration::from_ticks(1 << (far & 31)),
                };
                self.now = after(self.now, span);
            }
            10 => {
                // A clock that goes backwards is taken as one that stands still.
                let back = Duration::from_ticks(message::long(u)?);
                let early = Instant::from_ticks(since(self.now, Instant::from_ticks(0)).as_ticks());
                let early = early.as_ticks().saturating_sub(back.as_ticks());
                self.client.handle_timeout(Instant::from_ticks(early));
            }
            11 => {
                if let Some(due) = self.client.poll_timeout() {
                    self.now = self.now.max(due);
                }
                self.client.handle_timeout(self.now);
            }
            12 => self.join(u)?,
            13 => self.client.leave(message::slot(u)?),
            14 => self.post(u)?,
            15 => match u.int_in_range(0..=4)? {
                0 => self.client.who(message::slot(u)?, message::short(u)?),
                1 => self.client.echo(message::word(u)?, message::bytes(u, 40)?),
                2 => self.client.bye(),
                3 => {
                    let (frame, body) = (message::short(u)?, u.int_in_range(0..=10)?);
                    self.client.set_link_limits(frame.into(), body);
                }
                _ => {
                    let code = Code::from_wire(u.arbitrary()?);
                    self.client.handle_bad_frame(self.now, code);
                }
            },
            16 => {
                let room = u.arbitrary::<u8>()?;
                self.transmit(room.into());
            }
            17 => self.settle(),
            _ => self.events(),
        }
        Ok(())
    }

    fn connect(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.is_datagram = u.arbitrary()?;
        self.client.set_datagrams(self.is_datagram);
        self.nonce = message::long(u)?;
        if u.ratio(1, 8)? {
            // After a reset the clock starts over.
            self.now = Instant::from_ticks(message::long(u)? >> 2);
        }
        self.client.handle_connected(self.now, self.nonce);
        // How the one before it ended is not told any more.
        self.is_up = true;
        (self.tag, self.next, self.last) = (self.nonce, 0, 0);
        self.slots.iter_mut().for_each(|slot| slot.sent = 0);
        Ok(())
    }

    fn join(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let room = *u.choose(&ROOMS)?;
        let from = match u.int_in_range(0..=3)? {
            0 => From::Latest,
            1 => From::Last(message::word(u)?),
            2 => From::Earliest,
            _ => From::After {
                cursor: message::long(u)?,
                store: Store {
                    id: message::long(u)? & 1,
                    generation: u.int_in_range(0..=2)?,
                },
            },
        };
        let flags = u.int_in_range(0..=3)?;
        if let Ok(at) = self.client.join_with(room, from, flags) {
            let slot = &mut self.slots[usize::from(at)];
            assert!(!slot.is_room && slot.open.is_empty(), "slot {at} is in use");
            *slot = Slot {
                is_room: true,
                ..Slot::default()
            };
        }
        Ok(())
    }

    fn post(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let at = message::slot(u)?;
        let mut body = self.posts.to_be_bytes().to_vec();
        body.resize(u.int_in_range(2..=10)?, 0);
        let Ok(seq) = self.client.post(at, &body) else {
            return Ok(());
        };
        self.posts += 1;
        let slot = &mut self.slots[usize::from(at)];
        assert!(slot.is_room, "a post without a room");
        if let Some((last, _)) = slot.open.back() {
            assert_eq!(seq, last.wrapping_add(1), "S3");
        }
        slot.open.push_back((seq, body));
        let open = self.slots.iter().flat_map(|slot| &slot.open);
        let bytes: usize = open.map(|(_, body)| outbox_bytes(1, body.len())).sum();
        assert!(bytes <= OUTBOX, "S10: {bytes} bytes in the outbox");
        Ok(())
    }

    /// A message that a good hub could say now, or nearly.
    fn plausible(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let slot = u.int_in_range(0..=1)?;
        let room = u32::from(slot) + 1;
        let near = |u: &mut Unstructured<'_>, n: u64| -> Result<u64> {
            Ok(n.saturating_add(u.int_in_range(0..=4)?).saturating_sub(2))
        };
        let cursor = self.client.cursor(slot).unwrap_or(0);
        let open = &self.slots[usize::from(slot)].open;
        let seq = u64::from(open.front().map_or(1, |(seq, _)| *seq));
        let message = match u.int_in_range(0..=7)? {
            0 => Message::Joined(Joined {
                slot,
                room,
                up_seq: near(u, seq)? as u32,
                rejects: message::word(u)?,
                start: near(u, cursor)?,
                head: message::long(u)?,
                members: 1,
                presence: 1,
            }),
            1 | 2 => Message::Ack {
                slot,
                up_seq: near(u, seq)? as u32,
                rejects: message::word(u)?,
            },
            3 => Message::Reject {
                slot,
                seq: if u.arbitrary()? {
                    0
                } else {
                    near(u, seq)? as u32
                },
                code: Code::Full,
            },
            4 | 5 => Message::Entry(Entry {
                room,
                offset: near(u, cursor.saturating_add(1))?,
                flags: u.int_in_range(0..=1)?,
                from: "ann",
                body: b"hi",
            }),
            6 => Message::Gap(Gap {
                slot,
                from: near(u, cursor.saturating_add(1))?,
                to: near(u, cursor.saturating_add(3))?,
                reason: GapReason::Retention,
            }),
            _ => Message::Ping { token: 5 },
        };
        self.handle(u, &message)
    }

    /// The message arrives, over datagrams in one that is taken, or nearly.
    fn handle(&mut self, u: &mut Unstructured<'_>, message: &Message<'_>) -> Result<()> {
        let was = (self.client.is_serving(), self.cursors());
        let waiting = self.client.unacknowledged();
        let is_foreign = match message {
            Message::Joined(joined) => self.client.store(joined.slot).is_some_and(|known| {
                let is_here =
                    (self.store.id, self.store.generation) == (known.id, known.generation);
                let (before, _) = self.lineage.as_chunks::<4>();
                let was_here = before.contains(&known.generation.to_be_bytes());
                !is_here && (known.id != self.store.id || !was_here)
            }),
            _ => false,
        };
        let mut out = [0; 1024];
        let len = binary::encode(message, &mut out[HEADER..]).unwrap_or(0);
        let delivery = if self.is_datagram {
            let (skip, miss) = (u.int_in_range(0..=2)?, u.int_in_range(0..=2)?);
            self.next = self.next.saturating_add(skip);
            let header = Header {
                session: self.tag,
                number: self.next,
                seen: self.last.saturating_sub(miss),
            };
            out[..HEADER].copy_from_slice(&header.encode());
            self.client.handle_datagram(self.now, &out[..HEADER + len])
        } else {
            self.client.handle_message(self.now, message)
        };
        if let Message::Welcome(welcome) = message {
            let is_open = self.client.is_serving();
            assert!(
                was.0 || !is_open || welcome.nonce == self.nonce,
                "a welcome of another attempt was taken"
            );
            if is_open && !was.0 {
                self.tag = welcome.session;
                let (id, generation) = (welcome.store, welcome.generation);
                self.store = Store { id, generation };
                self.lineage = welcome.lineage.as_bytes().to_vec();
            }
        }
        assert!(delivery.is_none() || self.is_up, "{delivery:?} offline");
        assert!(
            !is_foreign || self.client.unacknowledged() == waiting,
            "S1: {message:?} acknowledges posts that are in another log"
        );
        let before = was.1;
        let mut want = before;
        match delivery {
            Some(Delivery::Entry { slot, offset, .. } | Delivery::Own { slot, offset }) => {
                let at = usize::from(slot);
                assert!(self.slots[at].is_room, "S11: an entry of a room left");
                assert_eq!(before[at].map(|c| c + 1), Some(offset), "S5");
                want[at] = Some(offset);
            }
            Some(Delivery::Gap { slot, from, to, .. }) => {
                let at = usize::from(slot);
                assert!(self.slots[at].is_room, "S11: a gap of a room left");
                assert_eq!(before[at].map(|c| c + 1), Some(from), "S5");
                assert!(to >= from, "S5: {from} to {to}");
                want[at] = Some(to);
            }
            Some(Delivery::Notice(notice)) => {
                assert!(self.slots[usize::from(notice.slot)].is_room, "S11");
            }
            Some(Delivery::Roster(roster)) => {
                assert!(self.slots[usize::from(roster.slot)].is_room, "S11");
            }
            Some(Delivery::Echo { .. } | Delivery::Error(_)) | None => {}
        }
        let now = self.cursors();
        match message {
            Message::Joined(joined) => {
                let at = usize::from(joined.slot);
                if at < 2 && before[at].is_some() && now[at] != before[at] {
                    self.slots[at].is_moved = true;
                }
            }
            // The slot may be free from here on.
            Message::Reject { .. } => {}
            _ => assert_eq!(now, want, "S5: {message:?}"),
        }
        Ok(())
    }

    fn cursors(&self) -> [Option<u64>; 2] {
        [0, 1].map(|slot| self.client.cursor(slot))
    }

    /// What is true after any call.
    fn check(&self) {
        let _ = self.client.poll_timeout();
        for (at, slot) in (0..).zip(&self.slots) {
            let unsettled: Vec<_> = self.client.unsettled(at).collect();
            let open: Vec<_> = slot.open.iter().map(|(seq, _)| *seq).collect();
            assert_eq!(unsettled, open, "posts of slot {at} without verdict");
        }
        assert!(!self.client.is_serving() || self.is_up, "serving offline");
    }

    /// Says all, tells all, and has nothing more to do before its deadline.
    fn settle(&mut self) {
        for _ in 0..4 {
            self.client.handle_timeout(self.now);
            self.transmit(512);
            self.events();
        }
        self.transmit(512);
        let due = self.client.poll_timeout();
        assert!(
            due.is_none_or(|due| due > self.now),
            "a busy loop at {due:?}"
        );
        let waits = !self.client.is_serving() || self.client.unacknowledged() > 0;
        assert!(!self.is_up || !waits || due.is_some(), "it waits for ever");
        self.check();
    }

    fn transmit(&mut self, room: usize) {
        let mut out = [0; 512];
        for turn in 0.. {
            let Some(len) = self.client.poll_transmit(self.now, &mut out[..room]) else {
                return;
            };
            assert!(turn < ENOUGH, "no end of things to say");
            assert!(self.is_up, "it speaks offline");
            let mut message = &out[..len];
            if self.is_datagram {
                let (header, rest) = Header::decode(message).expect("S12: a header");
                assert_eq!((header.session, header.number), (self.tag, self.last + 1));
                self.last = header.number;
                message = rest;
            }
            let decoded = binary::decode(message).expect("S12: a device speaks well");
            self.said(&decoded.message);
        }
    }

    fn said(&mut self, message: &Message<'_>) {
        match message {
            Message::Hello(hello) => {
                assert_eq!(hello.nonce, self.nonce);
                assert!(!self.client.is_serving(), "a second hello");
            }
            Message::Post { slot, body, .. } => {
                let slot = &mut self.slots[usize::from(*slot)];
                let at = slot.open.iter().position(|(_, open)| open == body);
                let at = at.expect("a post that has its verdict");
                if !self.is_datagram {
                    assert!(at >= slot.sent, "sent twice on one connection");
                    slot.sent = at + 1;
                }
            }
            Message::Join(Join { slot, .. }) | Message::Leave { slot } => {
                assert!(usize::from(*slot) < 2);
            }
            _ => {}
        }
    }

    fn events(&mut self) {
        for turn in 0.. {
            let Some(event) = self.client.poll_event() else {
                return;
            };
            assert!(turn < ENOUGH, "no end of events");
            match event {
                Event::Acked { slot, seq }
                | Event::Rejected { slot, seq, .. }
                | Event::Unknown { slot, seq, .. } => {
                    let slot = &mut self.slots[usize::from(slot)];
                    let first = slot.open.pop_front();
                    assert_eq!(first.map(|(seq, _)| seq), Some(seq), "S9: {event:?}");
                    slot.sent = slot.sent.saturating_sub(1);
                }
                Event::Joined { slot, .. } => {
                    let slot = &self.slots[usize::from(slot)];
                    assert!(slot.is_room, "{event:?} of no room");
                    assert!(!slot.is_moved, "S5: a cursor was moved in silence");
                }
                Event::StoreChanged { slot } => {
                    let slot = &mut self.slots[usize::from(slot)];
                    assert!(slot.is_room, "{event:?} of no room");
                    slot.is_moved = false;
                }
                Event::Left { slot } | Event::Refused { slot, .. } => {
                    let slot = &mut self.slots[usize::from(slot)];
                    assert!(slot.is_room && slot.open.is_empty(), "{event:?}");
                    *slot = Slot::default();
                }
                Event::Welcomed => assert!(self.is_up, "welcomed offline"),
                Event::Closed { .. } => self.is_up = false,
            }
        }
    }
}

fn welcome(u: &mut Unstructured<'_>, nonce: u64) -> Result<Welcome<'static>> {
    Ok(Welcome {
        version: if u.ratio(15, 16)? { 1 } else { 2 },
        suite: 0,
        flags: 0,
        nonce,
        session: message::long(u)?,
        store: message::long(u)? & 1,
        generation: u.int_in_range(0..=2)?,
        keepalive: *u.choose(&[0, 0, 1, 60])?,
        max_body: u.int_in_range(0..=12)?,
        window: u.int_in_range(0..=4)?,
        proof: &[],
        lineage: Lineage::new(u.choose(&LINEAGES)?).unwrap_or_default(),
    })
}
