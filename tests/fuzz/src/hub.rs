//! The hub's machine under any calls: devices that lie, commits in any portion, crashes.

mod chat;
mod listen;
mod peer;
pub mod tutorial;

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use halloo_core::chat::Hub;
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub::Config;
use halloo_core::time::{Instant, after, secs};
use halloo_core::wire::{ByeReason, Code, Hello, Join, Message};

use crate::message;
use crate::store::{Memory, Store};
use peer::{Peer, Phase, hello, is_good};

/// More than there is to say at once.
const ENOUGH: usize = 400;
const ROOMS: [&[u8]; 4] = [b"lab", b"yard", b"roof", b"cave"];

struct Run {
    store: Store,
    peers: Vec<Peer>,
    now: Instant,
    sessions: BTreeSet<u64>,
    has_store: bool,
    /// What was posted by a connection that was fenced.
    inert: BTreeSet<Vec<u8>>,
    posts: u16,
    starts: u32,
}

/// Runs the machine.
pub fn machine(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut run = Run {
        store: Store::default(),
        peers: Vec::new(),
        now: Instant::from_ticks(0),
        sessions: BTreeSet::new(),
        has_store: u.ratio(3, 4).unwrap_or(true),
        inert: BTreeSet::new(),
        posts: 0,
        starts: 0,
    };
    let window = u.int_in_range(1..=4).unwrap_or(1);
    while !u.is_empty() {
        run.starts += 1;
        run.peers.clear();
        run.store.crash();
        if !run.has_store {
            run.store = Store::default();
        }
        let mut memory = Memory::new();
        let mut hub = memory.hub(Config {
            max_body: 24,
            window,
            run_bytes: 64,
            lifetime: secs(1000),
            has_store: run.has_store,
            ..Config::new(1, [run.starts, 2, 3, 4], 5)
        });
        run.store.restore(&mut hub);
        let mut is_up = true;
        while is_up && !u.is_empty() {
            is_up = run.step(&mut hub, &mut u).unwrap_or(true);
        }
        if is_up {
            run.settle(&mut hub);
        }
    }
}

