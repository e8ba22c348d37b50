//! One room's log in memory: entries with contiguous offsets, kept as the frames that members get.
//!
//! Knows offsets, bytes and retention. Knows no member. Entries lie whole in a ring of bytes, each
//! with its `Length32` header; a ring of index slots says where. The oldest entries make room for
//! new ones, but never one that is not committed yet. Invariant: `first ≤ committed + 1 ≤ appended + 1`.

use core::fmt;

use crate::wire::{self, ENTRY_OVERHEAD, Entry, Message};

/// The bytes of the length before each entry.
pub const FRAME_HEADER: usize = 4;

/// Where one entry lies and whose it is: position, length of the frame, author, sequence.
///
/// An array of integers, so that a large index can be memory that the system hands out zeroed.
pub type IndexSlot = [u32; 4];

/// The memory of one log, lent for the length of a call.
#[derive(Debug)]
pub struct Memory<'a> {
    /// The frames; at most 4 GiB are used.
    pub bytes: &'a mut [u8],
    /// One slot for each entry kept; the largest power of two of them is used.
    pub index: &'a mut [IndexSlot],
}

impl Memory<'_> {
    /// The same memory, to read from.
    #[must_use]
    pub const fn view(&self) -> View<'_> {
        View {
            bytes: self.bytes,
            index: self.index,
        }
    }
}

/// The memory of one log, lent to read from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The frames.
    pub bytes: &'a [u8],
    /// The index.
    pub index: &'a [IndexSlot],
}

impl View<'_> {
    /// How many entries there is a place for in the index.
    pub(crate) fn most_entries(&self) -> u64 {
        capacity(self.index) as u64
    }
}

/// What a post becomes when it is appended.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// The hub's number for the room.
    pub room: u32,
    /// The author's name.
    pub from: &'a str,
    /// What was posted.
    pub body: &'a [u8],
    /// The author's number, given back by [`RoomLog::author`].
    pub author: u32,
    /// The author's sequence number.
    pub seq: u32,
}

/// Why an entry was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AppendError {
    /// Everything that is kept waits for its commit: try again after one.
    Full,
    /// The entry is longer than the whole log.
    TooLarge,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the log is full of posts that are not committed",
            Self::TooLarge => "the post is longer than the log",
        })
    }
}

impl core::error::Error for AppendError {}

/// Whole frames of consecutive entries, in at most two pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Run<'a> {
    /// The first offset.
    pub first: u64,
    /// The last offset.
    pub last: u64,
    /// The frames up to where the ring wraps.
    pub head: &'a [u8],
    /// The frames after that; empty when it does not wrap.
    pub tail: &'a [u8],
}

/// The heads of one log; its memory is lent to each call.
///
/// ```
/// use halloo_core::chat::log::{Memory, NewEntry, RoomLog};
/// let (mut bytes, mut index) = ([0; 256], [[0; 4]; 8]);
/// let mut memory = Memory { bytes: &mut bytes, index: &mut index };
/// let mut log = RoomLog::new();
/// let post = NewEntry { room: 0, from: "ann", body: b"21.5", author: 7, seq: 1 };
/// assert_eq!(log.append(&mut memory, &post), Ok(1));
/// assert!(log.run(memory.view(), 0, 1, usize::MAX).is_none()); // nobody sees it before its commit
/// log.commit(1);
/// assert_eq!(log.run(memory.view(), 0, 1, usize::MAX).unwrap().last, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RoomLog {
    /// The last offset that is no longer kept, and the last one that was given out: an empty log is
    /// memory of zeros.
    gone: u64,
    appended: u64,
    committed: u64,
    write: u32,
    largest: u32,
}

impl Default for RoomLog {
    fn default() -> Self {
        Self::new()
    }
}

