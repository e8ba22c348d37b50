//! A hub and some devices in virtual time, over a network that loses, doubles, delays and repeats.
//!
//! Safety is checked at every event: what is acknowledged is in the log, once; what a member is
//! handed is an exact run of the log.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use halloo_core::chat::Client;
use halloo_core::chat::Hub;
use halloo_core::chat::client::{Config, Delivery, Event, From, outbox_bytes};
use halloo_core::chat::datagram::{HEADER, Header, MIN_HELLO, answer};
use halloo_core::chat::hub::{
    Config as HubConfig, Conn, ConnId, Member, NotOpened, Pending, Room, Storage, Transmit, Verdict,
};
use halloo_core::chat::log::IndexSlot;
use halloo_core::time::{Duration, Instant, after, millis};
use halloo_core::wire::{self, Code, Message, PeerError};

pub(crate) const ROOMS: [&str; 3] = ["lab", "yard", "roof"];
pub(crate) type Device = Client<2, { outbox_bytes(6, 32) }>;

/// Numbers from a seed (`SplitMix64`).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn chance(&mut self, in_thousand: u64) -> bool {
        self.below(1000) < in_thousand
    }
}

/// Who posted an entry, and what.
pub(crate) type Kept = ([u8; 16], Vec<u8>);

/// How bad the network is, in thousandths, and milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) double: u64,
    pub(crate) replay: u64,
    pub(crate) delay: u64,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        loss: 0,
        double: 0,
        replay: 0,
        delay: 0,
    };
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    ToHub(usize, Vec<u8>),
    ToDevice(usize, Vec<u8>),
    Connect(usize),
    Commit,
}

/// The memory of a hub.
pub(crate) struct Slots {
    conns: Vec<Conn>,
    members: Vec<Member>,
    rooms: Vec<Room>,
    bytes: Vec<u8>,
    index: Vec<IndexSlot>,
    pending: Vec<Pending>,
}

impl Slots {
    fn storage(&mut self) -> Storage<'_> {
        Storage {
            conns: &mut self.conns,
            members: &mut self.members,
            rooms: &mut self.rooms,
            bytes: &mut self.bytes,
            index: &mut self.index,
            pending: &mut self.pending,
        }
    }

    /// `entries` is how many each log keeps.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            conns: vec![Conn::FREE; 16],
            members: vec![Member::FREE; 32],
            rooms: vec![Room::FREE; 4],
            bytes: vec![0; 4 * 128 * entries],
            index: vec![[0; 4]; 4 * entries],
            pending: vec![Pending::FREE; 16],
        }
    }
}

/// What a device's application was told of the room in a slot.
#[derive(Default, Clone)]
struct Reading {
    room: &'static str,
    last: Option<u64>,
}

pub(crate) struct Side {
    pub(crate) client: Device,
    readings: [Reading; 2],
    /// Posts without verdict: by slot and number, in which room and what.
    waiting: BTreeMap<(u8, u32), (&'static str, Vec<u8>)>,
    /// When it connects next, if it has no connection.
    pub(crate) is_down: bool,
    is_timed: Option<Instant>,
}

pub(crate) struct World<'s> {
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) hub: Hub<'s>,
    pub(crate) sides: Vec<Side>,
    /// By session: the connection, and whose it is.
    sessions: BTreeMap<u64, (ConnId, usize)>,
    by_place: BTreeMap<usize, (ConnId, u64, usize)>,
    things: BinaryHeap<Reverse<(Instant, u64, Thing)>>,
    count: u64,
    /// The store of the hub that runs.
    store: u64,
    /// What each hub committed, by its store and the room.
    logs: BTreeMap<(u64, &'static str), Vec<Kept>>,
    /// Bodies are never the same twice in one store.
    kept: BTreeSet<Vec<u8>>,
    next_body: u32,
    commit_pending: bool,
    pub(crate) handed: u64,
    pub(crate) gaps: u64,
    /// Times that a device was told of another store.
    pub(crate) changes: u64,
    pub(crate) datagrams: u64,
    /// The next datagram to the hub (or not) with a message of this kind is lost, one for each.
    pub(crate) lose: Vec<(bool, u8)>,
    /// No datagram with these bytes in it arrives.
    pub(crate) swallow: Option<&'static [u8]>,
    /// Nothing that this device sends arrives.
    pub(crate) mute: Option<usize>,
    /// How often each kind was sent to the hub, or to a device.
    pub(crate) sent: BTreeMap<(bool, u8), u32>,
    /// The last `Hello` with a cookie.
    pub(crate) last_hello: Vec<u8>,
}

