//! What is wrong with a journal, and what would mend it, record by record.
//!
//! Knows how the records of one segment follow from those before. Writes nothing: [`super::repair`]
//! does, and [`verify`] is the same walk without it.

use super::State;
use super::disk::Disk;
use super::error::JournalError;
use super::index::Active;
use super::lineage::{self, Found};
use super::record::{self, Place, Record};
use super::repair::Rewriter;
use super::segment::{self, HEADER, Store, Window};
use super::snapshot;
use super::walk::walk;

/// An entry's record has at least so many bytes: so many entries at most are lost in bad ones.
const SHORTEST_ENTRY: u64 = 53;

/// What a journal holds, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many segments there are.
    pub segments: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many good records.
    pub records: u64,
    /// How many of them are entries.
    pub entries: u64,
    /// How many rooms have an entry, or had one.
    pub rooms: u64,
    /// How many entries are missing that must have been there.
    pub lost: u64,
    /// What is damaged.
    pub bad: Vec<BadPlace>,
    /// A commit at the end that is not whole: nobody was told of it, and the next start cuts it off.
    pub torn: Option<BadPlace>,
    /// The store's number and generation, if a segment tells it.
    pub store: Option<(u64, u32)>,
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPlace {
    /// The file.
    pub file: String,
    /// The first bad byte.
    pub at: u64,
    /// What is wrong.
    pub what: &'static str,
}

/// Reads everything, and changes nothing.
pub fn verify<D: Disk>(disk: &mut D) -> Result<Report, JournalError> {
    Ok(Check::begin(disk)?.run(disk, None)?.report)
}

