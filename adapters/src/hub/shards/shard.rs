//! A shard's thread: reads and writes its sockets as the hub's loop orders.
//!
//! Knows bytes and readiness, no message. What the system does not take it keeps, and what it reads
//! it hands on: both within bounds that the loop counts.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token, Waker};
use rustix::time::{ClockId, clock_gettime};
use slab::Slab;

use super::orders::{LaneId, Order, Orders, Pieces};
use super::report::{Note, Report};
use super::{READ_AHEAD, SPARE, WAKE};
use crate::hub::memory::Buffers;
use crate::hub::socket::Socket;

/// How many events one turn takes from the system.
const EVENTS: usize = 1024;

/// How long what was written before the end of a connection may take to be gone.
const LINGER: Duration = Duration::from_secs(1);

/// No lane.
const NOBODY: usize = usize::MAX;

/// One connection.
#[derive(Debug)]
struct Lane {
    id: LaneId,
    socket: Socket,
    writable: bool,
    readable: bool,
    /// The end of the stream, or an error, lies behind what is to be read.
    ending: bool,
    /// In the queue of reads.
    queued: bool,
    /// How many bytes may be read.
    allowed: usize,
    /// What the system did not take, from `at` on.
    pending: Vec<u8>,
    at: usize,
    /// What becomes of it once nothing is pending.
    after: After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    /// This side ends.
    End,
    /// Over, at the latest then. The loop knows it no more.
    Close {
        by: Instant,
    },
}

pub(super) struct Shard {
    poll: Poll,
    orders: Receiver<Orders>,
    reports: Sender<Report>,
    /// The hub's loop.
    hub: Arc<Waker>,
    lanes: Slab<Lane>,
    /// The lane of each of the loop's places.
    places: Vec<usize>,
    reads: VecDeque<usize>,
    closing: usize,
    report: Report,
    spare: Vec<Report>,
    buffers: Buffers,
    room: Box<[u8]>,
}

impl Shard {
    pub(super) fn new(
        poll: Poll,
        orders: Receiver<Orders>,
        reports: Sender<Report>,
        hub: Arc<Waker>,
    ) -> Self {
        Self {
            poll,
            orders,
            reports,
            hub,
            lanes: Slab::new(),
            places: Vec::new(),
            reads: VecDeque::new(),
            closing: 0,
            report: Report::default(),
            spare: Vec::new(),
            buffers: Buffers::new(),
            room: vec![0; READ_AHEAD].into(),
        }
    }

