//! The rooms of a device: joined, left and posted to, by the number of a slot.

use core::fmt;

use super::Parts;
use super::outbox::{self, Fate};
use super::slot::{Owed, Slot, Standing};
use crate::chat::{MAX_SLOTS, MAX_WINDOW, seq};
use crate::mutant;
use crate::name::{self, NameError};
use crate::wire::{Join, Welcome};

/// A room of this device: the number that stands for it in every call.
pub type SlotId = u8;

/// From where in a room's log a new member reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum From {
    /// What is posted from now on.
    Latest,
    /// At most so many of the entries before now.
    Last(u32),
    /// Everything that the room keeps.
    Earliest,
    /// What follows the last offset that the application has. Where the hub's log is another one,
    /// `Event::StoreChanged` tells so, and reading starts over.
    After {
        /// The offset, from [`Client::cursor`](super::Client::cursor).
        cursor: u64,
        /// What it is of, from [`Client::store`](super::Client::store).
        store: Store,
    },
}

/// Which log an offset is of: it means nothing in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Store {
    /// Another one after the hub lost its log.
    pub id: u64,
    /// Another one after the log was restored from elsewhere.
    pub generation: u32,
}

impl Store {
    /// Whether the log of the hub that says this is the same one, or goes on from it.
    pub(super) fn is_kept_by(self, hub: &Welcome<'_>) -> bool {
        let is_known = self.generation == hub.generation || hub.lineage.has(self.generation);
        self.id == hub.store && (is_known || mutant::is("any lineage"))
    }
}

/// Why a room was not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum JoinError {
    /// The name is not one of a room.
    Name(NameError),
    /// Every slot is in use: leave a room first.
    NoSlot,
    /// The room is joined already.
    Again,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name(_) => "the room's name is not valid",
            Self::NoSlot => "every room slot is in use: leave a room first",
            Self::Again => "the room is joined already",
        })
    }
}

impl core::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Name(cause) => Some(cause),
            Self::NoSlot | Self::Again => None,
        }
    }
}

/// Why a post was not taken. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PostError {
    /// The outbox has no place: wait for a verdict (`Event::Acked`) and post again.
    OutboxFull,
    /// The room was never joined since the device started: wait for `Event::Joined`.
    NotJoined,
    /// The body is longer than the hub takes, the link carries, or the whole outbox holds.
    TooLarge,
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull => "the outbox is full: wait for an acknowledgement",
            Self::NotJoined => "the room is not joined: wait for the join",
            Self::TooLarge => "the body is longer than the hub, the link or the outbox takes",
        })
    }
}

impl core::error::Error for PostError {}

/// The highest offset: one more stands for "from now on".
pub(super) const LAST: u64 = Join::LATEST.saturating_sub(1);

impl Parts<'_> {
    pub(super) fn join(&mut self, room: &str, from: From, flags: u8) -> Result<SlotId, JoinError> {
        let room = name::room(room.as_bytes()).map_err(JoinError::Name)?;
        let taken = |slot: &&mut Slot| slot.standing != Standing::Free && slot.room == room;
        if self.slots.iter_mut().any(|slot| taken(&slot)) {
            return Err(JoinError::Again);
        }
        // A slot whose old posts or events are still to be told is not free yet.
        let is_free = |(slot, id): &(&Slot, u8)| {
            let mut posts = self.base.outbox.posts(self.arena);
            slot.standing == Standing::Free
                && slot.owed == Owed::Nothing
                && !posts.any(|post| post.slot == *id && post.fate != Fate::Told)
        };
        let mut ids = self.slots.iter().zip(0..MAX_SLOTS);
        let (_, id) = ids.find(is_free).ok_or(JoinError::NoSlot)?;
        let slot = self
            .slots
            .get_mut(usize::from(id))
            .ok_or(JoinError::NoSlot)?;
        let (cursor, history) = match from {
            From::Latest => (Join::LATEST, u32::MAX),
            From::Last(history) => (0, history),
            From::Earliest => (0, u32::MAX),
            From::After { cursor, .. } => (cursor.min(LAST), u32::MAX),
        };
        let store = match from {
            From::After { store, .. } => Some(store),
            From::Latest | From::Last(_) | From::Earliest => None,
        };
        slot.free(Owed::Nothing);
        slot.standing = Standing::Wanted;
        slot.room = name::store(room);
        (slot.flags, slot.cursor, slot.history) = (flags, cursor, history);
        slot.store = store;
        Ok(id)
    }

    pub(super) fn leave(&mut self, at: SlotId) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        if slot.standing == Standing::Free {
            return;
        }
        slot.leaving = true;
        self.finish_leaving(at);
    }

    /// A room that the hub knows nothing of, with nothing on the way, can be left at once.
    pub(super) fn finish_leaving(&mut self, at: SlotId) {
        let waiting = self.has_waiting(at);
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        let is_unknown = matches!(slot.standing, Standing::Wanted | Standing::Later);
        if slot.leaving && is_unknown && !waiting {
            slot.free(Owed::Left);
        }
    }

    pub(super) fn has_waiting(&self, at: SlotId) -> bool {
        self.base.outbox.first_waiting(self.arena, at).is_some()
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn post(&mut self, at: SlotId, body: &[u8]) -> Result<u32, PostError> {
        let slot = self
            .slots
            .get_mut(usize::from(at))
            .ok_or(PostError::NotJoined)?;
        if !slot.is_numbered() || slot.leaving || slot.standing == Standing::Free {
            return Err(PostError::NotJoined);
        }
        let whole = outbox::HEADER.saturating_add(body.len());
        if body.len() > self.base.most_body() || whole > self.arena.len() {
            return Err(PostError::TooLarge);
        }
        let open = slot.last_seq.wrapping_sub(slot.up_seq);
        if open >= u32::from(MAX_WINDOW) {
            return Err(PostError::OutboxFull);
        }
        let seq = seq::next(slot.last_seq);
        self.base
            .outbox
            .push(self.arena, at, seq, body)
            .ok_or(PostError::OutboxFull)?;
        slot.last_seq = seq;
        Ok(seq)
    }
}
