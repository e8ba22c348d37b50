//! Where posts are kept beside the memory: the journal of the hub, if it has one.
//!
//! Knows the seam between the chat machine and the journal: what is appended becomes records, one
//! commit for all of a turn, and what a member wants that the memory has no longer is read back.

use std::collections::HashSet;
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

/// What is wrong with limits below what a journal has.
pub(super) const MORE_ROOMS: &str = "the data folder has more rooms";
pub(super) const MORE_MEMBERS: &str = "the data folder has more members";

/// Tells a hub everything that its journal knows.
pub(super) fn restore<D: Disk>(hub: &mut Hub<'_>, journal: &Journal<D>) -> Result<(), HubError> {
    let state = journal.state();
    let start = Instant::from_ticks(0);
    let too_many = |what, value, wanted| HubError::Config {
        what,
        value,
        wanted,
    };
    let remembered: HashSet<u32> = state.members.keys().map(|(room, _)| *room).collect();
    for (number, room) in (0..).zip(&state.rooms) {
        // One without an entry that nobody is remembered in was free again, and its name may since
        // be that of another number.
        if room.name.is_empty() || room.head == 0 && !remembered.contains(&number) {
            continue;
        }
        hub.restore_room(number, &room.name, room.oldest, room.head)
            .map_err(|_| too_many("rooms", number as usize, MORE_ROOMS))?;
    }
    // Those that were seen last are the last to be forgotten.
    let mut members: Vec<_> = state.members.iter().collect();
    members.sort_unstable_by_key(|(key, member)| (member.seen, **key));
    for (nth, ((room, device), member)) in members.into_iter().enumerate() {
        hub.restore_member(start, *room, device, member.up_seq, member.rejects)
            .map_err(|_| too_many("members", nth, MORE_MEMBERS))?;
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
    journal.retain_in_time(time)?;
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
        let found = match journal.read(wanted.room, offset) {
            Ok(Stored::Entry { device, .. }) if wanted.own == Some(device) => Found::Own,
            Ok(Stored::Entry { frame, .. }) if frame.len() > wanted.longest => Found::TooLarge,
            Ok(Stored::Entry { frame, .. }) => {
                if bytes.len() + frame.len() > RUN && !ends.is_empty() {
                    break;
                }
                bytes.extend_from_slice(frame);
                ends.push(bytes.len());
                continue;
            }
            Ok(Stored::Lost { to }) => Found::Lost { to },
            Ok(Stored::Gone) => Found::Lost { to: offset },
            // One entry is lost and told so; those behind it are not.
            Err(error) => {
                tracing::error!(%error, "an entry cannot be read back");
                Found::Lost { to: offset }
            }
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

/// Milliseconds since 1970, as the clock on the wall has it.
fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::super::HubConfig;
    use super::super::memory::Slots;
    use super::*;
    use crate::journal::Settings;
    use crate::testkit::SimDisk;
    use halloo_core::wire::Code;

    #[test]
    fn a_name_that_was_free_and_then_taken_again_leads_to_its_entries() {
        let mut journal = Journal::open(SimDisk::new(), &Settings::default()).unwrap();
        let device = [7; 16];
        let entry = Record::Entry {
            time: 3,
            device,
            seq: 1,
            room: 0,
            offset: 1,
            frame: b"frame",
        };
        for record in [
            Record::Room {
                number: 2,
                name: "lab",
            },
            Record::Reject {
                time: 1,
                device,
                seq: 1,
                room: 2,
                code: Code::TooLarge,
            },
            Record::Forget { device, room: 2 },
            // Others have taken its number meanwhile, without a post.
            Record::Room {
                number: 0,
                name: "lab",
            },
            entry,
        ] {
            journal.append(&record);
        }
        journal.commit().unwrap();
        let config = HubConfig {
            max_connections: 2,
            rooms: 4,
            members: 4,
            ..HubConfig::default()
        };
        let mut slots = Slots::new(&config);
        let mut hub = Hub::new(config.machine().unwrap(), slots.lend());
        restore(&mut hub, &journal).unwrap();
        assert_eq!(hub.head("lab"), Some(1));
    }
}
