//! A device: its session with the hub, its rooms, and its outbox.
//!
//! Knows the messages and the time that it is told. Knows no socket, no framing and no randomness.
//! It keeps two numbers for each room, so that nothing is lost or doubled whatever happens to the
//! connection: the last offset that the application was handed (`cursor`), and the sequence number
//! of its next post. Invariant: a post is in the outbox until the application was told its verdict.

mod inbound;
mod outbox;
mod slot;
mod transmit;

use core::fmt;

use super::{ANSWER, HANDSHAKE, MAX_SLOTS, MAX_WINDOW, seq};
use crate::name::{self, Name, NameError};
use crate::time::{Duration, Instant, after, earliest, secs};
use crate::trace::debug;
use crate::wire::{
    ByeReason, Code, DeviceId, GapReason, Join, MAX_ECHO, Notice, PeerError, Roster,
};
use outbox::{Fate, Outbox};
use slot::{Owed, Slot, Standing};

/// What a device is and what it can take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// Who this is, the same for ever.
    pub device: DeviceId,
    /// What the others call it; valid by [`name::member`].
    pub name: Name,
    /// The largest payload of a frame that it takes; at least [`MAX_CONTROL`](crate::wire::MAX_CONTROL).
    pub max_frame: u32,
    /// How many entries beyond its cursor it takes in each room.
    pub credit: u16,
    /// The keepalive interval that it wants, in seconds; 0 is none.
    pub keepalive: u16,
    /// It never comes back under this identity: the hub may forget it.
    pub is_ephemeral: bool,
}

impl Config {
    /// A device with the usual limits: frames of 512 bytes, 64 entries of credit, keepalive of 60 s.
    pub fn new(device: DeviceId, name: &str) -> Result<Self, NameError> {
        Ok(Self {
            device,
            name: name::store(name::member(name.as_bytes())?),
            max_frame: 512,
            credit: 64,
            keepalive: 60,
            is_ephemeral: false,
        })
    }
}

/// A room of this device: the number that stands for it in every call.
pub type SlotId = u8;

/// From where in a room's log a new member reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum From {
    /// What is posted from now on.
    Latest,
    /// At most so many of the entries before now.
    Last(u32),
    /// Everything that the room keeps.
    Earliest,
    /// What follows this offset, the last one that the application has.
    After(u64),
}

/// Why a room was not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum JoinError {
    /// The name is not one of a room.
    Name(NameError),
    /// Every slot is in use: leave a room first.
    NoSlot,
    /// The room is joined already.
    Again,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name(_) => "the room's name is not valid",
            Self::NoSlot => "every room slot is in use: leave a room first",
            Self::Again => "the room is joined already",
        })
    }
}

impl core::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Name(cause) => Some(cause),
            Self::NoSlot | Self::Again => None,
        }
    }
}

/// Why a post was not taken. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PostError {
    /// The outbox has no place: wait for a verdict (`Event::Acked`) and post again.
    OutboxFull,
    /// The room was never joined since the device started: wait for `Event::Joined`.
    NotJoined,
    /// The body is longer than the hub takes, or than the whole outbox.
    TooLarge,
    /// The device has used up every sequence number that it has in this room.
    NumbersUsedUp,
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull => "the outbox is full: wait for an acknowledgement",
            Self::NotJoined => "the room is not joined: wait for the join",
            Self::TooLarge => "the body is longer than the hub or the outbox takes",
            Self::NumbersUsedUp => "every sequence number of this room is used up",
        })
    }
}

impl core::error::Error for PostError {}

