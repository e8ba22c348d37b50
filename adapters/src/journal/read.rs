//! Reading entries back, for members that the memory has moved on from.

use halloo_core::wire::DeviceId;

use super::disk::Disk;
use super::error::JournalError;
use super::index::{self, Span};
use super::record::{self, LONGEST, PREFIX, Place, Record};
use super::segment::Window;
use super::{Journal, Places, segment, walk};

/// How much is read from the disk at a time: at first, and at most where entries follow one another.
const LEAST: usize = 4 * 1024;
const MOST: usize = 64 * 1024;

/// What stands at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored<'a> {
    /// An entry.
    Entry {
        /// Who posted it.
        device: DeviceId,
        /// The entry as its `Length32` frame.
        frame: &'a [u8],
    },
    /// A repair found it lost, up to this offset.
    Lost {
        /// The last one that is lost.
        to: u64,
    },
    /// It is not kept any more, or not yet there.
    Gone,
}

/// The bytes that were read last: the next entry often lies there too.
#[derive(Debug, Default)]
pub(super) struct Cache {
    segment: u64,
    start: u64,
    bytes: Vec<u8>,
    /// How much the last reading asked for, and what all have brought.
    size: usize,
    total: u64,
}

impl<D: Disk> Journal<D> {
    /// What stands at `offset` of `room`, which must be committed. Where that is damaged,
    /// [`look_again`](Self::look_again) may find it elsewhere.
    pub fn read(&mut self, room: u32, offset: u64) -> Result<Stored<'_>, JournalError> {
        self.read_ahead(room, offset, MOST)
    }

    /// The same where about `ahead` bytes of entries are wanted from there on: more is not read from
    /// the disk, but for 4 KiB and for the rest of the last record.
    pub fn read_ahead(
        &mut self,
        room: u32,
        offset: u64,
        ahead: usize,
    ) -> Result<Stored<'_>, JournalError> {
        let Some((segment, at)) = self.find(room, offset)? else {
            return Ok(Stored::Gone);
        };
        let name = segment::name(segment);
        let place = Place { segment, at };
        let bytes = self.bytes_at(place, &name, ahead)?;
        let Some(read) = record::read(bytes, place) else {
            return Err(JournalError::damaged(&name, at, "a record is bad"));
        };
        match read.record {
            Record::Entry {
                room: found_room,
                offset: found,
                device,
                frame,
                ..
            } if found_room == room && found == offset => Ok(Stored::Entry { device, frame }),
            Record::Lost { to, .. } => Ok(Stored::Lost { to }),
            _ => Err(JournalError::damaged(
                &name,
                at,
                "the index leads to another record",
            )),
        }
    }

    /// How many bytes of segments were read for entries.
    #[must_use]
    pub const fn bytes_read(&self) -> u64 {
        self.window.total
    }

    /// Looks for an entry that is not where the index of its segment says, as [`read`](Self::read) has
    /// found. An index can rot while its segment is good. Whether it is worth reading again.
    ///
    /// Reads the whole segment, once.
    pub fn look_again(&mut self, room: u32, offset: u64) -> Result<bool, JournalError> {
        let span = self.span(room, offset).map(|span| span.segment);
        let Some(nth) = self.sealed.iter().position(|s| Some(s.number) == span) else {
            return Ok(false);
        };
        let sealed = &self.sealed[nth];
        if sealed.places.is_some() {
            return Ok(false);
        }
        let name = segment::name(sealed.number);
        let mut window = Window::new(&self.disk, &sealed.file, &name)?;
        let mut places = Places::new();
        for spot in walk::walk(&mut window, sealed.number, false)?.records {
            let place = Place {
                segment: sealed.number,
                at: spot.at,
            };
            match record::read(window.at(spot.at)?, place).map(|read| read.record) {
                Some(Record::Entry { room, offset, .. }) => {
                    places.insert((room, offset), spot.at);
                }
                Some(Record::Lost { room, from, to }) => {
                    places.extend((from..=to).map(|offset| ((room, offset), spot.at)));
                }
                _ => {}
            }
        }
        self.sealed[nth].places = Some(places);
        Ok(true)
    }

    /// The entries of a full segment that an entry is one of.
    fn span(&self, room: u32, offset: u64) -> Option<&Span> {
        let spans = self.spans.get(room as usize)?;
        let after = spans.partition_point(|span| span.first <= offset);
        let span = spans.get(after.checked_sub(1)?)?;
        (offset - span.first < u64::from(span.count)).then_some(span)
    }

    /// The segment and the position of an entry.
    fn find(&self, room: u32, offset: u64) -> Result<Option<(u64, u64)>, JournalError> {
        if self.active.first(room).is_some_and(|first| first <= offset) {
            let at = self.active.find(room, offset);
            return Ok(at.map(|at| (self.number, at)));
        }
        let Some(span) = self.span(room, offset) else {
            return Ok(None);
        };
        let sealed = self.sealed.iter().find(|s| s.number == span.segment);
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        if let Some(places) = &sealed.places {
            let at = places.get(&(room, offset));
            return Ok(at.map(|&at| (span.segment, at)));
        }
        let name = super::index_name(span.segment);
        let at = index::read_position(&self.disk, &sealed.index, span, offset);
        let at = at.map_err(JournalError::disk("read", &name))?;
        Ok(at.map(|at| (span.segment, at)))
    }

    /// The bytes from a place on, a whole record's worth.
    fn bytes_at(&mut self, place: Place, name: &str, ahead: usize) -> Result<&[u8], JournalError> {
        if !self.window.holds(place) {
            let size = self.window.next_size(place).min(ahead).max(LEAST);
            let file = match self.sealed.iter().find(|s| s.number == place.segment) {
                Some(sealed) => &sealed.file,
                None => &self.file,
            };
            let bytes = &mut self.window.bytes;
            for most in [size, PREFIX + LONGEST] {
                bytes.resize(most, 0);
                let read = self.disk.read(file, place.at, bytes);
                let read = read.map_err(JournalError::disk("read", name))?;
                bytes.truncate(read);
                self.window.total += read as u64;
                if record::claimed_len(bytes).is_some_and(|len| len <= read) {
                    break;
                }
            }
            self.window.size = size;
            self.window.segment = place.segment;
            self.window.start = place.at;
        }
        let from = usize::try_from(place.at - self.window.start).unwrap_or(usize::MAX);
        Ok(self.window.bytes.get(from..).unwrap_or_default())
    }

    /// What was read may be older than what was written since.
    pub(super) fn drop_window(&mut self) {
        self.window.bytes.clear();
    }
}

impl Cache {
    /// How much to read at a place: twice as much as the last time where reading goes on behind it.
    /// Where entries of other rooms lie between, what is read beyond the first is mostly theirs.
    fn next_size(&self, place: Place) -> usize {
        let end = self.start + self.bytes.len() as u64;
        let goes_on = self.segment == place.segment && (self.start..=end).contains(&place.at);
        if goes_on && !self.bytes.is_empty() {
            self.size.saturating_mul(2).min(MOST)
        } else {
            LEAST
        }
    }

    fn holds(&self, place: Place) -> bool {
        let rest = place
            .at
            .checked_sub(self.start)
            .and_then(|from| self.bytes.get(usize::try_from(from).ok()?..));
        self.segment == place.segment
            && rest
                .is_some_and(|rest| record::claimed_len(rest).is_some_and(|len| len <= rest.len()))
    }
}
