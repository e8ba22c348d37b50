//! The same over datagrams: a network that loses, doubles and delays them, so many of each.
//!
//! What was delayed, and the copy of what was doubled, may come at any later time. Time passes while
//! nothing else is on its way, up to the next deadline at which somebody says something. Times make
//! no two states different, so not every order of deadlines is looked at.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use halloo_core::chat::Hub;
use halloo_core::chat::client::{Client, Config, Event, From, outbox_bytes};
use halloo_core::chat::datagram::{Header, MIN_HELLO, answer};
use halloo_core::chat::hub::{ConnId, Found, NotOpened, Transmit};
use halloo_core::time::{Instant, after, earliest, millis};
use halloo_core::wire::{Code, Hello, Join, Message, PeerError, binary};

use crate::ledger::{Ledger, ROOMS, Slots, id};

/// More deadlines in a row at which nothing is said than there are.
const ENOUGH: usize = 100;

type Device = Client<2, { outbox_bytes(3, 8) }>;

/// How much of each may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// How many devices there are: 1 or 2.
    pub(crate) devices: usize,
    /// How many rooms there are: 1 or 2.
    pub(crate) rooms: u8,
    /// Posts of each device; they go to the rooms in turn.
    pub(crate) posts: [u8; 2],
    /// Datagrams that are lost, that come twice, and that come later than others.
    pub(crate) losses: u8,
    pub(crate) doubles: u8,
    pub(crate) delays: u8,
    /// Crashes of the hub.
    pub(crate) crashes: u8,
    /// Times that the first device loses its memory.
    pub(crate) resets: u8,
    /// Whether all of that may happen to the opening too.
    pub(crate) from_the_start: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            devices: 1,
            rooms: 1,
            posts: [0; 2],
            losses: 0,
            doubles: 0,
            delays: 0,
            crashes: 0,
            resets: 0,
            from_the_start: false,
        }
    }
}

/// A way: to the hub, or from it, of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Up(usize),
    Down(usize),
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A device posts.
    Post(usize),
    /// The next datagram of a way arrives.
    Arrive(Way),
    /// It is lost.
    Lose(Way),
    /// A copy of it is made, which arrives later.
    Double(Way),
    /// Others overtake it.
    Delay(Way),
    /// One of those that were overtaken arrives.
    Late(usize),
    /// Everything that was posted becomes durable.
    Commit,
    /// Time passes until somebody says something.
    Wait,
    /// The hub loses its memory and starts from its store.
    Crash,
    /// The first device loses its memory.
    Reset,
}

/// A session, as the front of the hub knows it.
#[derive(Debug, Clone, Copy)]
struct Peer {
    id: ConnId,
    session: u64,
    device: usize,
}

pub(crate) struct World<'s> {
    now: Instant,
    hub: Hub<'s>,
    spare: Option<&'s mut Slots>,
    devices: Vec<Device>,
    pub(crate) ledger: Ledger,
    lives: u8,
    ways: BTreeMap<Way, VecDeque<Vec<u8>>>,
    late: Vec<(Way, Vec<u8>)>,
    /// By the machine's place.
    peers: BTreeMap<usize, Peer>,
    /// For whom each cookie was made, and when; a cookie is a number of these.
    cookies: Vec<(Instant, usize, u64)>,
    /// Cookies of hubs that crashed.
    stale: usize,
    is_uncommitted: bool,
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
    let numbers = 0..budget.devices;
    let ways = numbers.clone().flat_map(|n| [Way::Up(n), Way::Down(n)]);
    let mut world = World {
        now: Instant::from_ticks(1),
        hub: first.hub(1),
        spare: Some(&mut second),
        devices: numbers.clone().map(|n| device(n, budget)).collect(),
        ledger: Ledger::default(),
        lives: 0,
        ways: ways.map(|way| (way, VecDeque::new())).collect(),
        late: Vec::new(),
        peers: BTreeMap::new(),
        cookies: Vec::new(),
        stale: 0,
        is_uncommitted: false,
        left: budget,
        nonce: 0,
    };
    numbers.for_each(|number| world.connect(number));
    world.settle();
    while !budget.from_the_start
        && let Some(&way) = world.ways_in_use().first()
    {
        world.act(Action::Arrive(way));
    }
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
        let joined = device.join_with(room, From::Earliest, Join::NO_PRESENCE);
        joined.expect("a free slot");
    }
    device
}

