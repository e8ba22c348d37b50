//! Segments: the files that records lie in, and how a segment is read from its beginning.

use super::disk::Disk;
use super::error::JournalError;
use super::record::{self, Fields, Place, Read};

/// The first bytes of a segment.
const MAGIC: [u8; 8] = *b"HALLOOJ1";

/// The version of everything that this module writes.
pub(super) const VERSION: u16 = 1;

/// The bytes before the first record.
pub(super) const HEADER: usize = 36;

/// The number of a segment's first batch: so it is known which one bad bytes at the beginning are of.
pub(super) const FIRST_BATCH: u32 = 1;

/// How much is read from the disk at a time.
const WINDOW: usize = 1 << 20;

/// Which store a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Store {
    pub(super) id: u64,
    pub(super) generation: u32,
}

/// The name of a segment's file.
pub(super) fn name(number: u64) -> String {
    format!("{number:020}.journal")
}

/// The number of the segment, index or snapshot that a file is, by its name's ending.
pub(super) fn number(name: &str, ending: &str) -> Option<u64> {
    let number = name.strip_suffix(ending)?;
    (number.len() == 20).then(|| number.parse().ok()).flatten()
}

pub(super) fn header(number: u64, store: Store) -> [u8; HEADER] {
    let mut out = Vec::with_capacity(HEADER);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&store.generation.to_be_bytes());
    out.extend_from_slice(&store.id.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
    let mut header = [0; HEADER];
    header.copy_from_slice(&out);
    header
}

/// What a header says; the error is what is wrong with it.
pub(super) fn read_header(name: &str, number: u64, bytes: &[u8]) -> Result<Store, JournalError> {
    let damaged = |what| JournalError::damaged(name, 0, what);
    let parse = || {
        let mut fields = Fields(bytes);
        let magic: [u8; 8] = fields.take()?;
        let version = u16::from_be_bytes(fields.take()?);
        let [0, 0] = fields.take()? else { return None };
        let generation = fields.u32()?;
        let id = fields.u64()?;
        let found = fields.u64()?;
        let crc = fields.u32()?;
        Some((magic, version, Store { id, generation }, found, crc))
    };
    let (magic, version, store, found, crc) =
        parse().ok_or_else(|| damaged("the header is cut off"))?;
    if magic != MAGIC {
        return Err(damaged("it does not begin as a journal does"));
    }
    // Its place is the same in every version: else rot would pass for a newer one.
    let covered = bytes.get(..HEADER - 4).unwrap_or_default();
    if crc != crc32c::crc32c(covered) || found != number {
        return Err(damaged("the header's sum or number is wrong"));
    }
    if version > VERSION {
        return Err(JournalError::Newer {
            name: name.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    Ok(store)
}

/// Where the good records of a segment end, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the file.
    Whole,
    /// At bytes that no later batch follows: a commit that was cut off.
    Torn,
    /// At bytes that were synced: good records of a later batch follow.
    Damaged,
}

/// What a scan found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned {
    /// Where the last whole batch ends.
    pub(super) len: u64,
    /// The batch number of the last record.
    pub(super) batch: u32,
    pub(super) end: End,
    /// Where the bad bytes begin, unless the segment is whole.
    pub(super) bad_at: u64,
}

/// Reads the records of a segment in order, those of whole batches only.
///
/// `take` gets each record and its place. Its error, in words, makes the record count as damaged.
pub(super) fn scan<D: Disk>(
    disk: &D,
    file: &D::File,
    name: &str,
    number: u64,
    mut take: impl FnMut(u64, &Read<'_>) -> Result<(), &'static str>,
) -> Result<Scanned, JournalError> {
    let mut window = Window::new(disk, file, name)?;
    let mut at = HEADER as u64;
    let mut scanned = Scanned {
        len: at,
        batch: FIRST_BATCH.wrapping_sub(1),
        end: End::Whole,
        bad_at: 0,
    };
    // Records of a batch whose end was not seen yet: they are taken all or not at all.
    let mut open: Vec<u64> = Vec::new();
    loop {
        let place = Place {
            segment: number,
            at,
        };
        let Some(read) = record::read(window.at(at)?, place) else {
            break;
        };
        let next = at + read.len as u64;
        open.push(at);
        scanned.batch = read.batch;
        if read.is_last {
            for &at in &open {
                let place = Place {
                    segment: number,
                    at,
                };
                let read = record::read(window.at(at)?, place);
                let read = read.ok_or_else(|| JournalError::damaged(name, at, "it changed"))?;
                take(at, &read).map_err(|what| JournalError::damaged(name, at, what))?;
            }
            open.clear();
            scanned.len = next;
        }
        at = next;
    }
    if scanned.len < window.len {
        scanned.bad_at = at;
        let complete = open.is_empty();
        scanned.end = match later_batch(&mut window, number, at, scanned.batch, complete)? {
            true => End::Damaged,
            false => End::Torn,
        };
    }
    Ok(scanned)
}

/// Whether a good record follows the bad bytes at `at` whose batch was begun after theirs was synced.
fn later_batch<D: Disk>(
    window: &mut Window<'_, D>,
    number: u64,
    at: u64,
    batch: u32,
    complete: bool,
) -> Result<bool, JournalError> {
    // The bad record is of the open batch, or of the one after a complete one.
    let bad = if complete {
        batch.wrapping_add(1)
    } else {
        batch
    };
    let mut at = at + 1;
    while at < window.len {
        let place = Place {
            segment: number,
            at,
        };
        if let Some(read) = record::read(window.at(at)?, place)
            && read.batch.wrapping_sub(bad) as i32 > 0
        {
            return Ok(true);
        }
        at += 1;
    }
    Ok(false)
}

/// A file, read in large pieces.
#[derive(Debug)]
pub(super) struct Window<'d, D: Disk> {
    disk: &'d D,
    file: &'d D::File,
    name: &'d str,
    pub(super) len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'d, D: Disk> Window<'d, D> {
    pub(super) fn new(disk: &'d D, file: &'d D::File, name: &'d str) -> Result<Self, JournalError> {
        let len = disk
            .len(file)
            .map_err(JournalError::disk("look at", name))?;
        Ok(Self {
            disk,
            file,
            name,
            len,
            start: 0,
            bytes: Vec::new(),
        })
    }

    /// The bytes from `at` on: a whole record's worth, unless the file ends before.
    pub(super) fn at(&mut self, at: u64) -> Result<&[u8], JournalError> {
        let end = self.start + self.bytes.len() as u64;
        let wanted = (at + (record::PREFIX + record::LONGEST) as u64).min(self.len);
        if at < self.start || wanted > end {
            self.bytes.resize(WINDOW, 0);
            self.start = at;
            let read = self.disk.read(self.file, at, &mut self.bytes);
            let read = read.map_err(JournalError::disk("read", self.name))?;
            self.bytes.truncate(read);
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(from..).unwrap_or_default())
    }
}
