//! The session of a device with the hub: greeted, served, parted, and over at its deadlines.

use super::outbox::Outbox;
use super::slot::{Slot, Standing};
use super::{Cause, Config, Parts, Store};
use crate::chat::HANDSHAKE;
use crate::chat::datagram::{MAX_ENTRIES, MAX_TRIES, Path};
use crate::time::{Due, Duration, Instant, after, secs};
use crate::trace::debug;
use crate::wire::{Code, MAX_ECHO};

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum State {
    Offline,
    /// `Hello` is to be said, or was: either way, `Welcome` is due.
    Greeting {
        nonce: u64,
        said: bool,
        deadline: Instant,
        /// What a `Retry` asked for.
        cookie: Option<[u8; 16]>,
    },
    Serving(Session),
    /// Something is to be said, then it is over; at the deadline it is over anyway. There is none
    /// before somebody says what time it is.
    Parting {
        cause: Cause,
        deadline: Due,
    },
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Session {
    pub(super) ping: bool,
    /// Over datagrams: it is time to acknowledge entries.
    pub(super) credit_due: bool,
    pub(super) pong: Option<u32>,
    /// Zero is none.
    pub(super) keepalive: Duration,
    pub(super) heard: Instant,
    pub(super) spoke: Instant,
    /// Over datagrams: when entries are acknowledged at the latest.
    pub(super) credit_at: Due,
}

/// The part of a client that does not depend on its sizes.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Base {
    /// Events that are to be told, beside those of the slots.
    pub(super) welcomed: bool,
    pub(super) closed: Option<Cause>,
    /// Whether the next connection is one of datagrams.
    pub(super) is_datagram: bool,
    pub(super) max_body: u16,
    pub(super) window: u16,
    /// The largest body that the link carries, and the largest frame that it takes.
    pub(super) link_body: u16,
    pub(super) link_frame: u32,
    pub(super) outbox: Outbox,
    /// Messages that were passed over: unknown, late, or for a room that was left.
    pub(super) skipped: u32,
    pub(super) now: Instant,
    pub(super) state: State,
    /// Over datagrams, what stands in front of each: the session, before that the nonce.
    pub(super) tag: u64,
    /// Over datagrams alone.
    pub(super) path: Option<Path>,
    /// The store of this session's hub.
    pub(super) store: Store,
    /// The least wait before the next attempt, as the hub asked.
    pub(super) retry_after: Duration,
    pub(super) config: Config,
    pub(super) echo: Option<Echo>,
    pub(super) echo_back: Option<Echo>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Echo {
    pub(super) token: u32,
    pub(super) bytes: heapless::Vec<u8, MAX_ECHO, u8>,
}

impl Base {
    pub(super) fn poll_timeout(&self, slots: &[Slot]) -> Option<Instant> {
        let again = self.path.as_ref().map_or(Due::NEVER, Path::due);
        let due = match &self.state {
            State::Greeting { deadline, .. } => again.min(Due::at(*deadline)),
            State::Parting { deadline, .. } => match *deadline {
                Due::NEVER => Due::at(self.now),
                deadline => deadline,
            },
            State::Serving(session) => {
                let answer = match self.path {
                    Some(_) => again.min(session.credit_at),
                    None => answer_due(slots),
                };
                let rejoins = slots.iter().map(Slot::rejoin_due);
                rejoins
                    .fold(answer, Due::min)
                    .min(session.keepalive_deadline(self.path.is_some()))
            }
            State::Offline | State::Closed => Due::NEVER,
        };
        due.get()
    }

    /// The largest body that the hub takes and the link carries, as far as they have told.
    pub(super) fn most_body(&self) -> usize {
        usize::from(self.max_body.min(self.link_body))
    }

    /// How many entries of a room may be on their way.
    pub(super) fn credit(&self) -> u16 {
        match self.is_datagram {
            true => self.config.credit.min(MAX_ENTRIES),
            false => self.config.credit,
        }
    }

    /// The session is over but for a last word.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn part(&mut self, cause: Cause) {
        match self.state {
            State::Greeting { .. } | State::Serving(_) => {
                self.state = State::Parting {
                    cause,
                    deadline: Due::NEVER,
                };
            }
            State::Offline | State::Parting { .. } | State::Closed => {}
        }
    }
}

