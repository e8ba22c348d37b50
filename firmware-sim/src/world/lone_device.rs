//! A device alone, with a hub that says what a test tells it to, in virtual time.

use super::at;
use super::said::Said;
use halloo_core::chat::client::{Client, Config, Delivery, Event, SlotId, outbox_bytes};
use halloo_core::wire::{Joined, Lineage, Message, Welcome};

const OUTBOX: usize = outbox_bytes(40, 16);

/// A device and the time.
#[derive(Debug)]
pub struct LoneDevice {
    /// The machine.
    pub client: Client<2, OUTBOX>,
    /// Microseconds since the start.
    pub now: u64,
    nonce: u64,
}

/// The hub's word on a new membership of slot 0 in an empty room, whose number is 5.
pub const fn joined(slot: SlotId) -> Joined {
    Joined {
        slot,
        room: 5,
        up_seq: 0,
        rejects: 0,
        start: 0,
        head: 0,
        members: 1,
        presence: 1,
    }
}

impl Default for LoneDevice {
    fn default() -> Self {
        Self::new(0)
    }
}

impl LoneDevice {
    /// A device that is offline, with credit for 4 entries.
    ///
    /// # Panics
    /// Never: its name is valid.
    pub fn new(keepalive: u16) -> Self {
        let mut config = Config::new(*b"a device alone..", "probe").expect("a valid name");
        config.credit = 4;
        config.keepalive = keepalive;
        Self {
            client: Client::new(config),
            now: 1_000_000,
            nonce: 100,
        }
    }

    /// Connects; what it says at once.
    pub fn connect(&mut self) -> Vec<Said> {
        self.nonce += 1;
        self.client.handle_connected(at(self.now), self.nonce);
        self.says()
    }

    /// A `Welcome` to its newest `Hello`.
    pub const fn welcome(&self) -> Welcome<'static> {
        Welcome {
            version: 1,
            suite: 0,
            flags: 0,
            nonce: self.nonce,
            session: 77,
            store: 9,
            generation: 1,
            keepalive: 0,
            max_body: 256,
            window: 32,
            proof: &[],
            lineage: Lineage::NONE,
        }
    }

    /// Connects and is welcomed; what it says then.
    pub fn open(&mut self) -> Vec<Said> {
        self.connect();
        let welcome = self.welcome();
        self.open_with(&welcome)
    }

    /// Is welcomed by `welcome`; what it says then.
    ///
    /// # Panics
    /// If it does not take it.
    pub fn open_with(&mut self, welcome: &Welcome<'_>) -> Vec<Said> {
        self.hears(&Message::Welcome(*welcome));
        assert_eq!(self.events(), [Event::Welcomed]);
        self.says()
    }

    /// Is told something.
    pub fn hears<'m>(&mut self, message: &Message<'m>) -> Option<Delivery<'m>> {
        self.client.handle_message(at(self.now), message)
    }

    /// Is told that it is a member; what it says then.
    ///
    /// # Panics
    /// If it did not want to be.
    pub fn hears_joined(&mut self, joined: &Joined) -> Vec<Said> {
        assert_eq!(self.hears(&Message::Joined(*joined)), None);
        let (slot, head, members) = (joined.slot, joined.head, joined.members);
        let told = Event::Joined {
            slot,
            head,
            members,
        };
        let events = self.events();
        assert!(events.contains(&told), "{events:?}");
        self.says()
    }

    /// All that it has to say.
    pub fn says(&mut self) -> Vec<Said> {
        let mut out = [0; 512];
        let mut said = Vec::new();
        while let Some(len) = self.client.poll_transmit(at(self.now), &mut out) {
            said.push(Said::new(&out[..len]));
        }
        said
    }

    /// All that its application is told.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    /// Its connection is gone, and its application is told so.
    pub fn lose(&mut self) {
        self.client.handle_disconnected(at(self.now));
        self.events();
    }

    /// Time passes; it is called whenever it asks to be. What it says meanwhile.
    pub fn wait(&mut self, seconds: u64) -> Vec<Said> {
        let until = self.now + seconds * 1_000_000;
        let mut said = Vec::new();
        while let Some(due) = self.client.poll_timeout().filter(|d| d.as_ticks() <= until) {
            self.now = self.now.max(due.as_ticks());
            self.client.handle_timeout(due);
            said.extend(self.says());
        }
        self.now = until;
        said
    }

    /// A device in one room, slot 0, numbered 5 by the hub; nothing waits.
    ///
    /// # Panics
    /// If the device does not want to.
    pub fn member() -> Self {
        let mut device = Self::default();
        device
            .client
            .join("lab", halloo_core::chat::client::From::Earliest)
            .expect("a slot is free");
        device.open();
        device.hears_joined(&joined(0));
        device
    }
}
