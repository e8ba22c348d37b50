//! What must hold, judged from outside by a naive model.
//!
//! Knows what was posted, what the hub handed out to be made durable, what it was then told to be
//! durable, and what each application was told. Does not look into a machine.

use halloo_core::chat::client::From;
use halloo_core::chat::hub::{Append, Verdict};
use halloo_core::wire::{Message, binary};
use halloo_std::journal::{Disk, Journal, Stored};
use std::collections::{BTreeMap, BTreeSet};

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

/// A check's outcome.
pub type Check<T = ()> = Result<T, Broken>;

/// Fails with a rule's name and words.
macro_rules! must {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err($crate::world::model::Broken(format!($($words)+)));
        }
    };
}
pub(super) use must;

/// Who posted a body, and as its how manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostId {
    /// The device's number.
    pub device: u32,
    /// Its how manieth post, over all rooms and resets.
    pub counter: u32,
}

impl PostId {
    /// A body that says whose it is; `len` bytes, but at least 8.
    pub fn body(self, len: usize) -> Vec<u8> {
        let mut body = self.device.to_be_bytes().to_vec();
        body.extend(self.counter.to_be_bytes());
        let filler = (self.counter as u8) ^ 0x5a;
        body.extend((body.len()..len).map(|at| filler.wrapping_add(at as u8)));
        body
    }

    /// Whose a body is, if every byte of it is as it was posted.
    pub fn of(body: &[u8]) -> Option<Self> {
        let (device, rest) = body.split_first_chunk()?;
        let (counter, filler) = rest.split_first_chunk()?;
        let device = u32::from_be_bytes(*device);
        let counter = u32::from_be_bytes(*counter);
        let first = (counter as u8) ^ 0x5a;
        let mut wanted = (8..).map(|at: usize| first.wrapping_add(at as u8));
        let is_whole = filler.iter().all(|&byte| wanted.next() == Some(byte));
        is_whole.then_some(Self { device, counter })
    }
}

/// A device's identity from its number.
pub fn device_id(number: u32) -> [u8; 16] {
    let mut id = *b"device-........!";
    id[7..11].copy_from_slice(&number.to_be_bytes());
    id
}

fn number_of(device: &[u8; 16]) -> u32 {
    u32::from_be_bytes([device[7], device[8], device[9], device[10]])
}

/// One verdict that the hub handed out.
#[derive(Debug, Clone)]
pub struct Handed {
    room: String,
    device: u32,
    seq: u32,
    verdict: Verdict,
    frame: Vec<u8>,
}

impl Handed {
    /// A copy of what the hub handed out.
    pub fn of(append: &Append<'_>) -> Self {
        Self {
            room: append.room.to_owned(),
            device: number_of(append.device),
            seq: append.seq,
            verdict: append.verdict,
            frame: append.frame.to_vec(),
        }
    }
}

/// One committed entry.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Whose it is.
    pub id: PostId,
    /// The frame, header included.
    pub frame: Vec<u8>,
}

/// One room of one store: the true log.
#[derive(Debug, Default)]
pub struct RoomModel {
    /// Entry 1 is first.
    pub log: Vec<Kept>,
    /// The verdicts of each device, the first one first: whether it was kept.
    verdicts: BTreeMap<u32, Vec<bool>>,
    /// The last counter of each device.
    last: BTreeMap<u32, u32>,
    /// The highest `up_seq` that each device was told.
    told: BTreeMap<u32, u32>,
}

/// One generation of a store.
#[derive(Debug, Default)]
pub struct StoreModel {
    /// Its id, and how often it was restored.
    pub name: (u64, u32),
    rooms: BTreeMap<String, RoomModel>,
    /// What live sessions handed in: who, which room, which number, which post.
    offered: BTreeSet<(u32, String, u32, PostId)>,
    /// Verdicts that wait for their commit.
    pub handed: Vec<Handed>,
}

impl StoreModel {
    /// A store of this name, empty.
    pub fn new(name: (u64, u32)) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// A room's log; empty for a room that has none.
    pub fn log(&self, room: &str) -> &[Kept] {
        self.rooms.get(room).map_or(&[], |room| &room.log)
    }

