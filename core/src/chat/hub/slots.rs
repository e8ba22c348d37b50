//! The slots that the caller lends to the hub: connections, members, rooms, and posts on their way.

use super::links::{At, Chain, Keyed, Links, List};
use super::store::Found;
use crate::chat::datagram::Path;
use crate::chat::log::{IndexSlot, RoomLog};
use crate::name::Name;
use crate::time::Instant;
use crate::wire::{ByeReason, Code, DeviceId, MAX_ECHO, NoticeKind};

/// All memory of a hub.
///
/// | slice | one for each | sizing |
/// | --- | --- | --- |
/// | `conns` | connection at the same time | devices + 1: see below |
/// | `members` | device and room that the hub remembers: present, or away and has posted | rooms × devices, with some to spare for devices that come and go |
/// | `rooms` | room that has entries, for ever, or has a member that is remembered | |
/// | `bytes` | | the logs, shared out evenly; a room's share holds its largest post |
/// | `index` | | entries kept, shared out evenly; each room uses a power of two |
/// | `pending` | post between its arrival and its commit | a turn's worth; 1 will do in memory |
///
/// A device whose link broke without a sign holds its connection until it says `Hello` on another
/// one (or was silent for 1.5 keepalive intervals, if it has any). The connection to spare is the
/// one that it comes back through, and after a breakdown all devices one after the other.
#[derive(Debug)]
pub struct Storage<'s> {
    /// Connections.
    pub conns: &'s mut [Conn],
    /// Members.
    pub members: &'s mut [Member],
    /// Rooms.
    pub rooms: &'s mut [Room],
    /// The frames of all logs.
    pub bytes: &'s mut [u8],
    /// The index of all logs.
    pub index: &'s mut [IndexSlot],
    /// Posts whose commit is awaited.
    pub pending: &'s mut [Pending],
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Phase {
    Free,
    /// Waits for `Hello`.
    Greeting {
        deadline: Instant,
    },
    Serving,
    /// Something is to be said, then it closes; at the deadline it closes anyway.
    Parting {
        last: LastWord,
        deadline: Instant,
    },
    /// To be closed by the caller.
    Closed,
}

/// What is said before a connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum LastWord {
    Error(Code),
    Bye(ByeReason),
}

/// A set of messages that are owed; what they say is read from the state when they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Owed(u8);

impl Owed {
    pub(super) const NOTHING: Self = Self(0);
    pub(super) const WELCOME: Self = Self(1);
    pub(super) const PONG: Self = Self(2);
    pub(super) const PING: Self = Self(4);
    pub(super) const ECHO: Self = Self(8);
    pub(super) const REFUSAL: Self = Self(16);
    pub(super) const ROSTER: Self = Self(32);

    pub(super) const JOINED: Self = Self(1);
    pub(super) const ACK: Self = Self(2);
    pub(super) const REJECT: Self = Self(4);
    pub(super) const NOTICE: Self = Self(8);

    pub(super) const fn has(self, what: Self) -> bool {
        self.0 & what.0 != 0
    }

    pub(super) const fn add(&mut self, what: Self) {
        self.0 |= what.0;
    }

    pub(super) const fn clear(&mut self, what: Self) {
        self.0 &= !what.0;
    }
}

/// The last `Who` of a connection, and how far down the list of members its answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Who {
    /// The member that asked.
    pub(super) member: At,
    pub(super) skip: u16,
    /// How many members have been passed over or told, and the member after them.
    pub(super) passed: u16,
    pub(super) next: At,
}

impl Who {
    pub(super) const NOBODY: Self = Self {
        member: At::NONE,
        skip: 0,
        passed: 0,
        next: At::NONE,
    };
}

