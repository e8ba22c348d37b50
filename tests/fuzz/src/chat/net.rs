//! What is on the way between devices and the hub, and the hub's front.

use std::collections::{BTreeMap, VecDeque};

use halloo_core::chat::Hub;
use halloo_core::chat::datagram::{Header, MIN_HELLO, answer};
use halloo_core::chat::hub::{ConnId, Found, NotOpened, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::{Code, Message, PeerError, binary};

use crate::store::{Store, frames};

/// More than a hub has to say at once.
const ENOUGH: usize = 400;

/// A connection with an end at the hub.
#[derive(Debug)]
struct Link {
    device: usize,
    id: ConnId,
    /// Whether the device's end is open.
    is_open: bool,
    /// Over datagrams.
    session: u64,
    up: VecDeque<Vec<u8>>,
}

pub(super) struct Net {
    pub(super) is_datagram: bool,
    links: Vec<Link>,
    /// What is on its way to a device, and over datagrams from it.
    down: BTreeMap<usize, VecDeque<Vec<u8>>>,
    up: BTreeMap<usize, VecDeque<Vec<u8>>>,
}

impl Net {
    pub(super) const fn new(is_datagram: bool) -> Self {
        Self {
            is_datagram,
            links: Vec::new(),
            down: BTreeMap::new(),
            up: BTreeMap::new(),
        }
    }

    /// A device opens a connection; whether the hub takes it.
    pub(super) fn connect(&mut self, hub: &mut Hub<'_>, device: usize, now: Instant) -> bool {
        if self.is_datagram {
            return true;
        }
        let Ok(id) = hub.connect(now) else {
            return false;
        };
        self.cut(device);
        self.links.push(Link {
            device,
            id,
            is_open: true,
            session: 0,
            up: VecDeque::new(),
        });
        true
    }

    /// The device's end is gone; what it said before is still on its way.
    pub(super) fn cut(&mut self, device: usize) {
        if !self.is_datagram {
            self.down.remove(&device);
            for link in &mut self.links {
                link.is_open &= link.device != device;
            }
        }
    }

    /// The hub finds which connections are gone.
    pub(super) fn notice(&mut self, hub: &mut Hub<'_>, now: Instant) {
        if !self.is_datagram {
            let gone = self.links.iter().filter(|link| !link.is_open);
            gone.for_each(|link| hub.handle_disconnected(now, link.id));
            self.links.retain(|link| link.is_open);
        }
    }

    pub(super) fn hub_is_gone(&mut self) {
        // What it said last may still arrive; devices find out when they speak.
        self.links.clear();
    }

    /// Whether something is on its way that will arrive.
    pub(super) fn has_work(&self, device: usize) -> bool {
        let is_some = |queue: Option<&VecDeque<_>>| queue.is_some_and(|queue| !queue.is_empty());
        is_some(self.down.get(&device))
            || is_some(self.up.get(&device))
            || self
                .links
                .iter()
                .any(|l| l.device == device && !l.up.is_empty())
    }

    pub(super) fn carry_up(&mut self, device: usize, said: Vec<Vec<u8>>) {
        if self.is_datagram {
            let queue = self.up.entry(device).or_default();
            queue.extend(said);
            return;
        }
        let mut links = self.links.iter_mut();
        // To a hub that is gone, it is lost.
        if let Some(link) = links.find(|link| link.device == device && link.is_open) {
            link.up.extend(said);
        }
    }

    /// Something from a device arrives at the hub.
    pub(super) fn up(&mut self, hub: &mut Hub<'_>, device: usize, now: Instant, nth: u8) {
        if self.is_datagram {
            if let Some(datagram) = pick(self.up.get_mut(&device), nth) {
                self.take_datagram(hub, device, now, &datagram);
            }
            return;
        }
        let mut links = self.links.iter_mut();
        // From the oldest connection of the device, or the newest.
        let from = |link: &&mut Link| link.device == device && !link.up.is_empty();
        let link = match nth & 1 {
            0 => links.find(from),
            _ => links.rev().find(from),
        };
        let Some(link) = link else {
            return;
        };
        let bytes = link.up.front().expect("it has one");
        let decoded = binary::decode(bytes).expect("S12: a device speaks well");
        // A hub that is busy takes it after a commit.
        if hub.handle_message(now, link.id, &decoded.message).is_ok() {
            link.up.pop_front();
        }
    }

    fn take_datagram(&mut self, hub: &mut Hub<'_>, device: usize, now: Instant, bytes: &[u8]) {
        let (header, rest) = Header::decode(bytes).expect("S12: a device speaks well");
        let message = binary::decode(rest)
            .expect("S12: a device speaks well")
            .message;
        if let Message::Hello(hello) = &message {
            assert!(rest.len() >= MIN_HELLO, "F-HELLO-1");
            let Some(cookie) = hello.cookie else {
                let issued = now.as_ticks().to_be_bytes();
                let mut cookie = [0; 16];
                cookie[..8].copy_from_slice(&issued);
                return self.answer(device, &header, &Message::Retry { cookie });
            };
            let issued = cookie.first_chunk().map_or(0, |c| u64::from_be_bytes(*c));
            let issued = Instant::from_ticks(issued);
            match hub.open_datagram(now, issued, &header, hello) {
                Ok(id) => {
                    let session = hub.session(id).expect("it was opened");
                    self.links.retain(|link| link.id != id);
                    self.links.push(Link {
                        device,
                        id,
                        is_open: true,
                        session,
                        up: VecDeque::new(),
                    });
                }
                Err(NotOpened::Refused(code)) => self.refuse(device, &header, code),
                Err(_) => {}
            }
            return;
        }
        let mut links = self.links.iter();
        match links.find(|link| link.session == header.session) {
            // One that finds the hub busy is lost.
            Some(link) => drop(hub.handle_datagram(now, link.id, &header, &message)),
            None if matches!(message, Message::Error(_) | Message::Bye(_)) => {}
            None => self.refuse(device, &header, Code::NoSession),
        }
    }

    fn refuse(&mut self, device: usize, header: &Header, code: Code) {
        let error = PeerError {
            code,
            retry_after: 0,
            text: "",
        };
        self.answer(device, header, &Message::Error(error));
    }

    fn answer(&mut self, device: usize, header: &Header, message: &Message<'_>) {
        let mut out = [0; MIN_HELLO];
        let len = answer(header, message, &mut out).expect("it has room");
        let queue = self.down.entry(device).or_default();
        queue.push_back(out[..len].to_vec());
    }

    /// Something arrives at a device.
    pub(super) fn down(&mut self, device: usize, nth: u8) -> Option<Vec<u8>> {
        let nth = if self.is_datagram { nth } else { 0 };
        pick(self.down.get_mut(&device), nth)
    }

    /// A datagram is lost.
    pub(super) fn lose(&mut self, device: usize, nth: u8, is_up: bool) {
        if self.is_datagram {
            pick(self.way(device, is_up), nth);
        }
    }

    /// A datagram comes again, much later perhaps.
    pub(super) fn double(&mut self, device: usize, nth: u8, is_up: bool) {
        if self.is_datagram
            && let Some(queue) = self.way(device, is_up)
            && let Some(at) = usize::from(nth).checked_rem(queue.len())
        {
            let copy = queue[at].clone();
            queue.push_back(copy);
        }
    }

    fn way(&mut self, device: usize, is_up: bool) -> Option<&mut VecDeque<Vec<u8>>> {
        let ways = if is_up { &mut self.up } else { &mut self.down };
        ways.get_mut(&device)
    }

    /// The hub says what it has to say.
    pub(super) fn speak(&mut self, hub: &mut Hub<'_>, now: Instant, store: &Store) {
        let mut at = 0;
        while let Some(link) = self.links.get(at) {
            let (id, device, is_open) = (link.id, link.device, link.is_open);
            let (said, is_over) = say_all(hub, id, now, store, self.is_datagram);
            if is_open {
                self.down.entry(device).or_default().extend(said);
            }
            if is_over {
                hub.handle_disconnected(now, id);
                self.links.remove(at);
            } else {
                at += 1;
            }
        }
    }
}

fn pick(queue: Option<&mut VecDeque<Vec<u8>>>, nth: u8) -> Option<Vec<u8>> {
    let queue = queue?;
    let at = usize::from(nth).checked_rem(queue.len())?;
    queue.remove(at)
}

/// All that the hub owes to a connection, and whether it is over then.
fn say_all(
    hub: &mut Hub<'_>,
    id: ConnId,
    now: Instant,
    store: &Store,
    is_datagram: bool,
) -> (Vec<Vec<u8>>, bool) {
    let (mut said, mut out) = (Vec::new(), [0; 256]);
    for _ in 0..ENOUGH {
        match hub.poll_transmit(now, id, &mut out) {
            Transmit::Idle => return (said, false),
            Transmit::Close => return (said, true),
            Transmit::Message(len) => said.push(out[..len].to_vec()),
            Transmit::Entries(run) => {
                let bytes = [run.head, run.tail].concat();
                let sent = run.sent;
                let rest = hub.handle_sent(now, id, sent, bytes.len());
                assert!(rest.is_empty());
                said.extend(frames(&bytes).into_iter().map(<[u8]>::to_vec));
            }
            Transmit::Stored(wanted) => {
                let kept = &store.log(wanted.room)[wanted.first as usize - 1];
                assert!(kept.frame.len() <= wanted.longest);
                if wanted.own == Some(kept.device) {
                    hub.handle_found(now, id, wanted, Found::Own);
                } else if is_datagram {
                    let len = hub.stored_datagram(now, id, wanted, &kept.frame, &mut out);
                    said.extend(len.map(|len| out[..len].to_vec()));
                } else {
                    hub.handle_stored(now, id, wanted, wanted.first);
                    said.push(kept.frame[4..].to_vec());
                }
            }
        }
    }
    panic!("no end of things to say")
}
