//! The true history of a store: the naive model's log of each room, and where each device stands.
//!
//! Knows what live sessions handed in, what the hub handed out to be made durable, and what it was
//! then told to be durable. Entries that nobody can be handed any more are forgotten.

use super::limits::Limits;
use super::model::{Broken, Check, PostId, STRANGER, VISITOR, device_id, must, number_of};
use super::rng::mix;
use halloo_core::chat::hub::{Append, Verdict};
use halloo_core::wire::{MAX_LINEAGE, Message, binary};
use halloo_std::journal::{Disk, Journal, State, Stored};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// How many of its last posts in a room are remembered of each device; no more than 32 wait for a
/// verdict, and no more than 4 of a device of a fleet.
const REMEMBERED: usize = 32;
const REMEMBERED_OF_FLEET: usize = 4;

/// Above every frame of an entry.
const LONGEST: usize = 4096;

/// One verdict that the hub handed out.
#[derive(Debug, Clone)]
pub struct Handed {
    room: String,
    device: u32,
    seq: u32,
    verdict: Verdict,
    frame: Box<[u8]>,
}

impl Handed {
    /// A copy of what the hub handed out.
    pub fn of(append: &Append<'_>) -> Self {
        Self {
            room: append.room.to_owned(),
            device: number_of(append.device),
            seq: append.seq,
            verdict: append.verdict,
            frame: append.frame.into(),
        }
    }
}

/// One committed entry.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Whose it is.
    pub id: PostId,
    /// Under which number it was posted.
    seq: u32,
    /// The hub's number for the room, as the frame says it.
    room: u32,
    /// How many bytes the body has.
    body: u32,
    /// A hash of the frame, header included: there are too many to keep each.
    frame: u64,
    /// Its bytes on the disk have gone bad.
    is_lost: bool,
}

impl Kept {
    /// Whether its bytes on the disk have gone bad: members are told so.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether this is the entry's frame, header included, in the room of this number.
    pub fn is(&self, room: u32, frame: &[u8]) -> bool {
        self.room == room && self.frame == hash(frame)
    }

    /// Whether this is the entry's body, of the post `id`.
    pub fn has_body(&self, id: Option<PostId>, body: &[u8]) -> bool {
        id == Some(self.id) && body.len() == self.body as usize
    }
}

/// 64 bits of a frame.
fn hash(frame: &[u8]) -> u64 {
    let (pairs, rest) = frame.as_chunks::<16>();
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    let pairs = pairs.iter().chain([&last]);
    pairs.fold(mix(frame.len() as u64), |hash, pair| {
        let pair = u128::from_le_bytes(*pair);
        let (low, high) = (pair as u64, (pair >> 64) as u64);
        let product = u128::from(low ^ hash) * u128::from(high ^ 0x9e37_79b9_7f4a_7c15);
        mix(hash ^ product as u64) ^ (product >> 64) as u64
    })
}

/// Hashes names that nobody has chosen to collide.
#[derive(Debug, Clone, Copy, Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let word = piece.iter().fold(1, |w, &b| (w << 8) | u64::from(b));
            self.0 = mix(self.0 ^ word);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Where a room lies in the store in which it was found last; a room keeps its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    store: Option<(u64, u32)>,
    at: usize,
}

/// One room of one store: the true log.
#[derive(Debug, Clone, Default)]
struct RoomModel {
    log: VecDeque<Kept>,
    /// How many entries before those were forgotten.
    forgotten: u64,
    authors: BTreeMap<u32, Author>,
}

/// Where one device stands in a room.
#[derive(Debug, Clone, Default)]
struct Author {
    /// How many verdicts there are, and which of the last 64 were rejects; bit 0 is the last one.
    verdicts: u32,
    rejects: u64,
    /// The last numbers and counters that were kept, in order.
    kept: VecDeque<(u32, u32)>,
    /// The highest `up_seq` that the device was told.
    told: u32,
    /// The hub has forgotten that entries up to this one are its own.
    forgotten_to: u64,
    /// The highest number that a live session handed in, and what has no verdict yet.
    newest: u32,
    offered: Vec<(u32, u32)>,
    /// Posts up to this one may come once more, and the last that did (D-STORE-6).
    may_come_again: Option<u32>,
    came_again: Option<u32>,
}

