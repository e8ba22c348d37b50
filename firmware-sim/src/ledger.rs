//! The account of a run: what was posted and acknowledged, against what each member was handed.
//!
//! Knows devices, rooms and counters. Knows no socket, no client and no hub: it believes nobody but
//! the application's side of each device. A device keeps one [`Page`] for each of its rooms; at the
//! end [`audit`] holds the pages of a room against each other. Memory: 32 bytes for each author in
//! each member's page, however many posts there were.

use std::ops::AddAssign;
use std::sync::Arc;

/// What one device posted into one room and what it was handed there.
#[derive(Debug, Clone)]
pub struct Page {
    room: u32,
    /// The devices of the room, in order; `seen` runs beside it.
    members: Arc<[u32]>,
    device: u32,
    offsets: Window,
    posted: u32,
    acknowledged: u64,
    last_acknowledged: u32,
    rejected: u64,
    /// Markers of own posts.
    own: u64,
    seen: Box<[Seen]>,
    faults: Faults,
    gaps: u64,
    missed: u64,
}

/// What a member was handed of one author.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    counters: Window,
    /// Different posts.
    distinct: u64,
    /// Sum over a mix of offset and counter: the same at all members who saw the same.
    digest: u64,
}

/// Which of many ascending numbers have come, the newest 64 one by one.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    last: u64,
    /// Bit `n`: `last - n` has come.
    recent: u64,
}

/// How a number came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Above all others, and so many were left out.
    Next { left_out: u64 },
    /// For the first time, after a higher one.
    Late,
    /// A second time, or too late to tell.
    Again,
}

/// What a page saw that may not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Faults {
    holes: u64,
    doubled: u64,
    out_of_order: u64,
    strayed: u64,
    foreign: u64,
}

/// The sums of a run.
///
/// `expected` is one for each acknowledged post and each member of its room, its author included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Posts that an outbox took.
    pub posts: u64,
    /// Posts with a good verdict.
    pub acknowledged: u64,
    /// Posts that the hub refused.
    pub rejected: u64,
    /// Posts without a verdict.
    pub unacknowledged: u64,
    /// Deliveries that acknowledged posts call for.
    pub expected: u64,
    /// Those of them that were handed on.
    pub delivered: u64,
    /// Those that were not, without an announced gap; or holes in offsets, if those are more.
    pub lost: u64,
    /// Deliveries of what was handed on before, or was never posted.
    pub doubled: u64,
    /// Deliveries behind a later offset or a later post of the same author, and authors whose posts
    /// two members saw at different offsets.
    pub out_of_order: u64,
    /// Announced gaps.
    pub gaps: u64,
    /// Offsets in announced gaps.
    pub missed: u64,
    /// Deliveries in another room than the one they were posted to.
    pub strayed: u64,
    /// Entries that no device of this run posted; no fault, in a hub that others use too.
    pub foreign: u64,
}

impl Page {
    /// A page for `device` in `room`, whose devices are `members`, in ascending order.
    #[must_use]
    pub fn new(device: u32, room: u32, members: Arc<[u32]>) -> Self {
        Self {
            room,
            seen: vec![Seen::default(); members.len()].into(),
            members,
            device,
            offsets: Window::after(0),
            posted: 0,
            acknowledged: 0,
            last_acknowledged: 0,
            rejected: 0,
            own: 0,
            faults: Faults::default(),
            gaps: 0,
            missed: 0,
        }
    }

    /// The room.
    #[must_use]
    pub const fn room(&self) -> u32 {
        self.room
    }

