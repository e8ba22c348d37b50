//! A device and its application, which checks what it is told against the store.

use std::collections::BTreeMap;

use halloo_core::chat::Client;
use halloo_core::chat::client::{Config, Delivery, Event, From, outbox_bytes};
use halloo_core::time::Instant;
use halloo_core::wire::{Join, binary};

use crate::store::Store;

/// More than a device has to say at once.
const ENOUGH: usize = 200;

/// What the application knows of the room in a slot.
#[derive(Debug, Default)]
struct Reading {
    room: &'static str,
    last: Option<u64>,
}

pub(super) struct Device {
    pub(super) client: Client<2, { outbox_bytes(3, 8) }>,
    number: u8,
    pub(super) is_down: bool,
    is_datagram: bool,
    readings: [Reading; 2],
    /// Bodies without verdict, by slot and number.
    open: BTreeMap<(u8, u32), Vec<u8>>,
    posts: u16,
}

impl Device {
    pub(super) fn new(at: usize, is_datagram: bool) -> Self {
        let number = at as u8 + 1;
        let config = Config {
            credit: 4,
            ..Config::new([number; 16], "dev").expect("a good name")
        };
        Self {
            client: Client::new(config),
            number,
            is_down: true,
            is_datagram,
            readings: Default::default(),
            open: BTreeMap::new(),
            posts: 0,
        }
    }

    /// It forgets all but its serial number.
    pub(super) fn reset(&mut self, at: usize) {
        *self = Self {
            // No two bodies are the same.
            posts: self.posts,
            ..Self::new(at, self.is_datagram)
        };
    }

    pub(super) fn connect(&mut self, now: Instant, nonce: u64) {
        self.is_down = false;
        self.client.set_datagrams(self.is_datagram);
        self.client.handle_connected(now, nonce);
    }

    pub(super) fn disconnect(&mut self, now: Instant) {
        self.client.handle_disconnected(now);
        self.is_down = true;
    }

    pub(super) fn join(&mut self, room: &'static str, from: From, is_whole: bool) {
        let flags = if is_whole { Join::OWN_BODIES } else { 0 };
        if let Ok(slot) = self.client.join_with(room, from, flags) {
            let last = matches!(from, From::Earliest).then_some(0);
            self.readings[usize::from(slot)] = Reading { room, last };
        }
    }

    pub(super) fn leave(&mut self, slot: u8) {
        self.client.leave(slot);
    }

    pub(super) fn post(&mut self, slot: u8) {
        let [high, low] = self.posts.to_be_bytes();
        let body = vec![self.number, high, low];
        if let Ok(seq) = self.client.post(slot, &body) {
            self.posts += 1;
            self.open.insert((slot, seq), body);
        }
    }

    pub(super) fn speak(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let (mut said, mut out) = (Vec::new(), [0; 256]);
        while let Some(len) = self.client.poll_transmit(now, &mut out) {
            said.push(out[..len].to_vec());
            assert!(said.len() < ENOUGH, "no end of things to say");
        }
        said
    }

    /// A message arrives, or a datagram.
    pub(super) fn take(&mut self, now: Instant, bytes: &[u8], store: &Store) {
        let delivery = if self.is_datagram {
            self.client.handle_datagram(now, bytes)
        } else {
            let decoded = binary::decode(bytes).expect("S12: the hub speaks well");
            self.client.handle_message(now, &decoded.message)
        };
        let (slot, from, to, body) = match delivery {
            Some(Delivery::Entry {
                slot, offset, body, ..
            }) => (slot, offset, offset, Some(body)),
            Some(Delivery::Own { slot, offset }) => (slot, offset, offset, Some(&[][..])),
            Some(Delivery::Gap { slot, from, to, .. }) => (slot, from, to, None),
            _ => return,
        };
        let reading = &mut self.readings[usize::from(slot)];
        if let Some(last) = reading.last.replace(to) {
            assert_eq!(from, last + 1, "S5: in {}", reading.room);
        }
        let Some(body) = body else {
            return;
        };
        let kept = store.log_of(reading.room).get(from as usize - 1);
        let kept = kept.expect("S6: handed on before its commit");
        let is_marker = body.is_empty() && kept.device == [self.number; 16];
        assert!(is_marker || body == kept.body, "S5: in {}", reading.room);
    }

    /// The application is told what happened; whether its connection is over.
    pub(super) fn hear(&mut self, store: &Store, now: Instant) -> bool {
        let mut is_over = false;
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Acked { slot, seq } => {
                    let body = self.open.remove(&(slot, seq)).expect("S9: a verdict again");
                    let log = store.log_of(self.readings[usize::from(slot)].room);
                    let found = log.iter().filter(|kept| kept.body == body).count();
                    assert_eq!(found, 1, "S1: acknowledged, and not kept once");
                }
                Event::Rejected { slot, seq, .. } | Event::Unknown { slot, seq, .. } => {
                    let body = self.open.remove(&(slot, seq));
                    body.expect("S9: a verdict again");
                }
                Event::Left { slot } | Event::Refused { slot, .. } => {
                    self.readings[usize::from(slot)] = Reading::default();
                }
                Event::StoreChanged { .. } => panic!("S7: there is one store"),
                Event::Closed { .. } => is_over = true,
                Event::Welcomed | Event::Joined { .. } => {}
            }
        }
        if is_over {
            self.disconnect(now);
        }
        is_over
    }
}
