//! What the device says to the hub: read from where it stands, most urgent first.

use super::outbox::{Fate, Post};
use super::slot::{Slot, Standing};
use super::{Cause, Parts, SlotId, State};
use crate::bytes;
use crate::chat::datagram::{HEADER, MIN_HELLO, Path};
use crate::chat::seq;
use crate::time::{Due, Instant};
use crate::wire::{
    self, Bye, ByeReason, Code, DeviceId, Hello, Join, Message, PeerError, VERSION, kind,
};

impl Parts<'_> {
    pub(super) fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let Some(path) = &self.base.path else {
            return self.transmit(now, out);
        };
        if path.next().is_none() && matches!(self.base.state, State::Serving(_)) {
            // A number that came twice would be taken for late.
            self.close(Cause::Timeout);
            return None;
        }
        let (head, message) = out.split_at_mut_checked(HEADER)?;
        let tag = self.base.tag;
        let len = self.transmit(now, message)?;
        let path = self.base.path.as_mut()?;
        if message.first().is_some_and(|&kind| wants_answer(kind)) {
            path.expect(self.base.now, tag);
        }
        bytes::copy(head, &path.seal(tag).encode());
        Some(len.saturating_add(HEADER))
    }

    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let now = self.tick(now);
        match &mut self.base.state {
            State::Greeting { said: true, .. } | State::Offline | State::Closed => None,
            State::Greeting { nonce, cookie, .. } => {
                let (nonce, cookie) = (*nonce, *cookie);
                self.say_hello(nonce, cookie.as_ref(), out)
            }
            State::Parting { cause, .. } => {
                let cause = *cause;
                self.close(cause);
                self.say_last(cause, out)
            }
            State::Serving(_) => {
                let len = self.next_message(now, out)?;
                if let State::Serving(session) = &mut self.base.state {
                    session.spoke = now;
                }
                Some(len)
            }
        }
    }

    fn say_hello(
        &mut self,
        nonce: u64,
        cookie: Option<&[u8; 16]>,
        out: &mut [u8],
    ) -> Option<usize> {
        let config = &self.base.config;
        let flags = if config.is_ephemeral {
            Hello::EPHEMERAL
        } else {
            0
        };
        let device: DeviceId = config.device;
        let hello = Message::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            suite: 0,
            key_id: 0,
            flags,
            nonce,
            device,
            max_frame: config.max_frame.min(self.base.link_frame),
            credit: self.base.credit(),
            keepalive: config.keepalive,
            proof: &[],
            cookie,
        });
        let mut len = wire::binary::encode_to_hub(&hello, out).ok()?;
        if self.base.path.is_some() {
            len = pad(out, len);
        }
        if let State::Greeting { said, .. } = &mut self.base.state {
            *said = true;
        }
        Some(len)
    }

    fn say_last(&self, cause: Cause, out: &mut [u8]) -> Option<usize> {
        let code = match cause {
            Cause::Violation(code) => Some(code),
            Cause::Timeout => Some(Code::Timeout),
            Cause::Done | Cause::Bye(_) | Cause::Refused(_) | Cause::Lost => None,
        };
        let message = match code {
            Some(code) => Message::Error(PeerError {
                code,
                retry_after: 0,
                text: "",
            }),
            None => Message::Bye(Bye {
                reason: ByeReason::Done,
                retry_after: 0,
            }),
        };
        wire::binary::encode_to_hub(&message, out).ok()
    }

    fn next_message(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if let State::Serving(session) = &mut self.base.state
            && let Some(token) = session.pong
        {
            let len = wire::binary::encode_to_hub(&Message::Pong { token }, out).ok()?;
            session.pong = None;
            return Some(len);
        }
        if let Some(echo) = &self.base.echo_back {
            let (token, bytes) = (echo.token, echo.bytes.as_slice());
            let len =
                wire::binary::encode_to_hub(&Message::EchoReply { token, bytes }, out).ok()?;
            self.base.echo_back = None;
            return Some(len);
        }
        self.reject_too_large();
        for at in 0..self.slots.len() {
            let at = u8::try_from(at).ok()?;
            if let Some(len) = self.next_of_slot(now, at, out) {
                return Some(len);
            }
        }
        if let Some(len) = self.next_post(now, out) {
            return Some(len);
        }
        if let Some(echo) = &self.base.echo {
            let (token, bytes) = (echo.token, echo.bytes.as_slice());
            let len =
                wire::binary::encode_to_hub(&Message::EchoRequest { token, bytes }, out).ok()?;
            self.base.echo = None;
            return Some(len);
        }
        if let State::Serving(session) = &mut self.base.state
            && session.ping
        {
            let len = wire::binary::encode_to_hub(&Message::Ping { token: 0 }, out).ok()?;
            session.ping = false;
            return Some(len);
        }
        None
    }

    /// A join, a leave, a credit or a question that a slot owes.
    fn next_of_slot(&mut self, now: Instant, at: SlotId, out: &mut [u8]) -> Option<usize> {
        let is_leaving = self.slots.get(usize::from(at))?.leaving && !self.has_waiting(at);
        let credit = self.base.credit();
        let is_ack_due = match (&self.base.path, &self.base.state) {
            (Some(_), State::Serving(session)) => session.credit_due,
            _ => false,
        };
        let store = self.base.store;
        let slot = self.slots.get_mut(usize::from(at))?;
        let number = self.base.path.as_ref().and_then(Path::next).unwrap_or(0);
        match slot.standing {
            Standing::Free | Standing::Later => None,
            Standing::Asked | Standing::Leaving if number == 0 || !slot.is_again => None,
            Standing::Leaving => {
                let len = wire::binary::encode_to_hub(&Message::Leave { slot: at }, out).ok()?;
                (slot.is_again, slot.mark) = (false, number);
                Some(len)
            }
            Standing::Wanted | Standing::Asked => {
                // Nothing was seen of another log yet, so nothing of it is passed over; and a limit
                // on history is for the first reading only.
                let (cursor, history) = match (slot.store.is_some_and(|s| s != store), slot.cursor)
                {
                    (true, _) => (0, u32::MAX),
                    (false, 0) => (0, slot.history),
                    (false, cursor) => (cursor, u32::MAX),
                };
                let join = Message::Join(Join {
                    slot: at,
                    flags: slot.flags,
                    cursor,
                    history,
                    room: slot.room.as_bytes(),
                    name: self.base.config.name.as_bytes(),
                });
                let len = wire::binary::encode_to_hub(&join, out).ok()?;
                slot.standing = Standing::Asked;
                (slot.is_again, slot.mark) = (false, number);
                slot.since = now;
                Some(len)
            }
            Standing::Joined { .. } if is_leaving => {
                let len = wire::binary::encode_to_hub(&Message::Leave { slot: at }, out).ok()?;
                if number == 0 {
                    *slot = Slot::left();
                } else {
                    slot.standing = Standing::Leaving;
                    slot.mark = number;
                }
                Some(len)
            }
            Standing::Joined { .. } => {
                if let Some(skip) = slot.who {
                    let len =
                        wire::binary::encode_to_hub(&Message::Who { slot: at, skip }, out).ok()?;
                    slot.who = None;
                    return Some(len);
                }
                let used = slot.cursor.saturating_sub(slot.credited);
                let is_due = is_ack_due && slot.owes_credit;
                if (used == 0 || used < u64::from(credit >> 1)) && !is_due {
                    return None;
                }
                let grant = Message::Credit {
                    slot: at,
                    cursor: slot.cursor,
                    window: credit,
                };
                let len = wire::binary::encode_to_hub(&grant, out).ok()?;
                slot.credited = slot.cursor;
                slot.owes_credit = false;
                if let (Some(_), State::Serving(session)) = (&self.base.path, &mut self.base.state)
                    && !self.slots.iter().any(|slot| slot.owes_credit)
                {
                    (session.credit_at, session.credit_due) = (Due::NEVER, false);
                }
                Some(len)
            }
        }
    }

    /// A post that this session does not carry, taken in one that did, has its verdict here: sent,
    /// it would end every session.
    ///
    /// The posts behind it close up, so nothing of the room may be on its way.
    fn reject_too_large(&mut self) {
        let most = self.base.most_body();
        let is_meant = |post: Post| post.is_waiting() && post.len() > most;
        if !self.base.outbox.posts(self.arena).any(is_meant) {
            return;
        }
        for (slot, at) in self.slots.iter_mut().zip(0_u8..) {
            let is_idle = slot.sent_seq == slot.up_seq;
            if !is_idle || !matches!(slot.standing, Standing::Joined { .. }) {
                continue;
            }
            self.base.outbox.settle(self.arena, at, |post, _| {
                let is_next = post.seq == seq::next(slot.sent_seq);
                (is_next && is_meant(*post)).then(|| {
                    (slot.sent_seq, slot.up_seq) = (post.seq, post.seq);
                    slot.round_seq = post.seq;
                    slot.ahead = slot.ahead.wrapping_add(1);
                    Fate::Rejected(Code::TooLarge)
                })
            });
        }
    }

    /// The oldest post that was not sent on this connection and that its room's window lets pass.
    fn next_post(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let window = u32::from(self.base.window);
        let most = self.base.most_body();
        let slots = &*self.slots;
        let is_next = |post: &Post| {
            let Some(slot) = slots.get(usize::from(post.slot)) else {
                return false;
            };
            post.is_waiting()
                && post.len() <= most
                && matches!(slot.standing, Standing::Joined { .. })
                && post.seq == seq::next(slot.round_seq)
                && post.seq.wrapping_sub(slot.up_seq) <= window
        };
        let post = self.base.outbox.posts(self.arena).find(is_next)?;
        let ahead = slots.get(usize::from(post.slot))?.ahead;
        let message = Message::Post {
            slot: post.slot,
            seq: post.seq.wrapping_sub(ahead),
            body: self.base.outbox.body(self.arena, &post),
        };
        let len = wire::binary::encode_to_hub(&message, out).ok()?;
        if let Some(slot) = self.slots.get_mut(usize::from(post.slot)) {
            if slot.sent_seq == slot.up_seq {
                slot.since = now;
            }
            slot.round_seq = post.seq;
            slot.mark = self.base.path.as_ref().and_then(Path::next).unwrap_or(0);
            if seq::is_after(post.seq, slot.sent_seq) {
                slot.sent_seq = post.seq;
            }
        }
        Some(len)
    }
}

/// Whether the hub answers a message of this kind at once.
const fn wants_answer(kind: u8) -> bool {
    matches!(kind, kind::HELLO | kind::JOIN | kind::LEAVE | kind::POST)
}

/// Fills a `Hello` up to the size that a datagram asks for.
fn pad(out: &mut [u8], len: usize) -> usize {
    let missing = MIN_HELLO.saturating_sub(len);
    let Some(room) = out.get_mut(len..MIN_HELLO) else {
        return len;
    };
    let [tag, size, rest @ ..] = room else {
        return len;
    };
    *tag = wire::binary::TAG_PADDING;
    *size = u8::try_from(missing.saturating_sub(2)).unwrap_or(0);
    rest.fill(0);
    MIN_HELLO
}