impl Run {
    /// One step; `false` is a crash.
    fn step(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<bool> {
        match u.int_in_range(0..=23)? {
            0 | 1 => {
                if let Ok(id) = hub.connect(self.now) {
                    self.peers.push(Peer::new(id, self.now));
                    assert!(self.peers.len() <= 5, "S10: more connections than slots");
                    if u.ratio(7, 8)? {
                        self.hello(hub, u, self.peers.len() - 1)?;
                    }
                }
            }
            2 if u.arbitrary()? => self.open_datagram(hub, u)?,
            2 => {
                let Some(at) = self.peer(u)? else {
                    return Ok(true);
                };
                self.hello(hub, u, at)?;
            }
            3 => {
                let Some(at) = self.peer(u)? else {
                    return Ok(true);
                };
                let message = message::any(u)?;
                self.hand_in(hub, u, at, &message)?;
            }
            4..=6 => self.join(hub, u)?,
            7..=11 => self.post(hub, u)?,
            12 => self.credit_or_leave(hub, u)?,
            13 => {
                if let Some(at) = self.peer(u)? {
                    let peer = self.peers.remove(at);
                    hub.handle_disconnected(self.now, peer.id);
                }
            }
            14 | 15 => {
                self.stage(hub);
                let count = u.int_in_range(0..=3)?;
                let count = self.store.sync(count);
                hub.handle_appended(count);
            }
            16..=18 => {
                if let Some(at) = self.peer(u)? {
                    let most = u.int_in_range(0..=8)?;
                    let written = u.arbitrary::<u8>()?;
                    self.drain(hub, at, most, written.into());
                }
            }
            19 => self.settle(hub),
            20 => {
                let jump: u8 = u.arbitrary()?;
                self.now = match jump {
                    0..100 => after(self.now, secs(u64::from(jump))),
                    100..200 => hub.poll_timeout().unwrap_or(self.now).max(self.now),
                    _ => after(self.now, secs(u64::from(jump) * 10)),
                };
                self.timeout(hub);
            }
            21 => {
                if let Some(at) = self.peer(u)? {
                    self.peers[at].end_greeting();
                    let code = Code::from_wire(u.arbitrary()?);
                    hub.handle_bad_frame(self.now, self.peers[at].id, code);
                }
            }
            22 => {
                // A crash, before the sync or after it.
                self.stage(hub);
                let count = u.int_in_range(0..=3)?;
                self.store.sync(count);
                return Ok(false);
            }
            _ => {
                if u.ratio(1, 16)? {
                    hub.shut_down(self.now, ByeReason::Shutdown);
                    self.peers.iter_mut().for_each(Peer::end_greeting);
                }
            }
        }
        Ok(true)
    }

    fn peer(&self, u: &mut Unstructured<'_>) -> Result<Option<usize>> {
        let at: usize = u.int_in_range(0..=3)?;
        Ok(at.checked_rem(self.peers.len()))
    }

    fn hello(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>, at: usize) -> Result<()> {
        let hello = Message::Hello(hello(u)?);
        self.hand_in(hub, u, at, &hello)
    }

    /// A `Hello` whose cookie fits opens a session over datagrams.
    fn open_datagram(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let hello = hello(u)?;
        let header = Header {
            session: hello.nonce,
            number: message::word(u)?,
            seen: 0,
        };
        let back = secs(u.int_in_range(0..=20)?).as_ticks();
        let issued = Instant::from_ticks(self.now.as_ticks().saturating_sub(back));
        let Ok(id) = hub.open_datagram(self.now, issued, &header, &hello) else {
            return Ok(());
        };
        let session = hub.session(id).expect("it was opened");
        if self.peers.iter().any(|peer| peer.id == id) {
            // It is the one that it opened before.
            return Ok(());
        }
        self.peers.push(Peer {
            path: Some(Header { session, ..header }),
            ..Peer::new(id, self.now)
        });
        assert!(self.peers.len() <= 5, "S10: more connections than slots");
        self.opened(self.peers.len() - 1, &hello);
        Ok(())
    }

    /// The peer has a session, and no other of its device has one.
    fn opened(&mut self, at: usize, hello: &Hello<'_>) {
        for peer in &mut self.peers {
            if peer.phase == Phase::Serving && peer.device == hello.device {
                peer.phase = Phase::Fenced;
            }
        }
        let peer = &mut self.peers[at];
        peer.phase = Phase::Serving;
        peer.device = hello.device;
        peer.nonce = hello.nonce;
        peer.credit = hello.credit;
        peer.max_frame = hello.max_frame;
    }

    fn join(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.peer(u)? else {
            return Ok(());
        };
        let join = Join {
            slot: u.int_in_range(0..=1)?,
            flags: u.int_in_range(0..=3)?,
            cursor: *u.choose(&[0, 0, 1, 5, Join::LATEST])?,
            history: *u.choose(&[u32::MAX, u32::MAX, 2])?,
            room: u.choose(&ROOMS)?,
            name: b"dev",
        };
        self.hand_in(hub, u, at, &Message::Join(join))
    }

    fn post(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.peer(u)? else {
            return Ok(());
        };
        let slot = u.int_in_range(0..=1)?;
        let peer = &self.peers[at];
        let room = peer.seats.get(&slot).and_then(|seat| seat.reads);
        let up_seq = room.map_or(0, |(room, ..)| self.store.stand(room, peer.device).up_seq);
        // The next one more often than not, after those on their way.
        let seq = up_seq.wrapping_add(u.int_in_range(0..=4)?);
        self.posts += 1;
        let mut body = self.posts.to_be_bytes().to_vec();
        body.resize(*u.choose(&[2, 2, 8, 24, 25])?, 0);
        if peer.phase == Phase::Fenced {
            self.inert.insert(body.clone());
        }
        let body = &body;
        self.hand_in(hub, u, at, &Message::Post { slot, seq, body })
    }

    fn credit_or_leave(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.peer(u)? else {
            return Ok(());
        };
        let slot = u.int_in_range(0..=1)?;
        let cursor = match self.peers[at].seats.get(&slot).and_then(|seat| seat.reads) {
            Some((_, cursor, _)) => cursor,
            None => return Ok(()),
        };
        let message = match u.int_in_range(0..=3)? {
            0 => Message::Leave { slot },
            _ => Message::Credit {
                slot,
                cursor,
                window: u.int_in_range(0..=8)?,
            },
        };
        self.hand_in(hub, u, at, &message)
    }

    /// A message arrives; what is known of its sender follows.
    fn hand_in(
        &mut self,
        hub: &mut Hub<'_>,
        u: &mut Unstructured<'_>,
        at: usize,
        message: &Message<'_>,
    ) -> Result<()> {
        let id = self.peers[at].id;
        let was_taken = match &mut self.peers[at].path {
            None => hub.handle_message(self.now, id, message).map(|()| true),
            Some(path) => {
                path.number = path.number.wrapping_add(u.int_in_range(0..=2)?);
                let seen = path.seen.wrapping_sub(u.int_in_range(0..=3)?);
                let header = Header { seen, ..*path };
                hub.handle_datagram(self.now, id, &header, message)
            }
        };
        if was_taken != Ok(true) {
            return Ok(());
        }
        let peer = &mut self.peers[at];
        match (peer.phase, message) {
            (Phase::Greeting(_), Message::Unknown { .. }) => {}
            (Phase::Greeting(_), Message::Hello(hello)) if is_good(hello) => {
                self.opened(at, hello);
            }
            (Phase::Greeting(_), _) => peer.phase = Phase::Over,
            (Phase::Serving, Message::Join(join)) => {
                let seat = peer.seats.entry(join.slot).or_default();
                seat.wants_markers |= join.flags & Join::OWN_BODIES == 0;
            }
            (Phase::Serving, Message::Leave { slot }) => {
                peer.seats.remove(slot);
            }
            (
                Phase::Serving,
                Message::Credit {
                    slot,
                    cursor,
                    window,
                },
            ) => {
                if let Some(seat) = peer.seats.get_mut(slot) {
                    seat.window = seat.window.max(*window);
                    if let Some((room, read, limit)) = &mut seat.reads {
                        // Over datagrams a device is believed what it says to have.
                        if peer.path.is_some() {
                            let head = self.store.log(*room).len() as u64;
                            *read = (*cursor).min(head).max(*read);
                        }
                        let grant = (*cursor).min(*read).saturating_add((*window).into());
                        *limit = grant.max(*limit);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn stage(&mut self, hub: &mut Hub<'_>) {
        self.store.stage(hub);
        let inert = |body: &[u8]| self.inert.contains(body);
        let has_inert = self.store.staged_bodies().any(inert);
        assert!(!has_inert, "S8: a fenced session has posted");
    }

    fn timeout(&mut self, hub: &mut Hub<'_>) {
        hub.handle_timeout(self.now);
        for peer in &mut self.peers {
            if let Phase::Greeting(since) = peer.phase
                && after(since, secs(10)) <= self.now
            {
                peer.phase = Phase::Over;
            }
        }
    }

    /// All is committed and said, and nothing is left to do before the next deadline.
    fn settle(&mut self, hub: &mut Hub<'_>) {
        for turn in 0.. {
            self.stage(hub);
            let count = self.store.sync(usize::MAX);
            hub.handle_appended(count);
            self.timeout(hub);
            let mut ready = Vec::new();
            while let Some(id) = hub.poll_ready() {
                assert!(ready.len() < ENOUGH, "no end of connections");
                ready.push(id);
            }
            if ready.is_empty() && count == 0 {
                break;
            }
            assert!(turn < ENOUGH, "the hub comes to no rest");
            for id in ready {
                if let Some(at) = self.peers.iter().position(|peer| peer.id == id) {
                    self.drain(hub, at, ENOUGH, usize::MAX);
                }
            }
        }
        let due = hub.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "busy at {due:?}");
    }
}
