//! A serial line at the hub of a test.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use halloo_core::chat::Hub;
use halloo_core::chat::hub::{Line, Transmit};
use halloo_core::frame::{Cobs, Decoder, Framing, buffer_bytes};
use halloo_core::time::Instant;

use super::End;

/// The largest frame that the hub of a test takes on a serial line.
const FRAME: usize = 2048;

const BUFFER: usize = buffer_bytes::<Cobs>(FRAME);

#[derive(Debug)]
pub(super) struct SerialLine {
    line: Line,
    end: End,
    rx: Box<Decoder<Cobs, BUFFER>>,
    tx: Vec<u8>,
    pub(super) is_over: bool,
}

impl SerialLine {
    pub(super) fn new(end: End) -> Self {
        Self {
            line: Line::new(),
            end,
            rx: Box::new(Decoder::new(Cobs::new(FRAME))),
            tx: Vec::new(),
            is_over: false,
        }
    }

    pub(super) fn hang_up(&mut self, hub: &mut Hub<'_>, now: Instant) {
        self.line.hang_up(hub, now);
    }

    pub(super) fn read(&mut self, hub: &mut Hub<'_>, now: Instant) {
        while !self.is_over && self.end.read_ready().is_ok_and(|ready| ready) {
            match self.end.read(self.rx.room()) {
                Ok(0) | Err(_) => self.is_over = true,
                Ok(n) => self.rx.commit(n),
            }
            loop {
                let frame = match self.rx.poll_frame() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(_) => continue,
                };
                let mut out = [0; 64];
                let datagram = self.rx.bytes(frame);
                let mut taken = self.line.handle_datagram(hub, now, datagram, &mut out);
                if taken.is_err() {
                    hub.commit_in_memory();
                    taken = self.line.handle_datagram(hub, now, datagram, &mut out);
                }
                // What is not taken then is as good as lost, as is an answer to a stranger while
                // other bytes wait.
                let answer = &out[..taken.unwrap_or(0)];
                if !answer.is_empty() && self.tx.is_empty() {
                    self.tx = sealed(answer);
                }
            }
        }
    }

    /// Writes a frame at a time, each when the one before is out.
    pub(super) fn write(&mut self, hub: &mut Hub<'_>, now: Instant) {
        let mut out = [0; FRAME];
        while !self.is_over {
            while !self.tx.is_empty() && self.end.write_ready().is_ok_and(|ready| ready) {
                match self.end.write(&self.tx) {
                    Ok(n) if n > 0 => drop(self.tx.drain(..n)),
                    Ok(_) | Err(_) => {
                        self.is_over = true;
                        return;
                    }
                }
            }
            let Some(conn) = self.line.conn().filter(|_| self.tx.is_empty()) else {
                return;
            };
            match hub.poll_transmit(now, conn, &mut out) {
                Transmit::Message(len) => self.tx = sealed(&out[..len]),
                Transmit::Close => self.hang_up(hub, now),
                // Only streams get entries in runs, and there is no store.
                Transmit::Idle | Transmit::Entries(_) | Transmit::Stored(_) => return,
            }
        }
    }
}

fn sealed(datagram: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; buffer_bytes::<Cobs>(datagram.len())];
    frame[Cobs::HEADER..][..datagram.len()].copy_from_slice(datagram);
    let len = Cobs::new(FRAME).seal(&mut frame, datagram.len());
    frame.truncate(len.unwrap_or(0));
    frame
}