/// Shows every good record with its file and place, in order, until `visit` says that it is enough.
///
/// The records of a commit that was cut off are not shown.
pub fn dump<D: Disk>(
    disk: &mut D,
    mut visit: impl FnMut(&str, u64, &Record<'_>) -> std::ops::ControlFlow<()>,
) -> Result<(), JournalError> {
    let segments = numbers(disk, ".journal")?;
    for &number in &segments {
        let name = segment::name(number);
        let file = open(disk, &name)?;
        let mut window = Window::new(disk, &file, &name)?;
        let is_newest = segments.last() == Some(&number);
        for spot in walk(&mut window, number, is_newest)?.records {
            let place = Place {
                segment: number,
                at: spot.at,
            };
            let read = record::read(window.at(spot.at)?, place);
            if read.is_some_and(|read| visit(&name, spot.at, &read.record).is_break()) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A walk over all segments.
#[derive(Debug)]
pub(super) struct Check {
    segments: Vec<u64>,
    indexes: Vec<u64>,
    /// The newest good snapshot.
    pub(super) truth: Option<(u64, State)>,
    /// What the records add up to.
    pub(super) state: State,
    /// Rooms whose beginning was deleted: their first entry may have any offset.
    pub(super) unseen: Vec<bool>,
    /// How many entries may be missing.
    pub(super) missing_most: u64,
    pub(super) report: Report,
    /// Something is wrong with a segment, and not only with what can be made from it.
    pub(super) is_damaged: bool,
}

impl Check {
    /// Looks at what files there are.
    pub(super) fn begin<D: Disk>(disk: &mut D) -> Result<Self, JournalError> {
        let mut check = Self {
            segments: numbers(disk, ".journal")?,
            indexes: numbers(disk, ".index")?,
            truth: None,
            state: State::default(),
            unseen: Vec::new(),
            missing_most: 0,
            report: Report::default(),
            is_damaged: false,
        };
        let snapshots = numbers(disk, ".snapshot")?;
        check.find_truth(disk, &snapshots)?;
        if lineage::load(disk)? == Found::Bad {
            check.bad(lineage::NAME, 0, "the lineage's sum is wrong");
        }
        Ok(check)
    }

    fn find_truth<D: Disk>(&mut self, disk: &mut D, snapshots: &[u64]) -> Result<(), JournalError> {
        let first = self.segments.first().copied().unwrap_or(1);
        for &number in snapshots.iter().rev() {
            match snapshot::load(disk, number)? {
                Some(state) if self.truth.is_none() && number + 1 >= first => {
                    self.truth = Some((number, state));
                }
                Some(_) => {}
                None => self.bad(&snapshot::name(number), 0, "the snapshot's sum is wrong"),
            }
        }
        if first == 1 {
            return Ok(());
        }
        let Some((number, state)) = &self.truth else {
            let name = snapshot::name(first - 1);
            let what = "no good snapshot covers what was deleted";
            return Err(JournalError::beyond(&name, what));
        };
        if number + 1 == first {
            // It ends where the segments begin: a start counts from there, and so does this.
            self.state = state.clone();
            return Ok(());
        }
        self.state.rooms.clone_from(&state.rooms);
        self.state.rooms.iter_mut().for_each(|room| room.head = 0);
        self.unseen = vec![true; self.state.rooms.len()];
        Ok(())
    }

    /// Goes over everything. With a store, each segment is written anew as a part of it.
    pub(super) fn run<D: Disk>(
        mut self,
        disk: &mut D,
        store: Option<Store>,
    ) -> Result<Self, JournalError> {
        let truth = self.truth();
        let first = self.segments.first().copied();
        let Some(first) = first.or_else(|| truth.map(|number| number + 1)) else {
            return Ok(self);
        };
        // A segment has a snapshot only once the next one is there.
        let after_truth = truth.map_or(first, |number| number + 1);
        let last = self
            .segments
            .last()
            .map_or(first, |&last| last.max(after_truth));
        for number in first..=last {
            let mut anew = store.map(|store| Rewriter::new(number, store));
            if self.segments.binary_search(&number).is_ok() {
                self.segment(disk, number, number == last, &mut anew)?;
            } else {
                self.missing_most += u64::from(u32::MAX) / SHORTEST_ENTRY;
                self.damage(&segment::name(number), 0, "the file is not there");
            }
            self.meet_truth(number, &mut anew)?;
            if let Some(anew) = anew {
                snapshot::write_file(disk, &segment::name(number), &anew.finish())?;
            }
        }
        let rooms = self.state.rooms.iter().filter(|room| room.head > 0);
        self.report.rooms = rooms.count() as u64;
        Ok(self)
    }

    /// The segment whose snapshot is the newest good one.
    pub(super) fn truth(&self) -> Option<u64> {
        self.truth.as_ref().map(|(number, _)| *number)
    }

    fn segment<D: Disk>(
        &mut self,
        disk: &mut D,
        number: u64,
        is_newest: bool,
        anew: &mut Option<Rewriter>,
    ) -> Result<(), JournalError> {
        let name = segment::name(number);
        let file = open(disk, &name)?;
        let mut window = Window::new(disk, &file, &name)?;
        self.report.segments += 1;
        self.report.bytes += window.len;
        let damage_before = self.report.bad.len();
        // Only what follows another segment, or begins the journal, can have been cut off so.
        let has_place = number == 1 || self.segments.len() > 1;
        let is_unfinished = is_newest && has_place && window.len <= HEADER as u64;
        match segment::read_header(&name, number, window.at(0)?) {
            Ok(store) => self.meet_store(&name, store)?,
            Err(JournalError::Damaged { .. }) if is_unfinished => {
                let what = "the segment was being made";
                self.report.torn = Some(BadPlace::new(&name, 0, what));
            }
            Err(JournalError::Damaged { what, .. }) => self.damage(&name, 0, what),
            Err(error) => return Err(error),
        }
        let walked = walk(&mut window, number, is_newest)?;
        for bad in &walked.bad {
            self.missing_most += bad.len / SHORTEST_ENTRY + 1;
            self.damage(&name, bad.at, "a record is bad");
        }
        if let Some(at) = walked.torn_at {
            let what = "the last commit is not whole";
            self.report.torn = Some(BadPlace::new(&name, at, what));
        }
        let mut active = Active::default();
        for spot in walked.records {
            let place = Place {
                segment: number,
                at: spot.at,
            };
            let Some(read) = record::read(window.at(spot.at)?, place) else {
                continue;
            };
            active.add(&read.record, spot.at, read.len);
            if let Some(anew) = anew {
                anew.begin(spot.batch);
            }
            match self.take(&name, spot.at, &read.record, anew) {
                Ok(()) => {
                    self.report.records += 1;
                    let is_entry = matches!(read.record, Record::Entry { .. });
                    self.report.entries += u64::from(is_entry);
                }
                Err(what) => {
                    self.missing_most += 1;
                    self.damage(&name, spot.at, what);
                }
            }
        }
        if !is_newest && self.report.bad.len() == damage_before {
            self.check_index(disk, number, &active)?;
        }
        Ok(())
    }

    fn meet_store(&mut self, name: &str, store: Store) -> Result<(), JournalError> {
        let (id, generation) = (store.id, store.generation);
        match self.report.store {
            None => self.report.store = Some((id, generation)),
            Some((known, _)) if known != id => {
                return Err(JournalError::beyond(name, "it is of another store"));
            }
            Some((_, known)) if known != generation => {
                self.report.store = Some((id, known.max(generation)));
                self.damage(name, 0, "a repair was not finished");
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn check_index<D: Disk>(
        &mut self,
        disk: &mut D,
        number: u64,
        active: &Active,
    ) -> Result<(), JournalError> {
        let name = super::index_name(number);
        // One that is not there is made at the next start.
        if self.indexes.binary_search(&number).is_err() {
            return Ok(());
        }
        let bytes = snapshot::read_file(disk, &name).map_err(JournalError::disk("read", &name))?;
        if bytes != active.to_file(number).0 {
            self.bad(&name, 0, "the index does not fit its segment");
        }
        Ok(())
    }

    /// Something is wrong with a segment.
    pub(super) fn damage(&mut self, file: &str, at: u64, what: &'static str) {
        self.is_damaged = true;
        self.bad(file, at, what);
    }

    /// Something is wrong with what can be made anew.
    fn bad(&mut self, file: &str, at: u64, what: &'static str) {
        self.report.bad.push(BadPlace::new(file, at, what));
    }
}

impl BadPlace {
    fn new(file: &str, at: u64, what: &'static str) -> Self {
        Self {
            file: file.to_owned(),
            at,
            what,
        }
    }
}

/// The numbers of the files of one kind, ascending.
fn numbers<D: Disk>(disk: &mut D, ending: &str) -> Result<Vec<u64>, JournalError> {
    let names = disk.list();
    let names = names.map_err(JournalError::disk("list", "the data folder"))?;
    let numbers = names
        .iter()
        .filter_map(|name| segment::number(name, ending));
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn open<D: Disk>(disk: &mut D, name: &str) -> Result<D::File, JournalError> {
    disk.open(name).map_err(JournalError::disk("open", name))
}