    /// A live session handed in a post (S8: a fenced one has no effect).
    pub fn offer(
        &mut self,
        device: u32,
        room: &str,
        (seq, window): (u32, u16),
        body: &[u8],
    ) -> Check {
        let told = self.rooms.get(room).and_then(|room| room.told.get(&device));
        let told = told.copied().unwrap_or(0);
        must!(
            seq <= told + u32::from(window),
            "S10: {seq} of device {device} in {room} is beyond the window after {told}"
        );
        if let Some(id) = PostId::of(body) {
            self.offered.insert((device, room.to_owned(), seq, id));
        }
        Ok(())
    }

    /// The oldest `count` verdicts are durable.
    pub fn commit(&mut self, count: usize) -> Check {
        for handed in self.handed.drain(..count).collect::<Vec<_>>() {
            self.commit_one(handed)?;
        }
        Ok(())
    }

    /// The hub starts again over its journal, which must have all that was committed, and of the
    /// rest a whole commit or nothing (S1, S4, S9, S16). Whether it has one.
    pub fn recover<D: Disk>(&mut self, journal: &mut Journal<D>) -> Check<bool> {
        let state = journal.state().clone();
        let numbers: BTreeMap<&str, u32> = (0..)
            .zip(&state.rooms)
            .map(|(n, room)| (&*room.name, n))
            .collect();
        let handed = std::mem::take(&mut self.handed);
        let has = |handed: &Handed| {
            let number = numbers.get(&*handed.room).copied();
            let member = number.and_then(|n| state.members.get(&(n, device_id(handed.device))));
            match handed.verdict {
                Verdict::Forgotten => member.is_none(),
                _ => member.is_some_and(|member| member.up_seq >= handed.seq),
            }
        };
        let survived = handed.last().is_some_and(has);
        if survived {
            handed
                .into_iter()
                .try_for_each(|handed| self.commit_one(handed))?;
        }
        for (name, room) in &self.rooms {
            let number = numbers.get(&**name).copied();
            let head = number.map_or(0, |n| state.rooms[n as usize].head);
            must!(
                head == room.log.len() as u64,
                "S1/S16: {name} has {} entries, and {head} on the disk",
                room.log.len()
            );
            for (&device, verdicts) in &room.verdicts {
                let member = number.and_then(|n| state.members.get(&(n, device_id(device))));
                let up_seq = member.map_or(0, |member| member.up_seq);
                must!(
                    up_seq as usize == verdicts.len(),
                    "S7/S9: device {device} in {name} has {} verdicts, and {up_seq} on the disk",
                    verdicts.len()
                );
                for (back, is_kept) in verdicts.iter().rev().take(32).enumerate() {
                    let is_reject = member.is_some_and(|m| m.rejects >> back & 1 == 1);
                    must!(
                        is_reject != *is_kept,
                        "S9: device {device} in {name}: the disk has another verdict on {}",
                        verdicts.len() - back
                    );
                }
            }
            let Some(number) = number else { continue };
            for offset in state.rooms[number as usize].oldest..=head {
                let kept = room.log.get(offset as usize - 1);
                let found = journal.read(number, offset);
                must!(
                    matches!((&found, kept), (Ok(Stored::Entry { frame, .. }), Some(kept))
                        if *frame == kept.frame),
                    "S16: {name} {offset} is {kept:?}, and {found:?} on the disk"
                );
            }
        }
        Ok(survived)
    }

    fn commit_one(&mut self, handed: Handed) -> Check {
        let Handed {
            room: name,
            device,
            seq,
            verdict,
            frame,
        } = handed;
        let room = self.rooms.entry(name.clone()).or_default();
        if verdict == Verdict::Forgotten {
            room.verdicts.remove(&device);
            return Ok(());
        }
        let verdicts = room.verdicts.entry(device).or_default();
        let expected = verdicts.len() as u32 + 1;
        must!(
            seq == expected,
            "S2/S9: device {device} in {name}: verdict on {seq}, not {expected}"
        );
        verdicts.push(matches!(verdict, Verdict::Kept { .. }));
        let Verdict::Kept { offset } = verdict else {
            must!(frame.is_empty(), "a reject comes with a frame");
            return Ok(());
        };
        let next = room.log.len() as u64 + 1;
        must!(offset == next, "S4: {name} got offset {offset}, not {next}");
        let Ok(Message::Entry(entry)) = binary::decode(&frame[4..]).map(|d| d.message) else {
            return Err(Broken(format!("S12: {name} entry {offset} is no entry")));
        };
        must!(entry.offset == offset, "S4: the frame says {entry:?}");
        let id = PostId::of(entry.body);
        let Some(id) = id.filter(|id| id.device == device) else {
            return Err(Broken(format!("S5: foreign body in {name} at {offset}")));
        };
        must!(
            self.offered.contains(&(device, name.clone(), seq, id)),
            "S8: {id:?} as {seq} in {name} came from no live session"
        );
        let last = room.last.insert(device, id.counter);
        must!(
            last < Some(id.counter),
            "S2/S3: {id:?} in {name} at {offset} comes after {last:?}"
        );
        room.log.push(Kept { id, frame });
        Ok(())
    }