/// What came for the application in a message, which it borrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Delivery<'m> {
    /// The next entry of a room, by somebody else.
    Entry {
        /// The room.
        slot: SlotId,
        /// Its place in the log.
        offset: u64,
        /// Who posted it.
        from: &'m str,
        /// What was posted.
        body: &'m [u8],
    },
    /// The next entry of a room is one of this device's own posts.
    Own {
        /// The room.
        slot: SlotId,
        /// Its place in the log.
        offset: u64,
    },
    /// Entries that will not come.
    Gap {
        /// The room.
        slot: SlotId,
        /// The first offset that is missing.
        from: u64,
        /// The last offset that is missing.
        to: u64,
        /// Why.
        reason: GapReason,
    },
    /// Somebody came or went. Best effort.
    Notice(Notice<'m>),
    /// The answer to [`Client::who`].
    Roster(Roster<'m>),
    /// The answer to [`Client::echo`].
    Echo {
        /// The token of the request.
        token: u32,
        /// The bytes that came back.
        bytes: &'m [u8],
    },
    /// The hub found something wrong and closes; `Event::Closed` follows.
    Error(PeerError<'m>),
}

/// What happened, other than a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// The session is open.
    Welcomed,
    /// The device is a member of the room, again or for the first time.
    Joined {
        /// The room.
        slot: SlotId,
        /// The last offset of its log.
        head: u64,
        /// How many members are present.
        members: u32,
    },
    /// The hub refused the join; the slot is free again, and its posts are rejected.
    Refused {
        /// The room.
        slot: SlotId,
        /// Why.
        code: Code,
    },
    /// The post is kept as durably as the hub runs.
    Acked {
        /// The room.
        slot: SlotId,
        /// The post.
        seq: u32,
    },
    /// The post was refused; it is in no log.
    Rejected {
        /// The room.
        slot: SlotId,
        /// The post.
        seq: u32,
        /// Why; [`Code::Other`] with 0 when a lost connection took the reason away.
        code: Code,
    },
    /// The hub's log is another one than before: it lost or restored its store. The cursor starts
    /// over at what the hub has, and posts without verdict are sent to the new log.
    StoreChanged {
        /// The room.
        slot: SlotId,
    },
    /// The device has left the room; the slot is free again.
    Left {
        /// The room.
        slot: SlotId,
    },
    /// The session is over. Close the connection, call `handle_disconnected`, and connect again.
    Closed {
        /// Why.
        cause: Cause,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cause {
    /// This device said `Bye`.
    Done,
    /// The hub said `Bye`.
    Bye(ByeReason),
    /// The hub found an error.
    Refused(Code),
    /// The hub broke the protocol.
    Violation(Code),
    /// The hub did not answer, or was silent for 1.5 keepalive intervals.
    Timeout,
    /// The connection was lost.
    Lost,
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Offline,
    /// `Hello` is to be said, or was: either way, `Welcome` is due.
    Greeting {
        nonce: u64,
        said: bool,
        deadline: Instant,
    },
    Serving(Session),
    /// Something is to be said, then it is over; at the deadline it is over anyway.
    Parting {
        cause: Cause,
        deadline: Instant,
    },
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Session {
    /// Zero is none.
    keepalive: Duration,
    heard: Instant,
    spoke: Instant,
    /// Since when the oldest join or post waits for an answer.
    waiting: Option<Instant>,
    ping: bool,
    pong: Option<u32>,
}

/// The part of a client that does not depend on its sizes.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Base {
    config: Config,
    state: State,
    now: Instant,
    /// The log's name: store and generation, once a hub told them.
    store: Option<(u64, u32)>,
    max_body: u16,
    window: u16,
    /// The least wait before the next attempt, as the hub asked.
    retry_after: Duration,
    /// Events that are to be told, beside those of the slots.
    welcomed: bool,
    closed: Option<Cause>,
    echo: Option<Echo>,
    echo_back: Option<Echo>,
    /// Messages that were passed over: unknown, late, or for a room that was left.
    skipped: u32,
    outbox: Outbox,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Echo {
    token: u32,
    bytes: heapless::Vec<u8, MAX_ECHO, u8>,
}

/// A device with up to `ROOMS` rooms and `OUTBOX` bytes for posts without verdict.
///
/// The outbox holds posts of all rooms; [`outbox_bytes`] says how many bytes it needs. A driver
/// calls `handle_connected` with a fresh random nonce, hands in every message, sends what
/// `poll_transmit` gives, tells the application what `handle_message` and `poll_event` give, and
/// calls `handle_timeout` when `poll_timeout` says so. [`Link`](crate::link::Link) is such a
/// driver. Any order of calls is safe, and extra ones do nothing.
///
/// ```
/// use halloo_core::chat::client::{outbox_bytes, Client, Config, From};
/// use halloo_core::time::Instant;
/// const OUTBOX: usize = outbox_bytes(4, 64);
/// let config = Config::new(*b"0123456789abcdef", "sensor-7").unwrap();
/// let mut client = Client::<2, OUTBOX>::new(config);
/// let lab = client.join("lab", From::Latest).unwrap();
/// client.handle_connected(Instant::from_ticks(0), 0x5eed);
/// let mut out = [0; 256];
/// assert!(client.poll_transmit(Instant::from_ticks(0), &mut out).is_some()); // Hello
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Client<const ROOMS: usize, const OUTBOX: usize> {
    base: Base,
    slots: [Slot; ROOMS],
    arena: [u8; OUTBOX],
}

/// The outbox bytes that hold `posts` posts with bodies of `body` bytes.
#[must_use]
pub const fn outbox_bytes(posts: usize, body: usize) -> usize {
    posts.saturating_mul(body.saturating_add(outbox::HEADER))
}

/// A client without its sizes: one body of code for all of them.
struct Parts<'c> {
    base: &'c mut Base,
    slots: &'c mut [Slot],
    arena: &'c mut [u8],
}

impl<const ROOMS: usize, const OUTBOX: usize> Client<ROOMS, OUTBOX> {
    /// A device that is offline and in no room.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        const { assert!(ROOMS > 0 && ROOMS <= MAX_SLOTS as usize, "1 to 32 rooms") };
        Self {
            base: Base {
                config,
                state: State::Offline,
                now: Instant::from_ticks(0),
                store: None,
                max_body: u16::MAX,
                window: MAX_WINDOW,
                retry_after: secs(0),
                welcomed: false,
                closed: None,
                echo: None,
                echo_back: None,
                skipped: 0,
                outbox: Outbox::EMPTY,
            },
            slots: [const { Slot::FREE }; ROOMS],
            arena: [0; OUTBOX],
        }
    }

    /// Whether a session is open.
    #[must_use]
    pub const fn is_serving(&self) -> bool {
        matches!(self.base.state, State::Serving(_))
    }

    /// The last offset of a room that the application was handed; `None` for a free slot, and
    /// before the hub has told where [`From::Latest`] is.
    #[must_use]
    pub fn cursor(&self, slot: SlotId) -> Option<u64> {
        let slot = self.slots.get(usize::from(slot))?;
        let is_known = slot.standing != Standing::Free && slot.cursor != Join::LATEST;
        is_known.then_some(slot.cursor)
    }

    /// The name of a slot's room; `None` for a free slot.
    #[must_use]
    pub fn room(&self, slot: SlotId) -> Option<&str> {
        let slot = self.slots.get(usize::from(slot))?;
        (slot.standing != Standing::Free).then_some(slot.room.as_str())
    }

    /// How many posts wait for their verdict. Work: linear in the outbox.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        let posts = self.base.outbox.posts(&self.arena);
        posts.filter(outbox::Post::is_waiting).count()
    }

    /// The numbers of a room's posts whose verdict the application was not told, oldest first.
    ///
    /// A changed store numbers them anew, in the same order: ask again after
    /// [`Event::StoreChanged`]. Work: linear in the outbox.
    pub fn unsettled(&self, slot: SlotId) -> impl Iterator<Item = u32> + '_ {
        let posts = self.base.outbox.posts(&self.arena);
        posts
            .filter(move |post| post.slot == slot && post.fate != Fate::Told)
            .map(|post| post.seq)
    }

    /// How many messages were passed over: unknown ones, late ones, and those for rooms left.
    #[must_use]
    pub const fn skipped(&self) -> u32 {
        self.base.skipped
    }

    /// The least wait before the next attempt to connect, as the hub asked at the last end.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        self.base.retry_after
    }

    /// Becomes a member of a room, now or as soon as there is a session, and again after each
    /// reconnect.
    pub fn join(&mut self, room: &str, from: From) -> Result<SlotId, JoinError> {
        self.parts().join(room, from, 0)
    }

    /// As [`join`](Self::join), with flags out of [`Join::OWN_BODIES`] and [`Join::NO_PRESENCE`].
    pub fn join_with(&mut self, room: &str, from: From, flags: u8) -> Result<SlotId, JoinError> {
        self.parts().join(room, from, flags)
    }

    /// Leaves a room once its posts have their verdicts; `Event::Left` follows.
    pub fn leave(&mut self, slot: SlotId) {
        self.parts().leave(slot);
    }

    /// Puts a post into the outbox and returns its number in the room.
    ///
    /// Works offline too, once the room was joined. The body is copied. `Event::Acked` or
    /// `Event::Rejected` tells the verdict under this number, exactly once and in the order of the
    /// room's posts, also when the store changed in between.
    pub fn post(&mut self, slot: SlotId, body: &[u8]) -> Result<u32, PostError> {
        self.parts().post(slot, body)
    }

    /// Asks who is in a room, passing over the first `skip` members. Best effort.
    pub fn who(&mut self, slot: SlotId, skip: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
            slot.who = Some(skip);
        }
    }

    /// Sends up to 32 bytes to the hub and back; replaces one that was not sent yet. Best effort.
    pub fn echo(&mut self, token: u32, bytes: &[u8]) {
        let bytes = bytes.get(..MAX_ECHO).unwrap_or(bytes);
        self.base.echo = heapless::Vec::from_slice(bytes)
            .ok()
            .map(|bytes| Echo { token, bytes });
    }

    /// Says `Bye`; `Event::Closed` follows.
    pub fn bye(&mut self) {
        self.base.part(Cause::Done);
    }

    /// A connection to a hub stands. `nonce` is random and new for every attempt, also after a
    /// reset.
    pub fn handle_connected(&mut self, now: Instant, nonce: u64) {
        self.parts().handle_connected(now, nonce);
    }

    /// The connection is gone. The rooms and the outbox stay.
    pub fn handle_disconnected(&mut self, now: Instant) {
        self.parts().handle_disconnected(now);
    }

    /// A message came in; what it has for the application comes back.
    ///
    /// Work: linear in the rooms and in the posts of the outbox.
    pub fn handle_message<'m>(
        &mut self,
        now: Instant,
        message: &crate::wire::Message<'m>,
    ) -> Option<Delivery<'m>> {
        self.parts().handle_message(now, message)
    }

    /// The bytes are no frame or no message: the hub is told `code`, and the session ends.
    pub fn handle_bad_frame(&mut self, now: Instant, code: Code) {
        self.parts().tick(now);
        self.parts().violation(code);
    }

    /// Time has passed. Extra calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.parts().handle_timeout(now);
    }

    /// When `handle_timeout` wants to be called; `None` when nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.base.poll_timeout()
    }

    /// The next message to send: the first so many bytes of `out`, not framed yet.
    ///
    /// It counts as sent. `out` takes the largest post and at least
    /// [`MAX_CONTROL`](crate::wire::MAX_CONTROL) bytes; a message that does not fit stays.
    /// Work: linear in the rooms and in the posts of the outbox.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.parts().poll_transmit(now, out)
    }

    /// What else happened; ask until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.parts().poll_event()
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts {
            base: &mut self.base,
            slots: &mut self.slots,
            arena: &mut self.arena,
        }
    }
}