/// One connection; [`Conn::FREE`] until the hub uses it.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conn {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    pub(super) owed: Owed,
    pub(super) ephemeral: bool,
    /// Seconds; 0 is none.
    pub(super) keepalive: u16,
    pub(super) credit: u16,
    pub(super) max_frame: u32,
    pub(super) device: DeviceId,
    pub(super) nonce: u64,
    pub(super) session: u64,
    pub(super) heard: Instant,
    pub(super) spoke: Instant,
    pub(super) pong: u32,
    pub(super) echo_token: u32,
    pub(super) echo: heapless::Vec<u8, MAX_ECHO, u8>,
    pub(super) refusal: (u8, Code),
    pub(super) who: Who,
    pub(super) members: List,
    /// The member that is served next.
    pub(super) turn: At,
    pub(super) ready: Links,
    pub(super) free: At,
    pub(super) chain: Chain,
    /// This slot's own cell of the timer heap, and its place in it.
    pub(super) heap: At,
    pub(super) heap_place: At,
    pub(super) due: Instant,
    /// Since when the session is the device's newest.
    pub(super) born: Instant,
    /// Over datagrams alone.
    pub(super) path: Option<Path>,
}

impl Conn {
    /// An unused slot.
    pub const FREE: Self = Self {
        generation: 0,
        phase: Phase::Free,
        owed: Owed::NOTHING,
        ephemeral: false,
        keepalive: 0,
        credit: 0,
        max_frame: 0,
        device: [0; 16],
        nonce: 0,
        session: 0,
        heard: Instant::from_ticks(0),
        spoke: Instant::from_ticks(0),
        pong: 0,
        echo_token: 0,
        echo: heapless::Vec::new(),
        refusal: (0, Code::Other(0)),
        who: Who::NOBODY,
        members: List::EMPTY,
        turn: At::NONE,
        ready: Links::OUT,
        free: At::NONE,
        chain: Chain::OUT,
        heap: At::NONE,
        heap_place: At::NONE,
        due: Instant::from_ticks(0),
        born: Instant::from_ticks(0),
        path: None,
    };

    pub(super) const fn ready(&mut self) -> &mut Links {
        &mut self.ready
    }
}

impl Keyed for Conn {
    fn chain(&self) -> &Chain {
        &self.chain
    }
    fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }
}

/// Where a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Presence {
    Free,
    /// On a connection.
    Here {
        conn: u32,
    },
    /// Lost its connection, and the others do not know yet.
    Lingering {
        since: Instant,
    },
    /// Gone, and told to be; what it posted is remembered. One that posted nothing is forgotten.
    Away {
        since: Instant,
    },
}

/// One device in one room, present or away; [`Member::FREE`] until the hub uses it.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Member {
    pub(super) generation: u32,
    pub(super) presence: Presence,
    pub(super) owed: Owed,
    /// It left in good order, or never comes back: may be forgotten early.
    pub(super) done: bool,
    pub(super) slot: u8,
    pub(super) flags: u8,
    pub(super) device: DeviceId,
    pub(super) room: u32,
    pub(super) name: Name,
    /// The last sequence with a verdict, the last one whose verdict is committed, and which of the
    /// 32 up to `up_seq` were rejected.
    pub(super) up_seq: u32,
    pub(super) up_committed: u32,
    pub(super) rejects: u32,
    pub(super) reject: (u32, Code),
    /// Entries from here on that carry this slot's number are its own.
    pub(super) own_from: u64,
    pub(super) own_last: u64,
    /// The last offset sent, the last one that the device has credit for, and where the history
    /// that it asked for starts.
    pub(super) cursor: u64,
    pub(super) limit: u64,
    pub(super) history_from: u64,
    /// Over datagrams: the last offset that the device has told to have, and the datagram that the
    /// newest of those behind it went in. Those up to `cursor` are on their way.
    pub(super) acked: u64,
    pub(super) mark: u32,
    /// Over datagrams: a credit showed that entries were lost, they went again at once, and nothing
    /// more was acknowledged since.
    pub(super) went_back: bool,
    /// What the store has after the cursor, if that is no entry to be sent whole.
    pub(super) found: Found,
    pub(super) presence_seen: u32,
    pub(super) in_room: Links,
    pub(super) in_conn: Links,
    pub(super) waiting: Links,
    pub(super) chain: Chain,
}

