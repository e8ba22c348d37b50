//! One room of a device: what the application wants, what the hub granted, and the two cursors.

use super::{Event, Store};
use crate::chat::ANSWER;
use crate::name::Name;
use crate::time::{Due, Duration, Instant, secs};
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
    /// The hub had no place for it, where the device was a member before: `Join` is to be sent later.
    Later,
    /// Over datagrams: `Leave` was sent, and the hub has not said that it came.
    Leaving,
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
    Joined,
    /// First that the store changed, then that the room is joined.
    Changed,
    Refused(Code),
    Left,
}

/// What the numbers of posts are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Numbers {
    /// No hub has told where they stand.
    Unknown,
    /// What this session's hub says of them is of the posts in the outbox: its log is the slot's, or
    /// goes on from that.
    Shared,
    /// It is not, as far as the hub has told.
    Foreign,
}

/// In this order, since on small processors what lies near the front takes shorter instructions.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub(super) struct Slot {
    /// To be left as soon as its posts have their verdicts.
    pub(super) leaving: bool,
    pub(super) numbers: Numbers,
    pub(super) flags: u8,
    /// Over datagrams: `Join` or `Leave` is to be sent again.
    pub(super) is_again: bool,
    /// Over datagrams: an ack showed that posts were lost, they went again at once, and no more of
    /// them have a verdict since.
    pub(super) went_back: bool,
    /// Over datagrams: entries came that no `Credit` has acknowledged.
    pub(super) owes_credit: bool,
    /// How often in a row the hub had no place for this member.
    pub(super) refusals: u8,
    pub(super) owed: Owed,
    pub(super) who: Option<u16>,
    pub(super) standing: Standing,
    pub(super) history: u32,
    /// The number of the last post, the last one sent on this connection, and the last one with a
    /// verdict.
    pub(super) last_seq: u32,
    pub(super) sent_seq: u32,
    pub(super) up_seq: u32,
    /// The last one sent since the device last went back to `up_seq`; on streams `sent_seq`.
    pub(super) round_seq: u32,
    /// Over datagrams, the one that the newest `Join`, `Leave` or `Post` went in.
    pub(super) mark: u32,
    /// How far the numbers of posts are ahead of those that the hub counts by: a hub that lost its
    /// store counts anew, and the application's numbers stay.
    pub(super) ahead: u32,
    /// How many members were present at the join, and the last offset of the log then.
    pub(super) members: u32,
    pub(super) head: u64,
    /// The last offset that the application was handed.
    pub(super) cursor: u64,
    /// The cursor that the hub was last told.
    pub(super) credited: u64,
    /// Since when the oldest join or post waits for an answer, if one does.
    pub(super) since: Instant,
    /// What the cursor and the numbers of posts are of, once a hub that has it took the join.
    pub(super) store: Option<Store>,
    pub(super) room: Name,
}

/// How long a device waits before it asks a hub that was full again.
const REJOIN: Duration = secs(10);

/// How often it asks before the room is given up: a place that is free again soon is worth a wait,
/// and a hub that lost its store may be full for good.
const MOST_REFUSALS: u8 = 6;

impl Slot {
    pub(super) const FREE: Self = Self {
        standing: Standing::Free,
        owed: Owed::Nothing,
        leaving: false,
        numbers: Numbers::Unknown,
        flags: 0,
        room: Name::new(),
        history: 0,
        members: 0,
        head: 0,
        store: None,
        cursor: 0,
        credited: 0,
        last_seq: 0,
        sent_seq: 0,
        up_seq: 0,
        round_seq: 0,
        mark: 0,
        is_again: false,
        went_back: false,
        owes_credit: false,
        refusals: 0,
        ahead: 0,
        since: Instant::from_ticks(0),
        who: None,
    };

    /// The slot is free, with that still to be told.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn free(&mut self, owed: Owed) {
        *self = Self::FREE;
        self.owed = owed;
    }

    /// Whether a hub has told where the numbers of posts stand.
    pub(super) fn is_numbered(&self) -> bool {
        self.numbers != Numbers::Unknown
    }

    /// When the hub has taken too long to answer; never when nothing waits.
    pub(super) fn answer_due(&self) -> Due {
        match self.awaits() {
            true => Due::after(self.since, ANSWER),
            false => Due::NEVER,
        }
    }

    /// Whether something was sent to which the hub owes an answer.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn awaits(&self) -> bool {
        match self.standing {
            Standing::Asked | Standing::Leaving => true,
            Standing::Joined { .. } => self.sent_seq != self.up_seq,
            Standing::Free | Standing::Wanted | Standing::Later => false,
        }
    }

    /// The hub has no place for the member now; whether that is not to be given up yet.
    pub(super) fn bears_refusal(&mut self, now: Instant) -> bool {
        let bears = self.is_numbered() && !self.leaving && self.refusals < MOST_REFUSALS;
        if bears {
            self.refusals = self.refusals.saturating_add(1);
            (self.standing, self.since) = (Standing::Later, now);
        }
        bears
    }

    /// When the join that was refused is to be sent again, if one is.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn rejoin_due(&self) -> Due {
        match self.standing {
            Standing::Later => Due::after(self.since, REJOIN),
            _ => Due::NEVER,
        }
    }

    /// What has no answer is sent again.
    pub(super) fn go_back(&mut self) {
        self.is_again = matches!(self.standing, Standing::Asked | Standing::Leaving);
        self.round_seq = self.up_seq;
    }

    pub(super) fn handle_disconnected(&mut self) {
        match self.standing {
            Standing::Asked | Standing::Later | Standing::Joined { .. } => {
                self.standing = Standing::Wanted;
            }
            Standing::Leaving => self.free(Owed::Left),
            Standing::Free | Standing::Wanted => {}
        }
        (self.is_again, self.owes_credit) = (false, false);
        self.who = None;
    }

    pub(super) fn poll_event(&mut self, slot: u8) -> Option<Event> {
        let (event, rest) = match self.owed {
            Owed::Nothing => return None,
            Owed::Joined => (
                Event::Joined {
                    slot,
                    head: self.head,
                    members: self.members,
                },
                Owed::Nothing,
            ),
            Owed::Changed => (Event::StoreChanged { slot }, Owed::Joined),
            Owed::Refused(code) => (Event::Refused { slot, code }, Owed::Nothing),
            Owed::Left => (Event::Left { slot }, Owed::Nothing),
        };
        self.owed = rest;
        Some(event)
    }
}
