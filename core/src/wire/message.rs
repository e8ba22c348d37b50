//! The message set, as views that borrow the frame.

use super::{ByeReason, Code, GapReason, MAX_LINEAGE, NoticeKind};
use crate::time::Duration;

/// A device's identity: 16 bytes, chosen once (a serial number, a UUID), the same for ever.
pub type DeviceId = [u8; 16];

/// One message of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Message<'a> {
    /// To the hub: opens a session.
    Hello(Hello<'a>),
    /// To the device, datagrams only: say `Hello` again with this cookie.
    Retry {
        /// What to send back.
        cookie: [u8; 16],
    },
    /// To the device: the session is open.
    Welcome(Welcome<'a>),
    /// To the hub: become a member of a room.
    Join(Join<'a>),
    /// To the hub: leave the room of a slot.
    Leave {
        /// The device's number for the room.
        slot: u8,
    },
    /// To the device: it is a member now, and this is where it stands.
    Joined(Joined),
    /// To the hub: a body for a room.
    Post {
        /// The device's number for the room.
        slot: u8,
        /// The post's sequence number in this room, from 1.
        seq: u32,
        /// At most [`MAX_BODY`](super::MAX_BODY) bytes, and at most what `Welcome` allows.
        body: &'a [u8],
    },
    /// To the device: every post up to `up_seq` has its verdict.
    Ack {
        /// The device's number for the room.
        slot: u8,
        /// The last sequence with a verdict.
        up_seq: u32,
        /// Bit `n` set: `up_seq - n` was rejected.
        rejects: u32,
    },
    /// To the device: a post was refused and has used its sequence up; or, with `seq` 0, the join.
    Reject {
        /// The device's number for the room.
        slot: u8,
        /// The post's sequence number; 0 for a join.
        seq: u32,
        /// Why.
        code: Code,
    },
    /// To the device: one entry of a room's log.
    Entry(Entry<'a>),
    /// To the hub: everything up to `cursor` was handed on; `window` more may follow.
    Credit {
        /// The device's number for the room.
        slot: u8,
        /// The last offset handed to the application.
        cursor: u64,
        /// How many entries beyond it the device takes.
        window: u16,
    },
    /// To the device: entries that it will not get.
    Gap(Gap),
    /// To the device: presence changed. Best effort.
    Notice(Notice<'a>),
    /// To the hub: who is in the room?
    Who {
        /// The device's number for the room.
        slot: u8,
        /// How many members to pass over.
        skip: u16,
    },
    /// To the device: the answer to `Who`.
    Roster(Roster<'a>),
    /// Both ways: are you there?
    Ping {
        /// Comes back in the `Pong`.
        token: u32,
    },
    /// Both ways: the answer to `Ping`. Never answered.
    Pong {
        /// The token of the `Ping`.
        token: u32,
    },
    /// Both ways: something is wrong; the one who says it closes. Never answered by another.
    Error(PeerError<'a>),
    /// Both ways: the session ends in good order.
    Bye(Bye),
    /// Both ways: send these bytes back.
    EchoRequest {
        /// Comes back in the reply.
        token: u32,
        /// At most [`MAX_ECHO`](super::MAX_ECHO) bytes.
        bytes: &'a [u8],
    },
    /// Both ways: the answer to `EchoRequest`. Never answered.
    EchoReply {
        /// The token of the request.
        token: u32,
        /// The bytes of the request.
        bytes: &'a [u8],
    },
    /// A kind that this version does not know and may skip; or one that it knows and that goes the
    /// other way, from a decoder of one way.
    Unknown {
        /// The kind; if it is not known, bit 7 is clear. In JSON, where kinds have names, 0.
        kind: u8,
    },
}

/// What a device says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello<'a> {
    /// The oldest version that the device speaks.
    pub version_min: u8,
    /// The newest version that the device speaks.
    pub version_max: u8,
    /// The suite of keys and ciphers; 0 is none, the only one yet.
    pub suite: u8,
    /// Which key; 0 is none, the only one yet.
    pub key_id: u32,
    /// [`Hello::EPHEMERAL`]; other bits are 0.
    pub flags: u16,
    /// Random, new for every attempt.
    pub nonce: u64,
    /// Who this is.
    pub device: DeviceId,
    /// The largest frame, in bytes of payload, that the device takes.
    pub max_frame: u32,
    /// How many entries beyond its cursor the device takes in each room.
    pub credit: u16,
    /// The interval at which the device wants to hear something, in seconds; 0 is never.
    pub keepalive: u16,
    /// Proves the key; empty without one.
    pub proof: &'a [u8],
    /// What a [`Message::Retry`] asked for; over datagrams only, and not in JSON.
    pub cookie: Option<&'a [u8; 16]>,
}

impl Hello<'_> {
    /// In `flags`: what this device posted may be forgotten 10 minutes after its session ended.
    pub const EPHEMERAL: u16 = 1;

    /// How an identity begins that is for one session: nobody comes back with it, so nothing is
    /// remembered of it for longer than that session's posts take to be kept.
    ///
    /// The other eight bytes are random. Spec: S-EPH-2.
    pub const ONE_TIME: [u8; 8] = *b"one-time";
}

/// What the hub answers to a `Hello`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Welcome<'a> {
    /// The version that both speak from here on.
    pub version: u8,
    /// The suite in use.
    pub suite: u8,
    /// No bit is in use; all are 0.
    pub flags: u16,
    /// The nonce of the `Hello` that this answers.
    pub nonce: u64,
    /// Chosen by the hub, random, never used twice.
    pub session: u64,
    /// Which store the hub's logs live in.
    pub store: u64,
    /// Another one each time that store was restored or repaired.
    pub generation: u32,
    /// The interval that both keep to, in seconds; 0 is none.
    pub keepalive: u16,
    /// The largest body that the hub takes.
    pub max_body: u16,
    /// How many posts without verdict a device may have on the way in each room; 1 to 32.
    pub window: u16,
    /// Proves the hub's key; empty without one.
    pub proof: &'a [u8],
    /// The generations that the store had before.
    pub lineage: Lineage<'a>,
}

/// The generations that a store had before, the newest first, laid out as on the wire: 4 bytes each.
///
/// A log of one of them is a part of the log now. Other generations of the same store were put aside
/// by a backup, and what was posted in them is in another log.
///
/// ```
/// use halloo_core::wire::{Lineage, MAX_LINEAGE};
/// let mut bytes = [0; 4 * MAX_LINEAGE];
/// let lineage = Lineage::write(&[7, 1], &mut bytes);
/// assert!(lineage.has(7) && lineage.has(1) && !lineage.has(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lineage<'a> {
    bytes: &'a [u8],
}

impl<'a> Lineage<'a> {
    /// That of a store that was never restored or repaired.
    pub const NONE: Self = Self { bytes: &[] };

    /// The generations in `bytes`, if these are whole ones, and no more than
    /// [`MAX_LINEAGE`](super::MAX_LINEAGE).
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        let (generations, rest) = bytes.as_chunks::<4>();
        match rest {
            [] if generations.len() <= MAX_LINEAGE => Some(Self { bytes }),
            _ => None,
        }
    }

    /// As many of the generations as fit, the newest first, over `bytes`.
    #[must_use]
    pub fn write(generations: &[u32], bytes: &'a mut [u8; 4 * MAX_LINEAGE]) -> Self {
        let mut len: usize = 0;
        for (to, generation) in bytes.as_chunks_mut().0.iter_mut().zip(generations) {
            *to = generation.to_be_bytes();
            len = len.saturating_add(to.len());
        }
        Self {
            bytes: bytes.get(..len).unwrap_or_default(),
        }
    }

    /// Whether the store had this generation.
    #[must_use]
    pub fn has(&self, generation: u32) -> bool {
        let (generations, _) = self.bytes.as_chunks();
        generations.contains(&generation.to_be_bytes())
    }

    /// The generations as on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// A wish to become a member.
///
/// Room and name are as they came: the hub checks them, so that it can refuse the join alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Join<'a> {
    /// The number that the device gives the room.
    pub slot: u8,
    /// [`Join::OWN_BODIES`] and [`Join::NO_PRESENCE`]; other bits are 0.
    pub flags: u8,
    /// The last offset that the application has; 0 for all there is, [`Join::LATEST`] for none.
    pub cursor: u64,
    /// At most so many entries of history; `u32::MAX` for no limit.
    pub history: u32,
    /// The room.
    pub room: &'a [u8],
    /// What the others call this member.
    pub name: &'a [u8],
}

impl Join<'_> {
    /// As `cursor`: only what is posted from now on.
    pub const LATEST: u64 = u64::MAX;
    /// In `flags`: send the device its own posts whole, not as markers without body.
    pub const OWN_BODIES: u8 = 1;
    /// In `flags`: send no `Notice`.
    pub const NO_PRESENCE: u8 = 2;
}