    /// The highest offset that was handed on.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.offsets.last
    }

    /// Posts so far; the counter of the last one.
    #[must_use]
    pub const fn posted(&self) -> u32 {
        self.posted
    }

    /// Whether every post has its verdict, and every good one has come back as a marker.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        let verdicts = self.acknowledged.saturating_add(self.rejected);
        // A gap may have swallowed a marker.
        let is_back = self.own >= self.acknowledged || self.missed > 0;
        verdicts >= self.posted as u64 && is_back
    }

    /// The device joined, and reads what follows `cursor`.
    pub const fn start(&mut self, cursor: u64) {
        self.offsets = Window::after(cursor);
    }

    /// An outbox took a post with the counter [`posted`](Self::posted)` + 1`.
    pub const fn post(&mut self) {
        self.posted = self.posted.saturating_add(1);
    }

    /// The post `counter` is acknowledged.
    pub fn acknowledge(&mut self, counter: u32) {
        self.acknowledged += 1;
        self.last_acknowledged = self.last_acknowledged.max(counter);
    }

    /// A post was refused.
    pub const fn reject(&mut self) {
        self.rejected += 1;
    }

    /// The marker of an own post was handed on.
    pub fn own(&mut self, offset: u64) {
        if self.take(offset) != Turn::Again {
            self.own += 1;
        }
    }

    /// A post of `author`, into `room`, was handed on.
    pub fn entry(&mut self, offset: u64, author: u32, room: u32, counter: u32) {
        let turn = self.take(offset);
        if turn == Turn::Again {
            return;
        }
        // Own posts come as markers, so one that comes whole does not belong here either.
        let place = self.members.binary_search(&author).ok();
        let place = place.filter(|_| room == self.room && author != self.device);
        let Some(seen) = place.and_then(|place| self.seen.get_mut(place)) else {
            self.faults.strayed += 1;
            return;
        };
        match seen.take(offset, counter) {
            Turn::Again => self.faults.doubled += 1,
            // Counted at its offset already, otherwise.
            Turn::Late if turn != Turn::Late => self.faults.out_of_order += 1,
            Turn::Late | Turn::Next { .. } => {}
        }
    }

    /// Somebody else's post was handed on.
    pub fn foreign(&mut self, offset: u64) {
        if self.take(offset) != Turn::Again {
            self.faults.foreign += 1;
        }
    }

    /// Offsets `from..=to` will not come, and the hub says so.
    pub fn gap(&mut self, from: u64, to: u64) {
        let cursor = self.offsets.last;
        self.gaps += 1;
        self.faults.holes += from.saturating_sub(cursor.saturating_add(1));
        self.missed += to.saturating_sub(cursor.max(from.saturating_sub(1)));
        if to > cursor {
            self.offsets = Window::after(to);
        }
    }

    fn take(&mut self, offset: u64) -> Turn {
        let turn = self.offsets.take(offset);
        match turn {
            Turn::Next { left_out } => self.faults.holes += left_out,
            Turn::Late => {
                self.faults.holes = self.faults.holes.saturating_sub(1);
                self.faults.out_of_order += 1;
            }
            Turn::Again => self.faults.doubled += 1,
        }
        turn
    }
}

impl Window {
    /// Every number up to `last` has come, or never will.
    const fn after(last: u64) -> Self {
        let recent = u64::MAX;
        Self { last, recent }
    }

    fn take(&mut self, number: u64) -> Turn {
        let step = |by: u64| u32::try_from(by).unwrap_or(u32::MAX);
        if number > self.last {
            let by = number - self.last;
            self.recent = self.recent.unbounded_shl(step(by)) | 1;
            self.last = number;
            return Turn::Next { left_out: by - 1 };
        }
        let bit = 1_u64.unbounded_shl(step(self.last - number));
        if bit == 0 || self.recent & bit != 0 {
            return Turn::Again;
        }
        self.recent |= bit;
        Turn::Late
    }

    /// How many numbers above `number` have come, of the newest 64.
    fn above(&self, number: u64) -> u64 {
        let newer = self.last.saturating_sub(number).min(u64::from(u64::BITS));
        let mask = 1_u64.unbounded_shl(newer as u32).wrapping_sub(1);
        u64::from((self.recent & mask).count_ones())
    }
}

impl Seen {
    fn take(&mut self, offset: u64, counter: u32) -> Turn {
        let turn = self.counters.take(u64::from(counter));
        if turn != Turn::Again {
            self.distinct += 1;
            self.digest = self.digest.wrapping_add(mix(offset, counter));
        }
        turn
    }
}

