//! Rooms whose log goes on in a store: what the hub wants from there, and what it is given at a start.
//!
//! The memory keeps a log's newest entries; where a store keeps more, a member that lags gets them
//! from there. The hub names what it wants ([`Wanted`]), the caller reads and sends it, and says how
//! far that went, or why it could not be sent as it is ([`Found`]).

use super::links::{hash, insert};
use super::slots::{Member, Presence, Room};
use super::{ConnId, Full, Hub};
use crate::chat::log::RoomLog;
use crate::mutant;
use crate::name;
use crate::time::Instant;
use crate::wire::{DeviceId, Join};

/// Entries that a member is to get out of the store; without a borrow, so that it outlives a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Wanted {
    pub(super) member: u32,
    /// The hub's number for the room.
    pub room: u32,
    /// The first offset.
    pub first: u64,
    /// The last offset that may be sent now.
    pub last: u64,
    /// An entry that this device posted is not sent, but told with [`Found::Own`].
    pub own: Option<DeviceId>,
    /// A longer frame is not sent, but told with [`Found::TooLarge`]; header included.
    pub longest: usize,
}

/// What stands first among the entries that were wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Found {
    /// Entries that can be sent as they are.
    #[default]
    Entries,
    /// The member's own post: it gets a marker.
    Own,
    /// An entry that is too large for the member: it is told a gap.
    TooLarge,
    /// Entries that the store has lost, up to this offset: the member is told a gap.
    Lost {
        /// The last one.
        to: u64,
    },
}

impl Hub<'_> {
    /// The first entry that was wanted is not one to be sent as it is.
    pub fn handle_found(&mut self, now: Instant, id: ConnId, wanted: Wanted, found: Found) {
        self.tick(now);
        if let Some((at, member)) = self.reader(id, wanted) {
            member.found = match found {
                Found::Lost { to } => Found::Lost {
                    to: to.clamp(wanted.first, wanted.last),
                },
                Found::Entries | Found::Own | Found::TooLarge => found,
            };
            self.queue(at);
        }
    }

    /// The connection took bytes of the entries that were wanted: of all up to `last`, of that one
    /// at least the first. What is missing of it is the caller's to write before anything else.
    pub fn handle_stored(&mut self, now: Instant, id: ConnId, wanted: Wanted, last: u64) {
        let now = self.tick(now);
        let Some((at, member)) = self.reader(id, wanted) else {
            return;
        };
        let last = last.min(wanted.last);
        member.cursor = member.cursor.max(last);
        let count = last.saturating_add(1).saturating_sub(wanted.first);
        self.counters.delivered = self.counters.delivered.saturating_add(count);
        self.spoke(at, now);
        self.queue(at);
    }

    /// The store has no longer what is before `oldest`.
    pub fn set_oldest(&mut self, room: u32, oldest: u64) {
        if let Some(room) = self.storage.rooms.get_mut(room as usize) {
            room.oldest = oldest.max(1);
        }
        self.owe_members(room, |_, _| {});
    }

    /// The member that a piece of the store was wanted for, if it still stands there.
    pub(super) fn reader(&mut self, id: ConnId, wanted: Wanted) -> Option<(u32, &mut Member)> {
        let at = self.conn_at(id)?;
        let member = self.storage.members.get_mut(wanted.member as usize)?;
        let is_current = member.presence == Presence::Here { conn: at }
            && member.room == wanted.room
            && member.cursor.saturating_add(1) == wanted.first;
        is_current.then_some((at, member))
    }

    /// What a member gets next out of the store.
    pub(super) fn wanted(&self, at: u32) -> Option<Wanted> {
        let last = self.sendable(at)?;
        let member = self.storage.members.get(at as usize)?;
        let room = self.storage.rooms.get(member.room as usize)?;
        let first = member.cursor.saturating_add(1);
        if first >= room.log.first() || first < room.first_kept() {
            return None;
        }
        Some(Wanted {
            member: at,
            room: member.room,
            first,
            last: last.min(room.log.first().saturating_sub(1)),
            own: (member.flags & Join::OWN_BODIES == 0).then_some(member.device),
            longest: self.frame_limit(member.presence),
        })
    }

    /// The first offset of a room that is kept anywhere.
    pub(super) fn first_kept(&self, room: u32) -> u64 {
        let room = self.storage.rooms.get(room as usize);
        room.map_or(1, Room::first_kept)
    }

    /// At a start, before anybody connects: a room that the store has, by its number, those with
    /// lower numbers first. Its entries from `oldest` to `head` are read from the store.
    pub fn restore_room(
        &mut self,
        number: u32,
        name: &str,
        oldest: u64,
        head: u64,
    ) -> Result<(), Full> {
        if number < self.fresh_room || self.storage.rooms.get(number as usize).is_none() {
            return Err(Full);
        }
        // Numbers in between belonged to rooms that never had an entry.
        for free in self.fresh_room..number {
            self.free_rooms.push(self.storage.rooms, free, Room::dirty);
        }
        self.fresh_room = number.saturating_add(1);
        let is_latest = self.is_latest(name);
        if let Some(room) = self.storage.rooms.get_mut(number as usize) {
            *room = Room {
                name: name::store(name),
                log: RoomLog::after(head),
                is_latest,
                oldest: oldest.max(1),
                chain: room.chain,
                ..Room::FREE
            };
        }
        let key = hash(self.config.table_secret, name.as_bytes());
        insert(self.storage.rooms, key, number);
        Ok(())
    }

    /// At a start: where a device stands in a room that was restored.
    ///
    /// Those that are restored first are forgotten first, and one-time devices at the next commit.
    pub fn restore_member(
        &mut self,
        now: Instant,
        room: u32,
        device: &DeviceId,
        up_seq: u32,
        rejects: u32,
    ) -> Result<(), Full> {
        if mutant::is("dedupe not durable") {
            return Ok(());
        }
        let at = self.take_member(now).map_err(|_| Full)?;
        self.enrol(at, *device, room, now).map_err(|_| Full)?;
        let member = self.storage.members.get_mut(at as usize).ok_or(Full)?;
        member.up_seq = up_seq;
        member.up_committed = up_seq;
        member.rejects = rejects;
        self.wait_away(at);
        self.forget_gone();
        Ok(())
    }
}
