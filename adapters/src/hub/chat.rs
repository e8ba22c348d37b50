//! A chat connection: from bytes to messages for the machine, and from what it owes to one write.

use std::io;

use halloo_core::chat::Hub;
use halloo_core::chat::hub::{Busy, ConnId, Transmit};
use halloo_core::frame::{Framing, Length32, Scan};
use halloo_core::time::{Instant, after};
use halloo_core::wire::{self, Code, MAX_CONTROL};

use super::connection::{Connection, Flow, Reading, Stage};
use super::desk::{Desk, READ_SHARE};
use super::{durable, tutorial};

/// Runs up to so many bytes are gathered with messages into one write; longer ones are written
/// from where they lie in the log.
const GATHERED: usize = 1024;

/// Reads once at most and hands the machine what came.
///
/// Leaves the connection `busy` if the machine has to send or to commit first.
pub(super) fn read(desk: &mut Desk<'_>, conn: &mut Connection, id: ConnId) -> io::Result<Flow> {
    let held = conn.inbox.len();
    desk.room[..held].copy_from_slice(&conn.inbox);
    let mut len = held;
    if !conn.busy {
        len += conn.read(&mut desk.room[held..held + READ_SHARE])?;
        conn.release_carried(&mut desk.buffers);
    }
    if len > held {
        conn.heard = desk.now;
    }
    if len > held || conn.busy {
        let bytes = &desk.room[..len];
        let owes = conn.has_pending();
        let (hub, now) = (&mut desk.hub, desk.now);
        desk.text.clear();
        let parsed = match &mut conn.gateway {
            Some(gateway) => {
                if !owes {
                    gateway.handle_flushed();
                }
                gateway.parse(hub, now, id, bytes, &mut desk.text)
            }
            None => parse(hub, now, id, desk.frame_limit, bytes),
        };
        conn.postpone(&mut desk.buffers, &desk.text);
        conn.busy = parsed.state == State::Busy;
        match parsed.state {
            State::Whole | State::Busy => {
                desk.buffers.keep(&mut conn.inbox, &bytes[parsed.used..]);
                watch_frame(conn, &parsed, after(desk.now, desk.frame_timeout));
            }
            State::Bad => {
                desk.buffers.release(&mut conn.inbox);
                conn.read_due = None;
                conn.stage = Stage::Deaf;
            }
        }
    }
    if conn.reading == Reading::Waiting
        && conn.inbox.is_empty()
        && let Some(gateway) = &mut conn.gateway
    {
        gateway.handle_pause();
    }
    if conn.reading == Reading::Ended
        && !conn.busy
        && let Some(gateway) = &mut conn.gateway
    {
        desk.text.clear();
        gateway.handle_end(&conn.inbox, &mut desk.text);
        desk.buffers.release(&mut conn.inbox);
        conn.read_due = None;
        conn.postpone(&mut desk.buffers, &desk.text);
    }
    match conn.reading {
        Reading::Ready { .. } if !conn.busy => Ok(Flow::More),
        _ => Ok(Flow::Idle),
    }
}

/// Writes what is pending, then what the machine owes, up to the connection's share of a turn.
pub(super) fn write(desk: &mut Desk<'_>, conn: &mut Connection, id: ConnId) -> io::Result<Flow> {
    let mut written = conn.flush(&mut desk.buffers)?;
    let flow = loop {
        if conn.is_done_for() {
            break Flow::Over;
        }
        if conn.has_pending() || !conn.writable {
            break Flow::Idle;
        }
        if conn.stage == Stage::Finishing {
            break conn.finish(after(desk.now, desk.drain_timeout));
        }
        if written >= desk.send_share {
            break Flow::More;
        }
        let (bytes, next) = match conn.gateway {
            Some(_) => tutorial::send_once(desk, conn, id)?,
            None => send_once(desk, conn, id)?,
        };
        written += bytes;
        match next {
            Next::More => {}
            Next::Close => conn.stage = Stage::Finishing,
            // Everything that it said is processed and answered.
            Next::Idle if conn.reading == Reading::Ended && !conn.busy && !conn.has_pending() => {
                break Flow::Over;
            }
            Next::Idle => break Flow::Idle,
        }
    };
    if conn.stage != Stage::Draining {
        conn.watch_write(written > 0, after(desk.now, desk.write_timeout));
    }
    Ok(flow)
}

/// The frame that has begun was not complete in time.
pub(super) fn frame_timed_out(desk: &mut Desk<'_>, conn: &mut Connection, id: ConnId) {
    desk.buffers.release(&mut conn.inbox);
    conn.read_due = None;
    conn.stage = Stage::Deaf;
    if let Some(gateway) = &mut conn.gateway {
        desk.text.clear();
        gateway.give_up(&mut desk.hub, desk.now, id, &mut desk.text);
        return conn.postpone(&mut desk.buffers, &desk.text);
    }
    desk.hub.handle_bad_frame(desk.now, id, Code::Timeout);
}

