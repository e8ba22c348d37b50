//! A hub's memory, and a naive store behind it that knows what was committed.

use std::collections::{BTreeMap, VecDeque};

use halloo_core::chat::Hub;
use halloo_core::chat::hub::{Config, Conn, Member, Pending, Room, Storage, Verdict};
use halloo_core::time::Instant;
use halloo_core::wire::{DeviceId, Message, binary};

/// The memory of a hub that is small enough for everything to be full at times.
pub(crate) struct Memory {
    conns: [Conn; 5],
    members: [Member; 6],
    rooms: [Room; 3],
    bytes: [u8; 480],
    index: [[u32; 4]; 12],
    pending: [Pending; 3],
}

impl Memory {
    pub(crate) const fn new() -> Self {
        Self {
            conns: [Conn::FREE; 5],
            members: [Member::FREE; 6],
            rooms: [Room::FREE; 3],
            bytes: [0; 480],
            index: [[0; 4]; 12],
            pending: [Pending::FREE; 3],
        }
    }

    pub(crate) fn hub(&mut self, config: Config) -> Hub<'_> {
        let storage = Storage {
            conns: &mut self.conns,
            members: &mut self.members,
            rooms: &mut self.rooms,
            bytes: &mut self.bytes,
            index: &mut self.index,
            pending: &mut self.pending,
        };
        Hub::new(config, storage)
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) device: DeviceId,
    pub(crate) seq: u32,
    pub(crate) frame: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// Where a device stands in a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) up_seq: u32,
    pub(crate) rejects: u32,
    seen: u64,
}

#[derive(Debug)]
struct Staged {
    room: u32,
    name: String,
    device: DeviceId,
    seq: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Entry(Vec<u8>, Vec<u8>),
    Reject,
    Forget,
}

/// What a hub has committed, and what it wants to be.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) rooms: BTreeMap<u32, (String, Vec<Kept>)>,
    members: BTreeMap<(u32, DeviceId), Stand>,
    staged: VecDeque<Staged>,
    clock: u64,
}

impl Store {
    /// The log of a room, by the hub's number.
    pub(crate) fn log(&self, room: u32) -> &[Kept] {
        self.rooms.get(&room).map_or(&[], |(_, log)| log)
    }

    /// The log of a room, by its name.
    pub(crate) fn log_of(&self, name: &str) -> &[Kept] {
        let mut rooms = self.rooms.values();
        let room = rooms.find(|(found, log)| found == name && !log.is_empty());
        room.map_or(&[], |(_, log)| log)
    }

    /// Where a device stands, by what is committed.
    pub(crate) fn stand(&self, room: u32, device: DeviceId) -> Stand {
        let stand = self.members.get(&(room, device));
        stand.copied().unwrap_or_default()
    }

    /// Takes what the hub wants to be committed, and checks that it follows from what was before.
    pub(crate) fn stage(&mut self, hub: &mut Hub<'_>) {
        while let Some(append) = hub.poll_append() {
            let (room, device, seq) = (append.number, *append.device, append.seq);
            let staged = self.staged.iter().rev();
            let mut before = staged.filter(|s| s.room == room && s.device == device);
            let up_seq = match before.next() {
                Some(Staged {
                    what: What::Forget, ..
                }) => 0,
                Some(staged) => staged.seq,
                None => self.stand(room, device).up_seq,
            };
            let what = match append.verdict {
                Verdict::Forgotten => What::Forget,
                Verdict::Rejected { .. } => What::Reject,
                Verdict::Kept { offset } => {
                    let entries = self.staged.iter();
                    let is_entry =
                        |s: &&Staged| s.room == room && matches!(s.what, What::Entry(..));
                    let head = self.log(room).len() + entries.filter(is_entry).count();
                    assert_eq!(offset, head as u64 + 1, "S4: in room {room}");
                    let decoded = binary::decode(&append.frame[4..]).expect("S12: an entry");
                    let Message::Entry(entry) = decoded.message else {
                        panic!("{decoded:?} in a log")
                    };
                    assert_eq!((entry.room, entry.offset), (room, offset));
                    What::Entry(append.frame.to_vec(), entry.body.to_vec())
                }
            };
            let is_next = matches!(what, What::Forget) || seq == up_seq.wrapping_add(1);
            assert!(is_next, "S2, S3: {seq} of {device:?} after {up_seq}");
            self.staged.push_back(Staged {
                room,
                name: append.room.to_owned(),
                device,
                seq,
                what,
            });
        }
    }

    /// The bodies that wait for their commit.
    pub(crate) fn staged_bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.staged.iter().filter_map(|staged| match &staged.what {
            What::Entry(_, body) => Some(&body[..]),
            What::Reject | What::Forget => None,
        })
    }

    /// The oldest `count` of them become durable; how many that were.
    pub(crate) fn sync(&mut self, count: usize) -> usize {
        let count = count.min(self.staged.len());
        for staged in self.staged.drain(..count) {
            let (name, log) = self.rooms.entry(staged.room).or_default();
            if *name != staged.name {
                let mut members = self.members.keys();
                let is_free = log.is_empty() && !members.any(|(room, _)| *room == staged.room);
                assert!(is_free, "room {name} became {}", staged.name);
                *name = staged.name;
            }
            let key = (staged.room, staged.device);
            if let What::Forget = staged.what {
                self.members.remove(&key);
                continue;
            }
            self.clock += 1;
            let stand = self.members.entry(key).or_default();
            let is_reject = matches!(staged.what, What::Reject);
            *stand = Stand {
                up_seq: staged.seq,
                rejects: stand.rejects << 1 | u32::from(is_reject),
                seen: self.clock,
            };
            if let What::Entry(frame, body) = staged.what {
                log.push(Kept {
                    device: staged.device,
                    seq: staged.seq,
                    frame,
                    body,
                });
            }
        }
        count
    }

    /// The hub is gone, and with it what is not durable.
    pub(crate) fn crash(&mut self) {
        self.staged.clear();
    }

    /// Tells a hub that has just been made what is durable.
    pub(crate) fn restore(&self, hub: &mut Hub<'_>) {
        for (&number, (name, log)) in &self.rooms {
            let mut members = self.members.keys();
            if log.is_empty() && !members.any(|(room, _)| *room == number) {
                continue;
            }
            let restored = hub.restore_room(number, name, 1, log.len() as u64);
            restored.expect("a hub of the same size");
        }
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|(_, stand)| stand.seen);
        for ((room, device), stand) in members {
            let now = Instant::from_ticks(0);
            let restored = hub.restore_member(now, *room, device, stand.up_seq, stand.rejects);
            restored.expect("a hub of the same size");
        }
    }
}

/// The payloads of frames that lie one after the other.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let (payload, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        all.push(payload);
        bytes = rest;
    }
    all
}
