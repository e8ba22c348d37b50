//! What the tests know beside the machines: the store, what the applications were told, and the rules.

use std::collections::BTreeMap;

use halloo_core::chat::Hub;
use halloo_core::chat::client::{Delivery, Event};
use halloo_core::chat::hub::{self, Conn, Member, Pending, Room, Storage, Verdict};
use halloo_core::time::Instant;
use halloo_core::wire::{DeviceId, Entry, Message, binary};

pub(crate) const ROOMS: [&str; 2] = ["a", "b"];

/// The memory of one hub.
pub(crate) struct Slots {
    conns: [Conn; 4],
    members: [Member; 4],
    rooms: [Room; 2],
    bytes: [u8; 512],
    index: [[u32; 4]; 16],
    pending: [Pending; 4],
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self {
            conns: [Conn::FREE; 4],
            members: [Member::FREE; 4],
            rooms: [Room::FREE; 2],
            bytes: [0; 512],
            index: [[0; 4]; 16],
            pending: [Pending::FREE; 4],
        }
    }

    pub(crate) fn hub(&mut self, start: u32) -> Hub<'_> {
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

/// One entry in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) device: DeviceId,
    seq: u32,
    pub(crate) frame: Vec<u8>,
}

/// What survives a crash.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// By the hub's number.
    pub(crate) rooms: BTreeMap<u32, (String, Vec<Kept>)>,
    members: BTreeMap<(u32, DeviceId), u32>,
}

/// What a device's application knows; a new one after a reset.
#[derive(Debug, Default)]
pub(crate) struct App {
    pub(crate) posted: u8,
    /// Bodies by slot and number, until they are acknowledged.
    pub(crate) open: BTreeMap<(u8, u32), Vec<u8>>,
    /// Offsets and bodies that it was handed in each room; its own without a body.
    seen: [Vec<(u64, Vec<u8>)>; 2],
}

/// All of that.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) store: Store,
    pub(crate) apps: [App; 2],
    /// By room.
    acked: Vec<(usize, Vec<u8>)>,
    /// What does not hold any more.
    pub(crate) broken: Option<String>,
}

pub(crate) fn id(number: usize) -> DeviceId {
    [number as u8 + 1; 16]
}

impl Ledger {
    /// Everything that was posted becomes durable.
    pub(crate) fn commit(&mut self, hub: &mut Hub<'_>) {
        let mut count = 0;
        while let Some(append) = hub.poll_append() {
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
            let last = self.store.members.insert(member, append.seq);
            if last.is_some_and(|last| last >= append.seq) {
                self.broken = Some(format!("S7: {append:?} follows {last:?}"));
            }
            log.push(kept);
        }
        hub.handle_appended(count);
    }

    /// A hub that starts again is told what is in the store.
    pub(crate) fn restore(&self, now: Instant, hub: &mut Hub<'_>) {
        for (number, (name, log)) in &self.store.rooms {
            let restored = hub.restore_room(*number, name, 1, log.len() as u64);
            restored.expect("there is room");
        }
        for ((room, device), up_seq) in &self.store.members {
            let restored = hub.restore_member(now, *room, device, *up_seq, 0);
            restored.expect("there is room");
        }
    }

    /// A device sees an entry.
    pub(crate) fn show(&mut self, entry: &Entry<'_>) {
        let room = self.store.rooms.get(&entry.room);
        let head = room.map_or(0, |(_, log)| log.len());
        if entry.offset > head as u64 {
            self.broken = Some(format!("S6: {entry:?} is shown and not durable"));
        }
    }

    /// An application is handed something.
    pub(crate) fn hand(&mut self, number: usize, delivery: &Delivery<'_>) {
        let (slot, offset, body) = match *delivery {
            Delivery::Entry {
                slot, offset, body, ..
            } => (slot, offset, body.to_vec()),
            Delivery::Own { slot, offset } => (slot, offset, Vec::new()),
            Delivery::Gap { .. } => {
                self.broken = Some("a gap, though all is kept".to_owned());
                return;
            }
            _ => return,
        };
        self.apps[number].seen[usize::from(slot)].push((offset, body));
    }

    /// A device lost its memory: its application starts anew, and does not post anew what it posted.
    pub(crate) fn forget(&mut self, number: usize) {
        let posted = self.apps[number].posted;
        self.apps[number] = App {
            posted,
            ..App::default()
        };
    }

    pub(crate) fn hear(&mut self, number: usize, event: Event) {
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

    pub(crate) fn check(&mut self) {
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

    /// Everything that is still to happen for good has happened, at devices that are to post so much.
    pub(crate) fn is_settled(&self, posts: &[u8]) -> bool {
        posts.iter().zip(&self.apps).all(|(posts, app)| {
            app.posted == *posts
                && app.open.is_empty()
                && (0..2).all(|slot| app.seen[slot].len() == self.log(slot).len())
        })
    }
}

fn body(frame: &[u8]) -> Vec<u8> {
    match binary::decode(&frame[4..]).map(|decoded| decoded.message) {
        Ok(Message::Entry(entry)) => entry.body.to_vec(),
        other => panic!("{other:?}"),
    }
}