/// Holds the pages of a run against each other; those of one room may stand anywhere.
///
/// Work: linear in the pages and in the authors that each has seen.
#[must_use]
pub fn audit(mut pages: Vec<Page>) -> Totals {
    pages.sort_by_key(|page| (page.room, page.device));
    let mut totals = Totals::default();
    for room in pages.chunk_by(|a, b| a.room == b.room) {
        totals += audit_room(room);
    }
    totals
}

fn audit_room(pages: &[Page]) -> Totals {
    let mut totals = Totals::default();
    for page in pages {
        let verdicts = page.acknowledged + page.rejected;
        totals.posts += u64::from(page.posted);
        totals.acknowledged += page.acknowledged;
        totals.rejected += page.rejected;
        totals.unacknowledged += u64::from(page.posted).saturating_sub(verdicts);
    }
    for reader in pages {
        let mut missing = 0;
        for author in pages {
            let got = delivered(reader, author);
            totals.expected += author.acknowledged;
            totals.delivered += got.of_acknowledged;
            totals.doubled += got.never_posted;
            missing += author.acknowledged - got.of_acknowledged;
        }
        totals.lost += missing
            .saturating_sub(reader.missed)
            .max(reader.faults.holes);
        totals.doubled += reader.faults.doubled;
        totals.out_of_order += reader.faults.out_of_order;
        totals.strayed += reader.faults.strayed;
        totals.foreign += reader.faults.foreign;
        totals.gaps += reader.gaps;
        totals.missed += reader.missed;
    }
    totals.out_of_order += pages.iter().filter(|author| !agree(pages, author)).count() as u64;
    totals
}

/// What one member was handed of one author's posts.
struct Delivered {
    of_acknowledged: u64,
    never_posted: u64,
}

fn delivered(reader: &Page, author: &Page) -> Delivered {
    let open = u64::from(author.posted).saturating_sub(author.acknowledged + author.rejected);
    let (distinct, of_open) = if reader.device == author.device {
        // Markers are in the order of posting, so those of open posts are the last.
        (author.own, author.own.saturating_sub(author.acknowledged))
    } else {
        let seen = seen(reader, author.device);
        let last = u64::from(author.last_acknowledged);
        (seen.distinct, seen.counters.above(last))
    };
    let of_others = distinct - of_open.min(distinct);
    Delivered {
        of_acknowledged: of_others.min(author.acknowledged),
        never_posted: of_open.saturating_sub(open) + of_others.saturating_sub(author.acknowledged),
    }
}

/// Whether all members who were handed as many posts of an author have them at the same offsets.
fn agree(pages: &[Page], author: &Page) -> bool {
    let mut first: Option<Seen> = None;
    pages
        .iter()
        .filter(|reader| reader.device != author.device)
        .map(|reader| seen(reader, author.device))
        .all(|seen| {
            let first = first.get_or_insert(seen);
            first.distinct != seen.distinct || first.digest == seen.digest
        })
}

fn seen(reader: &Page, author: u32) -> Seen {
    let place = reader.members.binary_search(&author).ok();
    let seen = place.and_then(|place| reader.seen.get(place));
    seen.copied().unwrap_or_default()
}

/// Spreads an offset and a counter over 64 bits, so that sums of them tell sets apart.
fn mix(offset: u64, counter: u32) -> u64 {
    let mut mixed = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(counter);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.posts += more.posts;
        self.acknowledged += more.acknowledged;
        self.rejected += more.rejected;
        self.unacknowledged += more.unacknowledged;
        self.expected += more.expected;
        self.delivered += more.delivered;
        self.lost += more.lost;
        self.doubled += more.doubled;
        self.out_of_order += more.out_of_order;
        self.gaps += more.gaps;
        self.missed += more.missed;
        self.strayed += more.strayed;
        self.foreign += more.foreign;
    }
}

#[cfg(test)]
mod tests;
