//! One room of a device: what the application wants, what the hub granted, and the two cursors.

use super::{Event, Store};
use crate::chat::ANSWER;
use crate::name::Name;
use crate::time::{Instant, after};
use crate::wire::Code;

/// How the device stands with the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Standing {
    Free,
    /// `Join` is to be sent.
    Wanted,
    /// `Join` was sent on this connection.
    Asked,
    /// The hub's number for the room.
    Joined {
        room: u32,
    },
}

/// The event of this slot that the application is still to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Owed {
    Nothing,
    Joined {
        head: u64,
        members: u32,
    },
    /// First that the store changed, then that the room is joined.
    Changed {
        head: u64,
        members: u32,
    },
    Refused(Code),
    Left,
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Slot {
    pub(super) standing: Standing,
    pub(super) owed: Owed,
    /// To be left as soon as its posts have their verdicts.
    pub(super) leaving: bool,
    /// A hub has told where the numbers of posts stand.
    pub(super) is_numbered: bool,
    pub(super) flags: u8,
    pub(super) room: Name,
    pub(super) history: u32,
    /// What the cursor and the numbers of posts are of, once a hub that has it took the join.
    pub(super) store: Option<Store>,
    /// The last offset that the application was handed.
    pub(super) cursor: u64,
    /// The cursor that the hub was last told.
    pub(super) credited: u64,
    /// The number of the next post, the last one sent on this connection, and the last one with a
    /// verdict.
    pub(super) next_seq: u32,
    pub(super) sent_seq: u32,
    pub(super) up_seq: u32,
    /// How far the numbers of posts are ahead of those that the hub counts by: a hub that lost its
    /// store counts anew, and the application's numbers stay.
    pub(super) ahead: u32,
    /// Since when the oldest join or post waits for an answer, if one does.
    pub(super) since: Instant,
    pub(super) who: Option<u16>,
}

impl Slot {
    pub(super) const FREE: Self = Self {
        standing: Standing::Free,
        owed: Owed::Nothing,
        leaving: false,
        is_numbered: false,
        flags: 0,
        room: Name::new(),
        history: 0,
        store: None,
        cursor: 0,
        credited: 0,
        next_seq: 1,
        sent_seq: 0,
        up_seq: 0,
        ahead: 0,
        since: Instant::from_ticks(0),
        who: None,
    };

    /// When the hub has taken too long to answer; `None` when nothing waits.
    pub(super) fn answer_due(&self) -> Option<Instant> {
        let is_open = match self.standing {
            Standing::Asked => true,
            Standing::Joined { .. } => self.sent_seq != self.up_seq,
            Standing::Free | Standing::Wanted => false,
        };
        is_open.then(|| after(self.since, ANSWER))
    }

    pub(super) fn handle_disconnected(&mut self) {
        match self.standing {
            Standing::Asked | Standing::Joined { .. } => self.standing = Standing::Wanted,
            Standing::Free | Standing::Wanted => {}
        }
        self.who = None;
    }

    pub(super) fn poll_event(&mut self, slot: u8) -> Option<Event> {
        let (event, rest) = match self.owed {
            Owed::Nothing => return None,
            Owed::Joined { head, members } => (
                Event::Joined {
                    slot,
                    head,
                    members,
                },
                Owed::Nothing,
            ),
            Owed::Changed { head, members } => {
                (Event::StoreChanged { slot }, Owed::Joined { head, members })
            }
            Owed::Refused(code) => (Event::Refused { slot, code }, Owed::Nothing),
            Owed::Left => (Event::Left { slot }, Owed::Nothing),
        };
        self.owed = rest;
        Some(event)
    }
}
