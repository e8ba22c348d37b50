//! Who is in which room: joining, leaving, losing a connection, being remembered, being forgotten.

use super::links::{At, NONE, find, hash, insert, take_out};
use super::slots::{Member, Owed, Pending, Phase, Presence, Room, Verdict, Who};
use super::store::Found;
use super::{Conn, Hub, Parting};
use crate::name;
use crate::time::{Duration, Instant, secs, since};
use crate::wire::{Code, DeviceId, Hello, Join, NoticeKind};

/// How long a member that left in good order stays remembered at the least: longer than a datagram
/// of its session can be on its way.
const LEFT_LIFETIME: Duration = secs(600);

/// How many members a join begins to forget so that a room becomes free.
const BATCH: usize = 64;

/// Why a device is not a member.
pub(super) enum NotJoined {
    /// It is told so.
    Refused(Code),
    /// Others are being forgotten for it: once that is committed there may be a place.
    Busy,
}

impl From<Code> for NotJoined {
    fn from(code: Code) -> Self {
        Self::Refused(code)
    }
}

impl Hub<'_> {
    /// Makes the device of connection `at` a member.
    pub(super) fn join(&mut self, at: u32, now: Instant, join: &Join<'_>) -> Result<(), NotJoined> {
        let room_name = name::room(join.room).map_err(|_| Code::BadRoom)?;
        let member_name = name::member(join.name).map_err(|_| Code::BadName)?;
        let device = self
            .storage
            .conns
            .get(at as usize)
            .ok_or(Code::Internal)?
            .device;
        let room = self.find_room(room_name);
        if let Some(taken) = self.member_in_slot(at, join.slot) {
            let member = self.storage.members.get(taken as usize);
            if member.map(|member| member.room) != room {
                return Err(Code::BadSlot.into());
            }
        }
        let known = room.and_then(|room| self.find_member(&device, room));
        if let Some(known) = known
            && self.is_joined_again(at, known, join.slot)
        {
            return Ok(());
        }
        let at_member = match known {
            Some(known) => known,
            // What it is told then has to outlive a crash, too.
            None if room.is_some_and(|room| self.is_being_forgotten(&device, room)) => {
                return Err(NotJoined::Busy);
            }
            None => self.remember(device, room_name, now)?,
        };
        Ok(self.seat(at, at_member, join, member_name)?)
    }

    /// Puts a member on a connection and tells it where it stands.
    fn seat(&mut self, at: u32, at_member: u32, join: &Join<'_>, name: &str) -> Result<(), Code> {
        let member = self.storage.members.get(at_member as usize);
        let is_new = match member.ok_or(Code::Internal)?.presence {
            Presence::Here { .. } if member.is_some_and(|m| m.slot != join.slot) => {
                return Err(Code::Unexpected);
            }
            Presence::Here { .. } | Presence::Lingering { .. } => false,
            Presence::Free | Presence::Away { .. } => true,
        };
        self.stop_waiting(at_member);
        let members = &mut *self.storage.members;
        let member = members.get_mut(at_member as usize).ok_or(Code::Internal)?;
        let conn = self
            .storage
            .conns
            .get_mut(at as usize)
            .ok_or(Code::Internal)?;
        let room = self
            .storage
            .rooms
            .get_mut(member.room as usize)
            .ok_or(Code::Internal)?;
        let head = room.log.head();
        let start = join.cursor.min(head);
        let recent = match join.history {
            u32::MAX => 0,
            most => head.saturating_sub(u64::from(most)),
        };
        member.presence = Presence::Here { conn: at };
        member.owed = Owed::NOTHING;
        member.owed.add(Owed::JOINED);
        member.done = conn.ephemeral;
        member.slot = join.slot;
        member.flags = join.flags;
        member.name = name::store(name);
        member.cursor = start;
        member.limit = start.saturating_add(u64::from(conn.credit));
        member.history_from = recent;
        member.acked = start;
        member.went_back = false;
        member.found = Found::Entries;
        conn.members.push(members, at_member, Member::in_conn);
        room.members.push(members, at_member, Member::in_room);
        let room = members.get(at_member as usize).map_or(NONE, |m| m.room);
        if is_new {
            self.presence_changed(room, NoticeKind::Joined, at_member);
        }
        self.queue(at);
        Ok(())
    }

    /// The device leaves the room of a slot in good order.
    pub(super) fn leave(&mut self, at: u32, slot: u8, now: Instant) {
        let Some(at_member) = self.member_in_slot(at, slot) else {
            return;
        };
        self.unseat(at, at_member);
        if let Some(member) = self.storage.members.get_mut(at_member as usize) {
            member.done = true;
        }
        self.go_away(at_member, now);
    }

    /// Ends the session of a connection; does nothing where there is none.
    pub(super) fn end_session(&mut self, at: u32, now: Instant, how: Parting) {
        let Some(conn) = self.storage.conns.get(at as usize) else {
            return;
        };
        if conn.phase != Phase::Serving {
            return;
        }
        take_out(self.storage.conns, self.device_hash(at), at);
        while let Some(at_member) = self.first_member(at) {
            self.unseat(at, at_member);
            if how == Parting::Lost && !self.is_one_time(at_member) {
                if let Some(member) = self.storage.members.get_mut(at_member as usize) {
                    member.presence = Presence::Lingering { since: now };
                }
                self.lingering
                    .push(self.storage.members, at_member, Member::waiting);
            } else {
                self.go_away(at_member, now);
            }
        }
    }

    fn first_member(&self, at: u32) -> Option<u32> {
        self.storage.conns.get(at as usize)?.members.first()
    }

    fn unseat(&mut self, at: u32, at_member: u32) {
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            conn.turn = At::NONE;
            if conn.who.member == At::of(at_member) {
                conn.who = Who::NOBODY;
                conn.owed.clear(Owed::ROSTER);
            }
            conn.members
                .remove(self.storage.members, at_member, Member::in_conn);
        }
        if let Some(member) = self.storage.members.get_mut(at_member as usize) {
            member.owed = Owed::NOTHING;
        }
    }

    /// A member is gone for the others; what it posted stays remembered, if there is any.
    pub(super) fn go_away(&mut self, at: u32, now: Instant) {
        let Some(member) = self.storage.members.get_mut(at as usize) else {
            return;
        };
        member.presence = Presence::Away { since: now };
        let (room, has_posted) = (member.room, (member.up_seq, member.up_committed) != (0, 0));
        if let Some(room) = self.storage.rooms.get_mut(room as usize) {
            room.members
                .remove(self.storage.members, at, Member::in_room);
        }
        self.presence_changed(room, NoticeKind::Left, at);
        if has_posted {
            self.wait_away(at);
            self.forget_gone();
        } else {
            self.hide(at);
            self.release(at);
        }
    }

    /// Puts a member that is away into the list of its kind.
    pub(super) fn wait_away(&mut self, at: u32) {
        let is_done = self
            .storage
            .members
            .get(at as usize)
            .is_some_and(|m| m.done);
        let list = match (self.is_one_time(at), is_done) {
            (true, _) => &mut self.gone,
            (false, true) => &mut self.done,
            (false, false) => &mut self.away,
        };
        list.push(self.storage.members, at, Member::waiting);
    }

    /// Takes a member out of the one list of those without a connection that it is in.
    fn stop_waiting(&mut self, at: u32) {
        let is_one_time = self.is_one_time(at);
        let Some(member) = self.storage.members.get(at as usize) else {
            return;
        };
        let list = match member.presence {
            Presence::Lingering { .. } => &mut self.lingering,
            Presence::Away { .. } if is_one_time => &mut self.gone,
            Presence::Away { .. } if member.done => &mut self.done,
            Presence::Away { .. } => &mut self.away,
            Presence::Free | Presence::Here { .. } => return,
        };
        list.remove(self.storage.members, at, Member::waiting);
    }

    /// A slot for a device that is new in a room; forgets the longest gone if there is no other.
    ///
    /// The room is opened last, so that none is opened for a join that is refused.
    fn remember(&mut self, device: DeviceId, room: &str, now: Instant) -> Result<u32, NotJoined> {
        let at = self.take_member(now)?;
        let room = match self.find_or_open_room(room, now) {
            Ok(room) => room,
            Err(full) => {
                self.free_members
                    .push(self.storage.members, at, Member::waiting);
                return Err(full);
            }
        };
        Ok(self.enrol(at, device, room, now)?)
    }

    /// Gives a free slot to a device in a room.
    pub(super) fn enrol(
        &mut self,
        at: u32,
        device: DeviceId,
        room: u32,
        now: Instant,
    ) -> Result<u32, Code> {
        let storage = &mut self.storage;
        let opened = storage.rooms.get_mut(room as usize).ok_or(Code::Internal)?;
        opened.remembered = opened.remembered.saturating_add(1);
        let next = opened.log.appended().saturating_add(1);
        let member = storage.members.get_mut(at as usize).ok_or(Code::Internal)?;
        let (generation, chain) = (member.generation, member.chain);
        *member = Member::FREE;
        (member.generation, member.chain) = (generation.wrapping_add(1), chain);
        // Nobody's yet: the caller seats it at once.
        member.presence = Presence::Away { since: now };
        (member.device, member.room, member.own_from) = (device, room, next);
        insert(self.storage.members, self.member_hash(&device, room), at);
        Ok(at)
    }

    pub(super) fn take_member(&mut self, now: Instant) -> Result<u32, NotJoined> {
        let at = self.fresh_member;
        if self.storage.members.get(at as usize).is_some() {
            self.fresh_member = at.saturating_add(1);
            return Ok(at);
        }
        match self.free_members.pop(self.storage.members, Member::waiting) {
            Some(at) => Ok(at),
            None => Err(self.make_room(now, 1)),
        }
    }

    /// Begins to forget up to `most` members whose time is over.
    fn make_room(&mut self, now: Instant, most: usize) -> NotJoined {
        let begun = (0..most).filter_map(|_| self.forget_first(now)).count();
        // Those that are being forgotten already count too, and those that are next.
        match begun > 0 || self.forgetting > 0 || self.gone.first().is_some() {
            true => NotJoined::Busy,
            false => Code::Full.into(),
        }
    }

    /// Begins to forget a member whose time is over.
    fn forget_first(&mut self, now: Instant) -> Option<()> {
        let expired = |at: u32, lifetime: Duration| {
            let member = self.storage.members.get(at as usize)?;
            match member.presence {
                Presence::Away { since: gone } => (since(now, gone) >= lifetime).then_some(at),
                Presence::Free | Presence::Here { .. } | Presence::Lingering { .. } => None,
            }
        };
        let done = || expired(self.done.first()?, LEFT_LIFETIME);
        let away = || expired(self.away.first()?, self.config.lifetime);
        let at = done().or_else(away)?;
        self.forget(at)
    }

    /// Begins to forget those who never come back, as far as that can be made durable now; the next
    /// commit takes the others.
    pub(super) fn forget_gone(&mut self) {
        while self.gone.first().and_then(|at| self.forget(at)).is_some() {}
    }

    /// Whether the member is of a device that never comes back.
    fn is_one_time(&self, at: u32) -> bool {
        let member = self.storage.members.get(at as usize);
        member.is_some_and(|member| member.device.starts_with(&Hello::ONE_TIME))
    }

    /// Begins to forget a member that waits in a list, if it has nothing on its way. From here on
    /// nobody finds it; its slot is free once that is committed.
    fn forget(&mut self, at: u32) -> Option<()> {
        let member = self.storage.members.get(at as usize)?;
        let is_settled = member.up_seq == member.up_committed;
        if !is_settled || self.pending_len >= self.storage.pending.len() {
            return None;
        }
        self.stop_waiting(at);
        self.hide(at);
        self.forgetting = self.forgetting.saturating_add(1);
        self.push_pending(Pending {
            member: at,
            seq: 0,
            verdict: Verdict::Forgotten,
        });
        Some(())
    }

    /// Whether that a device is forgotten in a room waits for its commit. Work: linear in what waits,
    /// and only while somebody is being forgotten.
    fn is_being_forgotten(&self, device: &DeviceId, room: u32) -> bool {
        self.forgetting > 0
            && (0..self.pending_len).any(|nth| {
                let pending = self.storage.pending.get(self.pending_place(nth));
                let forgotten = pending.filter(|pending| pending.verdict == Verdict::Forgotten);
                let member = forgotten.and_then(|p| self.storage.members.get(p.member as usize));
                member.is_some_and(|member| member.device == *device && member.room == room)
            })
    }

    /// Takes a member that waits in no list out of the table.
    fn hide(&mut self, at: u32) {
        let Some(member) = self.storage.members.get_mut(at as usize) else {
            return;
        };
        // The name stays until the slot is used again: that its owner left may still be told.
        member.presence = Presence::Free;
        let (device, room) = (member.device, member.room);
        take_out(self.storage.members, self.member_hash(&device, room), at);
    }

    /// Frees the slot of a member that nobody finds any more.
    pub(super) fn release(&mut self, at: u32) {
        let Some(room) = self.storage.members.get(at as usize).map(|m| m.room) else {
            return;
        };
        self.free_members
            .push(self.storage.members, at, Member::waiting);
        self.release_room(room);
    }

    fn find_or_open_room(&mut self, name: &str, now: Instant) -> Result<u32, NotJoined> {
        if let Some(room) = self.find_room(name) {
            return Ok(room);
        }
        let at = self.take_room(now)?;
        let is_latest = self.is_latest(name);
        let room = self.storage.rooms.get_mut(at as usize);
        let room = room.ok_or(Code::Internal)?;
        let (chain, presence_dirty) = (room.chain, room.presence_dirty);
        *room = Room::FREE;
        (room.chain, room.presence_dirty) = (chain, presence_dirty);
        room.name = name::store(name);
        room.is_latest = is_latest;
        room.oldest = self.config.has_store.into();
        let key = hash(self.config.table_secret, name.as_bytes());
        insert(self.storage.rooms, key, at);
        Ok(at)
    }

    /// A room that is free; forgets members whose time is over if only that can free one.
    fn take_room(&mut self, now: Instant) -> Result<u32, NotJoined> {
        let at = self.fresh_room;
        if self.storage.rooms.get(at as usize).is_some() {
            self.fresh_room = at.saturating_add(1);
            return Ok(at);
        }
        match self.free_rooms.pop(self.storage.rooms, Room::dirty) {
            Some(room) => Ok(room),
            None => Err(self.make_room(now, BATCH)),
        }
    }

    /// A member of a room is forgotten. One that held no entry and has none left is free again.
    fn release_room(&mut self, at: u32) {
        let Some(room) = self.storage.rooms.get_mut(at as usize) else {
            return;
        };
        room.remembered = room.remembered.saturating_sub(1);
        if room.remembered > 0 || room.log.appended() > 0 {
            return;
        }
        let key = hash(self.config.table_secret, room.name.as_bytes());
        take_out(self.storage.rooms, key, at);
        // Without an entry it is not in the list that these links are for.
        self.free_rooms.push(self.storage.rooms, at, Room::dirty);
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn find_room(&self, name: &str) -> Option<u32> {
        let key = hash(self.config.table_secret, name.as_bytes());
        find(self.storage.rooms, key, |room| room.name == name)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn find_member(&self, device: &DeviceId, room: u32) -> Option<u32> {
        find(
            self.storage.members,
            self.member_hash(device, room),
            |member| member.room == room && member.device == *device,
        )
    }

    /// The member that a device means by a slot. Work: linear in the rooms of the device.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn member_in_slot(&self, at: u32, slot: u8) -> Option<u32> {
        let mut next = self.first_member(at);
        while let Some(at_member) = next {
            let member = self.storage.members.get(at_member as usize)?;
            if member.slot == slot {
                return Some(at_member);
            }
            next = member.in_conn.next();
        }
        None
    }

    /// The live connection of a device.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn find_device(&self, device: &DeviceId) -> Option<u32> {
        let key = hash(self.config.table_secret, device);
        find(self.storage.conns, key, |conn: &Conn| {
            conn.phase == Phase::Serving && conn.device == *device
        })
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn device_hash(&self, at: u32) -> u64 {
        let conn = self.storage.conns.get(at as usize);
        conn.map_or(0, |conn| hash(self.config.table_secret, &conn.device))
    }

    fn member_hash(&self, device: &DeviceId, room: u32) -> u64 {
        hash(self.config.table_secret ^ u64::from(room), device)
    }
}