impl Member {
    /// An unused slot.
    pub const FREE: Self = Self {
        generation: 0,
        presence: Presence::Free,
        owed: Owed::NOTHING,
        done: false,
        slot: 0,
        flags: 0,
        device: [0; 16],
        room: 0,
        name: Name::new(),
        up_seq: 0,
        up_committed: 0,
        rejects: 0,
        reject: (0, Code::Other(0)),
        own_from: 0,
        own_last: 0,
        cursor: 0,
        limit: 0,
        history_from: 0,
        acked: 0,
        mark: 0,
        went_back: false,
        found: Found::Entries,
        presence_seen: 0,
        in_room: Links::OUT,
        in_conn: Links::OUT,
        waiting: Links::OUT,
        chain: Chain::OUT,
    };

    /// Goes back to what the device has told to have; whether there was anything behind that.
    pub(super) fn go_back(&mut self) -> bool {
        let is_back = self.cursor > self.acked;
        if is_back {
            self.cursor = self.acked;
            self.found = Found::Entries;
        }
        is_back
    }

    pub(super) const fn waiting(&mut self) -> &mut Links {
        &mut self.waiting
    }

    pub(super) const fn in_room(&mut self) -> &mut Links {
        &mut self.in_room
    }

    pub(super) const fn in_conn(&mut self) -> &mut Links {
        &mut self.in_conn
    }

    /// The bitmap of rejects as it stands at the last committed verdict.
    pub(super) const fn committed_rejects(&self) -> u32 {
        match self
            .rejects
            .checked_shr(self.up_seq.wrapping_sub(self.up_committed))
        {
            Some(bits) => bits,
            None => 0,
        }
    }
}

impl Keyed for Member {
    fn chain(&self) -> &Chain {
        &self.chain
    }
    fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }
}

/// How many changes of presence a room remembers by name.
pub(super) const RECENT: usize = 4;

/// One room; [`Room::FREE`] until the hub uses it.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Room {
    pub(super) name: Name,
    pub(super) log: RoomLog,
    /// A member that lags jumps to the head.
    pub(super) is_latest: bool,
    /// The first offset that the store has; 0 where the log in memory is all there is.
    pub(super) oldest: u64,
    pub(super) members: List,
    /// How many member slots are of this room, and how many of those are present.
    pub(super) remembered: u32,
    pub(super) present: u32,
    /// Counts the changes of presence; the last few by kind, member and the member's generation.
    pub(super) presence: u32,
    pub(super) recent: [(NoticeKind, u32, u32); RECENT],
    /// For the list of dirty rooms, or that of free ones.
    pub(super) dirty: Links,
    pub(super) presence_dirty: Links,
    pub(super) chain: Chain,
}

impl Room {
    /// An unused slot.
    pub const FREE: Self = Self {
        name: Name::new(),
        log: RoomLog::new(),
        is_latest: false,
        oldest: 0,
        members: List::EMPTY,
        remembered: 0,
        present: 0,
        presence: 0,
        recent: [(NoticeKind::Other(0), 0, 0); RECENT],
        dirty: Links::OUT,
        presence_dirty: Links::OUT,
        chain: Chain::OUT,
    };

    /// The first offset that is kept anywhere.
    pub(super) fn first_kept(&self) -> u64 {
        match self.oldest {
            0 => self.log.first(),
            oldest => oldest.min(self.log.first()),
        }
    }

    pub(super) const fn dirty(&mut self) -> &mut Links {
        &mut self.dirty
    }

    pub(super) const fn presence_dirty(&mut self) -> &mut Links {
        &mut self.presence_dirty
    }
}

impl Keyed for Room {
    fn chain(&self) -> &Chain {
        &self.chain
    }
    fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }
}

/// One post on its way to the commit; [`Pending::FREE`] until the hub uses it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pending {
    pub(super) member: u32,
    pub(super) seq: u32,
    pub(super) verdict: Verdict,
}

/// What became of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// It is an entry of its room's log.
    Kept {
        /// Its place.
        offset: u64,
    },
    /// What the device posted to the room is remembered no longer; the number means nothing.
    Forgotten,
    /// It was refused, and its sequence number is used up.
    Rejected {
        /// Why.
        code: Code,
    },
}

impl Pending {
    /// An unused slot.
    pub const FREE: Self = Self {
        member: 0,
        seq: 0,
        verdict: Verdict::Kept { offset: 0 },
    };
}
