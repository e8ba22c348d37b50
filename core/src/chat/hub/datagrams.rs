//! Entries over datagrams: sent until they are acknowledged.
//!
//! Knows the two ends of each member's cursor, and the timer of a connection. What was lost is read
//! from the log again, so nothing else is kept for it.

use super::Hub;
use super::links::At;
use super::slots::{Owed, Phase, Presence};
use super::store::{Found, Wanted};
use super::timers::schedule;
use super::transmit::Transmit;
use crate::bytes;
use crate::chat::datagram::{HEADER, MAX_BODY, MAX_ENTRIES, Path};
use crate::chat::log::FRAME_HEADER;
use crate::time::{Due, Instant};
use crate::wire::kind;

/// What a member gets next.
enum Next {
    Entry { member: u32, offset: u64 },
    Stored(Wanted),
}

impl Hub<'_> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn is_datagram(&self, at: u32) -> bool {
        let conn = self.storage.conns.get(at as usize);
        conn.is_some_and(|conn| conn.path.is_some())
    }

    /// The largest body of a post that a connection's `Welcome` allows.
    pub(super) fn most_body(&self, at: u32) -> u16 {
        match self.is_datagram(at) {
            true => self.config.max_body.min(MAX_BODY),
            false => self.config.max_body,
        }
    }

    pub(super) fn transmit_datagram(
        &mut self,
        now: Instant,
        at: u32,
        out: &mut [u8],
    ) -> Transmit<'_> {
        let phase = self.storage.conns.get(at as usize).map(|conn| conn.phase);
        let Some((head, message)) = out.split_at_mut_checked(HEADER) else {
            return Transmit::Idle;
        };
        let len = match phase {
            Some(Phase::Serving) => match self.next_message(at, message) {
                Some(len) => len,
                // No member is owed a marker or a gap, so each can have its next entry as it is.
                None => match self.in_turn(at, Self::next_entry) {
                    Some(Next::Entry { member, offset }) => {
                        match self.copy_entry(member, offset, message) {
                            Some(len) => len,
                            None => return Transmit::Idle,
                        }
                    }
                    Some(Next::Stored(wanted)) => return Transmit::Stored(wanted),
                    None => return Transmit::Idle,
                },
            },
            Some(Phase::Parting { last, .. }) => match self.say_last(at, last, message) {
                Transmit::Message(len) => len,
                _ => return Transmit::Close,
            },
            Some(Phase::Closed) | None => return Transmit::Close,
            Some(Phase::Free | Phase::Greeting { .. }) => return Transmit::Idle,
        };
        match self.seal(at, now, head, message) {
            Some(()) => Transmit::Message(len.saturating_add(HEADER)),
            None => Transmit::Close,
        }
    }

    fn next_entry(&self, at: u32) -> Option<Next> {
        self.sendable(at)?;
        let member = self.storage.members.get(at as usize)?;
        let room = self.storage.rooms.get(member.room as usize)?;
        let offset = member.cursor.saturating_add(1);
        if offset < room.log.first() {
            return self.wanted(at).map(Next::Stored);
        }
        Some(Next::Entry { member: at, offset })
    }

    /// Puts the header in front of a message; `None` when its session has no number left.
    pub(super) fn seal(
        &mut self,
        at: u32,
        now: Instant,
        head: &mut [u8],
        message: &[u8],
    ) -> Option<()> {
        self.spoke(at, now);
        let conn = self.storage.conns.get_mut(at as usize)?;
        let session = match message.first() {
            Some(&kind::WELCOME) => conn.nonce,
            _ => conn.session,
        };
        let path = conn.path.as_mut()?;
        path.next()?;
        bytes::copy(head, &path.seal(session).encode());
        Some(())
    }

    /// Copies an entry, which then counts as sent.
    fn copy_entry(&mut self, at: u32, offset: u64, message: &mut [u8]) -> Option<usize> {
        let room = self.storage.members.get(at as usize)?.room;
        let log = &self.storage.rooms.get(room as usize)?.log;
        let frame = log.frame(self.log_view(room), offset)?;
        let entry = frame.get(FRAME_HEADER..)?;
        let len = entry.len();
        bytes::copy(message.get_mut(..len)?, entry);
        self.entry_sent(at, offset);
        Some(len)
    }

    pub(super) fn entry_sent(&mut self, at_member: u32, offset: u64) {
        self.track(at_member);
        if let Some(member) = self.storage.members.get_mut(at_member as usize) {
            member.cursor = offset;
        }
        super::count(&mut self.counters.delivered);
    }

    /// What a member is sent next has to be acknowledged, if it is sent in datagrams; whether it is.
    pub(super) fn track(&mut self, at_member: u32) -> bool {
        let Some(member) = self.storage.members.get_mut(at_member as usize) else {
            return false;
        };
        let Presence::Here { conn: at } = member.presence else {
            return false;
        };
        let Some(conn) = self.storage.conns.get_mut(at as usize) else {
            return false;
        };
        let Some(path) = conn.path.as_mut() else {
            return false;
        };
        path.expect(self.now, conn.session);
        member.mark = path.next().unwrap_or(u32::MAX);
        let due = path.due();
        if conn.heap_place == At::NONE || due < Due::at(conn.due) {
            schedule(self.storage.conns, at, due);
        }
        true
    }

    /// Over datagrams an ack waits for the commit of all that came: who gets it may take what it
    /// does not cover for lost.
    pub(super) fn holds_ack(&self, at_member: u32) -> bool {
        let Some(member) = self.storage.members.get(at_member as usize) else {
            return false;
        };
        match member.presence {
            Presence::Here { conn } => {
                member.up_seq != member.up_committed && self.is_datagram(conn)
            }
            Presence::Free | Presence::Lingering { .. } | Presence::Away { .. } => false,
        }
    }

    /// Whether this is a join that came before in the same session: it is answered again and
    /// changes nothing.
    pub(super) fn is_joined_again(&mut self, at: u32, at_member: u32, slot: u8) -> bool {
        let is_datagram = self.is_datagram(at);
        let Some(member) = self.storage.members.get_mut(at_member as usize) else {
            return false;
        };
        let is_again =
            is_datagram && member.presence == Presence::Here { conn: at } && member.slot == slot;
        if is_again {
            member.owed.add(Owed::JOINED);
            member.go_back();
            self.queue(at);
        }
        is_again
    }

    /// The device has everything up to `cursor` and takes `window` more.
    pub(super) fn acknowledged(
        &mut self,
        now: Instant,
        at: u32,
        at_member: u32,
        cursor: u64,
        window: u16,
    ) {
        let echoed = self.path_mut(at).map_or(0, |path| path.echoed());
        let Some(member) = self.storage.members.get_mut(at_member as usize) else {
            return;
        };
        let head = match self.storage.rooms.get(member.room as usize) {
            Some(room) => room.log.head(),
            None => return,
        };
        let cursor = cursor.min(head);
        let is_news = cursor > member.acked;
        if is_news {
            member.went_back = false;
        }
        member.acked = member.acked.max(cursor);
        if member.cursor < member.acked {
            member.cursor = member.acked;
            member.found = Found::Entries;
        }
        let limit = member.acked.saturating_add(window.min(MAX_ENTRIES).into());
        member.limit = member.limit.max(limit);
        // It has got the newest and stands before it: what is between was lost. What is lost again
        // waits for the timer, which gives the way time.
        if echoed >= member.mark && !member.went_back {
            member.went_back = member.go_back();
        }
        if is_news {
            let waits = self.first_on_the_way(at);
            if let Some(conn) = self.storage.conns.get_mut(at as usize)
                && let Some(path) = conn.path.as_mut()
            {
                path.answered(now, waits, conn.session);
                let due = path.due().min(Due::at(conn.due));
                if conn.heap_place == At::NONE || due < Due::at(conn.due) {
                    schedule(self.storage.conns, at, due);
                }
            }
        }
        self.queue(at);
    }

    /// The timer of a connection is due: every room goes back to what its device has. Work: linear
    /// in the rooms of the device.
    pub(super) fn go_back(&mut self, at: u32, now: Instant) {
        let Some(conn) = self.storage.conns.get_mut(at as usize) else {
            return;
        };
        let mut next = conn.members.first();
        let Some(path) = conn.path.as_mut() else {
            return;
        };
        if !path.due().is_over(now) {
            return;
        }
        path.expire(now, conn.session);
        let mut is_back = false;
        while let Some(member) = next.and_then(|at| self.storage.members.get_mut(at as usize)) {
            is_back |= member.go_back();
            next = member.in_conn.next();
        }
        if is_back {
            super::count(&mut self.counters.resent);
            self.queue(at);
        } else if let Some(path) = self.path_mut(at) {
            path.stop();
        }
    }

    /// The lowest of the numbers that the newest entries on the way of each room went in.
    fn first_on_the_way(&self, at: u32) -> Option<u32> {
        let mut first = None;
        let mut next = self
            .storage
            .conns
            .get(at as usize)
            .and_then(|c| c.members.first());
        while let Some(member) = next.and_then(|at| self.storage.members.get(at as usize)) {
            if member.cursor > member.acked {
                first = Some(first.map_or(member.mark, |mark: u32| mark.min(member.mark)));
            }
            next = member.in_conn.next();
        }
        first
    }

    pub(super) fn path_mut(&mut self, at: u32) -> Option<&mut Path> {
        self.storage.conns.get_mut(at as usize)?.path.as_mut()
    }
}