fn device(at: usize) -> [u8; 16] {
    [at as u8 + 1; 16]
}

pub(crate) fn config(at: usize) -> Config {
    Config {
        keepalive: 25,
        ..Config::new(device(at), &format!("dev{at}")).unwrap()
    }
}

impl<'s> World<'s> {
    pub(crate) fn new(slots: &'s mut Slots, seed: u64, devices: usize) -> Self {
        let side = |at: usize| Side {
            client: Client::new(config(at)),
            readings: Default::default(),
            waiting: BTreeMap::new(),
            is_down: true,
            is_timed: None,
        };
        let store = 9;
        let mut world = Self {
            now: Instant::from_ticks(1),
            rng: Rng(seed),
            faults: Faults::NONE,
            hub: Hub::new(HubConfig::new(7, [8; 4], store), slots.storage()),
            store,
            sides: (0..devices).map(side).collect(),
            sessions: BTreeMap::new(),
            by_place: BTreeMap::new(),
            things: BinaryHeap::new(),
            count: 0,
            logs: BTreeMap::new(),
            kept: BTreeSet::new(),
            next_body: 0,
            commit_pending: false,
            handed: 0,
            gaps: 0,
            changes: 0,
            datagrams: 0,
            lose: Vec::new(),
            swallow: None,
            mute: None,
            sent: BTreeMap::new(),
            last_hello: Vec::new(),
        };
        for at in 0..devices {
            world.at(millis(0), Thing::Connect(at));
        }
        world
    }

    fn at(&mut self, wait: Duration, thing: Thing) {
        self.count += 1;
        let when = after(self.now, wait);
        self.things.push(Reverse((when, self.count, thing)));
    }

    /// Sends a datagram through the network.
    fn carry(&mut self, thing: impl Fn() -> Thing) {
        self.datagrams += 1;
        let holds = |datagram: &[u8]| {
            let bytes = self.swallow.unwrap_or_default();
            !bytes.is_empty() && datagram.windows(bytes.len()).any(|part| part == bytes)
        };
        let (key, from, is_swallowed) = match thing() {
            Thing::ToHub(from, sent) => ((true, sent[HEADER]), Some(from), holds(&sent)),
            Thing::ToDevice(_, sent) => ((false, sent[HEADER]), None, holds(&sent)),
            Thing::Connect(_) | Thing::Commit => unreachable!("only datagrams are carried"),
        };
        *self.sent.entry(key).or_default() += 1;
        if let Some(at) = self.lose.iter().position(|lost| *lost == key) {
            self.lose.remove(at);
            return;
        }
        if is_swallowed || from.is_some() && from == self.mute {
            return;
        }
        let faults = self.faults;
        if self.rng.chance(faults.replay) {
            let wait = millis(self.rng.below(180_000));
            self.at(wait, thing());
        }
        if self.rng.chance(faults.loss) {
            return;
        }
        for _ in 0..1 + u64::from(self.rng.chance(faults.double)) {
            let wait = millis(5 + self.rng.below(faults.delay + 1));
            self.at(wait, thing());
        }
    }

