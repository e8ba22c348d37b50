//! A hub whose posts are kept in a journal: what each is told of the other.
//!
//! Knows the seam between the chat machine and the journal: what the journal knows is restored, what
//! is posted becomes records, and what a member wants that the memory has no longer is read back.
//! Knows no socket and no clock: the server and the virtual world use it as it is. The one order that
//! everything hangs on: [`append`], [`Journal::commit`], [`Hub::handle_appended`].
//!
//! ```
//! use halloo_core::chat::Hub;
//! use halloo_core::chat::hub::{Config, Conn, Member, Pending, Room, Storage};
//! use halloo_std::journal::{self, Journal, Settings};
//! use halloo_std::testkit::SimDisk;
//!
//! let mut journal = Journal::open(SimDisk::new(), &Settings::default())?;
//! let storage = Storage {
//!     conns: &mut [Conn::FREE; 4],
//!     members: &mut [Member::FREE; 4],
//!     rooms: &mut [Room::FREE; 1],
//!     bytes: &mut [0; 1024],
//!     index: &mut [[0; 4]; 16],
//!     pending: &mut [Pending::FREE; 8],
//! };
//! let mut config = Config::new(1, [1; 4], 0);
//! (config.store, config.generation) = journal.store();
//! config.has_store = true;
//! let mut hub = Hub::new(config, storage);
//! let lineage = journal.lineage().to_vec();
//! hub.set_lineage(&lineage);
//! journal::hub::restore(&mut hub, &journal)?;
//! // In each turn, with the time in milliseconds since 1970:
//! journal::hub::commit(&mut hub, &mut journal, 0)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashSet;

use halloo_core::chat::Hub;
use halloo_core::chat::hub::{Append, ConnId, Found, Verdict, Wanted};
use halloo_core::time::Instant;

use super::{Disk, Journal, JournalError, Record, Stored};

/// The journal has more than the hub has places for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A room has this number, and the hub has no such place.
    #[error("the hub has no place for room number {0}")]
    Rooms(u32),
    /// So many members have a place, and there are more.
    #[error("the hub has places for {0} members, and the journal has more")]
    Members(usize),
}

/// Tells a hub that has just been made everything that its journal knows.
///
/// Work: linear in rooms and members.
pub fn restore<D: Disk>(hub: &mut Hub<'_>, journal: &Journal<D>) -> Result<(), RestoreError> {
    let state = journal.state();
    let start = Instant::from_ticks(0);
    let remembered: HashSet<u32> = state.members.keys().map(|(room, _)| *room).collect();
    for (number, room) in (0..).zip(&state.rooms) {
        // One without an entry that nobody is remembered in was free again, and its name may since
        // be that of another number.
        if room.name.is_empty() || room.head == 0 && !remembered.contains(&number) {
            continue;
        }
        hub.restore_room(number, &room.name, room.oldest, room.head)
            .map_err(|_| RestoreError::Rooms(number))?;
    }
    // Those that were seen last are the last to be forgotten.
    let mut members: Vec<_> = state.members.iter().collect();
    members.sort_unstable_by_key(|(key, member)| (member.seen, **key));
    for (nth, ((room, device), member)) in members.into_iter().enumerate() {
        hub.restore_member(start, *room, device, member.up_seq, member.rejects)
            .map_err(|_| RestoreError::Members(nth))?;
    }
    Ok(())
}

