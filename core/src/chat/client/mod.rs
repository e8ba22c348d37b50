//! A device: its session with the hub, its rooms, and its outbox.
//!
//! Knows the messages and the time that it is told. Knows no socket, no framing and no randomness.
//! It keeps two numbers for each room, so that nothing is lost or doubled whatever happens to the
//! connection: the last offset that the application was handed (`cursor`), and the sequence number
//! of its next post. Invariant: a post is in the outbox until the application was told its verdict.

#[cfg(feature = "datagram")]
mod datagrams;
mod event;
mod inbound;
mod outbox;
mod rooms;
mod session;
mod slot;
mod transmit;

use super::{MAX_SLOTS, MAX_WINDOW};
use crate::bytes::Buffer;
use crate::name::{self, Name, NameError};
use crate::time::{Duration, Instant, secs};
use crate::wire::{Code, DeviceId, Join, MAX_ECHO};
use outbox::{Fate, Outbox};
use session::{Base, Echo, Session, State};
use slot::{Slot, Standing};

pub use event::{Cause, Delivery, Event};
pub use rooms::{From, JoinError, PostError, SlotId, Store};

/// What a device is and what it can take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// Who this is, the same for ever.
    pub device: DeviceId,
    /// What the others call it; valid by [`name::member`].
    pub name: Name,
    /// The largest payload of a frame that it takes; at least [`MAX_CONTROL`](crate::wire::MAX_CONTROL).
    /// Where the link takes less, the hub is told that.
    pub max_frame: u32,
    /// How many entries beyond its cursor it takes in each room; over datagrams at most 8.
    pub credit: u16,
    /// The keepalive interval that it wants, in seconds; 0 is none, and over datagrams the longest of
    /// the hub. 25 keeps the way open through most address translators.
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

/// A device with up to `ROOMS` rooms and `OUTBOX` bytes for posts without verdict.
///
/// The outbox holds posts of all rooms; [`outbox_bytes`] says how many bytes it needs. A driver
/// calls `handle_connected` with a fresh random nonce, hands in every message, sends what
/// `poll_transmit` gives, tells the application what `handle_message` and `poll_event` give, and
/// calls `handle_timeout` when `poll_timeout` says so. [`Link`](crate::link::Link) is such a
/// driver. Any order of calls is safe, and extra ones do nothing.
///
/// A board that is to lose no post in a reset keeps the whole client in memory that the reset
/// spares, and goes on with `handle_connected`. One that keeps only how far it has read stores
/// [`cursor`](Self::cursor) and [`store`](Self::store) of each room together, and joins with
/// [`From::After`].
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
    arena: Buffer<OUTBOX>,
}

/// The outbox bytes that hold `posts` posts with bodies of `body` bytes.
#[must_use]
pub const fn outbox_bytes(posts: usize, body: usize) -> usize {
    posts.saturating_mul(body.saturating_add(outbox::HEADER))
}

