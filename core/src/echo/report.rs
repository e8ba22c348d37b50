//! What a probe tells: events one by one, and counts.

use crate::time::Duration;

/// What became of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProbeEvent {
    /// The right reply came in time.
    RoundTrip {
        /// The number of the probe, from 0.
        sequence: u32,
        /// From `poll_transmit` to the last byte of the reply.
        time: Duration,
    },
    /// No right reply came in time, or the connection went down.
    Lost {
        /// The number of the probe, from 0.
        sequence: u32,
    },
}

/// What happened so far; `sent` is `received`, `lost` and what is in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// Probes sent.
    pub sent: u64,
    /// Probes whose right reply came in time.
    pub received: u64,
    /// Probes without a right reply in time.
    pub lost: u64,
    /// Right replies that came after their deadline, or when their probe was too old to tell.
    pub late: u64,
    /// Right replies in time, but after the reply to a later probe.
    pub reordered: u64,
    /// Right replies to probes that had one already.
    pub duplicated: u64,
    /// Replies with a wrong byte, a wrong length, or a number that was not sent. On a stream its
    /// probe counts as lost at once; among datagrams its probe waits on.
    pub corrupt: u64,
    /// Bytes that nobody waits for: on a stream without a probe in flight, or while down.
    pub surplus: u64,
}

impl ProbeEvent {
    /// The number of the probe that this is about, from 0.
    #[must_use]
    pub const fn sequence(self) -> u32 {
        match self {
            Self::RoundTrip { sequence, .. } | Self::Lost { sequence } => sequence,
        }
    }
}

impl Report {
    /// Counts a right reply in time; `highest` is the highest number that had one.
    pub(super) fn answer(&mut self, highest: &mut Option<u32>, sequence: u32) {
        add(&mut self.received, 1);
        if *highest > Some(sequence) {
            add(&mut self.reordered, 1);
        } else {
            *highest = Some(sequence);
        }
    }
}

/// Counts on, up to the end of the numbers.
pub(super) fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}
