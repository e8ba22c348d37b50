//! One connection of the hub: its socket, what is half read, what is half written.
//!
//! Knows bytes and readiness. Readiness is told by the system only once (edge-triggered), so it is
//! remembered here until a read or a write finds that there is no more.

use std::io;

use halloo_core::chat::hub::ConnId;
use halloo_core::time::{Duration, Instant, after, since};
use mio::{Registry, Token};

use super::durable::FIRST_RUN;
use super::memory::Buffers;
use super::shards::Carried;
use super::socket::Socket;
use super::tutorial::Gateway;

/// Where a connection's bytes go and come from.
#[derive(Debug)]
pub(super) enum Stream {
    /// A socket that this loop reads and writes itself.
    Here(Socket),
    /// A socket that another shard reads and writes.
    There(Carried),
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Chat(ConnId),
    /// Echo or a greeting, as the listener of that number says.
    Echo {
        listener: usize,
    },
}

/// How far the reading side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The system will say when there is more.
    Waiting,
    /// There may be more; `ending`: and then, the end.
    Ready { ending: bool },
    /// The peer sends no more.
    Ended,
}

/// How far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// Broke the framing: nothing that it sends is looked at any more.
    Deaf,
    /// What is pending is written, then this side of the stream ends.
    Finishing,
    /// This side has ended. What still comes is thrown away, since closing with bytes unread would
    /// reset the connection and take the last words from the peer.
    Draining,
}

/// What came of writing or reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Nothing is left to do until the system or the chat machine says so.
    Idle,
    /// There is more to do, and others come first.
    More,
    /// The connection is over.
    Over,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) role: Role,
    /// Of a chat connection that speaks the tutorial's JSON.
    pub(super) gateway: Option<Box<Gateway>>,
    pub(super) stage: Stage,
    pub(super) reading: Reading,
    /// Whether the system may take more.
    pub(super) writable: bool,
    /// The client of a gateway has gone and hears no more. What it said before is obeyed still: many
    /// say it and close, with the hub's words unread, which resets the connection.
    is_unheard: bool,
    /// The chat machine has to send or to commit before it takes what `inbox` begins with.
    pub(super) busy: bool,
    /// With the shard that it stays with.
    pub(super) is_settled: bool,
    /// In the loop's queues.
    pub(super) in_queue: bool,
    pub(super) out_queue: bool,
    /// What was read and is not used yet: the beginning of a frame, or frames if `busy`.
    pub(super) inbox: Vec<u8>,
    /// What has to be written first, from `pending_at` on.
    pending: Vec<u8>,
    pending_at: usize,
    /// About how many bytes the system takes at a time.
    pub(super) takes: usize,
    /// When the frame in `inbox` must be whole, or an echo's peer must have said something.
    pub(super) read_due: Option<Instant>,
    /// When a write must have made progress, or the peer of a drained connection be gone.
    pub(super) write_due: Option<Instant>,
    /// When something was last read.
    pub(super) heard: Instant,
}

impl Connection {
    pub(super) const fn new(stream: Stream, role: Role, now: Instant) -> Self {
        Self {
            stream,
            role,
            gateway: None,
            stage: Stage::Open,
            reading: Reading::Waiting,
            writable: true,
            is_unheard: false,
            busy: false,
            is_settled: false,
            in_queue: false,
            out_queue: false,
            inbox: Vec::new(),
            pending: Vec::new(),
            pending_at: 0,
            takes: FIRST_RUN,
            read_due: None,
            write_due: None,
            heard: now,
        }
    }

