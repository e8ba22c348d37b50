//! One serial line: frames in, one frame at a time out.

use std::io;

use halloo_core::chat::datagram;
use halloo_core::chat::hub::{Busy, ConnId, Line, Transmit};
use halloo_core::frame::{Cobs, Decoder, Framing, buffer_bytes};
use halloo_core::name::MAX_NAME;
use halloo_core::time::{Duration, Instant, after, earliest, millis};
use halloo_core::wire::{ENTRY_OVERHEAD, MAX_EXTENSION_BYTES};
use mio::Registry;

use super::super::connection::Flow;
use super::super::desk::Desk;
use super::super::durable;
use super::super::socket::Socket;
use crate::url::{Endpoint, Transport};

/// How many reads, and how many frames out, a line has in a turn.
const SHARE: usize = 16;

/// The largest datagram either way: the largest body with what stands around it.
const DATAGRAM: usize = datagram::HEADER
    + ENTRY_OVERHEAD
    + MAX_NAME
    + MAX_EXTENSION_BYTES
    + datagram::MAX_BODY as usize;

/// The largest frame.
const FRAME: usize = buffer_bytes::<Cobs>(DATAGRAM);

/// How much of what was written may still be on its way through the line when more is written: as
/// long as the loop may be late.
const SLACK: Duration = millis(10);

/// The bits that a byte takes on a line: a start bit, eight, a stop bit.
const BITS: u64 = 10;

/// So many frames that were none, and not one that was, look like a wrong rate.
const SUSPICIOUS: u32 = 16;

#[derive(Debug)]
pub(super) struct SerialLine {
    socket: Socket,
    name: Box<str>,
    /// Which port opened it, and opens it again.
    pub(super) port: Option<usize>,
    peer: Line,
    rx: Box<Decoder<Cobs, FRAME>>,
    /// A datagram that the machine could not take yet.
    busy: Option<Box<[u8]>>,
    /// The frame that is being written, from `at` on.
    out: Vec<u8>,
    at: usize,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) in_inputs: bool,
    pub(super) in_outputs: bool,
    /// When the loop looks at it, as it has noted it.
    pub(super) timer: Option<Instant>,
    /// When a write must have made progress.
    write_due: Option<Instant>,
    pace: Option<Pace>,
    /// What was written is still on its way: nothing more before then.
    paced_until: Option<Instant>,
    /// A good frame came.
    pub(super) has_heard: bool,
    damaged: u32,
    pub(super) damaged_now: u64,
}

/// The rate of a line, which buffers before it would hide.
#[derive(Debug)]
struct Pace {
    baud: u64,
    /// When all that was written is out.
    out_at: Instant,
}

impl SerialLine {
    pub(super) fn new(socket: Socket, endpoint: &Endpoint, port: Option<usize>) -> Self {
        let baud = match endpoint.transport {
            Transport::Serial(_) => Some(endpoint.options.baud.unwrap_or(crate::socket::BAUD)),
            _ => endpoint.options.baud,
        };
        Self {
            socket,
            name: endpoint.to_string().into(),
            port,
            peer: Line::new(),
            rx: Box::new(Decoder::new(Cobs::new(DATAGRAM))),
            busy: None,
            out: Vec::new(),
            at: 0,
            readable: true,
            writable: true,
            in_inputs: false,
            in_outputs: false,
            timer: None,
            write_due: None,
            pace: baud.map(|baud| Pace {
                baud: baud.max(1).into(),
                out_at: Instant::from_ticks(0),
            }),
            paced_until: None,
            has_heard: false,
            damaged: 0,
            damaged_now: 0,
        }
    }

    pub(super) fn conn(&self) -> Option<ConnId> {
        self.peer.conn()
    }

    /// Whether nobody is owed anything here.
    pub(super) fn is_quiet(&self) -> bool {
        self.peer.conn().is_none() && self.at == self.out.len()
    }

    /// When it wants to write though the system says nothing.
    pub(super) fn due(&self) -> Option<Instant> {
        earliest(self.write_due, self.paced_until)
    }

