//! The tutorial's chat: clients that send JSON objects, as members of the same rooms.
//!
//! Each connection is a device of halloo/1 inside the hub, with an identity of its own for as long as
//! it lasts, of which nothing is remembered then. So the log, its promises, fairness and back-pressure are the machine's; here is only what
//! turns objects into messages, and entries into objects. What a client has not read stays in the log:
//! about 8 KiB and one object of it lie here.

mod gateway;
mod object;
mod translate;

use std::io;

use halloo_core::chat::hub::{ConnId, Transmit};
use halloo_core::wire::MAX_CONTROL;

use super::chat::Next;
use super::connection::Connection;
use super::desk::Desk;
use super::durable;
use gateway::GATHERED;
pub(super) use gateway::Gateway;
pub(super) use object::limit;

/// What a message counts as, whether or not the client is told of it: else a share of a turn would be
/// without end for one whose own posts alone are in the log.
const STEP: usize = 32;

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