/// Where a new member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Joined {
    /// The device's number for the room.
    pub slot: u8,
    /// The hub's number for the room, which entries carry.
    pub room: u32,
    /// The last sequence of this device that has a verdict.
    pub up_seq: u32,
    /// Bit `n` set: `up_seq - n` was rejected.
    pub rejects: u32,
    /// The cursor from which entries (and gaps) follow.
    pub start: u64,
    /// The last offset of the log.
    pub head: u64,
    /// How many members are present.
    pub members: u32,
    /// The version of presence that `members` belongs to.
    pub presence: u32,
}

/// One entry of a room's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry<'a> {
    /// The hub's number for the room: the same bytes serve every member.
    pub room: u32,
    /// The entry's place in the log, from 1.
    pub offset: u64,
    /// [`Entry::OWN`]; other bits are 0.
    pub flags: u8,
    /// Who posted it; empty in a marker.
    pub from: &'a str,
    /// What was posted; empty in a marker.
    pub body: &'a [u8],
}

impl Entry<'_> {
    /// In `flags`: a marker for the device's own post, without name and body.
    pub const OWN: u8 = 1;
}

/// Entries that a member will not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gap {
    /// The device's number for the room.
    pub slot: u8,
    /// The first missing offset.
    pub from: u64,
    /// The last missing offset.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

