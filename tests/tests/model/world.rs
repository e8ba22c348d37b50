//! What the model is about: two devices, one hub, its store, and what is on the way.

use std::collections::VecDeque;
use std::fmt::Write as _;

use halloo_core::chat::Hub;
use halloo_core::chat::client::{Client, Config, From, outbox_bytes};
use halloo_core::chat::hub::{ConnId, Found, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::{Join, Message, binary};

use crate::ledger::{Ledger, ROOMS, Slots, id};

/// More than either end has to say at once.
const ENOUGH: usize = 100;

const NOW: Instant = Instant::from_ticks(0);

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

pub(crate) struct World<'s> {
    hub: Hub<'s>,
    spare: Option<&'s mut Slots>,
    devices: [Device; 2],
    pub(crate) ledger: Ledger,
    lives: [u8; 2],
    links: Vec<Link>,
    left: Budget,
    nonce: u64,
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
        ledger: Ledger::default(),
        lives: [0; 2],
        links: Vec::new(),
        left: budget,
        nonce: 0,
    };
    world.begin();
    for action in trace {
        world.act(*action);
    }
    look(&mut world)
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
            if self.ledger.apps[number].posted < self.left.posts[number] && self.can_post(number) {
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
        let slot = self.ledger.apps[number].posted % self.left.rooms;
        self.devices[number].clone().post(slot, b"").is_ok()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(number) => self.connect(number),
            Action::Post(number) => self.post(number),
            Action::Up(at) => self.up(at),
            Action::Down(at) => self.down(at),
            Action::Commit => self.ledger.commit(&mut self.hub),
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
        let app = &mut self.ledger.apps[number];
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
            self.ledger.show(entry);
        }
        if let Some(delivery) = self.devices[number].handle_message(NOW, &message) {
            self.ledger.hand(number, &delivery);
        }
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
        self.ledger.restore(NOW, &mut self.hub);
    }

    fn reset(&mut self) {
        self.left.resets -= 1;
        self.cut(0);
        self.lives[0] += 1;
        self.devices[0] = device(0, self.left);
        self.ledger.forget(0);
    }

    /// Both ends say what they have to say, and the applications hear what they are told.
    fn settle(&mut self) {
        for at in 0..self.links.len() {
            self.speak_up(at);
            self.speak_down(at);
        }
        for number in 0..2 {
            while let Some(event) = self.devices[number].poll_event() {
                self.ledger.hear(number, event);
            }
        }
        // A link whose ends are both gone is no more.
        for link in &mut self.links {
            if link.is_open && link.conn.is_none() && link.down.is_empty() {
                link.is_open = false;
                self.devices[link.device].handle_disconnected(NOW);
            }
        }
        self.ledger.check();
    }

    fn speak_up(&mut self, at: usize) {
        let link = &mut self.links[at];
        let mut out = [0; 256];
        while link.is_open
            && let Some(len) = self.devices[link.device].poll_transmit(NOW, &mut out)
        {
            link.up.push_back(out[..len].to_vec());
            if link.up.len() > ENOUGH {
                self.ledger.broken = Some("a device has no end of things to say".to_owned());
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
                self.ledger.broken = Some("the hub has no end of things to say".to_owned());
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
                    let log = self.ledger.store.rooms.get(&wanted.room);
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

    /// Everything that is still to happen for good has happened.
    pub(crate) fn is_settled(&self) -> bool {
        self.ledger.is_settled(&self.left.posts)
    }

    /// All that makes a difference for what can come.
    pub(crate) fn print(&self) -> String {
        let mut all = format!(
            "{:?}{:?}{:?}{:?}",
            self.devices, self.links, self.ledger, self.left
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