impl World<'_> {
    /// What can happen next.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut all = Vec::new();
        for number in 0..self.devices.len() {
            let is_left = self.ledger.apps[number].posted < self.left.posts[number];
            if is_left && self.can_post(number) {
                all.push(Action::Post(number));
            }
        }
        for way in self.ways_in_use() {
            all.push(Action::Arrive(way));
            let faults = [
                (self.left.losses, Action::Lose(way)),
                (self.left.doubles, Action::Double(way)),
                (self.left.delays, Action::Delay(way)),
            ];
            all.extend(
                faults
                    .iter()
                    .filter(|(n, _)| *n > 0)
                    .map(|(_, fault)| fault),
            );
        }
        all.extend((0..self.late.len()).map(Action::Late));
        if self.is_uncommitted {
            all.push(Action::Commit);
        }
        if all.iter().all(|action| matches!(action, Action::Late(_))) && !self.is_settled() {
            all.push(Action::Wait);
        }
        if self.left.crashes > 0 {
            all.push(Action::Crash);
        }
        if self.left.resets > 0 {
            all.push(Action::Reset);
        }
        all
    }

    fn ways_in_use(&self) -> Vec<Way> {
        let used = self.ways.iter().filter(|(_, queue)| !queue.is_empty());
        used.map(|(way, _)| *way).collect()
    }

    fn can_post(&self, number: usize) -> bool {
        let slot = self.ledger.apps[number].posted % self.left.rooms;
        self.devices[number].clone().post(slot, b"").is_ok()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Post(number) => self.post(number),
            Action::Arrive(way) => {
                if let Some(datagram) = self.next_of(way).pop_front() {
                    self.arrive(way, &datagram);
                }
            }
            Action::Lose(way) => {
                self.left.losses -= 1;
                self.next_of(way).pop_front();
            }
            Action::Double(way) => {
                self.left.doubles -= 1;
                let copy = self.next_of(way).front().cloned();
                self.late.extend(copy.map(|copy| (way, copy)));
            }
            Action::Delay(way) => {
                self.left.delays -= 1;
                let delayed = self.next_of(way).pop_front();
                self.late.extend(delayed.map(|datagram| (way, datagram)));
            }
            Action::Late(at) => {
                let (way, datagram) = self.late.remove(at);
                self.arrive(way, &datagram);
            }
            Action::Commit => {
                self.is_uncommitted = false;
                self.ledger.commit(&mut self.hub);
            }
            Action::Wait => self.wait(),
            Action::Crash => self.crash(),
            Action::Reset => self.reset(),
        }
        self.settle();
    }

    fn next_of(&mut self, way: Way) -> &mut VecDeque<Vec<u8>> {
        self.ways.get_mut(&way).expect("a way of a device")
    }

    fn post(&mut self, number: usize) {
        let app = &mut self.ledger.apps[number];
        let slot = app.posted % self.left.rooms;
        // No two bodies are the same.
        let body = vec![number as u8, self.lives, app.posted];
        if let Ok(seq) = self.devices[number].post(slot, &body) {
            app.posted += 1;
            app.open.insert((slot, seq), body);
        }
    }

    fn arrive(&mut self, way: Way, datagram: &[u8]) {
        let number = match way {
            Way::Up(number) => return self.hub_gets(number, datagram),
            Way::Down(number) => number,
        };
        let (_, message) = Header::decode(datagram).expect("the hub speaks well");
        let message = binary::decode(message)
            .expect("the hub speaks well")
            .message;
        if let Message::Entry(entry) = &message {
            self.ledger.show(entry);
        }
        if let Some(delivery) = self.devices[number].handle_datagram(self.now, datagram) {
            self.ledger.hand(number, &delivery);
        }
    }

    // The hub's front: what the adapters do with addresses and cookies.

    fn hub_gets(&mut self, from: usize, datagram: &[u8]) {
        let (header, message) = Header::decode(datagram).expect("a device speaks well");
        let decoded = binary::decode(message).expect("a device speaks well");
        if let Message::Hello(hello) = &decoded.message {
            assert!(message.len() >= MIN_HELLO);
            return self.greet(from, &header, hello);
        }
        let mut peers = self.peers.values();
        let Some(peer) = peers.find(|peer| peer.session == header.session) else {
            if !matches!(decoded.message, Message::Error(_) | Message::Bye(_)) {
                self.say(from, &header, &error(Code::NoSession));
            }
            return;
        };
        let id = peer.id;
        let taken = self
            .hub
            .handle_datagram(self.now, id, &header, &decoded.message);
        // One that the hub cannot take now is lost.
        self.is_uncommitted |= taken == Ok(true) && matches!(decoded.message, Message::Post { .. });
    }

    fn greet(&mut self, from: usize, header: &Header, hello: &Hello<'_>) {
        let fits = |cookie: &[u8; 16]| {
            let number = u128::from_be_bytes(*cookie) as usize;
            let (made, device, nonce) = *self.cookies.get(number)?;
            let is_fresh = self.now <= after(made, millis(15_000)) && number >= self.stale;
            (is_fresh && (device, nonce) == (from, hello.nonce)).then_some(made)
        };
        let Some(issued) = hello.cookie.and_then(fits) else {
            let cookie = (self.cookies.len() as u128).to_be_bytes();
            self.cookies.push((self.now, from, hello.nonce));
            return self.say(from, header, &Message::Retry { cookie });
        };
        match self.hub.open_datagram(self.now, issued, header, hello) {
            Ok(id) => {
                let session = self.hub.session(id).expect("it is open");
                let device = from;
                self.peers.insert(
                    id.index(),
                    Peer {
                        id,
                        session,
                        device,
                    },
                );
            }
            Err(NotOpened::Refused(code)) => self.say(from, header, &error(code)),
            Err(_) => {}
        }
    }

    fn say(&mut self, to: usize, header: &Header, message: &Message<'_>) {
        let mut out = [0; MIN_HELLO];
        let len = answer(header, message, &mut out).expect("it fits");
        self.next_of(Way::Down(to)).push_back(out[..len].to_vec());
    }

    /// Time passes until somebody says something.
    fn wait(&mut self) {
        for _ in 0..ENOUGH {
            let devices = self
                .devices
                .iter()
                .filter_map(|device| device.poll_timeout());
            let Some(due) = earliest(self.hub.poll_timeout(), devices.min()) else {
                break;
            };
            self.now = self.now.max(due);
            self.hub.handle_timeout(self.now);
            for device in &mut self.devices {
                if device.poll_timeout().is_some_and(|due| due <= self.now) {
                    device.handle_timeout(self.now);
                }
            }
            self.settle();
            if !self.ways_in_use().is_empty() {
                return;
            }
        }
        self.ledger.broken = Some("nobody says anything any more".to_owned());
    }

    fn crash(&mut self) {
        self.left.crashes -= 1;
        let Some(slots) = self.spare.take() else {
            return;
        };
        self.hub = slots.hub(2);
        self.peers.clear();
        self.stale = self.cookies.len();
        self.is_uncommitted = false;
        self.ledger.restore(self.now, &mut self.hub);
    }

    fn reset(&mut self) {
        self.left.resets -= 1;
        self.lives += 1;
        self.devices[0] = device(0, self.left);
        self.ledger.forget(0);
        self.connect(0);
    }

    fn connect(&mut self, number: usize) {
        self.nonce += 1;
        let device = &mut self.devices[number];
        device.set_datagrams(true);
        device.handle_connected(self.now, self.nonce);
    }

    /// All say what they have to say, and the applications hear what they are told.
    fn settle(&mut self) {
        self.speak_down();
        for number in 0..self.devices.len() {
            self.speak_up(number);
        }
        self.ledger.check();
        for peer in self.peers.values() {
            let same = self.peers.values().filter(|other| {
                other.device == peer.device && self.hub.session(other.id).is_some()
            });
            if same.count() > 1 {
                self.ledger.broken = Some(format!("S8: two sessions of device {}", peer.device));
            }
        }
    }

    fn speak_up(&mut self, number: usize) {
        let mut out = [0; 256];
        loop {
            let device = &mut self.devices[number];
            while let Some(len) = device.poll_transmit(self.now, &mut out) {
                let queue = self.ways.get_mut(&Way::Up(number)).expect("a way");
                queue.push_back(out[..len].to_vec());
                if queue.len() > ENOUGH {
                    self.ledger.broken = Some("a device has no end of things to say".to_owned());
                    return;
                }
            }
            match device.poll_event() {
                None => return,
                Some(Event::Closed { .. }) => {
                    device.handle_disconnected(self.now);
                    self.connect(number);
                }
                Some(event) => self.ledger.hear(number, event),
            }
        }
    }

    fn speak_down(&mut self) {
        while let Some(ready) = self.hub.poll_ready() {
            let Some(peer) = self.peers.get(&ready.index()).copied() else {
                continue;
            };
            self.serve(peer);
        }
    }

    fn serve(&mut self, peer: Peer) {
        let mut out = [0; 256];
        for _ in 0..ENOUGH {
            let len = match self.hub.poll_transmit(self.now, peer.id, &mut out) {
                Transmit::Idle => return,
                Transmit::Close => {
                    self.hub.handle_disconnected(self.now, peer.id);
                    self.peers.remove(&peer.id.index());
                    return;
                }
                Transmit::Message(len) => len,
                Transmit::Stored(wanted) => {
                    let log = self.ledger.store.rooms.get(&wanted.room);
                    let kept = log.and_then(|(_, log)| log.get(wanted.first as usize - 1));
                    let kept = kept.expect("what is wanted was committed");
                    if wanted.own == Some(kept.device) {
                        self.hub.handle_found(self.now, peer.id, wanted, Found::Own);
                        continue;
                    }
                    let (now, frame) = (self.now, &kept.frame);
                    let sent = self
                        .hub
                        .stored_datagram(now, peer.id, wanted, frame, &mut out);
                    sent.expect("it fits")
                }
                Transmit::Entries(_) => unreachable!("entries are datagrams too"),
            };
            self.next_of(Way::Down(peer.device))
                .push_back(out[..len].to_vec());
        }
        self.ledger.broken = Some("the hub has no end of things to say".to_owned());
    }

    /// Everything that is still to happen for good has happened.
    pub(crate) fn is_settled(&self) -> bool {
        self.ledger
            .is_settled(&self.left.posts[..self.devices.len()])
            && self.devices.iter().all(|device| device.is_serving())
    }

    /// All that makes a difference for what can come, without the times.
    pub(crate) fn print(&self) -> String {
        let mut all = format!(
            "{:?}{:?}{:?}{:?}{:?}{:?}{}",
            self.devices,
            self.ledger,
            self.ways,
            self.late,
            self.peers,
            self.left,
            self.is_uncommitted
        );
        let hub = format!("{:?}", self.hub);
        // What is only counted makes none.
        let counted = hub.find("counters: ").unwrap_or(hub.len());
        let _ = write!(all, "{}", &hub[..counted]);
        without_times(&all)
    }
}

fn error(code: Code) -> Message<'static> {
    Message::Error(PeerError {
        code,
        retry_after: 0,
        text: "",
    })
}

/// Leaves out the numbers that are times, or are only counted.
fn without_times(all: &str) -> String {
    let digits = |c: char| c.is_ascii_digit();
    let without = |all: String, word: &str| {
        let mut parts = all.split(word);
        let mut out = parts.next().unwrap_or_default().to_owned();
        parts.for_each(|part| out.push_str(part.trim_start_matches(digits)));
        out
    };
    ["ticks: ", "srtt: ", "rttvar: ", "skipped: "]
        .into_iter()
        .fold(all.to_owned(), without)
}
