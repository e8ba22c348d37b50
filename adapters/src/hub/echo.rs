//! Echo and greetings: over streams, where what was not written holds up the reading, and over
//! datagrams, where what is not taken at once is lost.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use halloo_core::echo::{Mode, Reply, Responder};
use halloo_core::time::{Instant, after};
use rustix::net::{SocketAddrAny, SocketAddrUnix};

use super::connection::{Connection, Flow, Reading, Stage};
use super::desk::{Desk, READ_SHARE};
use super::listeners::Datagrams;
use super::loops::{Loops, Source};

/// How many datagrams of one socket are answered per turn.
const DATAGRAMS_SHARE: usize = 64;

/// Writes what is pending, then reads once at most and answers.
pub(super) fn serve(
    desk: &mut Desk<'_>,
    conn: &mut Connection,
    mode: Mode<'_>,
) -> io::Result<Flow> {
    let mut written = conn.flush(&mut desk.buffers)?;
    let mut flow = Flow::Idle;
    if !conn.has_pending() && conn.writable && conn.stage == Stage::Open {
        let read = conn.read(&mut desk.room[..READ_SHARE])?;
        // A greeting server of a tutorial greets whatever its one read gives it, the end, too.
        let greets_end = conn.reading == Reading::Ended && matches!(mode, Mode::Greeting(_));
        if read > 0 || greets_end {
            written += answer(desk, conn, mode, read)?;
        }
        flow = match conn.reading {
            Reading::Waiting => Flow::Idle,
            Reading::Ready { .. } => Flow::More,
            Reading::Ended => Flow::Over,
        };
    }
    if conn.stage == Stage::Finishing {
        flow = conn.finish(after(desk.now, desk.drain_timeout));
    }
    if conn.stage != Stage::Draining {
        conn.watch_write(written > 0, after(desk.now, desk.write_timeout));
        conn.read_due = Some(match conn.read_due {
            Some(due) if written == 0 => due,
            _ => after(desk.now, desk.echo_idle),
        });
    }
    Ok(flow)
}

/// Answers the `read` bytes in the desk's room.
fn answer(
    desk: &mut Desk<'_>,
    conn: &mut Connection,
    mode: Mode<'_>,
    read: usize,
) -> io::Result<usize> {
    let Some(mut reply) = Responder::new(mode).handle_bytes(&desk.room[..read]) else {
        return Ok(0);
    };
    desk.echoed += 1;
    let mut total = 0;
    while !reply.is_empty() && conn.writable {
        let written = conn.write([reply.prefix, reply.body, &[]])?;
        total += written;
        reply = reply.after(written);
    }
    conn.postpone(&mut desk.buffers, reply.prefix);
    conn.postpone(&mut desk.buffers, reply.body);
    if reply.close {
        conn.stage = Stage::Finishing;
    }
    Ok(total)
}

/// Answers the datagrams that wait, up to the socket's share of a turn.
pub(super) fn serve_datagrams(desk: &mut Desk<'_>, datagrams: &mut Datagrams) {
    let Some(mode) = datagrams.service.mode() else {
        return;
    };
    for _ in 0..DATAGRAMS_SHARE {
        let (len, from, local) = match datagrams.socket.recv_any(&mut desk.room) {
            Ok((len, Some(from), local)) if len <= desk.room.len() => (len, from, local),
            // Nobody to answer, or more than can be.
            Ok(_) => {
                desk.datagrams_dropped += 1;
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                datagrams.ready = false;
                return;
            }
            // What became of an earlier answer; the next datagram is none the worse.
            Err(error) => {
                tracing::debug!(%error, listener = %datagrams.endpoint, "a datagram was not read");
                continue;
            }
        };
        let Some(reply) = Responder::new(mode).handle_bytes(&desk.room[..len]) else {
            continue;
        };
        if let Some(loops) = &mut datagrams.loops
            && !admits(loops, desk.now, &from, &desk.room[..len], &reply)
        {
            desk.datagrams_dropped += 1;
            continue;
        }
        let pieces = [IoSlice::new(reply.prefix), IoSlice::new(reply.body)];
        match datagrams.socket.send_any(&pieces, &from, local) {
            Ok(_) => desk.echoed += 1,
            Err(_) => desk.datagrams_dropped += 1,
        }
    }
}

/// Whether a datagram gets this reply, in view of where it came from.
fn admits(
    loops: &mut Loops,
    now: Instant,
    from: &SocketAddrAny,
    datagram: &[u8],
    reply: &Reply<'_>,
) -> bool {
    let ip = SocketAddr::try_from(from.clone());
    let unix = SocketAddrUnix::try_from(from.clone());
    let source = match (&ip, &unix) {
        (Ok(ip), _) => Source::Ip(*ip),
        (Err(_), Ok(unix)) => {
            let name = unix.path_bytes();
            #[cfg(target_os = "linux")]
            let name = name.or_else(|| unix.abstract_name());
            Source::Name(name.unwrap_or_default())
        }
        (Err(_), Err(_)) => return false,
    };
    loops.admits(now, source, datagram, reply)
}
