//! A hub alone, with peers that say what a test tells them to, in virtual time.

use super::at;
use super::limits::{HubMemory, Limits};
use super::model::device_id;
use super::said::Said;
use halloo_core::chat::Hub;
use halloo_core::chat::hub::{Busy, Config, ConnId, Full, Transmit};
use halloo_core::wire::{Code, Hello, Join, Message};

/// The largest body that a lone hub takes.
pub const MAX_BODY: u16 = 64;

/// A hub and the time.
#[derive(Debug)]
pub struct LoneHub<'m> {
    /// The machine.
    pub hub: Hub<'m>,
    /// Microseconds since the start.
    pub now: u64,
    /// Commits what it was handed before it is listened to.
    pub commits: bool,
    closed: Vec<ConnId>,
}

/// A `Hello` of device `number`, with credit for 8 entries and no keepalive.
pub fn hello(number: usize) -> Hello<'static> {
    Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 0x5eed,
        device: device_id(number as u32),
        max_frame: 512,
        credit: 8,
        keepalive: 0,
        proof: &[],
        cookie: None,
    }
}

/// A `Join` of `room` as slot 0 from the start, under the name `someone`.
pub const fn join(room: &str) -> Join<'_> {
    Join {
        slot: 0,
        flags: 0,
        cursor: 0,
        history: u32::MAX,
        room: room.as_bytes(),
        name: b"someone",
    }
}

/// A post in slot 0.
pub const fn post(seq: u32, body: &[u8]) -> Message<'_> {
    Message::Post { slot: 0, seq, body }
}

/// An ack for slot 0.
pub const fn ack(up_seq: u32, rejects: u32) -> Message<'static> {
    Message::Ack {
        slot: 0,
        up_seq,
        rejects,
    }
}

impl<'m> LoneHub<'m> {
    /// A hub over `memory`.
    pub fn new(limits: &Limits, memory: &'m mut HubMemory) -> Self {
        let mut config = limits.config(7, 0xa1, 1);
        config.max_body = MAX_BODY;
        Self::with(config, memory)
    }

    /// A hub that was told `config`.
    pub fn with(config: Config, memory: &'m mut HubMemory) -> Self {
        Self {
            hub: Hub::new(config, memory.storage()),
            now: 1_000_000,
            commits: true,
            closed: Vec::new(),
        }
    }

    /// A peer connects.
    pub fn connect(&mut self) -> Result<ConnId, Full> {
        self.hub.connect(at(self.now))
    }

    /// A peer says something.
    pub fn say(&mut self, peer: ConnId, message: &Message<'_>) -> Result<(), Busy> {
        self.hub.handle_message(at(self.now), peer, message)
    }

    /// A peer sends bytes that are no message.
    pub fn say_rubbish(&mut self, peer: ConnId, code: Code) {
        self.hub.handle_bad_frame(at(self.now), peer, code);
    }

    /// A peer's connection is gone.
    pub fn lose(&mut self, peer: ConnId) {
        self.hub.handle_disconnected(at(self.now), peer);
    }

    /// What a peer is told now; it reads all of it.
    ///
    /// # Panics
    /// If what is shown are no entries.
    pub fn hear(&mut self, peer: ConnId) -> Vec<Said> {
        if self.commits {
            self.hub.commit_in_memory();
        }
        let now = at(self.now);
        let mut said = Vec::new();
        let mut out = [0; 512];
        loop {
            match self.hub.poll_transmit(now, peer, &mut out) {
                Transmit::Idle | Transmit::Stored(_) => return said,
                Transmit::Close => {
                    if !self.closed.contains(&peer) {
                        self.closed.push(peer);
                        self.hub.handle_disconnected(now, peer);
                    }
                    return said;
                }
                Transmit::Message(len) => said.push(Said::new(&out[..len])),
                Transmit::Entries(entries) => {
                    let bytes = [entries.head, entries.tail].concat();
                    let sent = entries.sent;
                    let rest = self.hub.handle_sent(now, peer, sent, bytes.len());
                    assert!(rest.is_empty(), "all of it was written");
                    let mut frames = &bytes[..];
                    while let Some((len, tail)) = frames.split_first_chunk::<4>() {
                        let (frame, next) = tail.split_at(u32::from_be_bytes(*len) as usize);
                        said.push(Said::new(frame));
                        frames = next;
                    }
                }
            }
        }
    }

    /// Whether the hub has closed a peer's connection, as it told when the peer listened.
    pub fn has_closed(&self, peer: ConnId) -> bool {
        self.closed.contains(&peer)
    }

    /// Time passes.
    pub fn wait(&mut self, seconds: u64) {
        self.wait_micros(seconds * 1_000_000);
    }

    /// Time passes, in microseconds; the hub is called whenever it asks to be.
    pub fn wait_micros(&mut self, micros: u64) {
        let until = self.now + micros;
        while let Some(due) = self.hub.poll_timeout().filter(|d| d.as_ticks() <= until) {
            self.now = self.now.max(due.as_ticks());
            self.hub.handle_timeout(due);
        }
        self.now = until;
    }

    /// A session of device `number`; it has heard `Welcome`.
    ///
    /// # Panics
    /// If the hub does not open one.
    pub fn open(&mut self, number: usize) -> ConnId {
        self.open_with(&hello(number))
    }

    /// A session that was opened by `hello`.
    ///
    /// # Panics
    /// If the hub does not open one.
    pub fn open_with(&mut self, hello: &Hello<'_>) -> ConnId {
        let peer = self.connect().expect("a connection is free");
        self.say(peer, &Message::Hello(*hello))
            .expect("Hello is taken");
        let said = self.hear(peer);
        let is_open = matches!(said[..], [ref w] if matches!(w.message(), Message::Welcome(_)));
        assert!(is_open, "{said:?}");
        peer
    }

    /// Device `number` as a member of a room in slot 0; it has heard what there is.
    pub fn member(&mut self, number: usize, room: &str) -> ConnId {
        let peer = self.open(number);
        self.join(peer, &join(room));
        peer
    }

    /// A peer joins and hears what there is.
    ///
    /// # Panics
    /// If the hub has no place for the message.
    pub fn join(&mut self, peer: ConnId, join: &Join<'_>) -> Vec<Said> {
        // A hub that forgets others for it takes it after their commit.
        while self.say(peer, &Message::Join(*join)).is_err() {
            self.hub.commit_in_memory();
        }
        self.hear(peer)
    }

    /// A member posts in slot 0, with numbers from `first` on, and hears the ack.
    ///
    /// # Panics
    /// If the last one is not acknowledged.
    pub fn posts(&mut self, peer: ConnId, first: u32, count: u32) {
        for seq in first..first + count {
            self.say(peer, &post(seq, b"a body")).expect("it is taken");
            let said = self.hear(peer);
            let is_acked =
                |s: &Said| matches!(s.message(), Message::Ack { up_seq, .. } if up_seq == seq);
            assert!(said.iter().any(is_acked), "{said:?}");
        }
    }
}

/// The offsets of the entries among what was said.
pub fn offsets(said: &[Said]) -> Vec<u64> {
    let offset = |said: &Said| match said.message() {
        Message::Entry(entry) => Some(entry.offset),
        _ => None,
    };
    said.iter().filter_map(offset).collect()
}
