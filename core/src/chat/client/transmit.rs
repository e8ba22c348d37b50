//! What the device says to the hub: read from where it stands, most urgent first.

use super::outbox::{Fate, Post};
use super::slot::{Owed, Slot, Standing};
use super::{Cause, Parts, Session, SlotId, State};
use crate::bytes;
use crate::chat::datagram::{HEADER, MIN_HELLO, Path};
use crate::chat::seq;
use crate::time::{Due, Instant};
use crate::wire::{self, Bye, ByeReason, Code, Hello, Join, Message, PeerError, VERSION, kind};

/// The next message, and what of it the device keeps once it is said.
struct Next<'m> {
    message: Message<'m>,
    slot: SlotId,
    /// The device's own number of a post.
    seq: u32,
}

impl<'m> From<Message<'m>> for Next<'m> {
    fn from(message: Message<'m>) -> Self {
        Self {
            message,
            slot: 0,
            seq: 0,
        }
    }
}

impl Parts<'_> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let now = self.tick(now);
        let is_datagram = self.base.path.is_some();
        // 0 is none: this is a stream, or all are used up.
        let number = self.base.path.as_ref().and_then(Path::next).unwrap_or(0);
        if matches!(self.base.state, State::Serving(_)) {
            if is_datagram && number == 0 {
                // A number that came twice would be taken for late.
                self.close(Cause::Timeout);
                return None;
            }
            self.reject_too_large();
        }
        let front = if is_datagram { HEADER } else { 0 };
        let (head, out) = out.split_at_mut_checked(front)?;
        let Next { message, slot, seq } = self.next_message()?;
        let mut len = wire::binary::encode_to_hub(&message, out)?;
        let kind = *out.first()?;
        if kind == kind::HELLO && is_datagram {
            len = pad(out, len);
        }
        self.said(now, kind, slot, seq, number);
        let tag = self.base.tag;
        if let Some(path) = &mut self.base.path {
            if wants_answer(kind) {
                path.expect(now, tag);
            }
            bytes::copy(head, &path.seal(tag).encode());
        }
        Some(len.saturating_add(front))
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn next_message(&self) -> Option<Next<'_>> {
        match &self.base.state {
            State::Greeting { said: true, .. } | State::Offline | State::Closed => None,
            State::Greeting { nonce, cookie, .. } => Some(self.hello(*nonce, cookie.as_ref())),
            State::Parting { cause, .. } => Some(last_word(*cause).into()),
            State::Serving(session) => self.next_in_session(session),
        }
    }

    fn hello<'m>(&self, nonce: u64, cookie: Option<&'m [u8; 16]>) -> Next<'m> {
        let config = &self.base.config;
        let hello = Hello {
            version_min: VERSION,
            version_max: VERSION,
            suite: 0,
            key_id: 0,
            flags: match config.is_ephemeral {
                true => Hello::EPHEMERAL,
                false => 0,
            },
            nonce,
            device: config.device,
            max_frame: config.max_frame.min(self.base.link_frame),
            credit: self.base.credit(),
            keepalive: config.keepalive,
            proof: &[],
            cookie,
        };
        Message::Hello(hello).into()
    }

    fn next_in_session(&self, session: &Session) -> Option<Next<'_>> {
        if let Some(token) = session.pong {
            return Some(Message::Pong { token }.into());
        }
        if let Some(echo) = &self.base.echo_back {
            let (token, bytes) = (echo.token, echo.bytes.as_slice());
            return Some(Message::EchoReply { token, bytes }.into());
        }
        for (slot, at) in self.slots.iter().zip(0_u8..) {
            if let Some(message) = self.next_of_slot(session, slot, at) {
                return Some(Next {
                    message,
                    slot: at,
                    seq: 0,
                });
            }
        }
        if let Some(next) = self.next_post() {
            return Some(next);
        }
        if let Some(echo) = &self.base.echo {
            let (token, bytes) = (echo.token, echo.bytes.as_slice());
            return Some(Message::EchoRequest { token, bytes }.into());
        }
        session.ping.then(|| Message::Ping { token: 0 }.into())
    }

    /// A join, a leave, a credit or a question that a slot owes.
    fn next_of_slot<'m>(
        &'m self,
        session: &Session,
        slot: &'m Slot,
        at: SlotId,
    ) -> Option<Message<'m>> {
        match slot.standing {
            Standing::Free | Standing::Later => None,
            Standing::Asked | Standing::Leaving if !slot.is_again => None,
            Standing::Leaving => Some(Message::Leave { slot: at }),
            Standing::Wanted | Standing::Asked => {
                // Nothing was seen of another log yet, so nothing of it is passed over; and a limit
                // on history is for the first reading only.
                let (cursor, history) = match slot.store {
                    Some(store) if store != self.base.store => (0, u32::MAX),
                    _ if slot.cursor == 0 => (0, slot.history),
                    _ => (slot.cursor, u32::MAX),
                };
                Some(Message::Join(Join {
                    slot: at,
                    flags: slot.flags,
                    cursor,
                    history,
                    room: slot.room.as_bytes(),
                    name: self.base.config.name.as_bytes(),
                }))
            }
            Standing::Joined { .. } if slot.leaving && !self.has_waiting(at) => {
                Some(Message::Leave { slot: at })
            }
            Standing::Joined { .. } => {
                if let Some(skip) = slot.who {
                    return Some(Message::Who { slot: at, skip });
                }
                let window = self.base.credit();
                let used = slot.cursor.saturating_sub(slot.credited);
                let is_due = session.credit_due && slot.owes_credit;
                let is_used = used > 0 && used >= u64::from(window >> 1);
                (is_due || is_used).then_some(Message::Credit {
                    slot: at,
                    cursor: slot.cursor,
                    window,
                })
            }
        }
    }

    /// A message of this kind, and of that slot, is on its way.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn said(&mut self, now: Instant, kind: u8, at: SlotId, seq: u32, number: u32) {
        let session = match &mut self.base.state {
            State::Serving(session) => session,
            State::Greeting { said, .. } => {
                *said = true;
                return;
            }
            State::Parting { cause, .. } => {
                let cause = *cause;
                return self.close(cause);
            }
            State::Offline | State::Closed => return,
        };
        session.spoke = now;
        match kind {
            kind::PONG => session.pong = None,
            kind::PING => session.ping = false,
            kind::ECHO_REPLY => self.base.echo_back = None,
            kind::ECHO_REQUEST => self.base.echo = None,
            _ => {}
        }
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        match kind {
            kind::LEAVE if number == 0 => slot.free(Owed::Left),
            kind::LEAVE => {
                slot.standing = Standing::Leaving;
                (slot.is_again, slot.mark) = (false, number);
            }
            kind::JOIN => {
                slot.standing = Standing::Asked;
                (slot.is_again, slot.mark) = (false, number);
                slot.since = now;
            }
            kind::WHO => slot.who = None,
            kind::CREDIT => {
                slot.credited = slot.cursor;
                slot.owes_credit = false;
                if !self.slots.iter().any(|slot| slot.owes_credit) {
                    (session.credit_at, session.credit_due) = (Due::NEVER, false);
                }
            }
            kind::POST => {
                if slot.sent_seq == slot.up_seq {
                    slot.since = now;
                }
                (slot.round_seq, slot.mark) = (seq, number);
                if seq::is_after(seq, slot.sent_seq) {
                    slot.sent_seq = seq;
                }
            }
            _ => {}
        }
    }

    /// A post that this session does not carry, taken in one that did, has its verdict here: sent,
    /// it would end every session.
    ///
    /// The posts behind it close up, so nothing of the room may be on its way.
    fn reject_too_large(&mut self) {
        let most = self.base.most_body();
        let is_meant = |post: &Post| post.is_waiting() && post.len() > most;
        if !self
            .base
            .outbox
            .posts(self.arena)
            .any(|post| is_meant(&post))
        {
            return;
        }
        for (slot, at) in self.slots.iter_mut().zip(0_u8..) {
            let is_idle = slot.sent_seq == slot.up_seq;
            if !is_idle || !matches!(slot.standing, Standing::Joined { .. }) {
                continue;
            }
            self.base.outbox.settle(self.arena, at, |post| {
                if post.seq == seq::next(slot.sent_seq) && is_meant(post) {
                    (slot.sent_seq, slot.up_seq) = (post.seq, post.seq);
                    slot.round_seq = post.seq;
                    slot.ahead = slot.ahead.wrapping_add(1);
                    post.set(Fate::Rejected, Code::TooLarge);
                }
            });
        }
    }

    /// The oldest post that was not sent on this connection and that its room's window lets pass.
    fn next_post(&self) -> Option<Next<'_>> {
        let window = u32::from(self.base.window);
        let most = self.base.most_body();
        for post in self.base.outbox.posts(self.arena) {
            let Some(slot) = self.slots.get(usize::from(post.slot)) else {
                continue;
            };
            let is_next = post.is_waiting()
                && post.len() <= most
                && matches!(slot.standing, Standing::Joined { .. })
                && post.seq == seq::next(slot.round_seq)
                && post.seq.wrapping_sub(slot.up_seq) <= window;
            if is_next {
                let message = Message::Post {
                    slot: post.slot,
                    seq: post.seq.wrapping_sub(slot.ahead),
                    body: self.base.outbox.body(self.arena, &post),
                };
                let (slot, seq) = (post.slot, post.seq);
                return Some(Next { message, slot, seq });
            }
        }
        None
    }
}

/// What is said before the session is over.
fn last_word(cause: Cause) -> Message<'static> {
    let code = match cause {
        Cause::Violation(code) => code,
        Cause::Timeout => Code::Timeout,
        Cause::Done | Cause::Bye(_) | Cause::Refused(_) | Cause::Lost => {
            return Message::Bye(Bye {
                reason: ByeReason::Done,
                retry_after: 0,
            });
        }
    };
    Message::Error(PeerError {
        code,
        retry_after: 0,
        text: "",
    })
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