impl Base {
    fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Greeting { deadline, .. } | State::Parting { deadline, .. } => Some(deadline),
            State::Serving(session) => {
                let answer = session.waiting.map(|since| after(since, ANSWER));
                earliest(session.keepalive_deadline(), answer)
            }
            State::Offline | State::Closed => None,
        }
    }

    /// Something is to be said, then the session is over; at the deadline it is over anyway.
    /// The session is over but for a last word.
    fn part(&mut self, cause: Cause) {
        match self.state {
            State::Greeting { .. } | State::Serving(_) => {
                self.state = State::Parting {
                    cause,
                    deadline: after(self.now, HANDSHAKE),
                };
            }
            State::Offline | State::Parting { .. } | State::Closed => {}
        }
    }
}

impl Session {
    /// When the hub counts as dead.
    fn dead_at(&self) -> Instant {
        let half = Duration::from_ticks(self.keepalive.as_ticks() >> 1);
        after(after(self.heard, self.keepalive), half)
    }

    fn keepalive_deadline(&self) -> Option<Instant> {
        if self.keepalive == secs(0) {
            return None;
        }
        // A ping that is owed waits for the link, not for the clock.
        let quiet = (!self.ping).then(|| after(self.spoke, self.keepalive));
        earliest(Some(self.dead_at()), quiet)
    }
}