impl Session {
    /// When the hub counts as dead.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn dead_at(&self) -> Due {
        if self.keepalive == secs(0) {
            return Due::NEVER;
        }
        let half = Duration::from_ticks(self.keepalive.as_ticks() >> 1);
        Due::after(after(self.heard, self.keepalive), half)
    }

    pub(super) fn keepalive_deadline(&self, is_datagram: bool) -> Due {
        let dead = self.dead_at();
        if self.ping || dead == Due::NEVER {
            // A ping that is owed waits for the link, not for the clock.
            return dead;
        }
        // A single datagram that is lost, of a ping or its answer, ends no session.
        let half = Duration::from_ticks(self.keepalive.as_ticks() >> 1);
        let is_asked = is_datagram && self.spoke >= after(self.heard, half);
        let wait = match is_asked {
            true => Duration::from_ticks(self.keepalive.as_ticks() >> 3),
            false => self.keepalive,
        };
        dead.min(Due::after(self.spoke, wait))
    }
}

/// When the first of the rooms has waited too long.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn answer_due(slots: &[Slot]) -> Due {
    slots
        .iter()
        .map(Slot::answer_due)
        .fold(Due::NEVER, Due::min)
}

impl Parts<'_> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn tick(&mut self, now: Instant) -> Instant {
        self.base.now = self.base.now.max(now);
        self.base.now
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn handle_connected(&mut self, now: Instant, nonce: u64) {
        self.handle_disconnected(now);
        // After a reset the clock starts over. No deadline is older than its connection.
        self.base.now = now;
        self.base.closed = None;
        self.base.path = self.base.is_datagram.then(|| Path::open(0)).flatten();
        self.base.tag = nonce;
        self.base.state = State::Greeting {
            nonce,
            said: false,
            deadline: after(now, HANDSHAKE),
            cookie: None,
        };
    }

    pub(super) fn handle_disconnected(&mut self, now: Instant) {
        self.tick(now);
        match self.base.state {
            State::Greeting { .. } | State::Serving(_) => self.close(Cause::Lost),
            State::Parting { cause, .. } => self.close(cause),
            State::Offline | State::Closed => {}
        }
        self.base.state = State::Offline;
        self.base.welcomed = false;
        for at in 0..self.slots.len() {
            if let Some(slot) = self.slots.get_mut(at) {
                slot.handle_disconnected();
            }
            self.finish_leaving(u8::try_from(at).unwrap_or(u8::MAX));
        }
    }

    /// The session is over; the application is told.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn close(&mut self, cause: Cause) {
        debug!("client: the session is over: {:?}", cause);
        self.base.state = State::Closed;
        self.base.closed = Some(cause);
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn violation(&mut self, code: Code) {
        self.base.part(Cause::Violation(code));
    }

    /// Over datagrams: what waits too long for its answer is sent again; whether that was tried
    /// often enough.
    fn send_again(&mut self, now: Instant) -> bool {
        let Some(path) = self.base.path.as_mut() else {
            return false;
        };
        if !path.due().is_over(now) {
            return false;
        }
        let tries = path.expire(now, self.base.tag);
        match &mut self.base.state {
            State::Greeting { said, .. } => *said = false,
            State::Serving(_) if tries > MAX_TRIES => return true,
            State::Serving(_) => self.slots.iter_mut().for_each(Slot::go_back),
            State::Offline | State::Parting { .. } | State::Closed => path.stop(),
        }
        false
    }

    /// Over datagrams: the hub has answered something.
    pub(super) fn answered(&mut self, now: Instant) {
        let waiting = self.slots.iter().filter(|slot| slot.awaits());
        let waits = waiting.map(|slot| slot.mark).min();
        if let Some(path) = self.base.path.as_mut() {
            path.answered(now, waits, self.base.tag);
        }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        let gave_up = self.send_again(now);
        let has_path = self.base.path.is_some();
        match &mut self.base.state {
            State::Greeting { deadline, said, .. } => match (*deadline <= now, *said) {
                (true, true) => self.base.part(Cause::Timeout),
                // What is said first is Hello, and it found no way out.
                (true, false) => self.close(Cause::Timeout),
                (false, _) => {}
            },
            State::Serving(session) => {
                let answer = match has_path {
                    true => Due::NEVER,
                    false => answer_due(self.slots),
                };
                if gave_up || session.dead_at().min(answer).is_over(now) {
                    self.close(Cause::Timeout);
                    return;
                }
                if session.keepalive_deadline(has_path).is_over(now) {
                    session.ping = true;
                }
                for slot in self.slots.iter_mut() {
                    if slot.rejoin_due().is_over(now) {
                        slot.standing = Standing::Wanted;
                    }
                }
                if has_path && session.credit_at.is_over(now) {
                    (session.credit_at, session.credit_due) = (Due::NEVER, true);
                }
            }
            State::Parting { cause, deadline } => {
                if *deadline == Due::NEVER {
                    *deadline = Due::after(now, HANDSHAKE);
                }
                if deadline.is_over(now) {
                    let cause = *cause;
                    self.close(cause);
                }
            }
            State::Offline | State::Closed => {}
        }
    }
}
