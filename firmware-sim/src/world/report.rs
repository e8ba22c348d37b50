//! What a world has shown: the same bytes for the same seed.

use super::Net;
use super::fault::Fault;
use std::fmt;

/// What a world has shown that held. The same setup gives the same report, to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Devices.
    pub devices: u64,
    /// Seconds of its own time, recovery and rest included.
    pub seconds: u64,
    /// Times that the hub started.
    pub starts: u64,
    /// Entries that were committed.
    pub entries: u64,
    /// Entries and markers that applications were handed, by memberships that still stand.
    pub handed_on: u64,
    /// Gaps told to them.
    pub gaps: u64,
    /// Verdicts told to them.
    pub verdicts: u64,
    /// Changes of the store told to them.
    pub store_changes: u64,
    /// Posts that a full outbox did not take.
    pub held_back: u64,
    /// Connections that the full hub refused.
    pub refused: u64,
    /// Messages that the hub was too busy for.
    pub busy: u64,
    /// Messages both ways, keepalives not counted.
    pub messages: u64,
    /// Pings and pongs.
    pub keepalives: u64,
    /// Datagrams that were sent, both ways.
    pub datagrams: u64,
    /// Turns taken.
    pub turns: u64,
    /// Commits that outlived a crash though nobody had been told of them.
    pub survived: u64,
    /// Runs of entries that the hub read back from its disk.
    pub read_back: u64,
    /// Times that the journal was repaired.
    pub repairs: u64,
    /// How often each fault fired, in the order of [`Fault::ALL`].
    pub fired: Vec<u64>,
    /// All that happened, as one number.
    pub hash: u64,
}

impl Report {
    pub(super) fn of(net: &Net) -> Self {
        let mut report = Self {
            devices: net.devices.len() as u64,
            seconds: net.now / 1_000_000,
            starts: net.starts,
            entries: net.lives.iter().map(|life| life.entries).sum(),
            held_back: net.held_back,
            refused: net.refused,
            busy: net.busy,
            messages: net.busy_messages,
            keepalives: net.idle_messages,
            datagrams: net.air.sent,
            turns: net.turns,
            survived: net.survived,
            read_back: net.read_back,
            repairs: net.repairs,
            fired: net.faults.fired().to_vec(),
            hash: net.trace.hash(),
            ..Self::default()
        };
        for membership in net.devices.iter().flat_map(|d| d.rooms.iter().flatten()) {
            report.handed_on += membership.entries;
            report.gaps += membership.gap_count;
            report.verdicts += membership.verdict_count;
            report.store_changes += u64::from(membership.changes);
        }
        report
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("devices", self.devices),
            ("virtual seconds", self.seconds),
            ("starts of the hub", self.starts),
            ("entries committed", self.entries),
            ("entries handed on", self.handed_on),
            ("gaps told", self.gaps),
            ("verdicts told", self.verdicts),
            ("changes of store told", self.store_changes),
            ("posts held back", self.held_back),
            ("connections refused", self.refused),
            ("messages put off", self.busy),
            ("messages", self.messages),
            ("keepalives", self.keepalives),
            ("datagrams sent", self.datagrams),
            ("turns", self.turns),
            ("commits found after a crash", self.survived),
            ("runs read back from disk", self.read_back),
            ("repairs of the journal", self.repairs),
        ];
        for (name, number) in lines {
            writeln!(f, "{name:<28} {number:>12}")?;
        }
        let fired = Fault::ALL.iter().zip(&self.fired);
        for (fault, times) in fired.filter(|(_, times)| **times > 0) {
            writeln!(f, "fault {:<22} {times:>12}", fault.name())?;
        }
        writeln!(f, "{:<28} {:>12x}", "trace", self.hash)?;
        writeln!(
            f,
            "every rule held at every step; then all outboxes drained and all came to rest"
        )
    }
}