/// One generation of a store.
#[derive(Debug, Clone, Default)]
pub struct StoreModel {
    /// Its id, and how often it was restored.
    pub name: (u64, u32),
    rooms: Vec<(String, RoomModel)>,
    by_name: HashMap<String, usize, BuildHasherDefault<NameHasher>>,
    /// Verdicts that wait for their commit.
    pub handed: VecDeque<Handed>,
    /// Entries that were committed.
    pub entries: u64,
    /// Few posts of each device wait for a verdict.
    is_fleet: bool,
    /// By the hub's clock it may have forgotten who left a room.
    pub may_forget: bool,
    /// How many other names it had.
    names_before: usize,
    /// It is back, and has not begun.
    may_double: bool,
}

impl StoreModel {
    /// A store of this name, empty.
    pub fn new(name: (u64, u32), limits: &Limits) -> Self {
        Self {
            name,
            is_fleet: limits.is_fleet,
            ..Self::default()
        }
    }

    /// The same history under its new name.
    ///
    /// If it `is_back` after another one, or the hub cannot tell devices all the names that it had,
    /// then who waited for an ack all the while posts once more what is here already (D-STORE-6).
    pub fn rename(&mut self, name: (u64, u32), is_back: bool) {
        self.name = name;
        self.names_before += 1;
        self.may_double |= is_back || self.names_before > MAX_LINEAGE;
    }

    /// What is in the log by now may come once more.
    fn let_double(&mut self) {
        let authors = self
            .rooms
            .iter_mut()
            .flat_map(|(_, r)| r.authors.values_mut());
        for author in authors {
            author.may_come_again = author.kept.iter().map(|&(_, counter)| counter).max();
            author.came_again = None;
        }
    }

    /// The last offset of a room's log; 0 for a room that has none.
    pub fn head(&self, room: &str) -> u64 {
        self.room(room).map_or(0, RoomModel::head)
    }

    /// An entry of a room's log, unless it is not there or forgotten.
    pub fn kept(&self, room: &str, offset: u64) -> Option<&Kept> {
        self.room(room)?.kept(offset)
    }

    /// As [`kept`](Self::kept), of a room that always comes with the same `place`.
    pub fn kept_at(&self, place: &mut Place, room: &str, offset: u64) -> Option<&Kept> {
        if place.store != Some(self.name) {
            place.at = *self.by_name.get(room)?;
            place.store = Some(self.name);
        }
        self.rooms.get(place.at)?.1.kept(offset)
    }

    /// Whether a post is in a room's log.
    pub fn has(&self, room: &str, id: PostId) -> bool {
        let author = self.room(room).and_then(|r| r.authors.get(&id.device));
        author.is_some_and(|author| {
            author
                .kept
                .iter()
                .any(|&(_, counter)| counter == id.counter)
        })
    }

    /// Whether the hub may have forgotten that an entry is a device's own.
    pub fn is_forgotten(&self, room: &str, device: u32, offset: u64) -> bool {
        let author = self.room(room).and_then(|r| r.authors.get(&device));
        author.is_some_and(|author| offset <= author.forgotten_to)
    }

    /// Nobody can be handed what stands before `first` in a room.
    pub fn forget(&mut self, room: &str, first: u64) {
        if let Some(&at) = self.by_name.get(room) {
            let room = &mut self.rooms[at].1;
            while room.forgotten + 1 < first && room.log.pop_front().is_some() {
                room.forgotten += 1;
            }
        }
    }

    /// The entries whose frames lie in `bytes`, each once: room, offset, position, length.
    pub fn entries_in(&self, bytes: &[u8]) -> Vec<(&str, u64, usize, usize)> {
        let entries = self.rooms.iter().flat_map(|(name, room)| {
            let entries = (room.forgotten + 1..).zip(&room.log);
            entries.map(|(offset, kept)| (&**name, offset, kept))
        });
        let there = entries.filter(|(.., kept)| !kept.is_lost);
        let mut there: BTreeMap<_, _> = there.map(|found| (found.2.frame, found)).collect();
        let mut found = Vec::new();
        for at in 0..bytes.len() {
            let Some(header) = bytes[at..].first_chunk::<4>() else {
                break;
            };
            let len = 4 + u32::from_be_bytes(*header) as usize;
            let frame = bytes.get(at..at + len).filter(|_| len <= LONGEST);
            if let Some((room, offset, _)) = frame.and_then(|frame| there.remove(&hash(frame))) {
                found.push((room, offset, at, len));
            }
        }
        found
    }

