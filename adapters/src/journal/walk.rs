//! A segment as it lies there, good or not: every good record, and the bad places between them.

use super::disk::Disk;
use super::error::JournalError;
use super::record::{self, Place};
use super::segment::{FIRST_BATCH, HEADER, Window};

/// A good record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) at: u64,
    pub(super) batch: u32,
    pub(super) is_last: bool,
}

/// Bytes that are no record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bad {
    pub(super) at: u64,
    pub(super) len: u64,
    /// How many good records come before.
    before: usize,
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) records: Vec<Spot>,
    pub(super) bad: Vec<Bad>,
    /// Where a commit begins that was cut off.
    pub(super) torn_at: Option<u64>,
}

/// Goes through a segment. In the one that was written last, a commit that is not whole is no
/// damage, and left out.
pub(super) fn walk<D: Disk>(
    window: &mut Window<'_, D>,
    segment: u64,
    is_newest: bool,
) -> Result<Walked, JournalError> {
    let mut walked = Walked {
        records: Vec::new(),
        bad: Vec::new(),
        torn_at: None,
    };
    let mut at = HEADER as u64;
    let mut bad_from = None;
    while at < window.len {
        let read = record::read(window.at(at)?, Place { segment, at });
        let Some(read) = read else {
            bad_from.get_or_insert(at);
            at += 1;
            continue;
        };
        walked.end_bad(bad_from.take(), at);
        walked.records.push(Spot {
            at,
            batch: read.batch,
            is_last: read.is_last,
        });
        at += read.len as u64;
    }
    walked.end_bad(bad_from, at);
    if is_newest {
        walked.leave_out_torn();
    }
    Ok(walked)
}

impl Walked {
    fn end_bad(&mut self, from: Option<u64>, to: u64) {
        if let Some(at) = from {
            self.bad.push(Bad {
                at,
                len: to - at,
                before: self.records.len(),
            });
        }
    }

    /// Leaves out what a start cuts off: the records and bad bytes of the last batch, if it is not
    /// whole.
    fn leave_out_torn(&mut self) {
        let last = self.records.last().map_or(FIRST_BATCH, |spot| spot.batch);
        let is_open = self.records.last().is_some_and(|spot| !spot.is_last);
        let batch_of = |bad: &Bad| match bad.before.checked_sub(1).map(|at| self.records[at]) {
            Some(spot) if !spot.is_last => spot.batch,
            Some(spot) => spot.batch.wrapping_add(1),
            None => FIRST_BATCH,
        };
        let is_torn = |bad: &&Bad| last.wrapping_sub(batch_of(bad)) as i32 <= 0;
        let bad = self.bad.iter().find(is_torn);
        let batch = match bad {
            Some(bad) => batch_of(bad),
            None if is_open => last,
            None => return,
        };
        let first = self.records.iter().find(|spot| spot.batch == batch);
        let begins = [first.map(|spot| spot.at), bad.map(|bad| bad.at)];
        let Some(torn_at) = begins.into_iter().flatten().min() else {
            return;
        };
        self.records.retain(|spot| spot.at < torn_at);
        self.bad.retain(|bad| bad.at < torn_at);
        self.torn_at = Some(torn_at);
    }
}