/// What became of the bytes that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Every whole frame was taken.
    Whole,
    Busy,
    Bad,
}

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) used: usize,
    pub(super) state: State,
    /// A frame ended.
    pub(super) is_new: bool,
    /// No frame has begun.
    pub(super) is_between: bool,
}

fn parse(hub: &mut Hub<'_>, now: Instant, id: ConnId, limit: usize, bytes: &[u8]) -> Parsed {
    let mut framing = Length32::new(limit);
    let mut used = 0;
    let bad = |hub: &mut Hub<'_>, code| {
        hub.handle_bad_frame(now, id, code);
        Parsed {
            used: bytes.len(),
            state: State::Bad,
            is_new: true,
            is_between: true,
        }
    };
    let good = |used, state| Parsed {
        used,
        state,
        is_new: used > 0,
        is_between: used == bytes.len(),
    };
    loop {
        let rest = &bytes[used..];
        let (frame, consumed) = match framing.scan(rest) {
            Ok(Scan::Frame {
                start,
                end,
                consumed,
            }) => (&rest[start..end], consumed),
            Ok(Scan::More) => return good(used, State::Whole),
            // Only an error is followed by it, and after an error nothing is scanned.
            Ok(Scan::Skip { .. }) => return bad(hub, Code::Malformed),
            Err(_) => return bad(hub, Code::Oversize),
        };
        match wire::binary::decode(frame) {
            Ok(decoded) => match hub.handle_message(now, id, &decoded.message) {
                Ok(()) => used += consumed,
                Err(Busy) => return good(used, State::Busy),
            },
            Err(error) => return bad(hub, error.code()),
        }
    }
}

/// A frame has `limit` from when it begins until it is whole.
fn watch_frame(conn: &mut Connection, parsed: &Parsed, limit: Instant) {
    if parsed.is_between || conn.busy {
        conn.read_due = None;
    } else if parsed.is_new || conn.read_due.is_none() {
        conn.read_due = Some(limit);
    }
}

/// What comes after a write.
#[derive(Debug)]
pub(super) enum Next {
    More,
    Idle,
    Close,
}

/// Gathers what the machine owes and writes it in one call; what was not taken becomes pending.
fn send_once(desk: &mut Desk<'_>, conn: &mut Connection, id: ConnId) -> io::Result<(usize, Next)> {
    let framing = Length32::new(desk.out.len());
    let (now, mut len) = (desk.now, 0);
    let next = loop {
        let room = &mut desk.out[len..];
        if room.len() < Length32::HEADER + MAX_CONTROL {
            break Next::More;
        }
        let body = &mut room[Length32::HEADER..];
        match desk.hub.poll_transmit(now, id, body) {
            Transmit::Idle => break Next::Idle,
            Transmit::Close => break Next::Close,
            Transmit::Message(message) => {
                len += framing.seal(room, message).map_err(io::Error::other)?;
            }
            Transmit::Entries(run) => {
                let total = run.head.len() + run.tail.len();
                if total <= GATHERED && total <= room.len() {
                    room[..run.head.len()].copy_from_slice(run.head);
                    room[run.head.len()..total].copy_from_slice(run.tail);
                    len += total;
                    let sent = run.sent;
                    let _ = desk.hub.handle_sent(now, id, sent, total);
                    continue;
                }
                let messages = &desk.out[..len];
                let written = conn.write([messages, run.head, run.tail])?;
                let sent = run.sent;
                let of_run = written.saturating_sub(len);
                conn.postpone(&mut desk.buffers, &messages[written.min(len)..]);
                // A frame that was begun has to be ended, whatever becomes of the log.
                let rest = desk.hub.handle_sent(now, id, sent, of_run);
                conn.postpone(&mut desk.buffers, rest);
                let flushed = conn.flush(&mut desk.buffers)?;
                return Ok((written + flushed, Next::More));
            }
            Transmit::Stored(wanted) => {
                if len > 0 {
                    // What is gathered goes first; the same is wanted again then.
                    break Next::More;
                }
                let written = durable::send_stored(desk, conn, id, wanted)?;
                return Ok((written, Next::More));
            }
        }
    };
    let mut written = 0;
    if len > 0 {
        written = conn.write([&desk.out[..len], &[], &[]])?;
        conn.postpone(&mut desk.buffers, &desk.out[written..len]);
        written += conn.flush(&mut desk.buffers)?;
    }
    Ok((written, next))
}
