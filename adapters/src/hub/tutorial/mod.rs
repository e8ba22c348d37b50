//! The tutorial's chat: clients that send JSON objects, as members of the same rooms.
//!
//! Each connection is a device of halloo/1 inside the hub, with an identity of its own for as long as
//! it lasts. So the log, its promises, fairness and back-pressure are the machine's; here is only what
//! turns objects into messages, and entries into objects. What a client has not read stays in the log:
//! about 8 KiB and one object of it lie here.

mod object;
mod translate;

use std::io;

use halloo_core::chat::Hub;
use halloo_core::chat::hub::{ConnId, Transmit};
use halloo_core::frame::{FrameError, Framing, JsonObjects, Length32, Scan};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Code, Hello, MAX_CONTROL, Message, NoticeKind, VERSION};

use super::chat::{Next, Parsed, State};
use super::connection::Connection;
use super::desk::Desk;
use super::durable;
use object::Fault;
pub(super) use object::limit;
use translate::{CREDIT, DONE, Translator};

/// About so many bytes of objects are gathered for one write.
const GATHERED: usize = 8 * 1024;

/// What a message counts as, whether or not the client is told of it: else a share of a turn would be
/// without end for one whose own posts alone are in the log.
const STEP: usize = 32;

/// So many bytes of answers may wait to be written before the next object is looked at.
const MOST_OWED: usize = 1024;

/// What a connection of the tutorial has beside its socket.
#[derive(Debug)]
pub(super) struct Gateway {
    framing: JsonObjects,
    translator: Translator,
    /// The bytes of answers since nothing was pending.
    owed: usize,
}

impl Gateway {
    /// Opens the session of a client that has connected. Objects have at most `limit` bytes.
    pub(super) fn open(
        hub: &mut Hub<'_>,
        now: Instant,
        id: ConnId,
        limit: usize,
    ) -> io::Result<Self> {
        let (mut device, mut nonce) = ([0; 16], [0; 8]);
        getrandom::fill(&mut device)?;
        getrandom::fill(&mut nonce)?;
        let hello = Message::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            suite: 0,
            key_id: 0,
            flags: Hello::EPHEMERAL,
            nonce: u64::from_be_bytes(nonce),
            device,
            max_frame: u32::MAX,
            credit: CREDIT,
            keepalive: 0,
            proof: &[],
            cookie: None,
        });
        // The first message of a connection is taken whatever else is going on.
        let _ = hub.handle_message(now, id, &hello);
        Ok(Self {
            framing: JsonObjects::new(limit),
            translator: Translator::new(),
            owed: 0,
        })
    }

    /// The client is gone, or has to go: its room is told at once, since it cannot come back.
    pub(super) fn close(hub: &mut Hub<'_>, now: Instant, id: ConnId) {
        let _ = hub.handle_message(now, id, &DONE);
    }

    /// The object that has begun was not complete in time.
    pub(super) fn give_up(
        &mut self,
        hub: &mut Hub<'_>,
        now: Instant,
        id: ConnId,
        out: &mut Vec<u8>,
    ) {
        let fault = Fault::Refused(Code::Timeout);
        self.translator.handle_fault(fault, out);
        Self::close(hub, now, id);
    }

    /// The client sends no more; `rest` is what it left unfinished.
    pub(super) fn handle_end(&mut self, rest: &[u8], out: &mut Vec<u8>) {
        if self.framing.end(rest).is_err() && !self.translator.is_over() {
            self.framing = JsonObjects::new(self.framing.limit());
            self.translator.handle_fault(Fault::Json, out);
        }
    }

    /// The client waits after what it sent, all of which was parsed: junk without an end is over, so
    /// that whoever sends more of it is told again.
    pub(super) fn handle_pause(&mut self) {
        if self.framing.end(&[]).is_ok() {
            self.framing = JsonObjects::new(self.framing.limit());
        }
    }

    /// Everything before is written.
    pub(super) const fn handle_flushed(&mut self) {
        self.owed = 0;
    }

    /// Hands the machine what `bytes` ask for. What the client is told at once goes to `out`.
    pub(super) fn parse(
        &mut self,
        hub: &mut Hub<'_>,
        now: Instant,
        id: ConnId,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Parsed {
        let (mut used, mut is_new) = (0, false);
        let state = loop {
            if self.translator.is_over() {
                Self::close(hub, now, id);
                used = bytes.len();
                break State::Bad;
            }
            if !self.translator.is_ready() || self.owed + out.len() > MOST_OWED {
                break State::Busy;
            }
            let rest = &bytes[used..];
            match self.framing.scan(rest) {
                Ok(Scan::More) => break State::Whole,
                Ok(Scan::Skip { consumed }) => used += consumed,
                Ok(Scan::Frame {
                    start,
                    end,
                    consumed,
                }) => {
                    let mut say = |message: &Message<'_>| hub.handle_message(now, id, message);
                    let object = &rest[start..end];
                    match self.translator.handle_object(object, &mut say, out) {
                        Ok(()) => (used, is_new) = (used + consumed, true),
                        Err(_) => break State::Busy,
                    }
                }
                Err(error) => {
                    is_new = true;
                    let fault = match error {
                        FrameError::Oversize { limit } => Fault::Object { limit },
                        _ => Fault::Json,
                    };
                    self.translator.handle_fault(fault, out);
                }
            }
        };
        self.owed += out.len();
        Parsed {
            used,
            state,
            is_new,
            is_between: state == State::Bad || self.framing.end(&bytes[used..]).is_ok(),
        }
    }

    /// The machine says something to the device.
    ///
    /// Presence comes before posts, and who posts and leaves is told to have left before the post is
    /// shown. So what tells of that goes to `late`, to be told after the posts that are there.
    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>, late: &mut Vec<u8>) {
        let Ok(decoded) = wire::binary::decode_from_hub(message) else {
            return;
        };
        let message = &decoded.message;
        let out = match message {
            Message::Notice(notice) if notice.kind == NoticeKind::Left => late,
            Message::Notice(_) => {
                out.append(late);
                out
            }
            _ => out,
        };
        self.translator.handle_message(message, out);
    }

    /// Turns frames into objects until enough are gathered; how many bytes of the frames that were.
    fn hear_entries(&mut self, frames: [&[u8]; 2], out: &mut Vec<u8>) -> usize {
        let mut framing = Length32::new(u32::MAX as usize);
        let mut total = 0;
        for frames in frames {
            let mut used = 0;
            while out.len() < GATHERED
                && let Ok(Scan::Frame {
                    start,
                    end,
                    consumed,
                }) = framing.scan(&frames[used..])
            {
                self.hear(&frames[used..][start..end], out, &mut Vec::new());
                used += consumed;
            }
            total += used;
        }
        total
    }

    fn grant(&mut self, hub: &mut Hub<'_>, now: Instant, id: ConnId) {
        if let Some(credit) = self.translator.poll_credit() {
            // A cursor that moves is always taken.
            let _ = hub.handle_message(now, id, &credit);
        }
    }
}

