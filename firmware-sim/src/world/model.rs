//! What must hold, judged from outside by a naive model: what each application is told.
//!
//! Knows what was posted and what was handed on, and holds it against [`history`](super::history).
//! Does not look into a machine.

use super::history::{Place, StoreModel};
use halloo_core::chat::client::From;
use halloo_core::wire::Hello;

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
        let first = ((counter as u8) ^ 0x5a).wrapping_add(8);
        // Without an early end it is done many bytes at a time.
        let differs = filler.iter().enumerate().fold(0, |differs, (at, &byte)| {
            differs | (byte ^ first.wrapping_add(at as u8))
        });
        (differs == 0).then_some(Self { device, counter })
    }
}

/// The numbers from here on are of strangers, whose sessions the model does not follow.
pub(super) const STRANGER: u32 = 1 << 30;

/// The first number of strangers that come once and never again, with an identity that says so.
pub(super) const VISITOR: u32 = STRANGER + (1 << 29);

/// A device's identity from its number.
pub fn device_id(number: u32) -> [u8; 16] {
    let (mut id, at) = match number >= VISITOR {
        true => (*b"one-time........", 8),
        false => (*b"device-........!", 7),
    };
    id[at..at + 4].copy_from_slice(&number.to_be_bytes());
    id
}

/// A device's name from its number.
pub fn device_name(number: u32) -> String {
    format!("dev-{number}")
}

/// Whether a name is that of a device, as [`device_name`] makes it.
pub(super) fn is_name_of(number: u32, name: &str) -> bool {
    let Some(digits) = name.strip_prefix("dev-") else {
        return false;
    };
    let mut rest = number;
    let are_right = digits.bytes().rev().all(|digit| {
        let wanted = b'0' + (rest % 10) as u8;
        rest /= 10;
        digit == wanted
    });
    let is_canonical = digits == "0" || !digits.starts_with('0');
    are_right && rest == 0 && is_canonical && !digits.is_empty()
}

pub(super) fn number_of(device: &[u8; 16]) -> u32 {
    let at = if device.starts_with(&Hello::ONE_TIME) {
        8
    } else {
        7
    };
    u32::from_be_bytes([0, 1, 2, 3].map(|nth| device[at + nth]))
}

/// A room of a device, from the join until the application was told that it is over.
#[derive(Debug)]
pub struct Membership {
    /// The room.
    pub room: String,
    /// Where the model of the store has it.
    place: Place,
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
    /// How many gaps and how many verdicts were told.
    pub gap_count: u64,
    /// See `gap_count`.
    pub verdict_count: u64,
    /// Gaps and verdicts are kept one by one, and not only counted.
    pub keeps_lists: bool,
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
            place: Place::default(),
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
            gap_count: 0,
            verdict_count: 0,
            keeps_lists: true,
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
        let kept = store.kept_at(&mut self.place, &self.room, seen.offset);
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
                    kept.has_body(seen.id, body),
                    "S5: {room}: {offset} has another body than the log"
                );
                must!(
                    kept.id.device != me || self.own_bodies || store.is_forgotten(room, me, offset),
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
            to <= store.head(room),
            "S6: {room}: a gap up to {to}, which is not durable"
        );
        self.next = Some(to + 1);
        self.gap_count += 1;
        if self.keeps_lists {
            self.gaps.push((from, to, reason));
        }
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
        if self.posts.is_empty() {
            self.posts = Vec::new();
        }
        let is_there = store.has(room, id);
        let Some(is_kept) = is_kept else {
            return Ok(());
        };
        must!(
            is_there == is_kept,
            "S1/S9: {room}: {id:?} was told kept: {is_kept}, and in the log: {is_there}"
        );
        self.verdict_count += 1;
        if self.keeps_lists {
            self.verdicts.push((id, is_kept));
        }
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
    /// Whose that is, by [`PostId::of`].
    pub id: Option<PostId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_one_device() {
        for number in [0, 1, 9, 10, 907, u32::MAX] {
            let name = device_name(number);
            assert!(is_name_of(number, &name));
            for other in [0, 1, 9, 10, 90, 907, 907_000, u32::MAX] {
                assert_eq!(is_name_of(other, &name), other == number, "{name}");
            }
        }
        for name in [
            "", "dev-", "dev-00", "dev-01", "dev-+1", "dev-x", "Dev-1", "1",
        ] {
            assert!(!is_name_of(0, name) && !is_name_of(1, name), "{name}");
        }
    }
}
