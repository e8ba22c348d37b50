//! A connection whose socket another shard reads and writes, as the hub's loop sees it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::orders::{LaneId, Order, Orders};
use super::{READ_AHEAD, WRITE_AHEAD};
use crate::hub::memory::Buffers;
use crate::hub::socket::Socket;

/// Like a socket that does not block: what is written lies with the shard until the system takes it,
/// and the shard reads ahead. Both are bounded.
#[derive(Debug)]
pub(in crate::hub) struct Carried {
    lane: LaneId,
    orders: Rc<RefCell<Orders>>,
    /// How much more the shard takes.
    room: usize,
    /// What it read, from `at` on.
    inbox: Vec<u8>,
    at: usize,
    end: End,
}

/// How the peer's side of the stream is.
#[derive(Debug)]
enum End {
    Open,
    Ended,
    Failed(io::ErrorKind),
}

impl Carried {
    pub(super) const fn new(lane: LaneId, orders: Rc<RefCell<Orders>>) -> Self {
        Self {
            lane,
            orders,
            room: WRITE_AHEAD,
            inbox: Vec::new(),
            at: 0,
            end: End::Open,
        }
    }

    /// The shard gets the socket.
    pub(in crate::hub) fn open(&self, socket: Socket) {
        let open = Order::Open {
            lane: self.lane,
            socket,
        };
        self.orders.borrow_mut().list.push(open);
    }

    pub(in crate::hub) const fn lane(&self) -> LaneId {
        self.lane
    }

    pub(in crate::hub) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let rest = &self.inbox[self.at..];
        let len = rest.len().min(room.len());
        if len == 0 {
            return match self.end {
                End::Open => Err(io::ErrorKind::WouldBlock.into()),
                End::Ended => Ok(0),
                End::Failed(kind) => Err(kind.into()),
            };
        }
        room[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        let (lane, bytes) = (self.lane, len);
        let order = Order::Allow { lane, bytes };
        self.orders.borrow_mut().list.push(order);
        Ok(len)
    }

    pub(in crate::hub) fn write(&mut self, pieces: [&[u8]; 3]) -> io::Result<usize> {
        if let End::Failed(kind) = self.end {
            return Err(kind.into());
        }
        if self.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let sent = self.orders.borrow_mut().send(self.lane, pieces, self.room);
        self.room -= sent;
        Ok(sent)
    }

    /// Gives the memory back of what was read, if that is all.
    pub(in crate::hub) fn release_read(&mut self, buffers: &mut Buffers) {
        if self.at == self.inbox.len() {
            self.release(buffers);
        }
    }

    /// Gives all memory back.
    pub(in crate::hub) fn release(&mut self, buffers: &mut Buffers) {
        self.at = 0;
        buffers.release(&mut self.inbox);
    }

    pub(in crate::hub) fn end(&self) {
        let lane = self.lane;
        self.orders.borrow_mut().list.push(Order::End { lane });
    }

    pub(in crate::hub) fn close(self) {
        let lane = self.lane;
        self.orders.borrow_mut().list.push(Order::Close { lane });
    }

    /// The shard read `bytes`, of which it never has more than it was allowed.
    pub(in crate::hub) fn handle_read(&mut self, buffers: &mut Buffers, bytes: &[u8]) {
        debug_assert!(self.inbox.len() - self.at + bytes.len() <= READ_AHEAD);
        buffers.add(&mut self.inbox, bytes);
    }

    pub(in crate::hub) const fn handle_wrote(&mut self, bytes: usize) {
        self.room += bytes;
    }

    pub(in crate::hub) const fn handle_end(&mut self) {
        self.end = End::Ended;
    }

    pub(in crate::hub) const fn handle_failed(&mut self, kind: io::ErrorKind) {
        self.end = End::Failed(kind);
    }
}