/// Gathers what the machine owes and writes it in one call; what was not taken becomes pending. Gives
/// back how much of its share of a turn the client has had, in bytes.
pub(super) fn send_once(
    desk: &mut Desk<'_>,
    conn: &mut Connection,
    id: ConnId,
) -> io::Result<(usize, Next)> {
    let Some(gateway) = &mut conn.gateway else {
        return Ok((0, Next::Idle));
    };
    let (now, text) = (desk.now, &mut desk.text);
    text.clear();
    let (mut steps, mut late) = (0, Vec::new());
    let next = loop {
        if text.len().max(steps) >= GATHERED {
            break Next::More;
        }
        steps += STEP;
        match desk
            .hub
            .poll_transmit(now, id, &mut desk.out[..MAX_CONTROL])
        {
            Transmit::Idle => break Next::Idle,
            Transmit::Close => break Next::Close,
            Transmit::Message(len) => gateway.hear(&desk.out[..len], text, &mut late),
            Transmit::Entries(run) => {
                let sent = run.sent;
                let used = gateway.hear_entries([run.head, run.tail], text);
                // Whole frames are: nothing is left of the last one.
                let _ = desk.hub.handle_sent(now, id, sent, used);
                if used == 0 {
                    break Next::Idle;
                }
            }
            Transmit::Stored(wanted) => {
                let Some(journal) = &mut desk.journal else {
                    break Next::Idle;
                };
                match durable::read_stored(journal, wanted, GATHERED) {
                    Ok(run) => {
                        let used = gateway.hear_entries([run.bytes(), &[]], text);
                        let (last, _) = run.taken(wanted, used);
                        desk.hub.handle_stored(now, id, wanted, last);
                    }
                    Err(found) => desk.hub.handle_found(now, id, wanted, found),
                }
            }
        }
        gateway.grant(&mut desk.hub, now, id);
    };
    text.append(&mut late);
    let written = conn.write([&desk.text, &[], &[]])?;
    conn.postpone(&mut desk.buffers, &desk.text[written..]);
    let flushed = conn.flush(&mut desk.buffers)?;
    Ok(((written + flushed).max(steps), next))
}

#[cfg(test)]
mod tests;