    /// The hub tells a device its `up_seq` and the rejects before it (S1, S7, S9).
    pub fn tell_up_seq(&mut self, device: u32, name: &str, up_seq: u32, rejects: u32) -> Check {
        let bound = |seq, counter| {
            let id = PostId { device, counter };
            (device, name.to_owned(), seq, id)
        };
        let mut own = self.offered.range(bound(0, 0)..=bound(u32::MAX, u32::MAX));
        let newest = own.next_back().map_or(0, |(_, _, seq, _)| *seq);
        let room = self.rooms.entry(name.to_owned()).or_default();
        let verdicts = room.verdicts.entry(device).or_default();
        must!(
            up_seq as usize <= verdicts.len(),
            "S1: device {device} in {name} is told {up_seq}, {} are durable",
            verdicts.len()
        );
        let told = room.told.entry(device).or_default();
        must!(
            up_seq >= *told,
            "S7: device {device} in {name} is told {up_seq} after {told}"
        );
        *told = up_seq;
        // A device that has sent its newest post knows the verdicts of those 32 before it.
        for back in 0..32.min(up_seq).min((up_seq + 32).saturating_sub(newest)) {
            let is_kept = verdicts[(up_seq - back) as usize - 1];
            must!(
                is_kept == (rejects >> back & 1 == 0),
                "S9: device {device} in {name}: {} is told wrongly in {rejects:b}",
                up_seq - back
            );
        }
        Ok(())
    }

    /// The hub tells a device that a post was rejected.
    pub fn tell_reject(&self, device: u32, name: &str, seq: u32) -> Check {
        let verdicts = self.rooms.get(name).and_then(|r| r.verdicts.get(&device));
        let verdict = verdicts.and_then(|v| v.get((seq as usize).wrapping_sub(1)));
        must!(
            verdict == Some(&false),
            "S1/S9: reject of {seq} in {name}, which is {verdict:?}"
        );
        Ok(())
    }

    /// How often a post is in a room's log.
    pub fn count(&self, name: &str, id: PostId) -> usize {
        self.log(name).iter().filter(|kept| kept.id == id).count()
    }
}

/// A room of a device, from the join until the application was told that it is over.
#[derive(Debug)]
pub struct Membership {
    /// The room.
    pub room: String,
    /// From where it reads.
    pub from: From,
    /// It gets its own posts whole.
    pub own_bodies: bool,
    /// Which life of the hub its cursor belongs to.
    pub store: Option<usize>,
    /// The next offset, once that is known.
    pub next: Option<u64>,
    /// Posts without verdict: the number that `post` gave, and which.
    pub posts: Vec<(u32, PostId)>,
    /// It was left or refused; only verdicts may follow.
    pub is_over: bool,
    /// How many entries were handed on, and how many gaps told.
    pub entries: u64,
    /// The gaps told.
    pub gaps: Vec<(u64, u64, halloo_core::wire::GapReason)>,
    /// How often the application was told that the store changed.
    pub changes: u32,
    /// Verdicts told: which post, and whether it was kept.
    pub verdicts: Vec<(PostId, bool)>,
}

impl Membership {
    /// Before the first word of the hub.
    pub fn new(room: &str, from: From, own_bodies: bool) -> Self {
        let next = match from {
            From::Latest => None,
            From::Last(_) | From::Earliest => Some(1),
            From::After { cursor, .. } => Some(cursor + 1),
        };
        Self {
            room: room.to_owned(),
            from,
            own_bodies,
            store: None,
            next,
            posts: Vec::new(),
            is_over: false,
            entries: 0,
            gaps: Vec::new(),
            changes: 0,
            verdicts: Vec::new(),
        }
    }

