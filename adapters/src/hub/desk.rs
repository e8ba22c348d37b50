//! What every connection is served with: the chat machine, the shared buffers, the time.

use halloo_core::chat::Hub;
use halloo_core::frame::{Framing, Length32};
use halloo_core::time::{Duration, Instant};
use halloo_core::wire::{MAX_CONTROL, MAX_EXTENSION_BYTES};

use super::HubConfig;
use super::durable::Kept;
use super::memory::Buffers;
use super::tutorial;

/// How many bytes one connection may hand in per turn.
pub(super) const READ_SHARE: usize = 16 * 1024;

/// The bytes that are gathered for one write.
const OUT: usize = 8 * 1024;

/// The largest datagram.
const DATAGRAM: usize = 64 * 1024;

/// How many runs of entries one connection gets per turn.
const RUNS: usize = 4;

/// What stands in a `Post` beside its body: kind, slot, sequence, length.
const POST_OVERHEAD: usize = 1 + 1 + 4 + 2;

#[derive(Debug)]
pub(super) struct Desk<'s> {
    pub(super) hub: Hub<'s>,
    pub(super) journal: Option<Kept>,
    pub(super) buffers: Buffers,
    /// Holds what one connection has half read and one share on top.
    pub(super) room: Box<[u8]>,
    pub(super) out: Box<[u8]>,
    /// What a client of the tutorial is told.
    pub(super) text: Vec<u8>,
    pub(super) now: Instant,
    /// The longest payload of a frame that is taken.
    pub(super) frame_limit: usize,
    /// The longest JSON object that is taken.
    pub(super) object_limit: usize,
    pub(super) send_share: usize,
    pub(super) frame_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) echo_idle: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) echoed: u64,
    pub(super) datagrams_dropped: u64,
}

impl<'s> Desk<'s> {
    pub(super) fn new(hub: Hub<'s>, journal: Option<Kept>, config: &HubConfig) -> Self {
        let frame_limit = frame_limit(config.max_body);
        // After `Busy` a share may lie there that begins with the rest of one before it.
        let object_limit = tutorial::limit(config.max_body);
        let room = object_limit.max(frame_limit + Length32::HEADER) + READ_SHARE;
        Self {
            hub,
            journal,
            buffers: Buffers::new(),
            room: vec![0; room.max(DATAGRAM)].into(),
            out: vec![0; OUT].into(),
            text: Vec::new(),
            now: Instant::from_ticks(0),
            frame_limit,
            object_limit,
            send_share: config.run_bytes.saturating_mul(RUNS).max(1),
            frame_timeout: fugit(config.frame_timeout),
            write_timeout: fugit(config.write_timeout),
            echo_idle: fugit(config.echo_idle),
            drain_timeout: fugit(config.drain_timeout),
            echoed: 0,
            datagrams_dropped: 0,
        }
    }

    /// The bytes of the shared buffers.
    pub(super) const fn bytes(&self) -> usize {
        self.room.len() + self.out.len()
    }
}

/// The longest message that a device may send: a `Post`, or one without body.
const fn frame_limit(max_body: u16) -> usize {
    let post = POST_OVERHEAD + max_body as usize + MAX_EXTENSION_BYTES;
    if post > MAX_CONTROL {
        post
    } else {
        MAX_CONTROL
    }
}

/// A span of the standard library as the machines count it; saturates.
pub(super) fn fugit(span: std::time::Duration) -> Duration {
    Duration::from_ticks(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}