    /// An entry's bytes on the disk have gone bad.
    pub fn lose(&mut self, name: &str, offset: u64) {
        let room = self.room_mut(name);
        let at = offset.saturating_sub(room.forgotten + 1);
        if let Some(kept) = room.log.get_mut(at as usize) {
            kept.is_lost = true;
        }
    }

    /// The same history after a repair, under its new name: what `state` does not know of devices any
    /// more is what was lost.
    pub fn repaired(&self, name: (u64, u32), state: &State) -> Check<Self> {
        let mut life = self.clone();
        life.rename(name, false);
        life.take_survivors(state)?;
        for (name, room) in &mut life.rooms {
            let number = state.rooms.iter().rposition(|room| *room.name == **name);
            for (&device, author) in &mut room.authors {
                let key = (number.unwrap_or(usize::MAX) as u32, device_id(device));
                let member = state.members.get(&key);
                let (up_seq, rejects) = member.map_or((0, 0), |m| (m.up_seq, m.rejects));
                let mut later = room.log.iter();
                let lost = later
                    .by_ref()
                    .filter(|kept| kept.id.device == device && kept.seq > up_seq && kept.is_lost());
                let missing = u64::from(author.verdicts.saturating_sub(up_seq));
                must!(
                    up_seq <= author.verdicts && missing <= lost.count() as u64,
                    "S7: after the repair device {device} in {name} has {up_seq} of {}",
                    author.verdicts
                );
                author.kept.retain(|&(seq, _)| seq <= up_seq);
                (author.verdicts, author.rejects) = (up_seq, rejects.into());
                (author.told, author.newest) = (author.told.min(up_seq), author.newest.min(up_seq));
                author.offered.clear();
            }
            // Without a snapshot nothing but the entries themselves tells how many there were.
            let head = number.map_or(0, |number| state.rooms[number].head);
            while room.head() > head && room.log.back().is_some_and(Kept::is_lost) {
                room.log.pop_back();
            }
        }
        Ok(life)
    }

    /// What was handed out and not committed before a crash: a whole commit of it is on the disk, or
    /// nothing.
    fn take_survivors(&mut self, state: &State) -> Check<bool> {
        let handed = std::mem::take(&mut self.handed);
        let has = |handed: &Handed| {
            let number = state
                .rooms
                .iter()
                .rposition(|room| *room.name == *handed.room);
            let key = number.map(|number| (number as u32, device_id(handed.device)));
            let member = key.and_then(|key| state.members.get(&key));
            match handed.verdict {
                Verdict::Forgotten => member.is_none(),
                _ => member.is_some_and(|member| member.up_seq >= handed.seq),
            }
        };
        let survived = handed.back().is_some_and(has);
        if survived {
            for handed in handed {
                self.commit_one(handed)?;
            }
        }
        Ok(survived)
    }

    fn room(&self, name: &str) -> Option<&RoomModel> {
        self.by_name.get(name).map(|&at| &self.rooms[at].1)
    }

    fn room_mut(&mut self, name: &str) -> &mut RoomModel {
        let at = match self.by_name.get(name) {
            Some(&at) => at,
            None => {
                let at = self.rooms.len();
                self.by_name.insert(name.to_owned(), at);
                self.rooms.push((name.to_owned(), RoomModel::default()));
                at
            }
        };
        &mut self.rooms[at].1
    }

    /// One that never comes back and that is not forgotten, though it posted.
    pub fn visitor(&self) -> Option<u32> {
        let authors = self.rooms.iter().flat_map(|(_, room)| &room.authors);
        let mut visitors =
            authors.filter(|&(&device, author)| device >= VISITOR && author.verdicts > 0);
        visitors.next().map(|(&device, _)| device)
    }

    fn author(&mut self, device: u32, name: &str) -> &mut Author {
        self.room_mut(name).authors.entry(device).or_default()
    }

