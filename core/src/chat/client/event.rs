//! What a device's application is told.

use super::SlotId;
use crate::wire::{ByeReason, Code, GapReason, Notice, PeerError, Roster};

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
    /// The answer to [`Client::who`](super::Client::who).
    Roster(Roster<'m>),
    /// The answer to [`Client::echo`](super::Client::echo).
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
    /// The hub refused the join; the slot is free again. Before this its posts were told as
    /// rejected, or as unknown if they were sent in an earlier session.
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
    /// The post was sent, its verdict was lost with the connection, and then the hub refused to
    /// take the device back into the room: the post may be in the log or not.
    Unknown {
        /// The room.
        slot: SlotId,
        /// The post.
        seq: u32,
        /// Why the hub refused the room.
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

impl Cause {
    /// Whether another attempt would end the same way: then a device does not connect again by itself
    /// (rule S-BYE-6 of `core/PROTOCOL.md`).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Done
                | Self::Bye(ByeReason::Replaced)
                | Self::Violation(Code::Version)
                | Self::Refused(Code::Version | Code::NotAllowed | Code::BadName)
        )
    }
}
