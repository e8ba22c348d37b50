//! What a device tells the application, owned.

use std::time::Duration;

use halloo_core::name::Name;
use halloo_core::wire::{Code, GapReason, NoticeKind};

use super::Ended;

/// A post of this device, from [`post`](super::Device::post) to its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(pub(super) u64);

/// Something that happened to a device or in a room.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Happening {
    /// The session is open, for the first time.
    Connected,
    /// The session is open again. The rooms are joined anew and read on from where they were.
    Reconnected,
    /// The session is over.
    Disconnected {
        /// Why.
        cause: Ended,
        /// In how long the next attempt starts; `None` when there is none.
        retry_in: Option<Duration>,
    },
    /// Another attempt to connect has failed.
    NotConnected {
        /// Why.
        cause: Ended,
        /// In how long the next attempt starts; `None` when there is none.
        retry_in: Option<Duration>,
    },
    /// The device is a member of the room, again or for the first time.
    Joined {
        /// The room.
        room: Name,
        /// The last offset of its log.
        head: u64,
        /// How many members are present.
        members: u32,
    },
    /// The hub refused the join.
    Refused {
        /// The room.
        room: Name,
        /// Why.
        code: Code,
    },
    /// The room is left.
    Left {
        /// The room.
        room: Name,
    },
    /// The next entry of the room's log, by somebody else.
    Entry {
        /// The room.
        room: Name,
        /// Its place in the log.
        offset: u64,
        /// Who posted it.
        from: Name,
        /// What was posted.
        body: Vec<u8>,
    },
    /// The next entry of the room's log is one of this device's own posts.
    Own {
        /// The room.
        room: Name,
        /// Its place in the log.
        offset: u64,
    },
    /// Entries that will not come.
    Gap {
        /// The room.
        room: Name,
        /// The first offset that is missing.
        from: u64,
        /// The last offset that is missing.
        to: u64,
        /// Why.
        reason: GapReason,
    },
    /// Somebody came or went. Best effort.
    Notice {
        /// The room.
        room: Name,
        /// What changed.
        kind: NoticeKind,
        /// Who; empty when only the count is told.
        who: Name,
        /// How many members are present.
        members: u32,
    },
    /// Some of those who are in the room: the answer to [`who`](super::Device::who).
    Roster {
        /// The room.
        room: Name,
        /// How many members were passed over.
        skip: u16,
        /// Those that follow.
        names: Vec<Name>,
        /// How many are present in all.
        members: u32,
    },
    /// The post is kept as durably as the hub runs.
    Acked {
        /// The room.
        room: Name,
        /// Which post.
        post: PostId,
    },
    /// The post was refused, and is in no log.
    Rejected {
        /// The room.
        room: Name,
        /// Which post.
        post: PostId,
        /// Why.
        code: Code,
    },
    /// The post was sent, its verdict was lost, and the hub then refused to take the device back
    /// into the room: the post may be in the log or not.
    Unknown {
        /// The room.
        room: Name,
        /// Which post.
        post: PostId,
        /// Why the hub refused the room.
        code: Code,
    },
    /// The hub's log is another one than before. Reading starts over at what the hub has, and posts
    /// without verdict go to the new log.
    StoreChanged {
        /// The room.
        room: Name,
    },
    /// The answer to [`echo`](super::Device::echo).
    Echo {
        /// The token of the request.
        token: u32,
        /// The bytes that came back.
        bytes: Vec<u8>,
    },
}
