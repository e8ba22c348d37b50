//! From a post to its commit: what is appended, what is handed out to be made durable, what is then
//! acknowledged and shown.

use super::slots::{Member, Owed, Pending, Presence, Room, Verdict};
use super::{Hub, share_mut};
use crate::chat::log::{AppendError, Memory, NewEntry};
use crate::chat::seq;
use crate::mutant;
use crate::wire::{Code, DeviceId};

/// One verdict that is to be made durable: the whole transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Append<'a> {
    /// The room.
    pub room: &'a str,
    /// The hub's number for it.
    pub number: u32,
    /// Who posted.
    pub device: &'a DeviceId,
    /// The post's sequence number.
    pub seq: u32,
    /// What became of it.
    pub verdict: Verdict,
    /// The entry as its `Length32` frame; empty for a reject.
    pub frame: &'a [u8],
}

impl Hub<'_> {
    /// The next post to be made durable, each once, in the order in which they are to be committed.
    pub fn poll_append(&mut self) -> Option<Append<'_>> {
        if self.pending_handed >= self.pending_len {
            return None;
        }
        let place = self.pending_place(self.pending_handed);
        let Pending {
            member,
            seq,
            verdict,
        } = *self.storage.pending.get(place)?;
        self.pending_handed = self.pending_handed.saturating_add(1);
        let room_at = self.storage.members.get(member as usize)?.room;
        let room = self.storage.rooms.get(room_at as usize)?;
        let frame = match verdict {
            Verdict::Kept { offset } => room.log.frame(self.log_view(room_at), offset)?,
            Verdict::Rejected { .. } | Verdict::Forgotten => &[],
        };
        let device = &self.storage.members.get(member as usize)?.device;
        Some(Append {
            room: room.name.as_str(),
            number: room_at,
            device,
            seq,
            verdict,
            frame,
        })
    }

    /// The oldest `count` posts that `poll_append` gave are durable: they are acknowledged and
    /// shown from here on.
    ///
    /// Work: `count`, and once the members of each room that got a post.
    pub fn handle_appended(&mut self, count: usize) {
        for _ in 0..count.min(self.pending_handed) {
            let place = self.pending_place(0);
            let Some(&pending) = self.storage.pending.get(place) else {
                break;
            };
            self.pending_at = self.pending_place(1);
            self.pending_handed = self.pending_handed.saturating_sub(1);
            self.pending_len = self.pending_len.saturating_sub(1);
            self.commit(pending);
        }
        self.forget_gone();
        while let Some(room) = self.dirty.pop(self.storage.rooms, Room::dirty) {
            self.owe_members(room, |_, _| {});
        }
    }

    /// Commits everything that is pending, where memory is all the durability that is wanted.
    pub fn commit_in_memory(&mut self) {
        self.pending_handed = self.pending_len;
        self.handle_appended(self.pending_len);
    }

    /// A pass over all connections that have something to be sent begins.
    ///
    /// For a caller that takes in messages before it has been to each of them. What was posted since
    /// the pass before began then stays in the log until this one ends: so a burst pushes nothing out
    /// that a member would have taken in its turn, and a post for which there is no room meanwhile is
    /// [`Busy`](super::Busy). Where nobody calls this, posts push out whatever is committed.
    pub const fn begin_pass(&mut self) {
        self.pass = self.pass.wrapping_add(1);
    }

    fn commit(&mut self, pending: Pending) {
        let Some(member) = self.storage.members.get_mut(pending.member as usize) else {
            return;
        };
        if pending.verdict == Verdict::Forgotten {
            self.forgetting = self.forgetting.saturating_sub(1);
            return self.release(pending.member);
        }
        member.up_committed = pending.seq;
        match pending.verdict {
            Verdict::Kept { offset } => {
                super::count(&mut self.counters.posts);
                if let Some(room) = self.storage.rooms.get_mut(member.room as usize) {
                    room.log.commit(offset);
                }
                self.dirty
                    .push(self.storage.rooms, member.room, Room::dirty);
            }
            Verdict::Forgotten => {}
            Verdict::Rejected { code } => {
                super::count(&mut self.counters.rejected);
                member.reject = (pending.seq, code);
                member.owed.add(Owed::REJECT);
            }
        }
        member.owed.add(Owed::ACK);
        if let Presence::Here { conn } = member.presence {
            self.queue(conn);
        } else if let Some(member) = self.storage.members.get_mut(pending.member as usize) {
            member.owed = Owed::NOTHING;
        }
    }

    /// Gives a post its verdict. `Err` when that has to wait for a commit.
    pub(super) fn take_post(
        &mut self,
        at: u32,
        number: u32,
        body: &[u8],
    ) -> Result<(), super::Busy> {
        let Some(member) = self.storage.members.get_mut(at as usize) else {
            return Ok(());
        };
        let skips = mutant::is("gap taken") && seq::is_after(number, member.up_seq);
        if number != seq::next(member.up_seq) && !skips {
            if !seq::is_after(number, member.up_seq) {
                super::count(&mut self.counters.repeated);
            }
            member.owed.add(Owed::ACK);
            if let Presence::Here { conn } = member.presence {
                self.queue(conn);
            }
            return Ok(());
        }
        if self.pending_len >= self.storage.pending.len() {
            return Err(super::Busy);
        }
        let kept = match self.keep(at, number, body) {
            Ok(offset) => Some(offset),
            Err(AppendError::Full) => return Err(super::Busy),
            Err(AppendError::TooLarge) => None,
        };
        let Some(member) = self.storage.members.get_mut(at as usize) else {
            return Ok(());
        };
        let verdict = match kept {
            Some(offset) => {
                member.own_last = offset;
                Verdict::Kept { offset }
            }
            // The reject before this one is still to be told, with its code.
            None if member.has_reject_on_its_way() => return Err(super::Busy),
            None => Verdict::Rejected {
                code: Code::TooLarge,
            },
        };
        let rejected = u32::from(kept.is_none());
        member.rejects = member.rejects.wrapping_shl(1) | rejected;
        member.up_seq = number;
        if mutant::is("ack before commit") {
            member.up_committed = number;
            member.owed.add(Owed::ACK);
        }
        self.push_pending(Pending {
            member: at,
            seq: number,
            verdict,
        });
        Ok(())
    }

    /// Puts a verdict behind all others; there has to be a place for it.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn push_pending(&mut self, pending: Pending) {
        let place = self.pending_place(self.pending_len);
        if let Some(cell) = self.storage.pending.get_mut(place) {
            *cell = pending;
            self.pending_len = self.pending_len.saturating_add(1);
        }
    }

    fn keep(&mut self, at: u32, number: u32, body: &[u8]) -> Result<u64, AppendError> {
        let member = self
            .storage
            .members
            .get(at as usize)
            .ok_or(AppendError::TooLarge)?;
        let most = match member.presence {
            Presence::Here { conn } => self.most_body(conn),
            _ => self.config.max_body,
        };
        if body.len() > usize::from(most) {
            return Err(AppendError::TooLarge);
        }
        let room = member.room as usize;
        let rooms = self.storage.rooms.len();
        let mut memory = Memory {
            bytes: share_mut(self.storage.bytes, rooms, room),
            index: share_mut(self.storage.index, rooms, room),
        };
        let entry = NewEntry {
            room: member.room,
            from: member.name.as_str(),
            body,
            author: at,
            seq: number,
        };
        let room = self
            .storage
            .rooms
            .get_mut(room)
            .ok_or(AppendError::TooLarge)?;
        if room.pass != self.pass {
            let is_next = room.pass.wrapping_add(1) == self.pass;
            let head = room.log.head();
            room.log
                .hold_after(if is_next { room.pass_head } else { head });
            (room.pass, room.pass_head) = (self.pass, head);
        }
        room.log.append(&mut memory, &entry)
    }

    /// Where the `n`th oldest pending post lies in the ring.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn pending_place(&self, n: usize) -> usize {
        let place = self.pending_at.saturating_add(n);
        match place.checked_sub(self.storage.pending.len()) {
            Some(wrapped) => wrapped,
            None => place,
        }
    }
}

impl Member {
    /// Whether a reject was given that the device has not been told.
    const fn has_reject_on_its_way(&self) -> bool {
        let uncommitted = self.up_seq.wrapping_sub(self.up_committed);
        let mask = match 1_u32.checked_shl(uncommitted) {
            Some(bit) => bit.wrapping_sub(1),
            None => u32::MAX,
        };
        self.owed.has(Owed::REJECT) || self.rejects & mask != 0
    }
}
