//! What the hub says to the device.

use super::outbox::Fate;
use super::rooms::LAST;
use super::slot::{Numbers, Owed, Slot, Standing};
use super::{Cause, Delivery, Echo, Parts, Session, SlotId, State, Store};
use crate::chat::datagram::ACK_DELAY;
use crate::chat::seq;
use crate::mutant;
use crate::time::{Due, Duration, Instant, millis, secs};
use crate::trace::{debug, warning};
use crate::wire::{Code, Entry, Gap, Join, Joined, Message, VERSION, Welcome, kind};

impl Parts<'_> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn handle_message<'m>(
        &mut self,
        now: Instant,
        message: &Message<'m>,
    ) -> Option<Delivery<'m>> {
        let now = self.tick(now);
        match &mut self.base.state {
            State::Greeting { nonce, .. } => {
                let nonce = *nonce;
                self.handle_greeting(now, nonce, message)
            }
            State::Serving(session) => {
                session.heard = now;
                self.handle_in_session(now, message)
            }
            State::Offline | State::Parting { .. } | State::Closed => None,
        }
    }

    fn handle_greeting<'m>(
        &mut self,
        now: Instant,
        nonce: u64,
        message: &Message<'m>,
    ) -> Option<Delivery<'m>> {
        match message {
            // Another nonce answers an older attempt, before a reset perhaps (rule D-4).
            Message::Welcome(welcome) if welcome.nonce == nonce || mutant::is("any welcome") => {
                self.welcome(now, welcome);
            }
            Message::Error(error) => return self.handle_error(error),
            Message::Bye(bye) => self.handle_bye(Cause::Bye(bye.reason), bye.wait()),
            _ => self.skip(),
        }
        None
    }

    fn welcome(&mut self, now: Instant, welcome: &Welcome<'_>) {
        if welcome.version != VERSION || welcome.suite != 0 {
            self.violation(Code::Version);
            return;
        }
        debug!("client: session {} is open", welcome.session);
        self.base.store = Store {
            id: welcome.store,
            generation: welcome.generation,
        };
        for slot in self.slots.iter_mut() {
            if slot.is_numbered() {
                let is_kept = slot.store.is_some_and(|known| known.is_kept_by(welcome));
                slot.numbers = match is_kept {
                    true => Numbers::Shared,
                    false => Numbers::Foreign,
                };
            }
        }
        self.base.max_body = welcome.max_body;
        self.base.window = welcome.window.max(1);
        self.base.retry_after = secs(0);
        self.base.welcomed = true;
        self.base.state = State::Serving(Session {
            keepalive: secs(u64::from(welcome.keepalive)),
            heard: now,
            spoke: now,
            ping: false,
            pong: None,
            credit_at: Due::NEVER,
            credit_due: false,
        });
        if let Some(path) = &mut self.base.path {
            path.stop();
            self.base.tag = welcome.session;
        }
    }

    fn handle_in_session<'m>(
        &mut self,
        now: Instant,
        message: &Message<'m>,
    ) -> Option<Delivery<'m>> {
        match message {
            Message::Entry(entry) => return self.entry(now, entry),
            Message::Gap(gap) => return self.gap(now, gap),
            Message::Ack {
                slot,
                up_seq,
                rejects,
            } => {
                self.settle(now, *slot, *up_seq, *rejects);
            }
            Message::Joined(joined) => {
                self.joined(now, joined);
            }
            Message::Reject { slot, seq, code } => {
                self.reject(now, *slot, *seq, *code);
            }
            // Until the room is joined they are of the one that the slot had before.
            Message::Notice(notice) if self.is_joined(notice.slot) => {
                return Some(Delivery::Notice(*notice));
            }
            Message::Roster(roster) if self.is_joined(roster.slot) => {
                return Some(Delivery::Roster(*roster));
            }
            Message::Notice(_) | Message::Roster(_) => self.skip(),
            &Message::EchoReply { token, bytes } => return Some(Delivery::Echo { token, bytes }),
            Message::Ping { token } => {
                if let State::Serving(session) = &mut self.base.state {
                    session.pong = Some(*token);
                }
            }
            Message::EchoRequest { token, bytes } => {
                // The last request wins: echo is best effort.
                let bytes = heapless::Vec::from_slice(bytes).ok();
                self.base.echo_back = bytes.map(|bytes| Echo {
                    token: *token,
                    bytes,
                });
            }
            Message::Pong { .. } => {}
            // A late answer to an older Hello (rule S-OPEN-3).
            Message::Welcome(_) => self.skip(),
            Message::Unknown { kind } if !kind::is_known(*kind) => self.skip(),
            Message::Error(error) => return self.handle_error(error),
            Message::Bye(bye) => self.handle_bye(Cause::Bye(bye.reason), bye.wait()),
            Message::Hello(_)
            | Message::Retry { .. }
            | Message::Join(_)
            | Message::Leave { .. }
            | Message::Post { .. }
            | Message::Credit { .. }
            | Message::Who { .. }
            | Message::Unknown { .. } => self.violation(Code::Unexpected),
        }
        None
    }

    fn handle_error<'m>(&mut self, error: &crate::wire::PeerError<'m>) -> Option<Delivery<'m>> {
        let wait = millis(u64::from(error.retry_after));
        self.handle_bye(Cause::Refused(error.code), wait);
        Some(Delivery::Error(*error))
    }

    fn handle_bye(&mut self, cause: Cause, wait: Duration) {
        self.base.retry_after = wait;
        self.close(cause);
    }

    /// The hub told where the device stands in a room (rules D-ACK-4 and D-STORE-4).
    fn joined(&mut self, now: Instant, joined: &Joined) {
        let first_waiting = self.base.outbox.first_waiting(self.arena, joined.slot);
        let store = self.base.store;
        let Some(slot) = self.asked(joined.slot) else {
            self.skip();
            return;
        };
        // Only now: a hub that was up with another store, and took no join, has changed nothing.
        let known = slot.store.replace(store).unwrap_or(store);
        if known != store {
            slot.cursor = 0;
            slot.history = u32::MAX;
        }
        let last_used = slot.last_seq;
        let up_seq = joined.up_seq.wrapping_add(slot.ahead);
        let is_renumbered = slot.is_numbered()
            && (slot.numbers == Numbers::Foreign
                || seq::is_after(slot.up_seq, up_seq)
                || seq::is_after(up_seq, last_used));
        let lost_entries = slot.cursor != Join::LATEST && joined.start < slot.cursor;
        let is_changed = known != store || is_renumbered || lost_entries;
        if slot.cursor == Join::LATEST || lost_entries {
            slot.cursor = joined.start;
        }
        if joined.head.saturating_sub(joined.start) <= u64::from(slot.history) {
            // Nothing is cut off, and nothing shall be when the room has grown.
            slot.history = u32::MAX;
        }
        slot.credited = slot.cursor;
        slot.standing = Standing::Joined { room: joined.room };
        slot.refusals = 0;
        (slot.head, slot.members) = (joined.head, joined.members);
        if is_changed {
            warning!(
                "client: the log of slot {} is another one than before",
                joined.slot
            );
        }
        slot.owed = match is_changed || slot.owed == Owed::Changed {
            true => Owed::Changed,
            false => Owed::Joined,
        };
        if !slot.is_numbered() {
            slot.last_seq = match mutant::is("numbered anew") {
                true => 0,
                false => up_seq,
            };
        }
        slot.numbers = Numbers::Shared;
        // The posts that wait have consecutive numbers: the hub is to count on with the first.
        slot.up_seq = match first_waiting {
            _ if !is_renumbered => up_seq,
            Some(first) => first.seq.wrapping_sub(1),
            None => last_used,
        };
        slot.sent_seq = slot.up_seq;
        slot.round_seq = slot.up_seq;
        (slot.is_again, slot.went_back, slot.owes_credit) = (false, false, false);
        slot.ahead = slot.up_seq.wrapping_sub(joined.up_seq);
        if !is_renumbered {
            self.settle(now, joined.slot, joined.up_seq, joined.rejects);
        }
        self.answered(now);
    }

    fn is_joined(&self, at: SlotId) -> bool {
        let slot = self.slots.get(usize::from(at));
        slot.is_some_and(|slot| matches!(slot.standing, Standing::Joined { .. }))
    }

    fn asked(&mut self, at: SlotId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(usize::from(at))?;
        (slot.standing == Standing::Asked).then_some(slot)
    }

    /// Every post of a slot up to `up_seq` has its verdict.
    fn settle(&mut self, now: Instant, at: SlotId, up_seq: u32, rejects: u32) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            self.skip();
            return;
        };
        let last_sent = slot.sent_seq;
        let up_seq = up_seq.wrapping_add(slot.ahead);
        if !matches!(slot.standing, Standing::Joined { .. }) {
            self.skip();
            return;
        }
        if seq::is_after(up_seq, last_sent) {
            // A verdict on a post that was never sent.
            self.violation(Code::Unexpected);
            return;
        }
        let is_news = seq::is_after(up_seq, slot.up_seq);
        if is_news {
            slot.up_seq = up_seq;
            slot.since = now;
            slot.went_back = false;
        }
        // The hub has seen the newest of the posts and does not have those before it. What is lost
        // again waits for the timer, which gives the way time.
        let path = self.base.path.as_ref();
        let has_lost = path.is_some_and(|path| path.echoed() >= slot.mark) && !slot.went_back;
        if seq::is_after(up_seq, slot.round_seq) || has_lost {
            slot.went_back |= has_lost && seq::is_after(slot.round_seq, slot.up_seq);
            slot.round_seq = slot.up_seq;
        }
        self.base.outbox.settle(self.arena, at, |post| {
            if !seq::is_after(post.seq, up_seq) {
                post.fate = match seq::is_rejected(post.seq, up_seq, rejects) {
                    true => Fate::Rejected,
                    false => Fate::Kept,
                };
            }
        });
        if is_news {
            self.answered(now);
        }
    }

    /// A join (with number 0) was refused, or a post: the `Ack` that follows makes that final.
    fn reject(&mut self, now: Instant, at: SlotId, seq: u32, code: Code) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            self.skip();
            return;
        };
        let (standing, number) = (slot.standing, seq.wrapping_add(slot.ahead));
        // What answers an older copy may not be the hub's last word.
        let is_final = self.base.path.is_none_or(|path| path.echoed() >= slot.mark);
        let refused_after = match standing {
            Standing::Asked | Standing::Leaving if !is_final => return self.skip(),
            Standing::Leaving if seq == 0 => {
                slot.free(Owed::Left);
                return self.answered(now);
            }
            // There was a place before, and there may be one again.
            Standing::Asked if seq == 0 && code == Code::Full && slot.bears_refusal(now) => {
                return self.answered(now);
            }
            Standing::Asked if seq == 0 => {
                let last_sent = slot.sent_seq;
                slot.free(match slot.leaving {
                    true => Owed::Left,
                    false => Owed::Refused(code),
                });
                Some(last_sent)
            }
            Standing::Joined { .. } => None,
            Standing::Free
            | Standing::Wanted
            | Standing::Asked
            | Standing::Later
            | Standing::Leaving => return self.skip(),
        };
        self.base
            .outbox
            .settle(self.arena, at, |post| match refused_after {
                Some(last_sent) if seq::is_after(post.seq, last_sent) => {
                    post.set(Fate::Rejected, code);
                }
                // It may be in the log: its ack was lost with a connection.
                Some(_) => post.set(Fate::Unknown, code),
                None if post.seq == number => post.set(Fate::Waiting, code),
                None => {}
            });
        if refused_after.is_some() {
            self.answered(now);
        }
    }

    /// Over datagrams: what came of a room's log, new or not, is acknowledged in a while.
    fn owe_credit(&mut self, now: Instant, at: SlotId) {
        if let (Some(slot), State::Serving(session), true) = (
            self.slots.get_mut(usize::from(at)),
            &mut self.base.state,
            self.base.path.is_some(),
        ) {
            slot.owes_credit = true;
            if !session.credit_due && session.credit_at == Due::NEVER {
                session.credit_at = Due::after(now, ACK_DELAY);
            }
        }
    }

    /// The next entry of a room (rule D-6): only the one after the cursor is handed on.
    fn entry<'m>(&mut self, now: Instant, entry: &Entry<'m>) -> Option<Delivery<'m>> {
        let joined = Standing::Joined { room: entry.room };
        let mut slots = self.slots.iter().zip(0_u8..);
        let Some((_, at)) = slots.find(|(slot, _)| slot.standing == joined) else {
            self.skip();
            return None;
        };
        self.owe_credit(now, at);
        let slot = self.slots.get_mut(usize::from(at))?;
        if entry.offset <= slot.cursor {
            self.skip();
            return None;
        }
        if entry.offset != slot.cursor.saturating_add(1) || entry.offset > LAST {
            self.missed();
            return None;
        }
        slot.cursor = entry.offset;
        let (slot, offset) = (at, entry.offset);
        Some(if entry.flags & Entry::OWN != 0 {
            Delivery::Own { slot, offset }
        } else {
            Delivery::Entry {
                slot,
                offset,
                from: entry.from,
                body: entry.body,
            }
        })
    }

    /// Something between the cursor and what came did not come: over datagrams the hub goes back.
    fn missed(&mut self) {
        match self.base.path {
            Some(_) => self.skip(),
            None => self.violation(Code::Unexpected),
        }
    }

    fn gap<'m>(&mut self, now: Instant, gap: &Gap) -> Option<Delivery<'m>> {
        let Some(slot) = self.slots.get_mut(usize::from(gap.slot)) else {
            self.skip();
            return None;
        };
        let is_joined = matches!(slot.standing, Standing::Joined { .. });
        if !is_joined {
            self.skip();
            return None;
        }
        self.owe_credit(now, gap.slot);
        let slot = self.slots.get_mut(usize::from(gap.slot))?;
        if gap.to <= slot.cursor {
            self.skip();
            return None;
        }
        let from = slot.cursor.saturating_add(1);
        if gap.from > from || gap.to > LAST {
            self.missed();
            return None;
        }
        slot.cursor = gap.to;
        Some(Delivery::Gap {
            slot: gap.slot,
            from,
            to: gap.to,
            reason: gap.reason,
        })
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn skip(&mut self) {
        self.base.skipped = self.base.skipped.saturating_add(1);
    }
}
