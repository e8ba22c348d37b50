//! How a journal is opened: the last snapshot, the records after it, and an end that is whole.

use super::disk::Disk;
use super::error::JournalError;
use super::index::{self, Active};
use super::lineage::{self, Found};
use super::segment::{self, End, FIRST_BATCH, HEADER, Scanned, Store};
use super::snapshot::{self, UNFINISHED};
use super::state::State;
use super::{Journal, Sealed, Settings, create_segment, index_name, read};

/// What lies in a folder.
#[derive(Debug, Default)]
struct Names {
    /// Ascending, without holes.
    segments: Vec<u64>,
    indexes: Vec<u64>,
    /// Ascending.
    snapshots: Vec<u64>,
    /// What was not finished, and what is of no use any more.
    leftovers: Vec<String>,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal on a disk; an empty disk gets a new one.
    pub fn open(mut disk: D, settings: &Settings) -> Result<Self, JournalError> {
        let names = survey(&mut disk)?;
        let Some((&number, full)) = names.segments.split_last() else {
            names.clean(&mut disk)?;
            let store = Store {
                id: settings.store,
                generation: 1,
            };
            let file = create_segment(&mut disk, 1, store)?;
            return Ok(Self::over(disk, store, settings, file, 1));
        };
        let (snapshot, state) = load_snapshot(&mut disk, &names)?;
        let name = segment::name(number);
        let file = open(&mut disk, &name)?;
        let (store, file) = match (header(&disk, &file, number), full.last()) {
            (Ok(store), _) => (store, file),
            // It was being made, after the one before it was full.
            (Err(JournalError::Damaged { .. }), Some(&before))
                if length(&disk, &file, &name)? <= HEADER as u64 =>
            {
                let name = segment::name(before);
                let full = open(&mut disk, &name)?;
                let store = header(&disk, &full, before)?;
                (store, create_segment(&mut disk, number, store)?)
            }
            (Err(JournalError::Damaged { .. }), None)
                if length(&disk, &file, &name)? <= HEADER as u64 && number == 1 =>
            {
                let store = Store {
                    id: settings.store,
                    generation: 1,
                };
                (store, create_segment(&mut disk, number, store)?)
            }
            (Err(error), _) => return Err(error),
        };
        // Not before it is known that the folder is of this version.
        names.clean(&mut disk)?;
        let mut journal = Self::over(disk, store, settings, file, number);
        journal.state = state;
        let lineage = lineage::load(&mut journal.disk)?;
        if lineage == Found::Bad {
            tracing::warn!(
                file = lineage::NAME,
                "the generations that the store had are not known any more"
            );
        }
        journal.lineage = lineage.before(store);
        for &number in full {
            journal.open_full(number, number > snapshot)?;
        }
        journal.open_last()?;
        journal.forget_what_is_gone();
        Ok(journal)
    }

    fn over(disk: D, store: Store, settings: &Settings, file: D::File, number: u64) -> Self {
        Self {
            disk,
            store,
            lineage: Vec::new(),
            settings: settings.clone(),
            state: State::default(),
            spans: Vec::new(),
            sealed: Vec::new(),
            active: Active::default(),
            file,
            number,
            len: HEADER as u64,
            batch: FIRST_BATCH,
            buffer: Vec::new(),
            last_at: 0,
            commits: 0,
            failed: false,
            has_retained: false,
            retain_at: 0,
            window: read::Cache::default(),
        }
    }

    /// Opens a full segment; its records are read if they are newer than the snapshot, or its index
    /// is not good.
    fn open_full(&mut self, number: u64, is_news: bool) -> Result<(), JournalError> {
        let name = segment::name(number);
        let file = open(&mut self.disk, &name)?;
        if header(&self.disk, &file, number)? != self.store {
            return Err(JournalError::damaged(&name, 0, "it is of another store"));
        }
        if !is_news
            && let Ok(index) = self.disk.open(&index_name(number))
            && let Some((spans, newest)) = index::read_spans(&self.disk, &index, number)
                .map_err(JournalError::disk("read", &index_name(number)))?
        {
            let sealed = Sealed {
                number,
                file,
                index,
                newest,
                places: None,
            };
            self.add_sealed(sealed, spans);
            return Ok(());
        }
        let scanned = self.read_segment(&file, number, is_news)?;
        if scanned.end != End::Whole {
            let what = "a record is bad";
            return Err(JournalError::damaged(&name, scanned.bad_at, what));
        }
        self.seal(number, file)?;
        if is_news {
            self.snapshot(number)?;
        }
        Ok(())
    }

