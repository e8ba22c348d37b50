//! What a journal keeps, and how it lets go: a whole segment at a time, the oldest first.

use std::time::Duration;

use super::disk::Disk;
use super::error::JournalError;
use super::{Journal, index_name, segment};

/// How often the age of segments is looked at, in milliseconds.
pub(super) const EVERY: u64 = 60_000;

/// How much of each room is kept; a limit that is `None` does not count.
///
/// An entry goes when it is beyond one of the limits, and not before every entry of its segment is:
/// so at least this much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// How many entries of each room.
    pub entries: Option<u64>,
    /// How many bytes of each room's records.
    pub bytes: Option<u64>,
    /// For how long.
    pub age: Option<Duration>,
}

impl<D: Disk> Journal<D> {
    /// Deletes the segments whose entries are all beyond the limits at the time `now`, in
    /// milliseconds since 1970.
    pub fn retain(&mut self, now: u64) -> Result<(), JournalError> {
        let mut removed = 0;
        // What a segment is needed for is in its snapshot and in the next one: so one of them may rot.
        while let [oldest, _, ..] = &self.sealed[..]
            && self.is_beyond(oldest.number, oldest.newest, now)
        {
            let number = oldest.number;
            self.sealed.remove(0);
            for spans in &mut self.spans {
                spans.retain(|span| span.segment != number);
            }
            for name in [segment::name(number), index_name(number)] {
                let gone = self.disk.remove(&name);
                gone.map_err(JournalError::disk("remove", &name))?;
            }
            // A crash must not bring it back when the one after it is gone.
            let synced = self.disk.sync_names();
            synced.map_err(JournalError::disk("sync", "the data folder"))?;
            removed += 1;
            tracing::info!(
                segment = number,
                "deleted a segment that is beyond retention"
            );
        }
        if removed > 0 {
            self.drop_window();
            self.forget_what_is_gone();
            self.has_retained = true;
        }
        Ok(())
    }

    /// Lets go of what is too old, as often as that is worth a look.
    pub(crate) fn retain_in_time(&mut self, now: u64) -> Result<(), JournalError> {
        if self.settings.retention.age.is_none() || now < self.retain_at || self.failed {
            return Ok(());
        }
        self.retain_at = now.saturating_add(EVERY);
        self.retain(now)
    }

    fn is_beyond(&self, number: u64, newest: u64, now: u64) -> bool {
        let limits = self.settings.retention;
        let old = |age: Duration| u128::from(now.saturating_sub(newest)) > age.as_millis();
        if limits.age.is_some_and(old) {
            return true;
        }
        if limits.entries.is_none() && limits.bytes.is_none() {
            return false;
        }
        self.spans.iter().all(|spans| {
            let Some((span, later)) = spans.split_first().filter(|(s, _)| s.segment == number)
            else {
                return true;
            };
            let head = self
                .state
                .rooms
                .get(span.room as usize)
                .map_or(0, |room| room.head);
            let after = (head + 1).saturating_sub(span.first + u64::from(span.count));
            let bytes: u64 = later.iter().map(|span| span.bytes).sum();
            let bytes = bytes + self.active.bytes(span.room);
            limits.entries.is_some_and(|most| after >= most)
                || limits.bytes.is_some_and(|most| bytes >= most)
        })
    }

    /// Sets the first offset of each room to the first that is there.
    pub(super) fn forget_what_is_gone(&mut self) {
        for (number, room) in (0_u32..).zip(&mut self.state.rooms) {
            let full = self.spans.get(number as usize);
            let full = full.and_then(|spans| Some(spans.first()?.first));
            let first = full.or_else(|| self.active.first(number));
            room.oldest = first.unwrap_or(room.head + 1);
        }
    }
}
