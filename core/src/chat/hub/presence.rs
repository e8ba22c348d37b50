//! Presence: who is in a room. State, not log: coalesced, and best effort.
//!
//! A change bumps the room's version and is remembered among the last few. A member is told the
//! changes one by one while it keeps up and the room is small, and the count otherwise. In a large
//! room the telling waits for [`PRESENCE_PACE`], so that a storm of joins is one count for each.

use super::Hub;
use super::links::{At, NONE};
use super::slots::{Conn, Member, Owed, Presence, RECENT, Room};
use crate::chat::{PRESENCE_PACE, SMALL_ROOM};
use crate::time::after;
use crate::wire::{self, Join, Message, Names, Notice, NoticeKind, Roster};

/// What stands in a `Roster` beside its names: kind, slot, skip, members, length.
const ROSTER_OVERHEAD: usize = 10;

/// The longest `Roster`.
const MOST_ROSTER: usize = ROSTER_OVERHEAD + u16::MAX as usize;

/// How many members are passed over for one `Who` at the most.
const MOST_PASSED: usize = 1024;

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

    /// The next notice for a member.
    pub(super) fn next_notice<'m>(&'m self, member: &Member, room: &Room) -> Option<Notice<'m>> {
        let behind = room.presence.wrapping_sub(member.presence_seen);
        if behind == 0 {
            return None;
        }
        let by_name = behind as usize <= RECENT && room.present <= SMALL_ROOM;
        let version = if by_name {
            member.presence_seen.wrapping_add(1)
        } else {
            room.presence
        };
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
                let same = who.generation == generation && who.room == member.room;
                same.then_some((kind, who.name.as_str()))
            })
            .unwrap_or((NoticeKind::Count, ""));
        Some(Notice {
            slot: member.slot,
            version,
            kind,
            members,
            who,
        })
    }

    /// Writes the answer that a connection is owed to its `Who`: as many names as fit.
    ///
    /// Goes on where the last answer ended if that is what was asked for. Work: the bytes of `out`,
    /// and at most [`MOST_PASSED`] members.
    pub(super) fn roster(&mut self, at: u32, out: &mut [u8]) -> Option<usize> {
        let conn = self.storage.conns.get_mut(at as usize)?;
        let who = conn.who;
        let asker = self.storage.members.get(who.member.get() as usize)?;
        if !conn.owed.has(Owed::ROSTER) || asker.owed.has(Owed::JOINED) {
            return None;
        }
        let room = self.storage.rooms.get(asker.room as usize)?;
        let most = (conn.max_frame as usize).min(MOST_ROSTER).min(out.len());
        let (head, names) = out.get_mut(..most)?.split_at_mut_checked(ROSTER_OVERHEAD)?;
        let present = |at: u32| {
            let member = self.storage.members.get(at as usize)?;
            (member.room == asker.room && member.in_room.is_linked()).then_some(member)
        };
        let begun = who.next.some().filter(|&at| present(at).is_some());
        let (mut next, mut place) = match begun {
            Some(_) => (begun, who.passed),
            None => (room.members.first(), 0),
        };
        for _ in 0..MOST_PASSED {
            if place >= who.skip {
                break;
            }
            next = next.and_then(present).and_then(|m| m.in_room.next());
            place = place.saturating_add(1);
        }
        if place < who.skip {
            next = None;
        }
        let mut used = 0_usize;
        while let Some(member) = next.and_then(present) {
            let name = member.name.as_bytes();
            let end = used.saturating_add(1).saturating_add(name.len());
            let Some([len, rest @ ..]) = names.get_mut(used..end) else {
                break;
            };
            *len = u8::try_from(name.len()).ok()?;
            crate::bytes::copy(rest, name);
            used = end;
            place = place.saturating_add(1);
            next = member.in_room.next();
        }
        let roster = Message::Roster(Roster {
            slot: asker.slot,
            skip: who.skip,
            members: room.present,
            names: Names::default(),
        });
        // The names are the last field and lie in their place: only their length is missing.
        wire::binary::encode_to_device(&roster, head)?;
        if let [.., high, low] = head {
            [*high, *low] = u16::try_from(used).ok()?.to_be_bytes();
        }
        conn.who.passed = place;
        conn.who.next = At::of(next.unwrap_or(NONE));
        conn.owed.clear(Owed::ROSTER);
        Some(ROSTER_OVERHEAD.saturating_add(used))
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
