//! What a shard tells the hub's loop each turn: what it read and wrote.

use std::io;
use std::time::Duration;

use super::orders::{LaneId, Orders};

#[derive(Debug)]
pub(super) enum Note {
    /// The next so many bytes of the report were read there.
    Read { lane: LaneId, len: usize },
    /// The system took so many bytes more.
    Wrote { lane: LaneId, len: usize },
    /// The peer sends no more.
    Ended { lane: LaneId },
    /// The connection is lost.
    Failed { lane: LaneId, kind: io::ErrorKind },
}

#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) bytes: Vec<u8>,
    pub(super) notes: Vec<Note>,
    /// Orders that were carried out, to be used again.
    pub(super) done: Vec<Orders>,
    /// The processor's time that the shard has used so far.
    pub(super) cpu: Duration,
    /// The bytes that it keeps for the system to take.
    pub(super) kept: usize,
}

impl Report {
    /// As new, with the memory that it has.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.notes.clear();
        self.done.clear();
    }
}