/// At least the bytes of a client with so many rooms and outbox bytes.
pub(crate) const fn bytes(rooms: usize, outbox: usize) -> usize {
    size_of::<Client<0, 0>>()
        .saturating_add(rooms.saturating_mul(size_of::<Slot>()))
        .saturating_add(outbox)
        .next_multiple_of(align_of::<Client<0, 0>>())
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
                is_datagram: false,
                path: None,
                tag: 0,
                store: Store {
                    id: 0,
                    generation: 0,
                },
                max_body: u16::MAX,
                link_frame: u32::MAX,
                link_body: u16::MAX,
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
            arena: Buffer::ZEROS,
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

    /// What the cursor is of; `None` for a free slot, and before a hub has taken the join.
    #[must_use]
    pub fn store(&self, slot: SlotId) -> Option<Store> {
        self.slots.get(usize::from(slot))?.store
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
    /// A changed store changes none of them. Work: linear in the outbox.
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

    /// Leaves a room once its posts have their verdicts; `Event::Left` follows, after them.
    pub fn leave(&mut self, slot: SlotId) {
        self.parts().leave(slot);
    }

    /// Puts a post into the outbox and returns its number in the room.
    ///
    /// Works offline too, once the room was joined. The body is copied. `Event::Acked`,
    /// `Event::Rejected` or `Event::Unknown` tells the verdict under this number, exactly once and
    /// in the order of the room's posts, also when the store changed in between.
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

    /// What the link carries: payloads of up to `frame` bytes to the device, and posts with bodies
    /// of up to `body` bytes from it.
    ///
    /// [`Link`](crate::link::Link) says it at each connect. Another driver says it before it
    /// connects, or has buffers for `Config::max_frame` and for every post that the hub takes.
    pub fn set_link_limits(&mut self, frame: usize, body: usize) {
        self.base.link_frame = u32::try_from(frame).unwrap_or(u32::MAX);
        self.base.link_body = u16::try_from(body).unwrap_or(u16::MAX);
    }

    /// Whether the next connection is one of datagrams; at first it is a stream.
    ///
    /// Then whole datagrams go to [`handle_datagram`](Self::handle_datagram), and `poll_transmit`
    /// gives whole datagrams and wants 16 bytes more for each. [`Link`](crate::link::Link) says it
    /// at each connect.
    #[cfg(feature = "datagram")]
    pub const fn set_datagrams(&mut self, is_datagram: bool) {
        self.base.is_datagram = is_datagram;
    }

    /// A connection to a hub stands. `nonce` is random and new for every attempt, also after a
    /// reset. The clock may start over here, and only here.
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

    /// A datagram came in; what it has for the application comes back.
    ///
    /// What is no message, late, doubled or of another session is passed over. Work: as
    /// `handle_message`.
    #[cfg(feature = "datagram")]
    pub fn handle_datagram<'m>(
        &mut self,
        now: Instant,
        datagram: &'m [u8],
    ) -> Option<Delivery<'m>> {
        self.parts().handle_datagram(now, datagram)
    }

    /// The bytes are no frame or no message: the hub is told `code`, and the session ends.
    pub fn handle_bad_frame(&mut self, now: Instant, code: Code) {
        self.parts().tick(now);
        self.parts().violation(code);
    }

    /// Time has passed. Extra calls are harmless. Work: linear in the rooms.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.parts().handle_timeout(now);
    }

    /// When `handle_timeout` wants to be called; `None` when nothing waits. Work: linear in the
    /// rooms.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.base.poll_timeout(&self.slots)
    }

    /// The next message to send: the first so many bytes of `out`, not framed yet.
    ///
    /// It counts as sent. `out` takes the largest post and at least
    /// [`MAX_CONTROL`](crate::wire::MAX_CONTROL) bytes, and over datagrams 16 more; a message that does not fit stays.
    /// Work: linear in the rooms and in the posts of the outbox, and as much again for each room
    /// that is being left.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.parts().poll_transmit(now, out)
    }

    /// What else happened; ask until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.parts().poll_event()
    }

    /// Whether the session is over, and its connection is to be closed.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.base.state, State::Closed)
    }

    pub(crate) const fn is_offline(&self) -> bool {
        matches!(self.base.state, State::Offline)
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts {
            base: &mut self.base,
            slots: &mut self.slots,
            arena: &mut self.arena,
        }
    }
}

impl Parts<'_> {
    fn poll_event(&mut self) -> Option<Event> {
        if core::mem::take(&mut self.base.welcomed) {
            return Some(Event::Welcomed);
        }
        // Before what happens to rooms: it is of the room and the log as they were.
        if let Some(event) = self.next_verdict() {
            return Some(event);
        }
        for (slot, at) in self.slots.iter_mut().zip(0_u8..) {
            if let Some(event) = slot.poll_event(at) {
                return Some(event);
            }
        }
        let cause = self.base.closed.take()?;
        Some(Event::Closed { cause })
    }

    fn next_verdict(&mut self) -> Option<Event> {
        let is_owed = |post: &outbox::Post| !matches!(post.fate, Fate::Waiting | Fate::Told);
        let post = self.base.outbox.posts(self.arena).find(is_owed)?;
        self.base.outbox.set_told(self.arena, post);
        let (slot, seq, code) = (post.slot, post.seq, post.code());
        match post.fate {
            Fate::Kept => Some(Event::Acked { slot, seq }),
            Fate::Rejected => Some(Event::Rejected { slot, seq, code }),
            Fate::Unknown => Some(Event::Unknown { slot, seq, code }),
            Fate::Waiting | Fate::Told => None,
        }
    }
}