impl Parts<'_> {
    fn tick(&mut self, now: Instant) -> Instant {
        self.base.now = self.base.now.max(now);
        self.base.now
    }

    fn join(&mut self, room: &str, from: From, flags: u8) -> Result<SlotId, JoinError> {
        let room = name::room(room.as_bytes()).map_err(JoinError::Name)?;
        let taken = |slot: &&mut Slot| slot.standing != Standing::Free && slot.room == room;
        if self.slots.iter_mut().any(|slot| taken(&slot)) {
            return Err(JoinError::Again);
        }
        // A slot whose old posts or events are still to be told is not free yet.
        let is_free = |(slot, id): &(&Slot, u8)| {
            let mut posts = self.base.outbox.posts(self.arena);
            slot.standing == Standing::Free
                && slot.owed == Owed::Nothing
                && !posts.any(|post| post.slot == *id && post.fate != Fate::Told)
        };
        let mut ids = self.slots.iter().zip(0..MAX_SLOTS);
        let (_, id) = ids.find(is_free).ok_or(JoinError::NoSlot)?;
        let slot = self
            .slots
            .get_mut(usize::from(id))
            .ok_or(JoinError::NoSlot)?;
        let (cursor, history) = match from {
            From::Latest => (Join::LATEST, u32::MAX),
            From::Last(history) => (0, history),
            From::Earliest => (0, u32::MAX),
            From::After(cursor) => (cursor, u32::MAX),
        };
        *slot = Slot {
            standing: Standing::Wanted,
            room: name::store(room),
            flags,
            cursor,
            history,
            ..Slot::FREE
        };
        Ok(id)
    }

    fn leave(&mut self, at: SlotId) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        if slot.standing == Standing::Free {
            return;
        }
        slot.leaving = true;
        self.finish_leaving(at);
    }

    /// A room that the hub knows nothing of, with nothing on the way, can be left at once.
    fn finish_leaving(&mut self, at: SlotId) {
        let waiting = self.has_waiting(at);
        let Some(slot) = self.slots.get_mut(usize::from(at)) else {
            return;
        };
        if slot.leaving && slot.standing == Standing::Wanted && !waiting {
            *slot = Slot {
                owed: Owed::Left,
                ..Slot::FREE
            };
        }
    }

    fn has_waiting(&self, at: SlotId) -> bool {
        let mut posts = self.base.outbox.posts(self.arena);
        posts.any(|post| post.slot == at && post.is_waiting())
    }

    fn post(&mut self, at: SlotId, body: &[u8]) -> Result<u32, PostError> {
        let slot = self
            .slots
            .get_mut(usize::from(at))
            .ok_or(PostError::NotJoined)?;
        if !slot.is_numbered || slot.leaving || slot.standing == Standing::Free {
            return Err(PostError::NotJoined);
        }
        let whole = outbox::HEADER.saturating_add(body.len());
        if body.len() > usize::from(self.base.max_body) || whole > self.arena.len() {
            return Err(PostError::TooLarge);
        }
        // Numbers on the wire do not wrap: 0 is none (rule L-SEQ-1).
        if slot.next_seq == slot.ahead {
            return Err(PostError::NumbersUsedUp);
        }
        let open = slot.next_seq.wrapping_sub(seq::next(slot.up_seq));
        if open >= u32::from(MAX_WINDOW) {
            return Err(PostError::OutboxFull);
        }
        let seq = slot.next_seq;
        self.base
            .outbox
            .push(self.arena, at, seq, body)
            .ok_or(PostError::OutboxFull)?;
        slot.next_seq = seq::next(seq);
        Ok(seq)
    }

    fn handle_connected(&mut self, now: Instant, nonce: u64) {
        let now = self.tick(now);
        self.handle_disconnected(now);
        self.base.closed = None;
        self.base.state = State::Greeting {
            nonce,
            said: false,
            deadline: after(now, HANDSHAKE),
        };
    }

    fn handle_disconnected(&mut self, now: Instant) {
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
    fn close(&mut self, cause: Cause) {
        debug!("client: the session is over: {:?}", cause);
        self.base.state = State::Closed;
        self.base.closed = Some(cause);
    }

    fn violation(&mut self, code: Code) {
        self.base.part(Cause::Violation(code));
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        match &mut self.base.state {
            State::Greeting { deadline, .. } => {
                if *deadline <= now {
                    self.close(Cause::Timeout);
                }
            }
            State::Serving(session) => {
                let unanswered = session.waiting.map(|since| after(since, ANSWER));
                let is_dead = session.keepalive != secs(0) && session.dead_at() <= now;
                if is_dead || unanswered.is_some_and(|due| due <= now) {
                    self.close(Cause::Timeout);
                } else if session.keepalive_deadline().is_some_and(|due| due <= now) {
                    session.ping = true;
                }
            }
            State::Parting { cause, deadline } => {
                if *deadline <= now {
                    let cause = *cause;
                    self.close(cause);
                }
            }
            State::Offline | State::Closed => {}
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        if core::mem::take(&mut self.base.welcomed) {
            return Some(Event::Welcomed);
        }
        for (slot, at) in self.slots.iter_mut().zip(0_u8..) {
            if let Some(event) = slot.poll_event(at) {
                return Some(event);
            }
        }
        if let Some(event) = self.next_verdict() {
            return Some(event);
        }
        let cause = self.base.closed.take()?;
        Some(Event::Closed { cause })
    }

    fn next_verdict(&mut self) -> Option<Event> {
        let told = |post: &outbox::Post| !matches!(post.fate, Fate::Waiting(_) | Fate::Told);
        let post = self.base.outbox.posts(self.arena).find(told)?;
        self.base.outbox.set_fate(self.arena, &post, Fate::Told);
        let (slot, seq) = (post.slot, post.seq);
        match post.fate {
            Fate::Kept => Some(Event::Acked { slot, seq }),
            Fate::Rejected(code) => Some(Event::Rejected { slot, seq, code }),
            Fate::Waiting(_) | Fate::Told => None,
        }
    }
}
