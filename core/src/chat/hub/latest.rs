//! Rooms whose members get the latest: one that lags jumps to the head, and is told so.
//!
//! For telemetry, where an old value is worth nothing once there is a newer one. Nothing is kept
//! for it: whether a member lags follows from its cursor, and is asked when it can be sent something.

use super::Hub;
use super::slots::{Member, Presence, Room};
use crate::name::{self, NameError};

/// The name of a room, or what names begin with and then `*`; `*` alone is every room.
///
/// ```
/// use halloo_core::chat::hub::RoomPattern;
/// let rooms = RoomPattern::new("telemetry.*").unwrap();
/// assert!(rooms.matches("telemetry.roof") && !rooms.matches("telemetry"));
/// assert!(RoomPattern::new("Roof").is_err() && RoomPattern::new("a*b").is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RoomPattern<'a> {
    start: &'a str,
    /// A name may go on after `start`.
    is_open: bool,
}

impl<'a> RoomPattern<'a> {
    /// Reads a pattern. Errors: what is not `*` at its end is no part of a room's name.
    pub fn new(text: &'a str) -> Result<Self, NameError> {
        let (start, is_open) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        if !(is_open && start.is_empty()) {
            name::room(start.as_bytes())?;
        }
        Ok(Self { start, is_open })
    }

    /// Whether a room of this name is meant.
    #[must_use]
    pub fn matches(&self, room: &str) -> bool {
        match self.is_open {
            true => room.starts_with(self.start),
            false => room == self.start,
        }
    }
}

impl<'s> Hub<'s> {
    /// The members of these rooms get the latest: one that lags jumps to the newest entry, and a
    /// `Gap` tells it what it passed over (rules D-LATEST-1 and 2 of `core/PROTOCOL.md`).
    ///
    /// It holds for rooms that there are and that come, and takes the place of what was set before.
    /// Work: linear in rooms times patterns.
    pub fn set_latest(&mut self, rooms: &'s [RoomPattern<'s>]) {
        self.latest = rooms;
        for room in self.storage.rooms.iter_mut() {
            room.is_latest = is_among(rooms, room.name.as_str());
        }
    }
}

impl Hub<'_> {
    pub(super) fn is_latest(&self, room: &str) -> bool {
        is_among(self.latest, room)
    }

    /// The last entry that a member is to pass over for the newest, if it lags and is due one.
    pub(super) fn passed_over(&self, member: &Member, room: &Room) -> Option<u64> {
        let head = room.log.head();
        let last = head.saturating_sub(1);
        if last <= member.cursor {
            return None;
        }
        let Presence::Here { conn } = member.presence else {
            return None;
        };
        let credit = self.storage.conns.get(conn as usize)?.credit;
        // What the memory of the room is sized for is the hub's own limit.
        let most = self.log_view(member.room).most_entries();
        let waiting = head.saturating_sub(member.cursor);
        let is_gone = member.cursor.saturating_add(1) < self.first_kept(member.room);
        (is_gone || waiting > most.min(u64::from(credit))).then_some(last)
    }
}

fn is_among(patterns: &[RoomPattern<'_>], room: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(room))
}