    /// A live session handed in a post (S8: a fenced one has no effect).
    pub fn offer(
        &mut self,
        device: u32,
        room: &str,
        (seq, window): (u32, u16),
        body: &[u8],
    ) -> Check {
        let author = self.author(device, room);
        let told = author.told;
        must!(
            seq <= told + u32::from(window),
            "S10: {seq} of device {device} in {room} is beyond the window after {told}"
        );
        if let Some(id) = PostId::of(body) {
            author.newest = author.newest.max(seq);
            let offer = (seq, id.counter);
            if id.device == device && seq > author.verdicts && !author.offered.contains(&offer) {
                author.offered.push(offer);
            }
        }
        Ok(())
    }

    /// The oldest `count` verdicts are durable.
    pub fn commit(&mut self, count: usize) -> Check {
        for _ in 0..count {
            if let Some(handed) = self.handed.pop_front() {
                self.commit_one(handed)?;
            }
        }
        Ok(())
    }

    fn commit_one(&mut self, handed: Handed) -> Check {
        let Handed {
            room: name,
            device,
            seq,
            verdict,
            frame,
        } = handed;
        let remembered = match self.is_fleet {
            true => REMEMBERED_OF_FLEET,
            false => REMEMBERED,
        };
        let may_forget = self.may_forget;
        let head = self.head(&name);
        let author = self.author(device, &name);
        if verdict == Verdict::Forgotten {
            must!(
                may_forget || device >= VISITOR,
                "S7: device {device} in {name} is forgotten"
            );
            (author.verdicts, author.rejects) = (0, 0);
            (author.told, author.newest) = (0, 0);
            author.forgotten_to = head;
            author.offered.clear();
            return Ok(());
        }
        let expected = author.verdicts + 1;
        must!(
            seq == expected,
            "S2/S9: device {device} in {name}: verdict on {seq}, not {expected}"
        );
        author.verdicts = seq;
        let is_kept = matches!(verdict, Verdict::Kept { .. });
        author.rejects = author.rejects << 1 | u64::from(!is_kept);
        let Verdict::Kept { offset } = verdict else {
            author.offered.retain(|(other, _)| *other > seq);
            must!(frame.is_empty(), "a reject comes with a frame");
            return Ok(());
        };
        let Ok(Message::Entry(entry)) = binary::decode(&frame[4..]).map(|d| d.message) else {
            return Err(Broken(format!("S12: {name} entry {offset} is no entry")));
        };
        must!(entry.offset == offset, "S4: the frame says {entry:?}");
        let id = PostId::of(entry.body);
        let (number, body) = (entry.room, entry.body.len() as u32);
        let Some(id) = id.filter(|id| id.device == device) else {
            return Err(Broken(format!("S5: foreign body in {name} at {offset}")));
        };
        must!(
            device >= STRANGER || author.offered.contains(&(seq, id.counter)),
            "S8: {id:?} as {seq} in {name} came from no live session"
        );
        author.offered.retain(|(other, _)| *other > seq);
        if author.offered.is_empty() {
            author.offered = Vec::new();
        }
        let last = author.kept.back().map(|&(_, counter)| counter);
        let comes_again = Some(id.counter) <= author.may_come_again;
        must!(
            last < Some(id.counter) || comes_again && author.came_again < Some(id.counter),
            "S2/S3: {id:?} in {name} at {offset} comes after {last:?}"
        );
        if comes_again {
            author.came_again = Some(id.counter);
        }
        while author.kept.len() >= remembered {
            author.kept.pop_front();
        }
        author.kept.push_back((seq, id.counter));
        let room = self.room_mut(&name);
        let next = room.head() + 1;
        must!(offset == next, "S4: {name} got offset {offset}, not {next}");
        room.log.push_back(Kept {
            id,
            seq,
            room: number,
            body,
            frame: hash(&frame),
            is_lost: false,
        });
        self.entries += 1;
        Ok(())
    }