    /// The application was told that it is a member, in a session with life `life` of the hub.
    pub fn joined(
        &mut self,
        life: usize,
        name: Option<(u64, u32)>,
        head: u64,
        cursor: Option<u64>,
    ) -> Check {
        must!(!self.is_over, "S11: joined {} after it was over", self.room);
        if let (None, From::After { store, .. }) = (self.store, self.from) {
            must!(
                name == Some((store.id, store.generation)),
                "S7: {} reads on in another store than {store:?} without a word",
                self.room
            );
        }
        must!(
            self.store.is_none_or(|known| known == life),
            "S7: {} goes on in another store without a word",
            self.room
        );
        self.store = Some(life);
        // Where `Latest` is, only the hub knows.
        let start = cursor.unwrap_or(u64::MAX);
        must!(
            start <= head,
            "S5: {}: starts at {cursor:?} of {head}",
            self.room
        );
        let next = *self.next.get_or_insert(start + 1);
        must!(
            next == start + 1,
            "S5: {}: {next} is next after {start}",
            self.room
        );
        Ok(())
    }

    /// The application was told that the store changed.
    pub fn changed(&mut self, life: usize) -> Check {
        // `After` may name an offset of a log that was never there.
        let is_news = self.store != Some(life) || matches!(self.from, From::After { .. });
        must!(is_news, "{}: told of a change that was none", self.room);
        let is_first = self.store.is_none();
        self.store = Some(life);
        self.changes += 1;
        self.next = (!is_first).then_some(1);
        Ok(())
    }

    /// The application was handed an entry, or a marker.
    pub fn entry(&mut self, life: usize, store: &StoreModel, me: u32, seen: Seen<'_>) -> Check {
        let room = &self.room;
        must!(!self.is_over, "S11: an entry of {room} after it was over");
        must!(
            self.store == Some(life),
            "S5: {room}: an entry of another store"
        );
        let offset = seen.offset;
        must!(
            self.next == Some(offset),
            "S5: {room}: handed {offset}, not {:?}",
            self.next
        );
        let kept = store.log(room).get(offset as usize - 1);
        let Some(kept) = kept else {
            return Err(Broken(format!("S6: {room}: {offset} is not durable")));
        };
        match seen.body {
            None => must!(
                kept.id.device == me,
                "S5: {room}: {offset} is told to be its own, but is {:?}",
                kept.id
            ),
            Some(body) => {
                must!(
                    PostId::of(body) == Some(kept.id),
                    "S5: {room}: {offset} has another body than the log"
                );
                must!(
                    kept.id.device != me || self.own_bodies,
                    "S5: {room}: its own {offset} did not come as a marker"
                );
            }
        }
        self.next = Some(offset + 1);
        self.entries += 1;
        Ok(())
    }

    /// The application was told of a gap.
    pub fn gap(
        &mut self,
        life: usize,
        store: &StoreModel,
        (from, to): (u64, u64),
        reason: halloo_core::wire::GapReason,
    ) -> Check {
        let room = &self.room;
        must!(!self.is_over, "S11: a gap of {room} after it was over");
        must!(
            self.store == Some(life),
            "S5: {room}: a gap of another store"
        );
        must!(
            self.next == Some(from) && from <= to,
            "S5: {room}: gap {from}..={to}, not from {:?}",
            self.next
        );
        must!(
            to <= store.log(room).len() as u64,
            "S6: {room}: a gap up to {to}, which is not durable"
        );
        self.next = Some(to + 1);
        self.gaps.push((from, to, reason));
        Ok(())
    }

    /// The application was told a post's verdict; `None` when nobody knows it any more.
    pub fn verdict(&mut self, store: &StoreModel, seq: u32, is_kept: Option<bool>) -> Check {
        let room = &self.room;
        let place = self.posts.iter().position(|(number, _)| *number == seq);
        let Some(place) = place else {
            return Err(Broken(format!(
                "S9: {room}: a verdict on {seq}, but {:?} wait",
                self.posts
            )));
        };
        let (_, id) = self.posts.remove(place);
        let count = store.count(room, id);
        let Some(is_kept) = is_kept else {
            must!(count <= 1, "S2: {room}: {id:?} is in the log {count} times");
            return Ok(());
        };
        must!(
            count == usize::from(is_kept),
            "S1/S9: {room}: {id:?} was told kept: {is_kept}, and is in the log {count} times"
        );
        self.verdicts.push((id, is_kept));
        Ok(())
    }
}

/// An entry as the application sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'m> {
    /// Its place.
    pub offset: u64,
    /// What was posted; `None` in a marker.
    pub body: Option<&'m [u8]>,
}
