//! What the hub's loop hands to a shard each turn: what to do, in order, and the bytes for it.

use std::ops::Range;

use super::Report;
use crate::hub::socket::Socket;

/// Which connection of a shard: its place in the loop, and how often the places were given away by
/// then, so that nothing late is taken for a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) struct LaneId {
    pub(super) key: usize,
    pub(super) stamp: u32,
}

/// Up to three pieces of a turn's bytes, written in one call.
pub(super) type Pieces = [Range<usize>; 3];

impl LaneId {
    /// Its place in the loop.
    pub(in crate::hub) const fn key(self) -> usize {
        self.key
    }
}

#[derive(Debug)]
pub(super) enum Order {
    /// The shard has one connection more.
    Open { lane: LaneId, socket: Socket },
    /// To be written.
    Send { lane: LaneId, pieces: Pieces },
    /// So many bytes more may be read.
    Allow { lane: LaneId, bytes: usize },
    /// After all that was to be written, this side ends.
    End { lane: LaneId },
    /// Over at once.
    Close { lane: LaneId },
}

/// The orders of one turn.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) bytes: Vec<u8>,
    pub(super) list: Vec<Order>,
    /// Where a run of entries came from, and where it lies here: who gets the same run after that
    /// costs no copy.
    last: Option<(usize, Range<usize>)>,
    /// Reports that were read, to be used again.
    pub(super) done: Vec<Report>,
}

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// As new, with the memory that it has.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
        self.last = None;
        self.done.clear();
    }

    /// Adds a write of at most `room` bytes; how many it has.
    pub(super) fn send(&mut self, lane: LaneId, pieces: [&[u8]; 3], mut room: usize) -> usize {
        let [messages, head, tail] = pieces;
        let mut cut = |range: Range<usize>| {
            let len = range.len().min(room);
            room -= len;
            range.start..range.start + len
        };
        let messages = cut(self.add(messages));
        let head = cut(self.add_run(head));
        let tail = cut(self.add(tail));
        let sent = messages.len() + head.len() + tail.len();
        let pieces = [messages, head, tail];
        self.list.push(Order::Send { lane, pieces });
        sent
    }

    fn add(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Runs lie in a log, which does not change between two writes of a turn: the same place and
    /// length are the same bytes.
    fn add_run(&mut self, run: &[u8]) -> Range<usize> {
        if run.is_empty() {
            return 0..0;
        }
        let place = run.as_ptr().addr();
        if let Some((at, range)) = &self.last
            && *at == place
            && range.len() == run.len()
        {
            return range.clone();
        }
        let range = self.add(run);
        self.last = Some((place, range.clone()));
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_for_many_members_is_copied_once() {
        let log = [7; 100];
        let mut orders = Orders::default();
        let lane = LaneId { key: 1, stamp: 1 };
        assert_eq!(orders.send(lane, [b"ack", &log, &[]], 1000), 103);
        assert_eq!(orders.send(lane, [b"", &log, &[]], 1000), 100);
        assert_eq!(orders.bytes.len(), 103);
        assert_eq!(orders.send(lane, [b"", &log[..50], &log[..3]], 52), 52);
        assert_eq!(orders.bytes.len(), 156, "another run");
        let Some(Order::Send { pieces, .. }) = orders.list.pop() else {
            panic!("nothing was sent")
        };
        assert_eq!(pieces.map(|piece| orders.bytes[piece].len()), [0, 50, 2]);
    }
}
