//! The memory of the chat machine, and the few buffers that come and go.

use halloo_core::chat::hub::{Conn, Member, Pending, Room, Storage};
use halloo_core::chat::log::IndexSlot;

use super::HubConfig;
use super::connection::Connection;

/// How many posts a turn takes before it has to commit.
const PENDING: usize = 4096;

/// How many unused buffers are kept, and the largest that is.
const SPARE: usize = 64;
const SPARE_BYTES: usize = 64 * 1024;

/// How many lie there from the start.
const READY: usize = 16;

/// The least that a buffer has, so that whichever is taken again rarely has to grow.
const LEAST_BYTES: usize = 1024;

/// What the chat machine borrows. The logs are zeroed by the system when they are first written.
#[derive(Debug)]
pub(super) struct Slots {
    conns: Vec<Conn>,
    members: Vec<Member>,
    rooms: Vec<Room>,
    bytes: Vec<u8>,
    index: Vec<IndexSlot>,
    pending: Vec<Pending>,
}

impl Slots {
    pub(super) fn new(config: &HubConfig) -> Self {
        Self {
            conns: vec![Conn::FREE; config.max_connections],
            members: vec![Member::FREE; config.members],
            rooms: vec![Room::FREE; config.rooms],
            bytes: vec![0; config.rooms.saturating_mul(config.log_bytes)],
            index: vec![[0; 4]; config.rooms.saturating_mul(config.log_entries)],
            pending: vec![Pending::FREE; PENDING],
        }
    }

    pub(super) fn lend(&mut self) -> Storage<'_> {
        Storage {
            conns: &mut self.conns,
            members: &mut self.members,
            rooms: &mut self.rooms,
            bytes: &mut self.bytes,
            index: &mut self.index,
            pending: &mut self.pending,
        }
    }

    /// How many bytes all of it has.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.conns)
            + size_of_val(&*self.members)
            + size_of_val(&*self.rooms)
            + size_of_val(&*self.bytes)
            + size_of_val(&*self.index)
            + size_of_val(&*self.pending)
    }
}

/// The bytes of one connection in one room, without buffers: its slots, its socket's state, and its
/// numbers in the table of places and the two queues of the loop.
pub(super) const PER_CONNECTION: usize = size_of::<Conn>()
    + size_of::<Member>()
    + size_of::<Option<Connection>>()
    + 3 * size_of::<usize>();

/// Where buffers for half-read and half-written bytes come from and go to.
///
/// A few are kept, so that a steady stream of messages allocates nothing until more connections
/// than ever before are half-way at the same time.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    spare: Vec<Vec<u8>>,
    in_use: usize,
}

impl Buffers {
    pub(super) fn new() -> Self {
        let mut spare = Vec::with_capacity(SPARE);
        spare.resize_with(READY, new_buffer);
        Self { spare, in_use: 0 }
    }

    /// Makes `buffer` hold `bytes` and nothing else.
    pub(super) fn keep(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if bytes.is_empty() {
            self.release(buffer);
            return;
        }
        buffer.clear();
        self.add(buffer, bytes);
    }

    /// Adds `bytes` to what `buffer` holds.
    pub(super) fn add(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let before = buffer.capacity();
        if before == 0 {
            *buffer = self.spare.pop().unwrap_or_else(new_buffer);
        }
        buffer.extend_from_slice(bytes);
        self.in_use = self.in_use + buffer.capacity() - before;
    }

    /// Takes the memory of `buffer` back.
    pub(super) fn release(&mut self, buffer: &mut Vec<u8>) {
        if buffer.capacity() == 0 {
            return;
        }
        self.in_use -= buffer.capacity();
        let mut buffer = std::mem::take(buffer);
        if self.spare.len() < SPARE && buffer.capacity() <= SPARE_BYTES {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// How many bytes connections hold.
    pub(super) const fn in_use(&self) -> usize {
        self.in_use
    }
}

fn new_buffer() -> Vec<u8> {
    Vec::with_capacity(LEAST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_buffer_is_used_again_and_its_bytes_are_counted_once() {
        let mut buffers = Buffers::new();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        buffers.keep(&mut a, &[1; 100]);
        let capacity = a.capacity();
        assert_eq!(buffers.in_use(), capacity);
        buffers.add(&mut a, &[]);
        buffers.keep(&mut a, &[]);
        assert_eq!((a.capacity(), buffers.in_use()), (0, 0));
        buffers.keep(&mut b, &[2; 7]);
        assert_eq!((b.capacity(), buffers.in_use()), (capacity, capacity));
        assert_eq!(b, [2; 7]);
        buffers.add(&mut b, &[3; 2000]);
        assert_eq!(buffers.in_use(), b.capacity());
        buffers.release(&mut b);
        buffers.release(&mut b);
        assert_eq!(buffers.in_use(), 0);
    }
}