    /// Lets everything happen up to `until`.
    pub(crate) fn run(&mut self, until: Instant) {
        loop {
            let thing = self.things.peek().map(|Reverse((at, ..))| *at);
            let mut next = thing.unwrap_or(until).min(until);
            for due in self.sides.iter().map(|side| side.is_timed) {
                next = due.unwrap_or(next).min(next);
            }
            next = self.hub.poll_timeout().unwrap_or(next).min(next);
            if next >= until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            if self.hub.poll_timeout().is_some_and(|due| due <= self.now) {
                self.hub.handle_timeout(self.now);
                self.serve_hub();
            }
            for at in 0..self.sides.len() {
                if self.sides[at].is_timed.is_some_and(|due| due <= self.now) {
                    self.sides[at].client.handle_timeout(self.now);
                    self.serve_device(at);
                }
            }
            while let Some(Reverse((when, ..))) = self.things.peek()
                && *when <= self.now
                && let Some(Reverse((_, _, thing))) = self.things.pop()
            {
                match thing {
                    Thing::ToHub(from, datagram) => self.hub_gets(from, &datagram),
                    Thing::ToDevice(to, datagram) => self.device_gets(to, &datagram),
                    Thing::Connect(at) => self.connect(at),
                    Thing::Commit => self.commit(),
                }
            }
        }
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        self.run(after(self.now, span));
    }

    /// The hub loses its memory, and starts again with another store. Nobody is told.
    pub(crate) fn restart(&mut self, slots: &'s mut Slots) {
        self.store += 1;
        let secret = [(); 4].map(|()| self.rng.next() as u32);
        let config = HubConfig::new(self.rng.next(), secret, self.store);
        self.hub = Hub::new(config, slots.storage());
        self.sessions.clear();
        self.by_place.clear();
        self.kept.clear();
    }

    /// What the hub that runs has committed of a room.
    pub(crate) fn log(&self, room: &'static str) -> &[Kept] {
        self.logs
            .get(&(self.store, room))
            .map_or(&[], Vec::as_slice)
    }

    /// A datagram reaches the hub once more.
    pub(crate) fn replay(&mut self, from: usize, datagram: Vec<u8>) {
        self.at(millis(0), Thing::ToHub(from, datagram));
    }

    // The hub's front: what the adapters do with addresses and cookies.

    fn hub_gets(&mut self, from: usize, datagram: &[u8]) {
        let Some((header, message)) = Header::decode(datagram) else {
            return;
        };
        let Ok(decoded) = wire::binary::decode(message) else {
            return;
        };
        if let Message::Hello(hello) = decoded.message
            && hello.nonce == header.session
        {
            assert!(message.len() >= MIN_HELLO);
            if hello.cookie.is_some() {
                self.last_hello = datagram.to_vec();
            }
            return self.greet(from, &header, &hello);
        }
        if let Some(&(id, _)) = self.sessions.get(&header.session) {
            // What the machine cannot take now is lost.
            let _ = self
                .hub
                .handle_datagram(self.now, id, &header, &decoded.message);
            return self.serve_hub();
        }
        if !matches!(decoded.message, Message::Error(_) | Message::Bye(_)) {
            self.reply(from, &header, Code::NoSession);
        }
    }

    fn greet(&mut self, from: usize, header: &Header, hello: &wire::Hello<'_>) {
        let secret = |issued: u64| Rng(issued ^ hello.nonce ^ (from as u64)).next();
        let fresh = hello.cookie.and_then(|cookie| {
            let issued = u64::from_be_bytes(*cookie.first_chunk()?);
            let is_ours = u64::from_be_bytes(*cookie.last_chunk()?) == secret(issued);
            let is_fresh = self.now.as_ticks().wrapping_sub(issued) < 15_000_000;
            (is_ours && is_fresh).then_some(issued)
        });
        let Some(issued) = fresh else {
            let issued = self.now.as_ticks();
            let mut cookie = [0; 16];
            cookie[..8].copy_from_slice(&issued.to_be_bytes());
            cookie[8..].copy_from_slice(&secret(issued).to_be_bytes());
            let retry = Message::Retry { cookie };
            return self.stateless(from, header, &retry);
        };
        let issued = Instant::from_ticks(issued);
        match self.hub.open_datagram(self.now, issued, header, hello) {
            Ok(id) => {
                let session = self.hub.session(id).unwrap();
                self.sessions.insert(session, (id, from));
                self.by_place.insert(id.index(), (id, session, from));
            }
            Err(NotOpened::Refused(code)) => self.reply(from, header, code),
            Err(_) => {}
        }
        self.serve_hub();
    }