/// A change of presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Notice<'a> {
    /// The device's number for the room.
    pub slot: u8,
    /// The version of presence after the change.
    pub version: u32,
    /// What changed.
    pub kind: NoticeKind,
    /// How many members are present after it.
    pub members: u32,
    /// Who; empty for a count.
    pub who: &'a str,
}

/// Some of the members of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Roster<'a> {
    /// The device's number for the room.
    pub slot: u8,
    /// How many members were passed over.
    pub skip: u16,
    /// How many are present in all.
    pub members: u32,
    /// Those that follow.
    pub names: Names<'a>,
}

/// A list of checked names, laid out as on the wire: each a length byte and that many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Names<'a> {
    bytes: &'a [u8],
}

impl<'a> Names<'a> {
    /// The list in `bytes`, if that is one of valid members' names and nothing else.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while let Some((&len, tail)) = rest.split_first() {
            let (name, tail) = tail.split_at_checked(usize::from(len))?;
            crate::name::member(name).ok()?;
            rest = tail;
        }
        Some(Self { bytes })
    }

    /// The list as on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (&len, tail) = rest.split_first()?;
            let (name, tail) = tail.split_at_checked(usize::from(len))?;
            rest = tail;
            core::str::from_utf8(name).ok()
        })
    }
}

/// Something is wrong, and the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PeerError<'a> {
    /// What.
    pub code: Code,
    /// The least time before the next attempt, in milliseconds.
    pub retry_after: u32,
    /// For a person to read; at most [`MAX_TEXT`](super::MAX_TEXT) bytes of UTF-8.
    pub text: &'a str,
}

/// The session ends in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bye {
    /// Why.
    pub reason: ByeReason,
    /// The least time before the next attempt, in milliseconds.
    pub retry_after: u32,
}

impl Bye {
    /// The least time before the next attempt.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        crate::time::millis(self.retry_after as u64)
    }
}