    /// Until the loop is gone, and what lingers with it.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                self.note(event);
            }
            let is_over = loop {
                match self.orders.try_recv() {
                    Ok(orders) => self.carry_out(orders),
                    Err(TryRecvError::Empty) => break false,
                    Err(TryRecvError::Disconnected) => break true,
                }
            };
            for _ in 0..self.reads.len() {
                if let Some(at) = self.reads.pop_front() {
                    self.read(at);
                }
            }
            self.end_closing();
            if is_over && self.closing == 0 {
                return Ok(());
            }
            if !self.report.notes.is_empty() {
                self.tell()?;
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        match (self.reads.is_empty(), self.closing) {
            (false, _) => Some(Duration::ZERO),
            (true, 0) => None,
            (true, _) => Some(LINGER / 4),
        }
    }

    fn note(&mut self, event: &Event) {
        let Token(token) = event.token();
        let Some(at) = token.checked_sub(WAKE.0 + 1) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(at) else {
            return;
        };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            lane.readable = true;
            lane.ending |= event.is_read_closed() || event.is_error();
        }
        let is_writable = event.is_writable() || event.is_write_closed() || event.is_error();
        if is_writable && !lane.writable {
            lane.writable = true;
            self.write(at, None);
        }
        self.queue(at);
    }

    fn queue(&mut self, at: usize) {
        if let Some(lane) = self.lanes.get_mut(at)
            && lane.readable
            && lane.allowed > 0
            && !std::mem::replace(&mut lane.queued, true)
        {
            self.reads.push_back(at);
        }
    }

    fn carry_out(&mut self, mut orders: Orders) {
        self.spare.append(&mut orders.done);
        for order in orders.list.drain(..) {
            match order {
                Order::Open { lane, socket } => self.open(lane, socket),
                Order::Send { lane, pieces } => {
                    if let Some(at) = self.place(lane) {
                        self.write(at, Some((&orders.bytes, pieces)));
                    }
                }
                Order::Allow { lane, bytes } => {
                    if let Some(at) = self.place(lane) {
                        self.lanes[at].allowed += bytes;
                        self.queue(at);
                    }
                }
                Order::End { lane } => {
                    if let Some(at) = self.place(lane) {
                        self.lanes[at].after = After::End;
                        self.settle(at);
                    }
                }
                Order::Close { lane } => {
                    if let Some(at) = self.place(lane) {
                        self.places[lane.key] = NOBODY;
                        self.closing += 1;
                        let by = Instant::now() + LINGER;
                        self.lanes[at].after = After::Close { by };
                        self.settle(at);
                    }
                }
            }
        }
        orders.clear();
        if self.report.done.len() < SPARE {
            self.report.done.push(orders);
        }
    }

    /// The lane that the loop means, if it is not lost by now.
    fn place(&self, id: LaneId) -> Option<usize> {
        let at = *self.places.get(id.key)?;
        let lane = self.lanes.get(at)?;
        (lane.id == id).then_some(at)
    }

    fn open(&mut self, id: LaneId, mut socket: Socket) {
        let slot = self.lanes.vacant_entry();
        let at = slot.key();
        if let Err(error) = socket.register(self.poll.registry(), Token(WAKE.0 + 1 + at)) {
            let (lane, kind) = (id, error.kind());
            self.report.notes.push(Note::Failed { lane, kind });
            return;
        }
        slot.insert(Lane {
            id,
            socket,
            writable: true,
            readable: false,
            ending: false,
            queued: false,
            allowed: READ_AHEAD,
            pending: Vec::new(),
            at: 0,
            after: After::Nothing,
        });
        if self.places.len() <= id.key {
            self.places.resize(id.key + 1, NOBODY);
        }
        self.places[id.key] = at;
    }

    /// Writes what is pending, then `more`; keeps what the system does not take.
    fn write(&mut self, at: usize, more: Option<(&[u8], Pieces)>) {
        let lane = &mut self.lanes[at];
        let [mut a, mut b, mut c]: [&[u8]; 3] = match more {
            Some((bytes, pieces)) => pieces.map(|piece| &bytes[piece]),
            None => [&[]; 3],
        };
        let mut wrote = 0;
        let mut lost = None;
        while lane.writable {
            let rest = &lane.pending[lane.at..];
            if rest.len() + a.len() + b.len() + c.len() == 0 {
                break;
            }
            let mut taken = match lane.socket.write([rest, a, b, c]) {
                Ok(taken) => taken,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    lane.writable = false;
                    break;
                }
                Err(e) => {
                    lost = Some(e.kind());
                    break;
                }
            };
            wrote += taken;
            let of_rest = taken.min(rest.len());
            lane.at += of_rest;
            taken -= of_rest;
            for piece in [&mut a, &mut b, &mut c] {
                let of_piece = taken.min(piece.len());
                *piece = &piece[of_piece..];
                taken -= of_piece;
            }
        }
        if let Some(kind) = lost {
            return self.fail(at, kind);
        }
        if lane.at == lane.pending.len() {
            lane.at = 0;
            self.buffers.release(&mut lane.pending);
        }
        for piece in [a, b, c] {
            self.buffers.add(&mut lane.pending, piece);
        }
        if wrote > 0 && !matches!(lane.after, After::Close { .. }) {
            let (lane, len) = (lane.id, wrote);
            self.report.notes.push(Note::Wrote { lane, len });
        }
        self.settle(at);
    }

    /// What was to come after the last write, comes.
    fn settle(&mut self, at: usize) {
        let Some(lane) = self.lanes.get_mut(at) else {
            return;
        };
        if lane.at < lane.pending.len() {
            return;
        }
        match lane.after {
            After::Nothing => {}
            After::End => {
                lane.after = After::Nothing;
                // One that is lost already is told by a read.
                let _ = lane.socket.end();
            }
            After::Close { .. } => {
                // What lies there unread would make the close a reset. The outcome changes nothing.
                let _ = lane.socket.read(&mut self.room);
                self.closing -= 1;
                self.remove(at);
            }
        }
    }

    fn fail(&mut self, at: usize, kind: io::ErrorKind) {
        let lane = &self.lanes[at];
        match lane.after {
            After::Close { .. } => self.closing -= 1,
            After::Nothing | After::End => {
                let lane = lane.id;
                self.places[lane.key] = NOBODY;
                self.report.notes.push(Note::Failed { lane, kind });
            }
        }
        self.remove(at);
    }

    fn remove(&mut self, at: usize) {
        let mut lane = self.lanes.remove(at);
        self.buffers.release(&mut lane.pending);
        // Closing the descriptor does the same a moment later.
        let _ = lane.socket.deregister(self.poll.registry());
    }

    /// Reads once, as much as the loop allows.
    fn read(&mut self, at: usize) {
        let Some(lane) = self.lanes.get_mut(at) else {
            return;
        };
        lane.queued = false;
        if matches!(lane.after, After::Close { .. }) || !lane.readable {
            return;
        }
        let room = &mut self.room[..lane.allowed.min(READ_AHEAD)];
        if room.is_empty() {
            return;
        }
        let id = lane.id;
        match lane.socket.read(room) {
            Ok(0) => {
                lane.readable = false;
                self.report.notes.push(Note::Ended { lane: id });
            }
            Ok(len) => {
                lane.allowed -= len;
                lane.readable = len == room.len() || lane.ending;
                self.report.bytes.extend_from_slice(&room[..len]);
                self.report.notes.push(Note::Read { lane: id, len });
                self.queue(at);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => self.queue(at),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => lane.readable = false,
            Err(e) => self.fail(at, e.kind()),
        }
    }

    /// Ends what lingered for too long.
    fn end_closing(&mut self) {
        if self.closing == 0 {
            return;
        }
        let now = Instant::now();
        for at in 0..self.lanes.capacity() {
            if let Some(lane) = self.lanes.get(at)
                && matches!(lane.after, After::Close { by } if by <= now)
            {
                self.closing -= 1;
                self.remove(at);
            }
        }
    }

    fn tell(&mut self) -> io::Result<()> {
        let next = self.spare.pop().unwrap_or_default();
        let mut report = std::mem::replace(&mut self.report, next);
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        report.cpu = cpu.try_into().unwrap_or_default();
        report.kept = self.buffers.in_use();
        match self.reports.send(report) {
            Ok(()) => self.hub.wake(),
            // The loop is gone, which the next look at its orders tells.
            Err(_) => Ok(()),
        }
    }
}
