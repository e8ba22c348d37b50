//! What the model is about: two devices, one hub, its store, and what is on the way.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use halloo_core::chat::Hub;
use halloo_core::chat::client::{Client, Config, Delivery, Event, From, outbox_bytes};
use halloo_core::chat::hub::{
    self, Conn, ConnId, Found, Member, Pending, Room, Storage, Transmit, Verdict,
};
use halloo_core::time::Instant;
use halloo_core::wire::{DeviceId, Join, Message, binary};

/// More than either end has to say at once.
const ENOUGH: usize = 100;

const NOW: Instant = Instant::from_ticks(0);
const ROOMS: [&str; 2] = ["a", "b"];

type Device = Client<2, { outbox_bytes(3, 8) }>;

/// How much of each may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Posts of each device; they go to the rooms in turn.
    pub(crate) posts: [u8; 2],
    /// Connections that each device loses.
    pub(crate) cuts: [u8; 2],
    /// Crashes of the hub.
    pub(crate) crashes: u8,
    /// Times that the first device loses its memory.
    pub(crate) resets: u8,
    /// How many rooms there are: 1 or 2.
    pub(crate) rooms: u8,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            posts: [0; 2],
            cuts: [0; 2],
            crashes: 0,
            resets: 0,
            rooms: 2,
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A device connects.
    Connect(usize),
    /// A device posts.
    Post(usize),
    /// The next message of a link arrives at the hub.
    Up(usize),
    /// The next message of a link arrives at its device.
    Down(usize),
    /// Everything that was posted becomes durable.
    Commit,
    /// A device loses its connection; the hub does not know.
    Cut(usize),
    /// The hub finds that a link is gone.
    Notice(usize),
    /// The hub loses its memory and starts from its store.
    Crash,
    /// The first device loses its memory, and its connection.
    Reset,
}

/// The memory of one hub.
struct Slots {
    conns: [Conn; 4],
    members: [Member; 4],
    rooms: [Room; 2],
    bytes: [u8; 512],
    index: [[u32; 4]; 16],
    pending: [Pending; 4],
}

impl Slots {
    const fn new() -> Self {
        Self {
            conns: [Conn::FREE; 4],
            members: [Member::FREE; 4],
            rooms: [Room::FREE; 2],
            bytes: [0; 512],
            index: [[0; 4]; 16],
            pending: [Pending::FREE; 4],
        }
    }

    fn hub(&mut self, start: u32) -> Hub<'_> {
        let config = hub::Config {
            has_store: true,
            ..hub::Config::new(1, [start, 2, 3, 4], 5)
        };
        Hub::new(
            config,
            Storage {
                conns: &mut self.conns,
                members: &mut self.members,
                rooms: &mut self.rooms,
                bytes: &mut self.bytes,
                index: &mut self.index,
                pending: &mut self.pending,
            },
        )
    }
}

/// A connection, with an end at a device and one at the hub.
#[derive(Debug)]
struct Link {
    device: usize,
    /// Whether the device's end is open.
    is_open: bool,
    conn: Option<ConnId>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
}

/// One entry in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    device: DeviceId,
    seq: u32,
    frame: Vec<u8>,
}

/// What survives a crash.
#[derive(Debug, Default)]
struct Store {
    /// By the hub's number.
    rooms: BTreeMap<u32, (String, Vec<Kept>)>,
    members: BTreeMap<(u32, DeviceId), u32>,
}

/// What a device's application knows; a new one after a reset.
#[derive(Debug, Default)]
struct App {
    posted: u8,
    /// Bodies by slot and number, until they are acknowledged.
    open: BTreeMap<(u8, u32), Vec<u8>>,
    /// Offsets and bodies that it was handed in each room; its own without a body.
    seen: [Vec<(u64, Vec<u8>)>; 2],
}

pub(crate) struct World<'s> {
    hub: Hub<'s>,
    spare: Option<&'s mut Slots>,
    devices: [Device; 2],
    apps: [App; 2],
    lives: [u8; 2],
    links: Vec<Link>,
    store: Store,
    acked: Vec<(usize, Vec<u8>)>,
    left: Budget,
    nonce: u64,
    /// What does not hold any more.
    pub(crate) broken: Option<String>,
}