impl RoomLog {
    /// An empty log.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            gone: 0,
            appended: 0,
            committed: 0,
            write: 0,
            largest: 0,
        }
    }

    /// An empty log whose entries up to `head` are kept elsewhere.
    #[must_use]
    pub const fn after(head: u64) -> Self {
        Self {
            gone: head,
            appended: head,
            committed: head,
            write: 0,
            largest: 0,
        }
    }

    /// The first offset that is kept; one above the head when nothing is.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.gone.saturating_add(1)
    }

    /// The last offset that is committed; 0 before the first.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.committed
    }

    /// The last offset that was given out, committed or not.
    #[must_use]
    pub const fn appended(&self) -> u64 {
        self.appended
    }

    /// The length of the longest frame so far, header included.
    #[must_use]
    pub const fn largest(&self) -> usize {
        self.largest as usize
    }

    /// Appends an entry and returns its offset; the oldest committed entries make room.
    ///
    /// Work: the bytes of the entry, and the entries that go for it.
    pub fn append(
        &mut self,
        memory: &mut Memory<'_>,
        entry: &NewEntry<'_>,
    ) -> Result<u64, AppendError> {
        let len = FRAME_HEADER
            .saturating_add(ENTRY_OVERHEAD)
            .saturating_add(entry.from.len())
            .saturating_add(entry.body.len());
        if len > memory.bytes.len() || capacity(memory.index) == 0 {
            return Err(AppendError::TooLarge);
        }
        let len = u32::try_from(len).map_err(|_| AppendError::TooLarge)?;
        let at = loop {
            if self.kept() < capacity(memory.index) as u64
                && let Some(at) = self.place(memory, len)
            {
                break at;
            }
            if self.gone >= self.committed {
                return Err(AppendError::Full);
            }
            self.gone = self.gone.saturating_add(1);
        };
        let offset = self.appended.saturating_add(1);
        let end = at.saturating_add(len);
        let frame = memory
            .bytes
            .get_mut(at as usize..end as usize)
            .ok_or(AppendError::TooLarge)?;
        write_frame(frame, offset, entry).ok_or(AppendError::TooLarge)?;
        if let Some(slot) = slot_mut(memory.index, offset) {
            *slot = [at, len, entry.author, entry.seq];
        }
        self.write = end;
        self.appended = offset;
        self.largest = self.largest.max(len);
        Ok(offset)
    }

    /// Everything up to `offset` is durable and may be seen.
    pub fn commit(&mut self, offset: u64) {
        self.committed = self.committed.max(offset.min(self.appended()));
    }

    /// The committed entries after `after`, up to `last` and to about `most` bytes, at least one.
    ///
    /// `None` when there is none, or when the entry after `after` is no longer kept.
    /// Work: logarithmic in the entries kept.
    #[must_use]
    pub fn run<'m>(&self, memory: View<'m>, after: u64, last: u64, most: usize) -> Option<Run<'m>> {
        let first = after.saturating_add(1);
        let mut last = last.min(self.committed);
        if after < self.gone || first > last {
            return None;
        }
        // A place in the index is of the low bits of an offset, and no more entries are kept than
        // it has places: 32 bits say which of the run is meant.
        let nth = |nth: u32| slot(memory.index, first.wrapping_add(nth.into()));
        let mut count = last.wrapping_sub(first) as u32;
        let [start, ..] = *nth(0)?;
        // The bytes from the run's start to the end of the `n`th, which never fall with `n`.
        let extent = |n: u32| -> Option<usize> {
            let [at, len, ..] = *nth(n)?;
            let wrapped = if at < start { memory.bytes.len() } else { 0 };
            let end = (at as usize).saturating_add(len as usize);
            Some(end.saturating_add(wrapped).saturating_sub(start as usize))
        };
        if extent(count)? > most {
            count = last_where(count, |n| extent(n).is_some_and(|bytes| bytes <= most));
            last = first.saturating_add(count.into());
        }
        let [at, len, ..] = *nth(count)?;
        let end = (at as usize).saturating_add(len as usize);
        if at >= start {
            let head = memory.bytes.get(start as usize..end)?;
            return Some(Run {
                first,
                last,
                head,
                tail: &[],
            });
        }
        let turn = last_where(count, |n| nth(n).is_some_and(|&[at, ..]| at >= start));
        let [turn_at, turn_len, ..] = *nth(turn)?;
        let turn_end = (turn_at as usize).saturating_add(turn_len as usize);
        Some(Run {
            first,
            last,
            head: memory.bytes.get(start as usize..turn_end)?,
            tail: memory.bytes.get(..end)?,
        })
    }

    /// The author's number and sequence of a kept entry.
    #[must_use]
    pub fn author(&self, memory: View<'_>, offset: u64) -> Option<(u32, u32)> {
        let [_, _, author, seq] = *self.kept_slot(memory, offset)?;
        Some((author, seq))
    }

    /// The whole frame of a kept entry, committed or not.
    #[must_use]
    pub fn frame<'m>(&self, memory: View<'m>, offset: u64) -> Option<&'m [u8]> {
        let [at, len, ..] = *self.kept_slot(memory, offset)?;
        let end = (at as usize).saturating_add(len as usize);
        memory.bytes.get(at as usize..end)
    }

    /// The length of a kept entry's frame, header included.
    #[must_use]
    pub fn frame_len(&self, memory: View<'_>, offset: u64) -> Option<usize> {
        let [_, len, ..] = *self.kept_slot(memory, offset)?;
        Some(len as usize)
    }

    fn kept_slot<'m>(&self, memory: View<'m>, offset: u64) -> Option<&'m IndexSlot> {
        if offset <= self.gone || offset > self.appended {
            return None;
        }
        slot(memory.index, offset)
    }

    fn kept(&self) -> u64 {
        self.appended.saturating_sub(self.gone)
    }

    /// Where a frame of `len` bytes can go without touching a kept one.
    fn place(&self, memory: &Memory<'_>, len: u32) -> Option<u32> {
        let capacity = u32::try_from(memory.bytes.len()).unwrap_or(u32::MAX);
        if self.kept() == 0 {
            return Some(0);
        }
        let [oldest, ..] = *slot(memory.index, self.first())?;
        if self.write > oldest {
            if len <= capacity.saturating_sub(self.write) {
                return Some(self.write);
            }
            return (len <= oldest).then_some(0);
        }
        (len <= oldest.saturating_sub(self.write)).then_some(self.write)
    }
}

