//! Where posts are kept beside the memory: the journal of the hub, if it has one.
//!
//! Knows the clock on the wall and the connection; what the machine and the journal tell each other
//! is in [`crate::journal::hub`].

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use halloo_core::chat::Hub;
use halloo_core::chat::hub::{ConnId, Found, Wanted};

use super::HubError;
use super::connection::Connection;
use super::desk::Desk;
use crate::journal::hub::{self as kept, RestoreError, Run};
use crate::journal::{Folder, Journal, JournalError};

/// The journal of a hub on a real disk.
pub(super) type Kept = Journal<Folder>;

/// How many bytes of stored entries are read for one write: as many as the connection is likely to
/// take.
pub(super) const FIRST_RUN: usize = 16 * 1024;
const LEAST_RUN: usize = 2 * 1024;
const MOST_RUN: usize = 64 * 1024;

/// What is wrong with limits below what a journal has.
pub(super) const MORE_ROOMS: &str = "the data folder has more rooms";
pub(super) const MORE_MEMBERS: &str = "the data folder has more members";

/// Tells a hub everything that its journal knows.
pub(super) fn restore(hub: &mut Hub<'_>, journal: &Kept) -> Result<(), HubError> {
    kept::restore(hub, journal).map_err(|error| match error {
        RestoreError::Rooms(number) => HubError::Config {
            what: "rooms",
            value: number as usize,
            wanted: MORE_ROOMS,
        },
        RestoreError::Members(count) => HubError::Config {
            what: "members",
            value: count,
            wanted: MORE_MEMBERS,
        },
    })
}

/// Makes everything that was posted durable, and shows it.
pub(super) fn commit(hub: &mut Hub<'_>, journal: &mut Kept) -> Result<(), JournalError> {
    kept::commit(hub, journal, milliseconds())
}

/// Sends what a member wants out of the journal, in one write; how many bytes were taken.
pub(super) fn send_stored(
    desk: &mut Desk<'_>,
    conn: &mut Connection,
    id: ConnId,
    wanted: Wanted,
) -> io::Result<usize> {
    let Some(journal) = &mut desk.journal else {
        return Ok(0);
    };
    let run = match kept::read_back(journal, wanted, conn.takes) {
        Ok(run) => run,
        Err(found) => {
            desk.hub.handle_found(desk.now, id, wanted, found);
            return Ok(0);
        }
    };
    let written = conn.write([run.bytes(), &[], &[]])?;
    // One that takes all of it gets more the next time; what another does not take is read again.
    conn.takes = match written == run.bytes().len() {
        true => conn.takes.saturating_mul(2),
        false => written,
    };
    conn.takes = conn.takes.clamp(LEAST_RUN, MOST_RUN);
    if written == 0 {
        return Ok(0);
    }
    let (last, rest) = run.taken(wanted, written);
    conn.postpone(&mut desk.buffers, rest);
    desk.hub.handle_stored(desk.now, id, wanted, last);
    Ok(written + conn.flush(&mut desk.buffers)?)
}

/// What a member wants out of the journal, about `most` bytes of it; the error is for the machine.
pub(super) fn read_stored(journal: &mut Kept, wanted: Wanted, most: usize) -> Result<Run, Found> {
    kept::read_back(journal, wanted, most)
}

/// The first entry that a member wants out of the journal, as a datagram in `desk.out`; `None` if it
/// is none to be sent, which the machine was told.
pub(super) fn stored_datagram(desk: &mut Desk<'_>, id: ConnId, wanted: Wanted) -> Option<usize> {
    let journal = desk.journal.as_mut()?;
    kept::read_datagram(
        &mut desk.hub,
        journal,
        desk.now,
        (id, wanted),
        &mut desk.out,
    )
}

/// Milliseconds since 1970, as the clock on the wall has it.
fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