    fn reply(&mut self, to: usize, header: &Header, code: Code) {
        let error = PeerError {
            code,
            retry_after: 0,
            text: "",
        };
        self.stateless(to, header, &Message::Error(error));
    }

    fn stateless(&mut self, to: usize, header: &Header, message: &Message<'_>) {
        let mut out = [0; MIN_HELLO];
        let len = answer(header, message, &mut out).unwrap();
        self.carry(|| Thing::ToDevice(to, out[..len].to_vec()));
    }

    fn serve_hub(&mut self) {
        if !std::mem::replace(&mut self.commit_pending, true) {
            let wait = millis(self.rng.below(20));
            self.at(wait, Thing::Commit);
        }
        let mut out = [0; 512];
        while let Some(ready) = self.hub.poll_ready() {
            let Some(&(id, session, to)) = self.by_place.get(&ready.index()) else {
                continue;
            };
            loop {
                match self.hub.poll_transmit(self.now, id, &mut out) {
                    Transmit::Message(len) => {
                        self.carry(|| Thing::ToDevice(to, out[..len].to_vec()));
                    }
                    Transmit::Close => {
                        self.hub.handle_disconnected(self.now, id);
                        self.sessions.remove(&session);
                        self.by_place.remove(&id.index());
                        break;
                    }
                    Transmit::Idle => break,
                    other => panic!("{other:?} over datagrams"),
                }
            }
        }
    }

    fn commit(&mut self) {
        self.commit_pending = false;
        let mut count = 0;
        while let Some(append) = self.hub.poll_append() {
            count += 1;
            if let Verdict::Kept { offset } = append.verdict {
                let room = ROOMS.iter().find(|room| **room == append.room).unwrap();
                let entry = wire::binary::decode(&append.frame[4..]).unwrap().message;
                let Message::Entry(entry) = entry else {
                    panic!("a log holds entries")
                };
                let log = self.logs.entry((self.store, *room)).or_default();
                assert_eq!(offset, log.len() as u64 + 1, "offsets have no holes");
                log.push((*append.device, entry.body.to_vec()));
                assert!(self.kept.insert(entry.body.to_vec()), "kept twice");
            }
        }
        self.hub.handle_appended(count);
        if count > 0 {
            self.serve_hub();
            self.commit_pending = false;
        }
    }

    // A device and its application.

    fn connect(&mut self, at: usize) {
        let nonce = self.rng.next();
        let side = &mut self.sides[at];
        if !std::mem::replace(&mut side.is_down, false) {
            return;
        }
        side.client.set_datagrams(true);
        side.client.set_link_limits(256, 32);
        side.client.handle_connected(self.now, nonce);
        self.serve_device(at);
    }

    /// The device's connection is gone; it is back soon.
    pub(crate) fn cut(&mut self, at: usize) {
        let side = &mut self.sides[at];
        side.client.handle_disconnected(self.now);
        if !std::mem::replace(&mut side.is_down, true) {
            let wait = millis(self.rng.below(3000));
            self.at(wait, Thing::Connect(at));
        }
    }