/// How many slots of an index are used: a power of two, so that no division is needed.
fn capacity(index: &[IndexSlot]) -> usize {
    match index.len().checked_ilog2() {
        Some(log) => 1 << log,
        None => 0,
    }
}

fn place_in_index(index: &[IndexSlot], offset: u64) -> usize {
    offset as usize & capacity(index).wrapping_sub(1)
}

fn slot(index: &[IndexSlot], offset: u64) -> Option<&IndexSlot> {
    index.get(place_in_index(index, offset))
}

fn slot_mut(index: &mut [IndexSlot], offset: u64) -> Option<&mut IndexSlot> {
    let place = place_in_index(index, offset);
    index.get_mut(place)
}

fn write_frame(frame: &mut [u8], offset: u64, entry: &NewEntry<'_>) -> Option<()> {
    let (header, payload) = frame.split_at_mut_checked(FRAME_HEADER)?;
    let message = Message::Entry(Entry {
        room: entry.room,
        offset,
        flags: 0,
        from: entry.from,
        body: entry.body,
    });
    let len = wire::binary::encode_to_device(&message, payload)?;
    crate::bytes::copy(header, &u32::try_from(len).ok()?.to_be_bytes());
    Some(())
}

/// The last of `0..=most` for which `holds`, which is true up to some point; 0 at least.
fn last_where(most: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, most);
    while low < high {
        // Rounded up, so that low moves.
        let middle = high.saturating_sub(high.saturating_sub(low) >> 1);
        if holds(middle) {
            low = middle;
        } else {
            high = middle.saturating_sub(1);
        }
    }
    low
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