    /// Reads once; `Ok(0)` if there is nothing, which `reading` then tells apart from the end.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Reading::Ready { ending } = self.reading else {
            return Ok(0);
        };
        loop {
            match self.stream.read(room) {
                Ok(0) => self.reading = Reading::Ended,
                // Less than there was room for is all there is, but the end may follow it.
                Ok(n) => {
                    if n < room.len() && !ending && self.stream.is_stream() {
                        self.reading = Reading::Waiting;
                    }
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.reading = Reading::Waiting,
                Err(e) if self.is_clients_end(&e) => {
                    self.is_unheard = true;
                    self.reading = Reading::Ended;
                }
                Err(e) => return Err(e),
            }
            return Ok(0);
        }
    }

    /// Writes once, all pieces in one call; how many bytes were taken.
    ///
    /// Takes all for a client of a gateway that has gone.
    pub(super) fn write(&mut self, pieces: [&[u8]; 3]) -> io::Result<usize> {
        if self.is_unheard {
            return Ok(pieces.iter().map(|piece| piece.len()).sum());
        }
        if !self.writable {
            return Ok(0);
        }
        loop {
            match self.stream.write(pieces) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false;
                    return Ok(0);
                }
                Err(e) if self.is_clients_end(&e) => {
                    self.is_unheard = true;
                    return self.write(pieces);
                }
                other => return other,
            }
        }
    }

    fn is_clients_end(&self, error: &io::Error) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        self.gateway.is_some() && matches!(error.kind(), BrokenPipe | ConnectionReset)
    }

    /// Whether nobody hears it, and all that it said is obeyed.
    pub(super) fn is_done_for(&self) -> bool {
        self.is_unheard && self.reading == Reading::Ended && !self.busy
    }

    /// Writes what is pending until all is gone or the system takes no more.
    pub(super) fn flush(&mut self, buffers: &mut Buffers) -> io::Result<usize> {
        let mut total = 0;
        while self.has_pending() && self.writable {
            let pending = std::mem::take(&mut self.pending);
            let written = self.write([&pending[self.pending_at..], &[], &[]]);
            self.pending = pending;
            let written = written?;
            self.pending_at += written;
            total += written;
            if written == 0 {
                break;
            }
        }
        if !self.has_pending() {
            self.pending_at = 0;
            buffers.release(&mut self.pending);
        }
        Ok(total)
    }

    /// Keeps `bytes` to be written before anything else.
    pub(super) fn postpone(&mut self, buffers: &mut Buffers, bytes: &[u8]) {
        buffers.add(&mut self.pending, bytes);
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pending_at < self.pending.len()
    }

    /// Sets the deadline for writing: `limit` from the last progress on while the system takes no
    /// more.
    pub(super) fn watch_write(&mut self, progress: bool, limit: Instant) {
        if self.writable && !self.has_pending() {
            self.write_due = None;
        } else if progress || self.write_due.is_none() {
            self.write_due = Some(limit);
        }
    }

    /// Whether a chat device that takes nothing has said something within `limit`; then it is slow,
    /// not gone, and costs no more for waiting. A client of the tutorial has no keepalive to say:
    /// whether it is gone, TCP finds out.
    pub(super) fn extend_write(&mut self, now: Instant, limit: Duration) -> bool {
        if !matches!((self.role, self.stage), (Role::Chat(_), Stage::Open)) {
            return false;
        }
        let heard = match self.gateway {
            Some(_) => now,
            None => self.heard,
        };
        let is_slow = since(now, heard) < limit;
        if is_slow {
            self.write_due = Some(after(heard, limit));
        }
        is_slow
    }

    /// Gives all memory back.
    pub(super) fn release(&mut self, buffers: &mut Buffers) {
        if let Stream::There(carried) = &mut self.stream {
            carried.release(buffers);
        }
        buffers.release(&mut self.inbox);
        buffers.release(&mut self.pending);
    }

    /// Gives back the memory of what another shard handed over, once all of it was read.
    pub(super) fn release_carried(&mut self, buffers: &mut Buffers) {
        if let Stream::There(carried) = &mut self.stream {
            carried.release_read(buffers);
        }
    }

    /// In the stage `Finishing`: once nothing is pending, ends this side of the stream and waits
    /// until `drained` for the other side to end.
    pub(super) fn finish(&mut self, drained: Instant) -> Flow {
        if self.has_pending() {
            return Flow::Idle;
        }
        if self.reading == Reading::Ended || self.stream.end().is_err() {
            return Flow::Over;
        }
        self.stage = Stage::Draining;
        self.read_due = None;
        self.write_due = Some(drained);
        // Bytes may lie there unread.
        if self.reading == Reading::Waiting {
            self.reading = Reading::Ready { ending: false };
        }
        Flow::More
    }

    /// Reads once and throws it away; over at the end of the stream.
    pub(super) fn drain(&mut self, room: &mut [u8]) -> io::Result<Flow> {
        self.read(room)?;
        Ok(match self.reading {
            Reading::Waiting => Flow::Idle,
            Reading::Ready { .. } => Flow::More,
            Reading::Ended if self.stage == Stage::Draining => Flow::Over,
            Reading::Ended => Flow::Idle,
        })
    }
}

impl Stream {
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Here(socket) => socket.register(registry, token),
            Self::There(_) => Ok(()),
        }
    }

    /// Nothing of it is told any more.
    pub(super) fn close(self, registry: &Registry) {
        match self {
            Self::Here(mut socket) => {
                // Closing the descriptor does the same a moment later.
                let _ = socket.deregister(registry);
            }
            Self::There(carried) => carried.close(),
        }
    }

    const fn is_stream(&self) -> bool {
        match self {
            Self::Here(socket) => socket.is_stream(),
            Self::There(_) => true,
        }
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Here(socket) => socket.read(room),
            Self::There(carried) => carried.read(room),
        }
    }

    fn write(&mut self, pieces: [&[u8]; 3]) -> io::Result<usize> {
        match self {
            Self::Here(socket) => socket.write(pieces),
            Self::There(carried) => carried.write(pieces),
        }
    }

    fn end(&self) -> io::Result<()> {
        match self {
            Self::Here(socket) => socket.end(),
            Self::There(carried) => {
                carried.end();
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use halloo_core::chat::Hub;
    use halloo_core::time::millis;
    use mio::net::UnixStream;

    use super::*;
    use crate::hub::HubConfig;
    use crate::hub::memory::Slots;

    #[test]
    fn a_chat_device_that_takes_nothing_and_speaks_is_slow_and_one_that_is_silent_is_gone() {
        let at = |ms| after(Instant::from_ticks(0), millis(ms));
        let (stream, _peer) = UnixStream::pair().unwrap();
        let config = HubConfig {
            max_connections: 1,
            ..HubConfig::default()
        };
        let mut slots = Slots::new(&config);
        let id = Hub::new(config.machine().unwrap(), slots.lend()).connect(at(0));
        let role = Role::Chat(id.unwrap());
        let mut conn = Connection::new(Stream::Here(Socket::Unix(stream)), role, at(0));
        conn.writable = false;
        conn.watch_write(false, at(100));
        conn.heard = at(60);
        assert!(conn.extend_write(at(100), millis(100)));
        assert_eq!(conn.write_due, Some(at(160)));
        assert!(!conn.extend_write(at(160), millis(100)));
        conn.heard = at(160);
        conn.stage = Stage::Finishing;
        assert!(
            !conn.extend_write(at(160), millis(100)),
            "it was told its last word"
        );
        conn.stage = Stage::Open;
        conn.role = Role::Echo { listener: 0 };
        assert!(
            !conn.extend_write(at(160), millis(100)),
            "an echo owes its peer no patience"
        );
    }
}
