//! The log on disk: an append-only journal of everything that a hub has promised.
//!
//! Knows records, files and syncs. Knows no socket and no member. A record is a whole transaction
//! (who posted, the sequence number, the entry or the refusal), so that what a device may not post
//! again and what it has posted are the same bytes. Records lie in segments, `NUMBER.journal`; when
//! one is full, an index and a snapshot are written beside it, both of which can be made anew.
//!
//! [`Journal::commit`] returns once everything appended before it is on the disk. After an error of
//! a write or a sync nothing more is written: what the disk has then is known only to the next start.
//!
//! Recovery takes the last snapshot and the records after it. Bytes at the end that are no whole
//! commit were never acknowledged and are cut off. Bad bytes that good commits follow are damage,
//! and are never passed over in silence: opening fails, and [`repair`] gives up what is lost.
//!
//! ```
//! use halloo_std::journal::{Folder, Journal, Record, Settings};
//! let folder = tempfile::tempdir()?;
//! let mut journal = Journal::open(Folder::take(folder.path())?, &Settings::default())?;
//! journal.append(&Record::Room { number: 0, name: "lab" });
//! journal.commit()?;
//! drop(journal);
//! let journal = Journal::open(Folder::take(folder.path())?, &Settings::default())?;
//! assert_eq!(journal.state().rooms[0].name, "lab");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod disk;
mod error;
mod follow;
pub mod hub;
mod index;
mod lineage;
mod read;
mod record;
mod recover;
mod repair;
mod retention;
mod segment;
mod snapshot;
mod state;
mod walk;

pub use check::{BadPlace, Report, dump, verify};
pub use disk::{Disk, Folder};
pub use error::JournalError;
pub use read::Stored;
pub use record::Record;
pub use repair::{Repaired, renew, repair};
pub use retention::Retention;
pub use state::{MemberState, RoomState, State};

use std::collections::HashMap;

use index::{Active, Span};
use record::Place;
use segment::{FIRST_BATCH, HEADER, Store};

/// An index has 32 bits for a position.
const LONGEST_SEGMENT: u64 = 1 << 31;

/// What a journal is told when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many bytes a segment has before the next one is begun, 2 GiB at most. Default: 64 MiB.
    pub segment_bytes: u64,
    /// The number of a store that is made; random. An old store keeps its own.
    pub store: u64,
    /// What is kept. Default: everything.
    pub retention: Retention,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            store: 1,
            retention: Retention::default(),
        }
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal<D: Disk> {
    disk: D,
    store: Store,
    /// The generations that the store had before, the newest first.
    lineage: Vec<u32>,
    settings: Settings,
    state: State,
    /// Where entries of full segments lie: for each room, in order.
    spans: Vec<Vec<Span>>,
    sealed: Vec<Sealed<D::File>>,
    active: Active,
    file: D::File,
    number: u64,
    /// How many bytes of the segment are synced.
    len: u64,
    batch: u32,
    commits: u64,
    /// What was appended since the last commit, and where in it the last record begins.
    buffer: Vec<u8>,
    last_at: usize,
    failed: bool,
    has_retained: bool,
    /// When the age of segments is looked at next, in milliseconds since 1970.
    retain_at: u64,
    window: read::Cache,
}

/// Where entries lie in a segment, by room and offset.
type Places = HashMap<(u32, u64), u64>;

/// A segment that is full.
#[derive(Debug)]
struct Sealed<F> {
    number: u64,
    file: F,
    index: F,
    /// The time of its latest record, in milliseconds since 1970.
    newest: u64,
    /// Where its entries are, once the index has led to a bad place.
    places: Option<Places>,
}

impl<D: Disk> Journal<D> {
    /// What the records add up to, those included that are not committed yet.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The store's number and generation, as a hub tells them to devices.
    #[must_use]
    pub const fn store(&self) -> (u64, u32) {
        (self.store.id, self.store.generation)
    }

    /// The generations that the store had before its own, the newest first, as a hub tells them to
    /// devices; none where that is not known.
    #[must_use]
    pub fn lineage(&self) -> &[u32] {
        &self.lineage
    }

    /// The disk, to look at.
    #[must_use]
    pub const fn disk(&self) -> &D {
        &self.disk
    }