    fn device_gets(&mut self, at: usize, datagram: &[u8]) {
        let side = &mut self.sides[at];
        let delivery = side.client.handle_datagram(self.now, datagram);
        let store = |slot: u8| side.client.store(slot).map_or(0, |store| store.id);
        let mut hand = |slot: u8, from: u64, to: u64, body: Option<&[u8]>| {
            let reading = &mut side.readings[usize::from(slot)];
            if let Some(last) = reading.last {
                assert_eq!(from, last + 1, "device {at}, {}", reading.room);
            }
            reading.last = Some(to);
            if let Some(body) = body {
                let (author, kept) = &self.logs[&(store(slot), reading.room)][from as usize - 1];
                let is_own = *author == device(at);
                assert_eq!(body.is_empty(), is_own, "device {at} gets its own marked");
                assert!(is_own || body == kept, "device {at} gets another body");
                self.handed += 1;
            }
        };
        match delivery {
            Some(Delivery::Entry {
                slot, offset, body, ..
            }) => hand(slot, offset, offset, Some(body)),
            Some(Delivery::Own { slot, offset }) => hand(slot, offset, offset, Some(&[])),
            Some(Delivery::Gap { slot, from, to, .. }) => {
                hand(slot, from, to, None);
                self.gaps += 1;
            }
            _ => {}
        }
        self.serve_device(at);
    }

    pub(crate) fn serve_device(&mut self, at: usize) {
        let mut out = [0; 256];
        loop {
            while let Some(len) = self.sides[at].client.poll_transmit(self.now, &mut out) {
                self.carry(|| Thing::ToHub(at, out[..len].to_vec()));
            }
            let side = &mut self.sides[at];
            let Some(event) = side.client.poll_event() else {
                break;
            };
            match event {
                Event::Acked { slot, seq } => {
                    let (room, body) = side.waiting.remove(&(slot, seq)).unwrap();
                    let store = side.client.store(slot).map_or(0, |store| store.id);
                    let log = self.logs.get(&(store, room)).into_iter().flatten();
                    let found = log.filter(|(_, kept)| *kept == body);
                    assert_eq!(found.count(), 1, "acknowledged, and not kept once");
                }
                Event::Rejected { slot, seq, .. } | Event::Unknown { slot, seq, .. } => {
                    side.waiting.remove(&(slot, seq)).unwrap();
                }
                Event::Left { slot } | Event::Refused { slot, .. } => {
                    side.readings[usize::from(slot)] = Reading::default();
                }
                Event::StoreChanged { slot } => {
                    side.readings[usize::from(slot)].last = side.client.cursor(slot);
                    self.changes += 1;
                }
                Event::Closed { .. } => self.cut(at),
                Event::Welcomed | Event::Joined { .. } => {}
            }
        }
        let side = &mut self.sides[at];
        side.is_timed = side.client.poll_timeout();
    }

    pub(crate) fn join(&mut self, at: usize, room: &'static str, from: From) {
        let side = &mut self.sides[at];
        if let Ok(slot) = side.client.join(room, from) {
            let last = matches!(from, From::Earliest).then_some(0);
            side.readings[usize::from(slot)] = Reading { room, last };
        }
        self.serve_device(at);
    }

    pub(crate) fn leave(&mut self, at: usize, slot: u8) {
        self.sides[at].client.leave(slot);
        self.serve_device(at);
    }

    pub(crate) fn post(&mut self, at: usize, slot: u8) {
        self.next_body += 1;
        self.post_body(at, slot, self.next_body.to_string().as_bytes());
    }

    pub(crate) fn post_body(&mut self, at: usize, slot: u8, body: &[u8]) {
        let side = &mut self.sides[at];
        if let Ok(seq) = side.client.post(slot, body) {
            let room = side.readings[usize::from(slot)].room;
            side.waiting.insert((slot, seq), (room, body.to_vec()));
        }
        self.serve_device(at);
    }

    /// Whether every outbox is empty and every cursor at its head.
    pub(crate) fn is_settled(&self) -> bool {
        self.sides.iter().all(|side| {
            let reads = (0..2).all(|slot| match side.client.room(slot) {
                None => true,
                Some(room) => side.client.cursor(slot) == self.hub.head(room),
            });
            side.client.is_serving() && side.waiting.is_empty() && reads
        })
    }
}
