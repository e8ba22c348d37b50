//! Where posts are kept beside the memory: the journal of the hub, if it has one.
//!
//! Knows the seam between the chat machine and the journal: what is appended becomes records, one
//! commit for all of a turn, and what a member wants that the memory has no longer is read back.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use halloo_core::chat::Hub;
use halloo_core::chat::hub::{ConnId, Found, Verdict, Wanted};
use halloo_core::time::Instant;

use super::HubError;
use super::connection::Connection;
use super::desk::Desk;
use crate::journal::{Disk, Folder, Journal, JournalError, Record, Stored};

/// The journal of a hub on a real disk.
pub(super) type Kept = Journal<Folder>;

/// How many bytes of stored entries are sent in one write.
const RUN: usize = 64 * 1024;

/// Tells a hub everything that its journal knows.
pub(super) fn restore<D: Disk>(hub: &mut Hub<'_>, journal: &Journal<D>) -> Result<(), HubError> {
    let state = journal.state();
    let start = Instant::from_ticks(0);
    let too_many = |what, value, wanted| HubError::Config {
        what,
        value,
        wanted,
    };
    for (number, room) in (0..).zip(&state.rooms) {
        if room.name.is_empty() {
            continue;
        }
        hub.restore_room(number, &room.name, room.oldest, room.head)
            .map_err(|_| {
                let wanted = "the data folder has more rooms";
                too_many("rooms", number as usize, wanted)
            })?;
    }
    // Those that were seen last are the last to be forgotten.
    let mut members: Vec<_> = state.members.iter().collect();
    members.sort_unstable_by_key(|(key, member)| (member.seen, **key));
    for (nth, ((room, device), member)) in members.into_iter().enumerate() {
        hub.restore_member(start, *room, device, member.up_seq, member.rejects)
            .map_err(|_| too_many("members", nth, "the data folder has more members"))?;
    }
    Ok(())
}

/// Makes everything that was posted durable, and shows it.
pub(super) fn commit<D: Disk>(
    hub: &mut Hub<'_>,
    journal: &mut Journal<D>,
) -> Result<(), JournalError> {
    let mut count = 0;
    let time = milliseconds();
    while let Some(append) = hub.poll_append() {
        count += 1;
        let rooms = &journal.state().rooms;
        let known = rooms.get(append.number as usize);
        let is_new = known.is_none_or(|room| room.name != append.room);
        if is_new && append.verdict != Verdict::Forgotten {
            journal.append(&Record::Room {
                number: append.number,
                name: append.room,
            });
        }
        let (device, seq, room) = (*append.device, append.seq, append.number);
        journal.append(&match append.verdict {
            Verdict::Kept { offset } => Record::Entry {
                time,
                device,
                seq,
                room,
                offset,
                frame: append.frame,
            },
            Verdict::Forgotten => Record::Forget { device, room },
            Verdict::Rejected { code } => Record::Reject {
                time,
                device,
                seq,
                room,
                code,
            },
        });
    }
    if count > 0 {
        journal.commit()?;
        hub.handle_appended(count);
    }
    if journal.take_retained() {
        for (number, room) in (0..).zip(&journal.state().rooms) {
            hub.set_oldest(number, room.oldest);
        }
    }
    Ok(())
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
    let (mut bytes, mut ends) = (Vec::with_capacity(RUN), Vec::new());
    for offset in wanted.first..=wanted.last {
        let found = match look(journal, wanted, offset) {
            Ok(frame) => {
                if bytes.len() + frame.len() > RUN && !ends.is_empty() {
                    break;
                }
                bytes.extend_from_slice(frame);
                ends.push(bytes.len());
                continue;
            }
            Err(found) => found,
        };
        if ends.is_empty() {
            desk.hub.handle_found(desk.now, id, wanted, found);
            return Ok(0);
        }
        break;
    }
    let written = conn.write([&bytes, &[], &[]])?;
    if written == 0 {
        return Ok(0);
    }
    let begun = ends.partition_point(|&end| end < written);
    let end = ends.get(begun).copied().unwrap_or(bytes.len());
    conn.postpone(&mut desk.buffers, &bytes[written..end]);
    let last = wanted.first + begun as u64;
    desk.hub.handle_stored(desk.now, id, wanted, last);
    Ok(written + conn.flush(&mut desk.buffers)?)
}

/// The first entry that a member wants out of the journal, as a datagram in `desk.out`; `None` if it
/// is none to be sent, which the machine was told.
pub(super) fn stored_datagram(desk: &mut Desk<'_>, id: ConnId, wanted: Wanted) -> Option<usize> {
    let (now, journal) = (desk.now, desk.journal.as_mut()?);
    match look(journal, wanted, wanted.first) {
        Ok(frame) => desk
            .hub
            .stored_datagram(now, id, wanted, frame, &mut desk.out),
        Err(found) => {
            desk.hub.handle_found(now, id, wanted, found);
            None
        }
    }
}

/// The frame of a stored entry, or why it is not sent.
fn look<D: Disk>(journal: &mut Journal<D>, wanted: Wanted, offset: u64) -> Result<&[u8], Found> {
    match journal.read(wanted.room, offset) {
        Ok(Stored::Entry { device, .. }) if wanted.own == Some(device) => Err(Found::Own),
        Ok(Stored::Entry { frame, .. }) if frame.len() > wanted.longest => Err(Found::TooLarge),
        Ok(Stored::Entry { frame, .. }) => Ok(frame),
        Ok(Stored::Lost { to }) => Err(Found::Lost { to }),
        Ok(Stored::Gone) => Err(Found::Lost { to: offset }),
        // One entry is lost and told so; those behind it are not.
        Err(error) => {
            tracing::error!(%error, "an entry cannot be read back");
            Err(Found::Lost { to: offset })
        }
    }
}

/// Milliseconds since 1970, as the clock on the wall has it.
fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