    /// Adds a record to the next commit.
    ///
    /// It has to follow from those before it: an entry has the next offset of its room. One that does
    /// not is passed over, and the journal takes nothing more.
    pub fn append(&mut self, record: &Record<'_>) {
        if self.failed {
            return;
        }
        if let Err(what) = self.state.apply(record) {
            tracing::error!(what, "the journal was handed a record out of turn");
            self.failed = true;
            return;
        }
        self.last_at = self.buffer.len();
        let start = Place {
            segment: self.number,
            at: self.len,
        };
        record::write(&mut self.buffer, start, self.batch, record);
        let at = self.len + self.last_at as u64;
        let len = self.buffer.len() - self.last_at;
        self.active.add(record, at, len);
    }

    /// Whether something waits for a commit.
    #[must_use]
    pub const fn has_uncommitted(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether something was deleted since this was last asked: then rooms begin later.
    pub const fn take_retained(&mut self) -> bool {
        std::mem::replace(&mut self.has_retained, false)
    }

    /// How many commits there were since it was opened, each with a sync.
    #[must_use]
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Writes and syncs everything that was appended.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Failed);
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        // Until the sync has returned, nobody knows what the disk has.
        self.failed = true;
        let last = Place {
            segment: self.number,
            at: self.len + self.last_at as u64,
        };
        record::end_batch(&mut self.buffer[self.last_at..], last);
        let name = segment::name(self.number);
        self.disk
            .write(&mut self.file, self.len, &self.buffer)
            .map_err(JournalError::disk("write", &name))?;
        self.disk
            .sync(&mut self.file)
            .map_err(JournalError::disk("sync", &name))?;
        self.len += self.buffer.len() as u64;
        self.batch = self.batch.wrapping_add(1);
        self.commits += 1;
        self.buffer.clear();
        if self.len >= self.settings.segment_bytes.min(LONGEST_SEGMENT) {
            self.roll()?;
        }
        self.failed = false;
        Ok(())
    }

    /// Begins the next segment, and writes the index and the snapshot of the one that is full.
    fn roll(&mut self) -> Result<(), JournalError> {
        let full = self.number;
        let file = create_segment(&mut self.disk, full + 1, self.store)?;
        let file = std::mem::replace(&mut self.file, file);
        self.number = full + 1;
        self.len = HEADER as u64;
        self.batch = FIRST_BATCH;
        self.seal(full, file)?;
        self.snapshot(full)?;
        self.retain(self.state.latest)
    }

    /// Writes the index of a full segment.
    fn seal(&mut self, number: u64, file: D::File) -> Result<(), JournalError> {
        let newest = self.active.latest();
        let (bytes, spans) = self.active.to_file(number);
        self.active.clear();
        let name = index_name(number);
        snapshot::write_file(&mut self.disk, &name, &bytes)?;
        let index = self.disk.open(&name);
        let index = index.map_err(JournalError::disk("open", &name))?;
        let sealed = Sealed {
            number,
            file,
            index,
            newest,
            places: None,
        };
        self.add_sealed(sealed, spans);
        Ok(())
    }

    fn add_sealed(&mut self, sealed: Sealed<D::File>, spans: Vec<Span>) {
        self.sealed.push(sealed);
        for span in spans {
            let room = span.room as usize;
            if self.spans.len() <= room {
                self.spans.resize_with(room + 1, Vec::new);
            }
            self.spans[room].push(span);
        }
    }

    /// Writes the state at the end of segment `number`, and removes all snapshots but the one
    /// before it.
    fn snapshot(&mut self, number: u64) -> Result<(), JournalError> {
        let bytes = snapshot::to_file(number, &self.state);
        let name = snapshot::name(number);
        snapshot::write_file(&mut self.disk, &name, &bytes)?;
        let names = self.disk.list();
        for name in names.map_err(JournalError::disk("list", "the data folder"))? {
            if segment::number(&name, ".snapshot").is_some_and(|old| old + 1 < number) {
                let removed = self.disk.remove(&name);
                removed.map_err(JournalError::disk("remove", &name))?;
            }
        }
        Ok(())
    }
}

fn index_name(number: u64) -> String {
    format!("{number:020}.index")
}

/// Makes a segment that stays.
fn create_segment<D: Disk>(
    disk: &mut D,
    number: u64,
    store: Store,
) -> Result<D::File, JournalError> {
    let name = segment::name(number);
    let failed = || JournalError::disk("make", &name);
    let mut file = disk.create(&name).map_err(failed())?;
    let header = segment::header(number, store);
    disk.write(&mut file, 0, &header).map_err(failed())?;
    disk.sync(&mut file).map_err(failed())?;
    disk.sync_names().map_err(failed())?;
    Ok(file)
}

#[cfg(test)]
mod repair_tests;
#[cfg(test)]
mod tests;