/// Does everything again from the start, and then `look`s.
pub(crate) fn replay<R>(
    budget: Budget,
    trace: &[Action],
    look: impl FnOnce(&mut World<'_>) -> R,
) -> R {
    let (mut first, mut second) = (Slots::new(), Slots::new());
    let mut world = World {
        hub: first.hub(1),
        spare: Some(&mut second),
        devices: [device(0, budget), device(1, budget)],
        apps: [App::default(), App::default()],
        lives: [0; 2],
        links: Vec::new(),
        store: Store::default(),
        acked: Vec::new(),
        left: budget,
        nonce: 0,
        broken: None,
    };
    world.begin();
    for action in trace {
        world.act(*action);
    }
    look(&mut world)
}

fn id(number: usize) -> DeviceId {
    [number as u8 + 1; 16]
}

fn device(number: usize, budget: Budget) -> Device {
    let config = Config {
        keepalive: 0,
        ..Config::new(id(number), ["x", "y"][number]).expect("a good name")
    };
    let mut device = Device::new(config);
    for room in &ROOMS[..budget.rooms.into()] {
        // A device that lost its memory reads from the start again.
        let joined = device.join_with(room, From::Earliest, Join::NO_PRESENCE);
        joined.expect("a free slot");
    }
    device
}

impl World<'_> {
    /// What can happen next.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut all = Vec::new();
        for number in 0..2 {
            match self.link_of(number) {
                None => all.push(Action::Connect(number)),
                Some(_) if self.left.cuts[number] > 0 => all.push(Action::Cut(number)),
                Some(_) => {}
            }
            if self.apps[number].posted < self.left.posts[number] && self.can_post(number) {
                all.push(Action::Post(number));
            }
        }
        for (at, link) in self.links.iter().enumerate() {
            if link.conn.is_some() && !link.up.is_empty() {
                all.push(Action::Up(at));
            }
            if link.is_open && !link.down.is_empty() {
                all.push(Action::Down(at));
            }
            if link.conn.is_some() && !link.is_open {
                all.push(Action::Notice(at));
            }
        }
        all.push(Action::Commit);
        if self.left.crashes > 0 {
            all.push(Action::Crash);
        }
        if self.left.resets > 0 {
            all.push(Action::Reset);
        }
        all
    }

    /// Both devices are in both rooms.
    fn begin(&mut self) {
        (0..2).for_each(|number| self.act(Action::Connect(number)));
        let arrives = |action: &Action| matches!(action, Action::Up(_) | Action::Down(_));
        while let Some(action) = self.actions().into_iter().find(arrives) {
            self.act(action);
        }
    }

    fn link_of(&self, number: usize) -> Option<usize> {
        let mut links = self.links.iter();
        links.position(|link| link.device == number && link.is_open)
    }

    fn can_post(&self, number: usize) -> bool {
        let slot = self.apps[number].posted % self.left.rooms;
        self.devices[number].clone().post(slot, b"").is_ok()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(number) => self.connect(number),
            Action::Post(number) => self.post(number),
            Action::Up(at) => self.up(at),
            Action::Down(at) => self.down(at),
            Action::Commit => self.commit(),
            Action::Cut(number) => {
                self.left.cuts[number] -= 1;
                self.cut(number);
            }
            Action::Notice(at) => self.notice(at),
            Action::Crash => self.crash(),
            Action::Reset => self.reset(),
        }
        self.settle();
    }

    fn connect(&mut self, number: usize) {
        let Ok(conn) = self.hub.connect(NOW) else {
            return;
        };
        self.nonce += 1;
        self.devices[number].handle_connected(NOW, self.nonce);
        self.links.push(Link {
            device: number,
            is_open: true,
            conn: Some(conn),
            up: VecDeque::new(),
            down: VecDeque::new(),
        });
    }

    fn post(&mut self, number: usize) {
        let app = &mut self.apps[number];
        let slot = app.posted % self.left.rooms;
        // No two bodies are the same.
        let body = vec![number as u8, self.lives[number], app.posted];
        if let Ok(seq) = self.devices[number].post(slot, &body) {
            app.posted += 1;
            app.open.insert((slot, seq), body);
        }
    }

    fn up(&mut self, at: usize) {
        let link = &mut self.links[at];
        let (Some(conn), Some(bytes)) = (link.conn, link.up.front()) else {
            return;
        };
        let decoded = binary::decode(bytes).expect("a device speaks well");
        // A hub that is busy takes it after the commit.
        if self.hub.handle_message(NOW, conn, &decoded.message).is_ok() {
            link.up.pop_front();
        }
    }

    fn down(&mut self, at: usize) {
        let link = &mut self.links[at];
        let Some(bytes) = link.down.pop_front() else {
            return;
        };
        let number = link.device;
        let message = binary::decode(&bytes).expect("the hub speaks well").message;
        if let Message::Entry(entry) = &message {
            let rooms = &self.store.rooms;
            let room = rooms.get(&entry.room).map_or(0, |(_, log)| log.len());
            if entry.offset > room as u64 {
                self.broken = Some(format!("S6: {entry:?} is shown and not durable"));
            }
        }
        let delivery = self.devices[number].handle_message(NOW, &message);
        let seen = match delivery {
            Some(Delivery::Entry {
                slot, offset, body, ..
            }) => (slot, offset, body.to_vec()),
            Some(Delivery::Own { slot, offset }) => (slot, offset, Vec::new()),
            Some(Delivery::Gap { .. }) => {
                self.broken = Some("a gap, though all is kept".to_owned());
                return;
            }
            _ => return,
        };
        self.apps[number].seen[usize::from(seen.0)].push((seen.1, seen.2));
    }

    fn commit(&mut self) {
        let mut count = 0;
        while let Some(append) = self.hub.poll_append() {
            count += 1;
            let Verdict::Kept { offset } = append.verdict else {
                self.broken = Some(format!("{:?} of a good post", append.verdict));
                return;
            };
            let room = self.store.rooms.entry(append.number);
            let (name, log) = room.or_insert_with(|| (append.room.to_owned(), Vec::new()));
            let kept = Kept {
                device: *append.device,
                seq: append.seq,
                frame: append.frame.to_vec(),
            };
            if name != append.room || offset != log.len() as u64 + 1 {
                self.broken = Some(format!("S4: {offset} of {} in {name}", append.room));
            }
            if log.iter().any(|k| body(&k.frame) == body(&kept.frame)) {
                self.broken = Some(format!("S2: {kept:?} stands twice in {name}"));
            }
            let member = (append.number, *append.device);
            self.store.members.insert(member, append.seq);
            log.push(kept);
        }
        self.hub.handle_appended(count);
    }

    fn cut(&mut self, number: usize) {
        if let Some(at) = self.link_of(number) {
            let link = &mut self.links[at];
            link.is_open = false;
            link.down.clear();
            self.devices[number].handle_disconnected(NOW);
        }
    }

    fn notice(&mut self, at: usize) {
        let link = &mut self.links[at];
        link.up.clear();
        if let Some(conn) = link.conn.take() {
            self.hub.handle_disconnected(NOW, conn);
        }
    }

    fn crash(&mut self) {
        self.left.crashes -= 1;
        let Some(slots) = self.spare.take() else {
            return;
        };
        for link in &mut self.links {
            link.conn = None;
            link.up.clear();
        }
        self.hub = slots.hub(2);
        for (number, (name, log)) in &self.store.rooms {
            let restored = self.hub.restore_room(*number, name, 1, log.len() as u64);
            restored.expect("there is room");
        }
        for ((room, device), up_seq) in &self.store.members {
            let restored = self.hub.restore_member(NOW, *room, device, *up_seq, 0);
            restored.expect("there is room");
        }
    }

    fn reset(&mut self) {
        self.left.resets -= 1;
        self.cut(0);
        self.lives[0] += 1;
        self.devices[0] = device(0, self.left);
        let posted = self.apps[0].posted;
        self.apps[0] = App {
            posted,
            ..App::default()
        };
    }

    /// Both ends say what they have to say, and the applications hear what they are told.
    fn settle(&mut self) {
        for at in 0..self.links.len() {
            self.speak_up(at);
            self.speak_down(at);
        }
        for number in 0..2 {
            while let Some(event) = self.devices[number].poll_event() {
                self.hear(number, event);
            }
        }
        // A link whose ends are both gone is no more.
        for link in &mut self.links {
            if link.is_open && link.conn.is_none() && link.down.is_empty() {
                link.is_open = false;
                self.devices[link.device].handle_disconnected(NOW);
            }
        }
        self.check();
    }

    fn speak_up(&mut self, at: usize) {
        let link = &mut self.links[at];
        let mut out = [0; 256];
        while link.is_open
            && let Some(len) = self.devices[link.device].poll_transmit(NOW, &mut out)
        {
            link.up.push_back(out[..len].to_vec());
            if link.up.len() > ENOUGH {
                self.broken = Some("a device has no end of things to say".to_owned());
                return;
            }
        }
    }

    fn speak_down(&mut self, at: usize) {
        let mut out = [0; 256];
        let mut turns = 0;
        while let Some(conn) = self.links[at].conn {
            turns += 1;
            if turns > ENOUGH {
                self.broken = Some("the hub has no end of things to say".to_owned());
                return;
            }
            let said = match self.hub.poll_transmit(NOW, conn, &mut out) {
                Transmit::Idle => return,
                Transmit::Close => {
                    self.links[at].conn = None;
                    self.links[at].up.clear();
                    return self.hub.handle_disconnected(NOW, conn);
                }
                Transmit::Message(len) => vec![out[..len].to_vec()],
                Transmit::Entries(run) => {
                    let bytes = [run.head, run.tail].concat();
                    let sent = run.sent;
                    let rest = self.hub.handle_sent(NOW, conn, sent, bytes.len());
                    assert!(rest.is_empty());
                    frames(&bytes)
                }
                Transmit::Stored(wanted) => {
                    let log = self.store.rooms.get(&wanted.room);
                    let kept = log.and_then(|(_, log)| log.get(wanted.first as usize - 1));
                    let kept = kept.expect("what is wanted was committed");
                    if wanted.own == Some(kept.device) {
                        self.hub.handle_found(NOW, conn, wanted, Found::Own);
                        continue;
                    }
                    self.hub.handle_stored(NOW, conn, wanted, wanted.first);
                    frames(&kept.frame)
                }
            };
            if self.links[at].is_open {
                self.links[at].down.extend(said);
            }
        }
    }

    fn hear(&mut self, number: usize, event: Event) {
        match event {
            Event::Acked { slot, seq } => {
                if let Some(body) = self.apps[number].open.remove(&(slot, seq)) {
                    self.acked.push((usize::from(slot), body));
                }
            }
            Event::Rejected { .. } | Event::Unknown { .. } | Event::StoreChanged { .. } => {
                self.broken = Some(format!("device {number} is told {event:?}"));
            }
            Event::Welcomed
            | Event::Joined { .. }
            | Event::Refused { .. }
            | Event::Left { .. }
            | Event::Closed { .. } => {}
        }
    }

    fn log(&self, slot: usize) -> &[Kept] {
        let mut rooms = self.store.rooms.values();
        let room = rooms.find(|(name, _)| name == ROOMS[slot]);
        room.map_or(&[], |(_, log)| log)
    }

    fn check(&mut self) {
        let broken = self.find_broken();
        self.broken = self.broken.take().or(broken);
    }

    fn find_broken(&self) -> Option<String> {
        for (slot, acked) in &self.acked {
            let log = self.log(*slot);
            if !log.iter().any(|kept| body(&kept.frame) == *acked) {
                return Some(format!("S1: {acked:?} is acknowledged and not in {log:?}"));
            }
        }
        for (slot, room) in ROOMS.iter().enumerate() {
            for number in 0..2 {
                let log = self.log(slot);
                let posts = log.iter().filter(|kept| kept.device == id(number));
                let order: Vec<_> = posts.map(|kept| body(&kept.frame)).collect();
                if !order.is_sorted() {
                    return Some(format!("S3: {order:?} in {room}"));
                }
                let seen = &self.apps[number].seen[slot];
                for (nth, (offset, text)) in seen.iter().enumerate() {
                    let kept = log.get(nth);
                    let is_right = *offset == nth as u64 + 1
                        && kept.is_some_and(|kept| match kept.device == id(number) {
                            true => text.is_empty(),
                            false => *text == body(&kept.frame),
                        });
                    if !is_right {
                        return Some(format!("S5: device {number} saw {seen:?} of {log:?}"));
                    }
                }
            }
        }
        None
    }

    /// Everything that is still to happen for good has happened.
    pub(crate) fn is_settled(&self) -> bool {
        (0..2).all(|number| {
            let app = &self.apps[number];
            app.posted == self.left.posts[number]
                && app.open.is_empty()
                && (0..2).all(|slot| app.seen[slot].len() == self.log(slot).len())
        })
    }

    /// All that makes a difference for what can come.
    pub(crate) fn print(&self) -> String {
        let mut all = format!(
            "{:?}{:?}{:?}{:?}{:?}{:?}",
            self.devices, self.apps, self.links, self.store, self.acked, self.left
        );
        let hub = format!("{:?}", self.hub);
        // What is only counted makes none.
        let counted = hub.find("counters: ").unwrap_or(hub.len());
        let _ = write!(all, "{}", &hub[..counted]);
        all
    }
}

/// The payloads of frames that lie one after the other.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let (payload, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        all.push(payload.to_vec());
        bytes = rest;
    }
    all
}

fn body(frame: &[u8]) -> Vec<u8> {
    match binary::decode(&frame[4..]).map(|decoded| decoded.message) {
        Ok(Message::Entry(entry)) => entry.body.to_vec(),
        other => panic!("{other:?}"),
    }
}