    /// Reads and hands the machine what came, a share of a turn at most.
    pub(super) fn read(&mut self, desk: &mut Desk<'_>) -> io::Result<Flow> {
        if let Some(datagram) = self.busy.take() {
            // What is not taken after a commit is as good as lost.
            let _ = self.take(desk, &datagram);
        }
        for _ in 0..SHARE {
            self.take_frames(desk);
            if self.busy.is_some() {
                return Ok(Flow::More);
            }
            if !self.readable {
                return Ok(Flow::Idle);
            }
            match self.socket.read(self.rx.room()) {
                Ok(0) => return Ok(Flow::Over),
                Ok(n) => self.rx.commit(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Flow::More)
    }

    /// Writes what was begun and what the machine owes, a frame at a time.
    pub(super) fn write(&mut self, desk: &mut Desk<'_>) -> io::Result<Flow> {
        for _ in 0..SHARE {
            self.flush(desk)?;
            if self.at < self.out.len() {
                let is_over = self.write_due.is_some_and(|due| due <= desk.now);
                return Ok(if is_over { Flow::Over } else { Flow::Idle });
            }
            self.paced_until = self.pace.as_ref().and_then(|pace| pace.wait(desk.now));
            if self.paced_until.is_some() {
                return Ok(Flow::Idle);
            }
            let Some(id) = self.peer.conn() else {
                return Ok(Flow::Idle);
            };
            let now = desk.now;
            let room = &mut desk.out[..DATAGRAM];
            let len = match desk.hub.poll_transmit(now, id, room) {
                Transmit::Message(len) => len,
                Transmit::Stored(wanted) => match durable::stored_datagram(desk, id, wanted) {
                    Some(len) => len,
                    // It is a gap or a marker, which the machine says.
                    None => continue,
                },
                Transmit::Close => {
                    self.peer.hang_up(&mut desk.hub, now);
                    return Ok(Flow::Idle);
                }
                // Only streams get entries in runs.
                Transmit::Idle | Transmit::Entries(_) => return Ok(Flow::Idle),
            };
            self.seal(&desk.out[..len]);
        }
        Ok(Flow::More)
    }

    /// The session is over, and so is the line.
    pub(super) fn close(&mut self, desk: &mut Desk<'_>, registry: &Registry) {
        self.peer.hang_up(&mut desk.hub, desk.now);
        // So that what was said last is read before the end. One that is lost already is not told.
        let _ = self.socket.end();
        let _ = self.socket.read(&mut desk.room);
        let _ = self.socket.deregister(registry);
    }

    fn take_frames(&mut self, desk: &mut Desk<'_>) {
        while self.busy.is_none() {
            let frame = match self.rx.poll_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(_) => {
                    self.heard_noise();
                    continue;
                }
            };
            self.has_heard = true;
            let datagram: Box<[u8]> = self.rx.bytes(frame).into();
            if self.take(desk, &datagram).is_err() {
                self.busy = Some(datagram);
            }
        }
    }

    fn take(&mut self, desk: &mut Desk<'_>, datagram: &[u8]) -> Result<(), Busy> {
        let (hub, now) = (&mut desk.hub, desk.now);
        let answer = self
            .peer
            .handle_datagram(hub, now, datagram, &mut desk.out)?;
        // What belongs to no session waits for nobody.
        if answer > 0 && self.at == self.out.len() {
            self.seal(&desk.out[..answer]);
        }
        Ok(())
    }

    fn heard_noise(&mut self) {
        self.damaged = self.damaged.saturating_add(1);
        self.damaged_now += 1;
        if self.damaged == SUSPICIOUS && !self.has_heard {
            let line = &*self.name;
            tracing::warn!(
                line,
                "only noise comes: check the rate (baud), the wiring and that the board speaks halloo"
            );
        }
    }

    fn seal(&mut self, datagram: &[u8]) {
        self.at = 0;
        self.out.clear();
        self.out.resize(buffer_bytes::<Cobs>(datagram.len()), 0);
        self.out[Cobs::HEADER..][..datagram.len()].copy_from_slice(datagram);
        let sealed = Cobs::new(DATAGRAM).seal(&mut self.out, datagram.len());
        // Nothing is longer than that.
        self.out.truncate(sealed.unwrap_or(0));
    }

    fn flush(&mut self, desk: &Desk<'_>) -> io::Result<()> {
        while self.at < self.out.len() {
            if !self.writable {
                self.write_due
                    .get_or_insert(after(desk.now, desk.write_timeout));
                return Ok(());
            }
            match self.socket.write([&self.out[self.at..]]) {
                Ok(n) => {
                    self.at += n;
                    self.write_due = None;
                    if let Some(pace) = &mut self.pace {
                        pace.wrote(desk.now, n);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.write_due = None;
        Ok(())
    }
}

impl Pace {
    fn wrote(&mut self, now: Instant, bytes: usize) {
        let bits = u64::try_from(bytes)
            .unwrap_or(u64::MAX)
            .saturating_mul(BITS);
        let micros = bits.saturating_mul(1_000_000) / self.baud;
        self.out_at = after(self.out_at.max(now), Duration::from_ticks(micros));
    }

    /// Until when nothing more is to be written, if that is not over.
    fn wait(&self, now: Instant) -> Option<Instant> {
        let until = Instant::from_ticks(self.out_at.as_ticks().saturating_sub(SLACK.as_ticks()));
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_written_than_the_line_has_taken_but_for_a_few_bytes() {
        // [F-LINE-6]
        let at = |ms: u64| Instant::from_ticks(ms * 1000);
        let mut pace = Pace {
            baud: 115_200,
            out_at: at(0),
        };
        assert_eq!(pace.wait(at(0)), None);
        // 115 bytes are short of 10 ms: as much again may follow at once.
        pace.wrote(at(5), 115);
        assert_eq!(pace.wait(at(5)), None);
        pace.wrote(at(5), 1152);
        let until = pace.wait(at(5)).unwrap();
        assert_eq!(until.as_ticks(), 5000 + 9982 + 100_000 - 10_000);
        assert_eq!(pace.wait(until), None);
        // What was not used is not saved up.
        pace.wrote(at(9000), 1152);
        assert_eq!(pace.wait(at(9000)), Some(at(9090)));
    }
}