    /// The hub tells a device its `up_seq` and the rejects before it (S1, S7, S9).
    pub fn tell_up_seq(&mut self, device: u32, name: &str, up_seq: u32, rejects: u32) -> Check {
        let author = self.author(device, name);
        must!(
            up_seq <= author.verdicts,
            "S1: device {device} in {name} is told {up_seq}, {} are durable",
            author.verdicts
        );
        must!(
            up_seq >= author.told,
            "S7: device {device} in {name} is told {up_seq} after {}",
            author.told
        );
        author.told = up_seq;
        // A device that has sent its newest post knows the verdicts of those 32 before it.
        let newest = author.newest;
        for back in 0..32.min(up_seq).min((up_seq + 32).saturating_sub(newest)) {
            must!(
                author.is_kept(up_seq - back) == Some(rejects >> back & 1 == 0),
                "S9: device {device} in {name}: {} is told wrongly in {rejects:b}",
                up_seq - back
            );
        }
        Ok(())
    }

    /// The hub tells a device that a post was rejected.
    pub fn tell_reject(&self, device: u32, name: &str, seq: u32) -> Check {
        let author = self.room(name).and_then(|r| r.authors.get(&device));
        let verdict = author.and_then(|author| author.is_kept(seq));
        must!(
            verdict == Some(false),
            "S1/S9: reject of {seq} in {name}, whose being kept is {verdict:?}"
        );
        Ok(())
    }

    /// The hub starts again over its journal, which must have all that was committed, and of the
    /// rest a whole commit or nothing (S1, S4, S7, S9, S16). Whether it has one.
    pub fn recover<D: Disk>(&mut self, journal: &mut Journal<D>) -> Check<bool> {
        let state = journal.state().clone();
        let numbers: BTreeMap<&str, u32> = (0..)
            .zip(&state.rooms)
            .map(|(number, room)| (&*room.name, number))
            .collect();
        let survived = self.take_survivors(&state)?;
        if std::mem::take(&mut self.may_double) {
            self.let_double();
        }
        for (name, room) in &self.rooms {
            let number = numbers.get(&**name).copied();
            room.recover_authors(name, number, &state)?;
            let disk = number.and_then(|n| state.rooms.get(n as usize));
            let head = disk.map_or(0, |room| room.head);
            must!(
                head == room.head(),
                "S1/S16: {name} has {} entries, and {head} on the disk",
                room.head()
            );
            let (Some(number), Some(disk)) = (number, disk) else {
                continue;
            };
            for offset in disk.oldest.max(room.forgotten + 1)..=head {
                let kept = room.kept(offset);
                if journal.read(number, offset).is_err() {
                    // An index that has gone bad costs no entry.
                    let _ = journal.look_again(number, offset);
                }
                let found = journal.read(number, offset);
                if kept.is_some_and(Kept::is_lost) {
                    must!(
                        matches!(found, Err(_) | Ok(Stored::Lost { .. } | Stored::Gone)),
                        "S16: {name} {offset} has gone bad, and is read as {found:?}"
                    );
                    continue;
                }
                must!(
                    matches!((&found, kept), (Ok(Stored::Entry { frame, .. }), Some(kept))
                        if kept.is(number, frame)),
                    "S16: {name} {offset} is {kept:?}, and {found:?} on the disk"
                );
            }
        }
        Ok(survived)
    }
}

impl RoomModel {
    fn head(&self) -> u64 {
        self.forgotten + self.log.len() as u64
    }

    fn kept(&self, offset: u64) -> Option<&Kept> {
        let at = offset.checked_sub(self.forgotten + 1)?;
        self.log.get(usize::try_from(at).ok()?)
    }

    /// Where the journal says that devices stand is where they stand.
    fn recover_authors(&self, name: &str, number: Option<u32>, state: &State) -> Check {
        for (&device, author) in &self.authors {
            let member = number.and_then(|n| state.members.get(&(n, device_id(device))));
            let up_seq = member.map_or(0, |member| member.up_seq);
            must!(
                up_seq == author.verdicts,
                "S7/S9: device {device} in {name} has {} verdicts, and {up_seq} on the disk",
                author.verdicts
            );
            let rejects = member.map_or(0, |member| member.rejects);
            must!(
                rejects == author.rejects as u32,
                "S9: device {device} in {name}: the disk has {rejects:b} for rejects, not {:b}",
                author.rejects
            );
        }
        Ok(())
    }
}

impl Author {
    /// Whether a post was kept; `None` without a verdict, or when it is forgotten.
    fn is_kept(&self, seq: u32) -> Option<bool> {
        let back = self.verdicts.checked_sub(seq)?;
        (seq > 0 && back < 64).then_some(self.rejects >> back & 1 == 0)
    }
}