    /// Reads the segment that is written, and cuts off what is no whole commit.
    fn open_last(&mut self) -> Result<(), JournalError> {
        let name = segment::name(self.number);
        let file = open(&mut self.disk, &name)?;
        let scanned = self.read_segment(&file, self.number, true)?;
        match scanned.end {
            End::Whole => {}
            End::Torn => {
                tracing::warn!(
                    file = name,
                    at = scanned.len,
                    "cut off a commit that was not finished"
                );
                self.disk
                    .set_len(&mut self.file, scanned.len)
                    .and_then(|()| self.disk.sync(&mut self.file))
                    .map_err(JournalError::disk("cut", &name))?;
            }
            End::Damaged => {
                let what = "a record is bad, and good ones follow";
                return Err(JournalError::damaged(&name, scanned.bad_at, what));
            }
        }
        self.len = scanned.len;
        self.batch = scanned.batch.wrapping_add(1);
        Ok(())
    }

    /// Adds a segment's records to the index, and to the state if they are news to it.
    fn read_segment(
        &mut self,
        file: &D::File,
        number: u64,
        is_news: bool,
    ) -> Result<Scanned, JournalError> {
        let name = segment::name(number);
        let (active, state) = (&mut self.active, &mut self.state);
        segment::scan(&self.disk, file, &name, number, |at, read| {
            active.add(&read.record, at, read.len);
            if is_news {
                state.apply(&read.record)
            } else {
                Ok(())
            }
        })
    }
}

impl Names {
    /// Removes what nobody needs.
    fn clean<D: Disk>(&self, disk: &mut D) -> Result<(), JournalError> {
        for name in &self.leftovers {
            let removed = disk.remove(name);
            removed.map_err(JournalError::disk("remove", name))?;
        }
        Ok(())
    }
}

/// What there is.
fn survey<D: Disk>(disk: &mut D) -> Result<Names, JournalError> {
    let mut names = Names::default();
    let folder = "the data folder";
    for name in disk.list().map_err(JournalError::disk("list", folder))? {
        names.segments.extend(segment::number(&name, ".journal"));
        names.indexes.extend(segment::number(&name, ".index"));
        names.snapshots.extend(segment::number(&name, ".snapshot"));
        if name.ends_with(UNFINISHED) {
            names.leftovers.push(name);
        }
    }
    names.segments.sort_unstable();
    names.snapshots.sort_unstable();
    let hole = names
        .segments
        .windows(2)
        .find(|pair| pair[0] + 1 != pair[1]);
    let mut missing = hole.map(|pair| pair[0] + 1);
    // A segment has a snapshot only once the next one is there.
    if let Some(&snapshot) = names.snapshots.last()
        && names.segments.last().is_none_or(|&last| last <= snapshot)
    {
        missing = missing.or(Some(snapshot + 1));
    }
    if let Some(number) = missing {
        let name = segment::name(number);
        return Err(JournalError::damaged(&name, 0, "the file is not there"));
    }
    // A crash came between the end of a segment and that of its index.
    for &number in &names.indexes {
        if names.segments.first().is_some_and(|&first| number < first) {
            names.leftovers.push(index_name(number));
        }
    }
    Ok(names)
}

/// The newest good snapshot of a full segment, and that segment's number.
fn load_snapshot<D: Disk>(disk: &mut D, names: &Names) -> Result<(u64, State), JournalError> {
    let (first, last) = match names.segments[..] {
        [first, .., last] => (first, last),
        [only] => (only, only),
        [] => (1, 1),
    };
    for &number in names.snapshots.iter().rev() {
        // One that ends before the first segment would leave a hole.
        if number < last
            && number + 1 >= first
            && let Some(state) = snapshot::load(disk, number)?
        {
            return Ok((number, state));
        }
    }
    if first > 1 {
        let name = snapshot::name(first - 1);
        return Err(JournalError::damaged(
            &name,
            0,
            "no good snapshot covers what was deleted",
        ));
    }
    Ok((0, State::default()))
}

fn open<D: Disk>(disk: &mut D, name: &str) -> Result<D::File, JournalError> {
    disk.open(name).map_err(JournalError::disk("open", name))
}

fn length<D: Disk>(disk: &D, file: &D::File, name: &str) -> Result<u64, JournalError> {
    disk.len(file).map_err(JournalError::disk("look at", name))
}

fn header<D: Disk>(disk: &D, file: &D::File, number: u64) -> Result<Store, JournalError> {
    let name = segment::name(number);
    let mut bytes = [0; HEADER];
    let read = disk.read(file, 0, &mut bytes);
    let read = read.map_err(JournalError::disk("read", &name))?;
    segment::read_header(&name, number, &bytes[..read])
}
