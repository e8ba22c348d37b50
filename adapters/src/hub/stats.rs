//! What a running hub tells of itself to other threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use halloo_core::chat::hub::Counters;

/// A handle on the numbers of a running hub, for other threads.
#[derive(Debug, Clone, Default)]
pub struct HubStats {
    latest: Arc<Mutex<Stats>>,
}

impl HubStats {
    /// The numbers as they were at most about 50 ms ago, or at the end if the hub has stopped.
    #[must_use]
    pub fn snapshot(&self) -> Stats {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, stats: Stats) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

/// The numbers of a hub at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// What the chat machine has counted: posts, entries delivered, gaps and so on.
    pub chat: Counters,
    /// Connections now.
    pub connections: usize,
    /// The most connections at the same time so far.
    pub connections_most: usize,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Times that accepting paused since no file descriptor was left.
    pub accept_pauses: u64,
    /// Reads and datagrams echoed or greeted.
    pub echoed: u64,
    /// Datagrams whose answer the system did not take, or that got none since it could have gone round for
    /// ever.
    pub datagrams_dropped: u64,
    /// Frames on serial lines that came damaged, or too long.
    pub noise: u64,
    /// Bytes read from the data folder for members that the memory has moved on from.
    pub read_back: u64,
    /// Commits to the data folder, each with one sync.
    pub commits: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// The processor's time that the hub's thread has used.
    pub cpu: Duration,
    /// The hub's memory.
    pub memory: Memory,
}

/// The memory of a hub, without what the system keeps for its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Bytes taken at the start. The logs are most of them, and use no memory before they are
    /// written.
    pub fixed: usize,
    /// Bytes for one connection in one room that has nothing half read and nothing half written.
    pub per_connection: usize,
    /// Bytes that hold what is half read or half written, over all connections, now.
    pub buffers: usize,
}

impl Memory {
    /// Bytes for one connection with its share of the buffers in use.
    #[must_use]
    pub fn per_connection_now(&self, connections: usize) -> usize {
        self.per_connection + self.buffers.checked_div(connections).unwrap_or(0)
    }
}