/// Appends everything that was posted, at the time `time` in milliseconds since 1970; how many
/// verdicts that is. They are durable once [`Journal::commit`] has returned.
///
/// `seen` is shown each of them.
#[must_use = "the hub is to be told once they are durable"]
pub fn append<D: Disk>(
    hub: &mut Hub<'_>,
    journal: &mut Journal<D>,
    time: u64,
    mut seen: impl FnMut(&Append<'_>),
) -> usize {
    let mut count = 0;
    while let Some(append) = hub.poll_append() {
        count += 1;
        seen(&append);
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
    count
}

/// Tells a hub what its journal keeps no longer, if that has changed.
pub fn retain<D: Disk>(hub: &mut Hub<'_>, journal: &mut Journal<D>) {
    if journal.take_retained() {
        for (number, room) in (0..).zip(&journal.state().rooms) {
            hub.set_oldest(number, room.oldest);
        }
    }
}

/// Makes everything that was posted durable, and shows it: [`append`], a commit, and [`retain`].
///
/// Errors: nothing more is acknowledged or shown, and the hub has to stop.
pub fn commit<D: Disk>(
    hub: &mut Hub<'_>,
    journal: &mut Journal<D>,
    time: u64,
) -> Result<(), JournalError> {
    let count = append(hub, journal, time, |_| {});
    if count > 0 {
        journal.commit()?;
        hub.handle_appended(count);
    }
    journal.retain_in_time(time)?;
    retain(hub, journal);
    Ok(())
}

/// Entries that were read back, to be sent in one write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Run {
    /// The frames, one behind the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A connection took the first `written` bytes, at least one. Returns the offset of the last
    /// entry of which it has taken any, for [`Hub::handle_stored`], and what is missing of that one.
    #[must_use]
    pub fn taken(&self, wanted: Wanted, written: usize) -> (u64, &[u8]) {
        let begun = self.ends.partition_point(|&end| end < written);
        let end = self.ends.get(begun).copied().unwrap_or(self.bytes.len());
        let rest = self.bytes.get(written..end).unwrap_or_default();
        (wanted.first + begun as u64, rest)
    }
}

/// Reads the entries that a member wants, about `most` bytes of them but one at least.
///
/// The error is what stands first if it cannot be sent as it is, for [`Hub::handle_found`].
pub fn read_back<D: Disk>(
    journal: &mut Journal<D>,
    wanted: Wanted,
    most: usize,
) -> Result<Run, Found> {
    let mut run = Run {
        bytes: Vec::with_capacity(most.min(64 * 1024)),
        ends: Vec::new(),
    };
    let mut offset = wanted.first;
    while offset <= wanted.last {
        let ahead = most.saturating_sub(run.bytes.len());
        let found = match journal.read_ahead(wanted.room, offset, ahead) {
            Ok(Stored::Entry { device, .. }) if wanted.own == Some(device) => Found::Own,
            Ok(Stored::Entry { frame, .. }) if frame.len() > wanted.longest => Found::TooLarge,
            Ok(Stored::Entry { frame, .. }) => {
                if run.bytes.len() + frame.len() > most && !run.ends.is_empty() {
                    break;
                }
                run.bytes.extend_from_slice(frame);
                run.ends.push(run.bytes.len());
                offset += 1;
                continue;
            }
            Ok(Stored::Lost { to }) => Found::Lost { to },
            Ok(Stored::Gone) => Found::Lost { to: offset },
            // One entry is lost and told so; those behind it are not.
            Err(error) => {
                let is_damaged = matches!(error, JournalError::Damaged { .. });
                if is_damaged && matches!(journal.look_again(wanted.room, offset), Ok(true)) {
                    continue;
                }
                tracing::error!(%error, "an entry cannot be read back");
                Found::Lost { to: offset }
            }
        };
        if run.ends.is_empty() {
            return Err(found);
        }
        break;
    }
    Ok(run)
}

/// Reads the first entry that a member wants into `out`, as a datagram that counts as sent; `None`
/// if there is none to be sent, which the hub was told.
pub fn read_datagram<D: Disk>(
    hub: &mut Hub<'_>,
    journal: &mut Journal<D>,
    now: Instant,
    (id, wanted): (ConnId, Wanted),
    out: &mut [u8],
) -> Option<usize> {
    // One at a time: each is a datagram of its own.
    match read_back(journal, wanted, 0) {
        Ok(run) => hub.stored_datagram(now, id, wanted, run.bytes(), out),
        Err(found) => {
            hub.handle_found(now, id, wanted, found);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Settings;
    use crate::testkit::SimDisk;
    use halloo_core::chat::hub::{Config, Conn, Member, Pending, Room, Storage};
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
        let storage = Storage {
            conns: &mut [Conn::FREE; 2],
            members: &mut [Member::FREE; 4],
            rooms: &mut [Room::FREE; 4],
            bytes: &mut [0; 4096],
            index: &mut [[0; 4]; 64],
            pending: &mut [Pending::FREE; 4],
        };
        let mut hub = Hub::new(Config::new(1, [1; 4], 1), storage);
        restore(&mut hub, &journal).unwrap();
        assert_eq!(hub.head("lab"), Some(1));
    }
}
