//! How a damaged journal is mended: good records stay, and what is lost is told.
//!
//! Each segment is written whole under another name and then renamed, from the first to the last, as
//! a part of the next generation of the store. Until the last one has its name, a start refuses the
//! mix of generations, and another repair completes it. What can be made from the segments (indexes,
//! and all snapshots but the newest good one) is removed before, and the new generation is added to
//! the lineage.

use super::check::{Check, Report};
use super::disk::Disk;
use super::error::JournalError;
use super::lineage::{self, Found};
use super::record::{self, Place, Record};
use super::segment::{self, FIRST_BATCH, HEADER, Store};
use super::snapshot::UNFINISHED;

/// What a repair found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// What was wrong.
    pub found: Report,
    /// The store's new generation; `None` if no segment was damaged, and none was written.
    pub generation: Option<u32>,
}

/// Mends a journal: keeps every good record, and tells members of the entries that are lost.
///
/// Devices are told that the store has changed. `store` has to be random: how far the generation goes
/// up comes from it, and if no segment tells the store's number any more, it is the number from now
/// on. Does nothing where nothing is wrong. Where it fails, or is cut short, it can be run again.
pub fn repair<D: Disk>(disk: &mut D, store: u64) -> Result<Repaired, JournalError> {
    mend(disk, store, false)
}

/// As [`repair`], for a journal that was put back from a backup: devices are told that the store has
/// changed also where nothing is wrong, since its offsets come again with other posts.
pub fn renew<D: Disk>(disk: &mut D, store: u64) -> Result<Repaired, JournalError> {
    mend(disk, store, true)
}

fn mend<D: Disk>(disk: &mut D, store: u64, is_old: bool) -> Result<Repaired, JournalError> {
    let check = Check::begin(disk)?;
    let snapshot = check.truth();
    let check = check.run(disk, None)?;
    let (is_damaged, found) = (check.is_damaged, check.report);
    let anew = is_damaged || is_old && found.segments > 0;
    if found.bad.is_empty() && !anew {
        return Ok(Repaired {
            found,
            generation: None,
        });
    }
    let lineage = lineage::load(disk)?;
    remove_what_can_be_made(disk, snapshot, &lineage)?;
    if !anew {
        return Ok(Repaired {
            found,
            generation: None,
        });
    }
    let store = match found.store {
        Some((id, generation)) => Store {
            id,
            generation: next_generation(generation, store),
        },
        None => Store {
            id: store,
            generation: 1,
        },
    };
    // First: a segment of a generation whose lineage is not known would be one too early.
    if let Some((_, old)) = found.store {
        lineage.write(disk, store, old)?;
    }
    Check::begin(disk)?.run(disk, Some(store))?;
    Ok(Repaired {
        found,
        generation: Some(store.generation),
    })
}

/// A generation that the store never had: one backup may be put back twice, and what was posted in
/// between is known to devices under the generation that it got the first time.
const fn next_generation(generation: u32, random: u64) -> u32 {
    generation
        .wrapping_add(1)
        .wrapping_add((random >> 40) as u32)
}

fn remove_what_can_be_made<D: Disk>(
    disk: &mut D,
    snapshot: Option<u64>,
    lineage: &Found,
) -> Result<(), JournalError> {
    let folder = "the data folder";
    for name in disk.list().map_err(JournalError::disk("list", folder))? {
        let is_old = |number| Some(number) != snapshot;
        if name.ends_with(UNFINISHED)
            || (name == lineage::NAME && *lineage == Found::Bad)
            || segment::number(&name, ".index").is_some()
            || segment::number(&name, ".snapshot").is_some_and(is_old)
        {
            let removed = disk.remove(&name);
            removed.map_err(JournalError::disk("remove", &name))?;
        }
    }
    disk.sync_names()
        .map_err(JournalError::disk("sync", folder))
}

/// A segment that is written anew.
#[derive(Debug)]
pub(super) struct Rewriter {
    number: u64,
    bytes: Vec<u8>,
    /// The batch that is written, and which one of the old segment it was.
    batch: u32,
    source: Option<u32>,
    /// Where the last record begins; 0 if there is none.
    last_at: usize,
}

impl Rewriter {
    pub(super) fn new(number: u64, store: Store) -> Self {
        Self {
            number,
            bytes: segment::header(number, store).to_vec(),
            batch: FIRST_BATCH,
            source: None,
            last_at: 0,
        }
    }

    /// What follows is of this batch of the old segment.
    pub(super) fn begin(&mut self, source: u32) {
        if self.source.replace(source) != Some(source) {
            self.end_batch();
        }
    }

    /// What follows is of no batch of the old segment.
    pub(super) fn begin_another(&mut self) {
        self.source = None;
        self.end_batch();
    }

    pub(super) fn put(&mut self, record: &Record<'_>) {
        self.last_at = self.bytes.len();
        let start = Place {
            segment: self.number,
            at: 0,
        };
        record::write(&mut self.bytes, start, self.batch, record);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.end_batch();
        self.bytes
    }

    fn end_batch(&mut self) {
        if self.last_at < HEADER {
            return;
        }
        let place = Place {
            segment: self.number,
            at: self.last_at as u64,
        };
        record::end_batch(&mut self.bytes[self.last_at..], place);
        self.last_at = 0;
        self.batch = self.batch.wrapping_add(1);
    }
}
