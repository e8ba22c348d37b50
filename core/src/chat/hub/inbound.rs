//! What a connection says to the hub: the handshake, and every message of a session.

use super::links::{At, hash, insert};
use super::members::NotJoined;
use super::slots::{LastWord, Owed, Phase, Who};
use super::{Busy, ConnId, Hub, Parting};
use crate::chat::MAX_SLOTS;
use crate::mutant;
use crate::time::{Due, Instant};
use crate::trace::debug;
use crate::wire::{ByeReason, Code, Hello, MAX_CONTROL, Message, VERSION, kind};

impl Hub<'_> {
    /// A message came in.
    ///
    /// `Err(Busy)`: it was not taken; hand it in again after a commit and after what is owed to
    /// this connection was sent, and read no more from it before that. A log may have let go of old
    /// entries already, to make room for it. A peer that breaks the protocol is told so
    /// and closed by way of `poll_transmit`. A connection that is over is not listened to.
    /// Work: constant for most messages; linear in the device's rooms for those with a slot; the
    /// members of a small room when presence changes; at most 64 members that a join forgets.
    pub fn handle_message(
        &mut self,
        now: Instant,
        id: ConnId,
        message: &Message<'_>,
    ) -> Result<(), Busy> {
        let Some(at) = self.conn_at(id) else {
            return Ok(());
        };
        let now = self.tick(now);
        let Some(conn) = self.storage.conns.get_mut(at as usize) else {
            return Ok(());
        };
        match conn.phase {
            Phase::Greeting { .. } => self.handle_greeting(now, at, message),
            Phase::Serving => {
                conn.heard = now;
                return self.handle_in_session(now, at, message);
            }
            Phase::Free | Phase::Parting { .. } | Phase::Closed => {}
        }
        Ok(())
    }

    fn handle_greeting(&mut self, now: Instant, at: u32, message: &Message<'_>) {
        match message {
            Message::Hello(hello) => match self.open_session(now, at, hello) {
                Ok(()) => {}
                Err(code) => self.violation(at, now, code),
            },
            Message::Unknown { kind } if !kind::is_known(*kind) => self.skip(),
            Message::Error(_) | Message::Bye(_) => self.close(at),
            _ => self.violation(at, now, Code::Unexpected),
        }
    }

    /// Opens a session and fences every older one of the same device.
    pub(super) fn open_session(
        &mut self,
        now: Instant,
        at: u32,
        hello: &Hello<'_>,
    ) -> Result<(), Code> {
        if !(hello.version_min..=hello.version_max).contains(&VERSION) || hello.suite != 0 {
            return Err(Code::Version);
        }
        // A device that cannot take a marker and the other small messages could never be served.
        if (hello.max_frame as usize) < MAX_CONTROL {
            return Err(Code::Oversize);
        }
        if let Some(old) = self.find_device(&hello.device)
            && !mutant::is("no fence")
        {
            super::count(&mut self.counters.fenced);
            debug!("hub: connection {} is fenced by connection {}", old, at);
            self.part(old, now, LastWord::Bye(ByeReason::Replaced), Parting::Lost);
        }
        self.sessions = self.sessions.wrapping_add(1);
        super::count(&mut self.counters.sessions);
        let Some(conn) = self.storage.conns.get_mut(at as usize) else {
            return Ok(());
        };
        let (least, most) = (self.config.keepalive_min, self.config.keepalive_max);
        conn.phase = Phase::Serving;
        conn.owed.add(Owed::WELCOME);
        conn.ephemeral = hello.flags & Hello::EPHEMERAL != 0;
        conn.keepalive = match hello.keepalive {
            0 => 0,
            wish => wish.clamp(least.min(most), most).max(1),
        };
        conn.credit = hello.credit;
        conn.max_frame = hello.max_frame;
        conn.device = hello.device;
        conn.nonce = hello.nonce;
        conn.born = now;
        let secret = match mutant::is("fence forgotten") {
            true => [0; 4],
            false => self.config.session_secret,
        };
        conn.session = super::session::number(&secret, self.sessions);
        debug!("hub: connection {} has session {}", at, conn.session);
        conn.heard = now;
        insert(
            self.storage.conns,
            hash(self.config.table_secret, &hello.device),
            at,
        );
        super::timers::schedule(self.storage.conns, at, Due::at(now));
        self.queue(at);
        Ok(())
    }

    fn handle_in_session(
        &mut self,
        now: Instant,
        at: u32,
        message: &Message<'_>,
    ) -> Result<(), Busy> {
        let Some(conn) = self.storage.conns.get_mut(at as usize) else {
            return Ok(());
        };
        match message {
            &Message::Post { slot, seq, body } => match self.member_in_slot(at, slot) {
                Some(member) => return self.take_post(member, seq, body),
                None => self.violation(at, now, Code::BadSlot),
            },
            &Message::Credit {
                slot,
                cursor,
                window,
            } => self.credit(now, at, slot, cursor, window),
            Message::Join(join) => {
                if conn.owed.has(Owed::REFUSAL) {
                    return Err(Busy);
                }
                let joined = match join.slot {
                    0..MAX_SLOTS => self.join(at, now, join),
                    MAX_SLOTS.. => Err(NotJoined::Refused(Code::BadSlot)),
                };
                match joined {
                    Ok(()) => {}
                    Err(NotJoined::Refused(code)) => self.refuse(at, join.slot, code),
                    Err(NotJoined::Busy) => return Err(Busy),
                }
            }
            &Message::Leave { slot } => {
                let is_answered = conn.path.is_some();
                if is_answered && conn.owed.has(Owed::REFUSAL) {
                    return Err(Busy);
                }
                self.leave(at, slot, now);
                if is_answered {
                    self.refuse(at, slot, Code::BadSlot);
                }
            }
            &Message::Who { slot, skip } => {
                if conn.owed.has(Owed::ROSTER) {
                    return Err(Busy);
                }
                self.who(now, at, slot, skip);
            }
            &Message::Ping { token } => {
                if conn.owed.has(Owed::PONG) {
                    return Err(Busy);
                }
                conn.pong = token;
                conn.owed.add(Owed::PONG);
                self.queue(at);
            }
            &Message::EchoRequest { token, bytes } => {
                if conn.owed.has(Owed::ECHO) {
                    return Err(Busy);
                }
                conn.echo_token = token;
                // The decoder has checked the length.
                conn.echo = heapless::Vec::from_slice(bytes).unwrap_or_default();
                conn.owed.add(Owed::ECHO);
                self.queue(at);
            }
            Message::Pong { .. } | Message::EchoReply { .. } => {}
            Message::Unknown { kind } if !kind::is_known(*kind) => self.skip(),
            Message::Error(_) => {
                self.end_session(at, now, Parting::Lost);
                self.close(at);
            }
            Message::Bye(bye) => {
                let how = match bye.reason {
                    ByeReason::Done => Parting::Said,
                    // It means to come back.
                    _ => Parting::Lost,
                };
                self.end_session(at, now, how);
                self.close(at);
            }
            Message::Hello(_)
            | Message::Retry { .. }
            | Message::Welcome(_)
            | Message::Joined(_)
            | Message::Ack { .. }
            | Message::Reject { .. }
            | Message::Entry(_)
            | Message::Gap(_)
            | Message::Notice(_)
            | Message::Roster(_)
            | Message::Unknown { .. } => self.violation(at, now, Code::Unexpected),
        }
        Ok(())
    }

    /// The device has handed on everything up to `cursor` and takes `window` more.
    fn credit(&mut self, now: Instant, at: u32, slot: u8, cursor: u64, window: u16) {
        let Some(at_member) = self.member_in_slot(at, slot) else {
            self.violation(at, now, Code::BadSlot);
            return;
        };
        if self.is_datagram(at) {
            self.acknowledged(now, at, at_member, cursor, window);
        } else if let Some(member) = self.storage.members.get_mut(at_member as usize) {
            let limit = cursor.min(member.cursor).saturating_add(u64::from(window));
            member.limit = member.limit.max(limit);
            self.queue(at);
        }
    }

    fn who(&mut self, now: Instant, at: u32, slot: u8, skip: u16) {
        let Some(at_member) = self.member_in_slot(at, slot) else {
            self.violation(at, now, Code::BadSlot);
            return;
        };
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            if conn.who.member != At::of(at_member) || conn.who.passed != skip {
                conn.who = Who::NOBODY;
            }
            conn.who.member = At::of(at_member);
            conn.who.skip = skip;
            conn.owed.add(Owed::ROSTER);
            self.queue(at);
        }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn refuse(&mut self, at: u32, slot: u8, code: Code) {
        debug!("hub: connection {} is refused a join: {:?}", at, code);
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            conn.refusal = (slot, code);
            conn.owed.add(Owed::REFUSAL);
            self.queue(at);
        }
    }

    /// The peer said its last word, or cannot be told any: nothing is left to say.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn close(&mut self, at: u32) {
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            conn.phase = Phase::Closed;
            self.queue(at);
        }
    }

    fn skip(&mut self) {
        super::count(&mut self.counters.skipped);
    }
}
