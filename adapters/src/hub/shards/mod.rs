//! Shards: threads that read and write sockets for the hub's loop.
//!
//! There is one machine, on the loop's thread: it alone knows rooms, orders posts and acknowledges
//! them. So all rooms are reachable from all shards, and nothing is to be kept in step between them.
//! What costs is the system's work on sockets, and that is what is spread. Both sides hand over once
//! a turn: orders with the bytes for them one way, reports with what was read the other way. A run of
//! entries is handed over once for all members of a shard.

mod carried;
mod orders;
mod report;
mod shard;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Poll, Token, Waker};

use super::desk::READ_SHARE;
pub(super) use carried::Carried;
pub(super) use orders::LaneId;
use orders::Orders;
use report::{Note, Report};
use shard::Shard;

/// The token of a shard's waker.
const WAKE: Token = Token(0);

/// How many bytes a shard reads from a connection before the machine has taken them.
const READ_AHEAD: usize = READ_SHARE;

/// How many bytes a shard keeps for a connection that the system has not taken.
const WRITE_AHEAD: usize = 64 * 1024;

/// How many used-up orders are kept.
const SPARE: usize = 8;

/// What a shard tells of one connection.
#[derive(Debug)]
pub(super) enum Told<'a> {
    Read(&'a [u8]),
    Wrote(usize),
    Ended,
    Failed(io::ErrorKind),
}

/// All shards but the loop itself.
#[derive(Debug)]
pub(super) struct Shards {
    threads: Vec<Thread>,
    stamp: u32,
}

#[derive(Debug)]
struct Thread {
    orders: Rc<RefCell<Orders>>,
    /// `None` once the thread is to end.
    to: Option<Sender<Orders>>,
    from: Receiver<Report>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<io::Result<()>>>,
    spare: Vec<Orders>,
    cpu: Duration,
    kept: usize,
}

impl Shards {
    /// Starts `count` threads that wake `hub`.
    pub(super) fn start(count: usize, hub: &Arc<Waker>) -> io::Result<Self> {
        let mut threads = Vec::with_capacity(count);
        for number in 1..=count {
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
            let (to, orders) = channel();
            let (reports, from) = channel();
            let hub = Arc::clone(hub);
            let thread = thread::Builder::new()
                .name(format!("halloo-shard-{number}"))
                .spawn(move || Shard::new(poll, orders, reports, hub).run())?;
            threads.push(Thread {
                orders: Rc::default(),
                to: Some(to),
                from,
                waker,
                thread: Some(thread),
                spare: Vec::new(),
                cpu: Duration::ZERO,
                kept: 0,
            });
        }
        Ok(Self { threads, stamp: 0 })
    }

    /// Whether the loop is the only one.
    pub(super) const fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// A place for a connection with the shard of that number, modulo their count; `None` is the
    /// loop's own.
    pub(super) fn lane(&mut self, number: usize, key: usize) -> Option<Carried> {
        let number = number % (self.threads.len() + 1);
        let thread = self.threads.get(number.checked_sub(1)?)?;
        self.stamp = self.stamp.wrapping_add(1);
        let stamp = self.stamp;
        let lane = LaneId { key, stamp };
        Some(Carried::new(lane, Rc::clone(&thread.orders)))
    }

    /// Hands over what was ordered in this turn.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        for thread in &mut self.threads {
            if thread.orders.borrow().is_empty() {
                continue;
            }
            let next = thread.spare.pop().unwrap_or_default();
            let orders = thread.orders.replace(next);
            if let Some(to) = &thread.to {
                to.send(orders).map_err(|_| over())?;
                thread.waker.wake()?;
            }
        }
        Ok(())
    }

    /// Takes what the shards have told since.
    pub(super) fn take(&mut self, mut told: impl FnMut(LaneId, Told<'_>)) -> io::Result<()> {
        for thread in &mut self.threads {
            loop {
                let mut report = match thread.from.try_recv() {
                    Ok(report) => report,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err(over()),
                };
                let mut at = 0;
                for note in report.notes.drain(..) {
                    match note {
                        Note::Read { lane, len } => {
                            told(lane, Told::Read(&report.bytes[at..at + len]));
                            at += len;
                        }
                        Note::Wrote { lane, len } => told(lane, Told::Wrote(len)),
                        Note::Ended { lane } => told(lane, Told::Ended),
                        Note::Failed { lane, kind } => told(lane, Told::Failed(kind)),
                    }
                }
                (thread.cpu, thread.kept) = (report.cpu, report.kept);
                thread.spare.append(&mut report.done);
                thread.spare.truncate(SPARE);
                report.clear();
                thread.orders.borrow_mut().done.push(report);
            }
        }
        Ok(())
    }

    /// The processor's time that all of them have used, and the bytes that they keep.
    pub(super) fn usage(&self) -> (Duration, usize) {
        let cpu = self.threads.iter().map(|thread| thread.cpu).sum();
        (cpu, self.threads.iter().map(|thread| thread.kept).sum())
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            thread.to = None;
            // Where this fails, it ends by its next event.
            let _ = thread.waker.wake();
            if let Some(thread) = thread.thread.take()
                && let Ok(Err(error)) = thread.join()
            {
                tracing::warn!(%error, "a shard ended early");
            }
        }
    }
}

/// A shard that is gone takes its connections with it.
fn over() -> io::Error {
    io::Error::other("a shard ended")
}
