//! What the threads of a fleet share: the phase, the heads of rooms, and numbers to look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use halloo_core::echo;
use halloo_core::time::{Duration, Instant};
use hdrhistogram::Histogram;

use crate::ledger::Page;

/// What the fleet is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Devices connect and join their rooms.
    Joining,
    /// Devices post.
    Posting,
    /// Nothing new is posted; outboxes drain.
    Settling,
    /// Every post has its verdict; members read what is left.
    Reading,
    /// Devices say goodbye.
    Leaving,
}

/// What the threads share; one writer for each number.
#[derive(Debug)]
pub(crate) struct Shared {
    phase: AtomicU8,
    start: std::time::Instant,
    /// Devices that are to join rooms.
    members: u64,
    /// The last offset of each room that its author knows of.
    heads: Box<[AtomicU64]>,
}

/// A count that one thread writes and others look at.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

/// The numbers of one thread.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) joined: Count,
    pub(crate) posts: Count,
    pub(crate) acknowledged: Count,
    pub(crate) delivered: Count,
    pub(crate) cuts: Count,
    pub(crate) reconnects: Count,
    pub(crate) store_changes: Count,
    /// Devices with posts on the way; all of them before that was counted.
    pub(crate) unsettled: Count,
    /// Devices with entries to read; all of them before that was counted.
    pub(crate) behind: Count,
}

/// What one thread has counted and measured.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) live: Arc<Live>,
    pub(crate) held_back: u64,
    pub(crate) not_joined: u64,
    pub(crate) round_trip: Histogram<u64>,
    pub(crate) delivery: Histogram<u64>,
    pub(crate) echo_time: Histogram<u64>,
    /// Over TCP and over UDP.
    pub(crate) echo: [echo::Report; 2],
    pub(crate) pages: Vec<Page>,
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Joining,
        Self::Posting,
        Self::Settling,
        Self::Reading,
        Self::Leaving,
    ];
}

impl Shared {
    pub(crate) fn new(rooms: usize, members: u32) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Joining as u8),
            start: std::time::Instant::now(),
            members: u64::from(members),
            heads: (0..rooms).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Microseconds since the start of the run.
    pub(crate) fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_ticks(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(crate) fn phase(&self) -> Phase {
        let number = usize::from(self.phase.load(Ordering::Acquire));
        Phase::ALL.get(number).copied().unwrap_or(Phase::Leaving)
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(crate) const fn members(&self) -> u64 {
        self.members
    }

    pub(crate) fn head(&self, room: u32) -> u64 {
        let head = self.heads.get(room as usize);
        head.map_or(0, |head| head.load(Ordering::Acquire))
    }

    pub(crate) fn raise_head(&self, room: u32, offset: u64) {
        if let Some(head) = self.heads.get(room as usize) {
            head.fetch_max(offset, Ordering::AcqRel);
        }
    }
}

impl Count {
    /// Only the thread that owns the count adds to it, so there is no need to lock the bus.
    pub(crate) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    pub(crate) fn set(&self, count: u64) {
        self.0.store(count, Ordering::Release);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Live {
    pub(crate) fn new() -> Self {
        let many = || Count(AtomicU64::new(u64::MAX));
        Self {
            joined: Count::default(),
            posts: Count::default(),
            acknowledged: Count::default(),
            delivered: Count::default(),
            cuts: Count::default(),
            reconnects: Count::default(),
            store_changes: Count::default(),
            unsettled: many(),
            behind: many(),
        }
    }
}

impl Tally {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self {
            live,
            held_back: 0,
            not_joined: 0,
            round_trip: histogram(),
            delivery: histogram(),
            echo_time: histogram(),
            echo: Default::default(),
            pages: Vec::new(),
        }
    }

    pub(crate) fn record_round_trip(&mut self, time: Duration) {
        self.round_trip.saturating_record(time.as_ticks());
    }

    pub(crate) fn record_delivery(&mut self, time: Duration) {
        self.delivery.saturating_record(time.as_ticks());
    }

    pub(crate) fn record_echo(&mut self, time: Duration) {
        self.echo_time.saturating_record(time.as_ticks());
    }

    /// Adds what another thread has.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.held_back += other.held_back;
        self.not_joined += other.not_joined;
        for (mine, theirs) in [
            (&mut self.round_trip, &other.round_trip),
            (&mut self.delivery, &other.delivery),
            (&mut self.echo_time, &other.echo_time),
        ] {
            // The bounds are the same, so nothing is out of range.
            let _ = mine.add(theirs);
        }
        for (mine, theirs) in self.echo.iter_mut().zip(&other.echo) {
            add_echo(mine, theirs);
        }
        self.pages.extend(other.pages);
        self.live.cuts.add(other.live.cuts.get());
        self.live.reconnects.add(other.live.reconnects.get());
        self.live.store_changes.add(other.live.store_changes.get());
    }
}

pub(crate) const fn add_echo(sum: &mut echo::Report, more: &echo::Report) {
    sum.sent += more.sent;
    sum.received += more.received;
    sum.lost += more.lost;
    sum.late += more.late;
    sum.reordered += more.reordered;
    sum.duplicated += more.duplicated;
    sum.corrupt += more.corrupt;
    sum.surplus += more.surplus;
}

/// From a microsecond to ten minutes, three digits.
#[expect(clippy::expect_used, reason = "constant bounds that hold")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("bounds that a histogram takes")
}
