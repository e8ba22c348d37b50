//! Presence: who is in a room. State, not log: coalesced, and best effort.
//!
//! A change bumps the room's version and is remembered among the last few. A member is told the
//! changes one by one while it keeps up and the room is small, and the count otherwise. In a large
//! room the telling waits for [`PRESENCE_PACE`], so that a storm of joins is one count for each.

use super::Hub;
use super::slots::{Conn, Member, Owed, Presence, RECENT, Room};
use crate::chat::{PRESENCE_PACE, SMALL_ROOM};
use crate::time::after;
use crate::wire::{Join, Message, Names, Notice, NoticeKind, Roster};

impl Hub<'_> {
    /// A member came or went. Work: the members of a small room; none in a large one.
    pub(super) fn presence_changed(&mut self, at: u32, kind: NoticeKind, member: u32) {
        let generation = self
            .storage
            .members
            .get(member as usize)
            .map_or(0, |m| m.generation);
        let Some(room) = self.storage.rooms.get_mut(at as usize) else {
            return;
        };
        room.present = match kind {
            NoticeKind::Joined => room.present.saturating_add(1),
            NoticeKind::Left => room.present.saturating_sub(1),
            NoticeKind::Count | NoticeKind::Other(_) => room.present,
        };
        room.presence = room.presence.wrapping_add(1);
        if let Some(cell) = room.recent.get_mut(room.presence as usize % RECENT) {
            *cell = (kind, member, generation);
        }
        if room.present <= SMALL_ROOM {
            self.tell_presence(at);
        } else {
            self.presence_dirty
                .push(self.storage.rooms, at, Room::presence_dirty);
            let due = after(self.now, PRESENCE_PACE);
            self.presence_at.get_or_insert(due);
        }
    }

    /// Every member of the room is owed a notice.
    pub(super) fn tell_presence(&mut self, at: u32) {
        self.owe_members(at, |member, version| {
            if member.flags & Join::NO_PRESENCE == 0 && member.presence_seen != version {
                member.owed.add(Owed::NOTICE);
            }
        });
    }

    /// The next notice for a member, which it has then seen.
    pub(super) fn next_notice(&mut self, at: u32) -> Option<Message<'_>> {
        let member = self.storage.members.get_mut(at as usize)?;
        let room = self.storage.rooms.get(member.room as usize)?;
        let behind = room.presence.wrapping_sub(member.presence_seen);
        if behind == 0 {
            member.owed.clear(Owed::NOTICE);
            return None;
        }
        let by_name = behind as usize <= RECENT && room.present <= SMALL_ROOM;
        let version = if by_name {
            member.presence_seen.wrapping_add(1)
        } else {
            room.presence
        };
        member.presence_seen = version;
        if version == room.presence {
            member.owed.clear(Owed::NOTICE);
        }
        let (slot, room_at) = (member.slot, member.room);
        // The count after this very change: what came later is not told yet.
        let members = match by_name {
            true => room.present_at(version),
            false => room.present,
        };
        let (kind, who) = room
            .recent
            .get(version as usize % RECENT)
            .filter(|_| by_name)
            .and_then(|&(kind, who, generation)| {
                let who = self.storage.members.get(who as usize)?;
                // The slot may be somebody else's by now.
                let same = who.generation == generation && who.room == room_at;
                same.then_some((kind, who.name.as_str()))
            })
            .unwrap_or((NoticeKind::Count, ""));
        Some(Message::Notice(Notice {
            slot,
            version,
            kind,
            members,
            who,
        }))
    }

    /// The answer to `Who`: as many names as fit into `scratch`. Work: the members of the room.
    pub(super) fn roster<'n>(&self, at: u32, scratch: &'n mut [u8]) -> Option<Message<'n>> {
        let member = self.storage.members.get(at as usize)?;
        let room = self.storage.rooms.get(member.room as usize)?;
        let mut next = room.members.first();
        let (mut used, mut place) = (0_usize, 0_u16);
        while let Some(at) = next {
            let other = self.storage.members.get(at as usize)?;
            next = other.in_room.next();
            place = place.saturating_add(1);
            if place <= member.roster_skip {
                continue;
            }
            let name = other.name.as_bytes();
            let end = used.saturating_add(1).saturating_add(name.len());
            let Some([len, rest @ ..]) = scratch.get_mut(used..end) else {
                break;
            };
            *len = u8::try_from(name.len()).ok()?;
            crate::bytes::copy(rest, name);
            used = end;
        }
        Some(Message::Roster(Roster {
            slot: member.slot,
            skip: member.roster_skip,
            members: room.present,
            names: Names::new(scratch.get(..used)?)?,
        }))
    }

    /// Applies `owe`, told the room's presence version, to every member of a room, and queues the
    /// connections of those that are here. Work: the members of the room.
    pub(super) fn owe_members(&mut self, at: u32, owe: impl Fn(&mut Member, u32)) {
        let Some(room) = self.storage.rooms.get(at as usize) else {
            return;
        };
        let version = room.presence;
        let mut next = room.members.first();
        while let Some(at_member) = next {
            let Some(member) = self.storage.members.get_mut(at_member as usize) else {
                return;
            };
            next = member.in_room.next();
            if let Presence::Here { conn } = member.presence {
                owe(member, version);
                self.ready.push(self.storage.conns, conn, Conn::ready);
            }
        }
    }
}

impl Room {
    /// How many members were present at a version that is at most [`RECENT`] behind.
    fn present_at(&self, version: u32) -> u32 {
        let behind = self.presence.wrapping_sub(version);
        (0..behind.min(RECENT as u32)).fold(self.present, |present, back| {
            let change = self.presence.wrapping_sub(back) as usize % RECENT;
            match self.recent.get(change).map(|(kind, ..)| *kind) {
                Some(NoticeKind::Joined) => present.saturating_sub(1),
                Some(NoticeKind::Left) => present.saturating_add(1),
                Some(NoticeKind::Count | NoticeKind::Other(_)) | None => present,
            }
        })
    }
}
