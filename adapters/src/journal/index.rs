//! Where each entry lies: in memory for the segment that is written, in a file for each other one.
//!
//! An index can always be made anew from its segment, so a bad one is no damage.
//!
//! ```text
//! "HALLOOX1" │ segment u64 │ latest u64 │ spans u32 │ spans: room u32, first u64, count u32, bytes u64 │ crc u32
//! positions: u32 for each entry, in the order of the spans
//! ```

use std::io;

use super::disk::Disk;
use super::record::{Fields, Record};

const MAGIC: [u8; 8] = *b"HALLOOX1";
const HEAD: usize = 8 + 8 + 8 + 4;
const SPAN: usize = 4 + 8 + 4 + 8;

/// The entries of one room in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) segment: u64,
    pub(super) room: u32,
    pub(super) first: u64,
    pub(super) count: u32,
    /// Of the records, all together.
    pub(super) bytes: u64,
    /// Where its positions begin in the index file.
    pub(super) positions_at: u64,
}

/// The index of the segment that is written.
#[derive(Debug, Default)]
pub(super) struct Active {
    /// By room number.
    rooms: Vec<Positions>,
    latest: u64,
}

#[derive(Debug, Default)]
struct Positions {
    first: u64,
    bytes: u64,
    at: Vec<u32>,
}

impl Active {
    /// The record lies at `at` and takes `len` bytes.
    pub(super) fn add(&mut self, record: &Record<'_>, at: u64, len: usize) {
        match *record {
            Record::Entry {
                room, offset, time, ..
            } => {
                self.latest = self.latest.max(time);
                self.add_entry(room, offset, at, len);
            }
            // What is lost is found at the record that says so.
            Record::Lost { room, from, to } => {
                (from..=to).for_each(|offset| self.add_entry(room, offset, at, 0));
            }
            Record::Reject { time, .. } => self.latest = self.latest.max(time),
            Record::Room { .. } | Record::Forget { .. } => {}
        }
    }

    fn add_entry(&mut self, room: u32, offset: u64, at: u64, len: usize) {
        if self.rooms.len() <= room as usize {
            self.rooms
                .resize_with(room as usize + 1, Positions::default);
        }
        let room = &mut self.rooms[room as usize];
        if room.at.is_empty() {
            room.first = offset;
        }
        room.at.push(u32::try_from(at).unwrap_or(u32::MAX));
        room.bytes += len as u64;
    }

    /// Where the entry `offset` of `room` lies in this segment.
    pub(super) fn find(&self, room: u32, offset: u64) -> Option<u64> {
        let room = self.rooms.get(room as usize)?;
        let nth = usize::try_from(offset.checked_sub(room.first)?).ok()?;
        room.at.get(nth).map(|&at| at.into())
    }

    /// The first offset of `room` in this segment.
    pub(super) fn first(&self, room: u32) -> Option<u64> {
        let room = self.rooms.get(room as usize)?;
        (!room.at.is_empty()).then_some(room.first)
    }

    /// The bytes of the records of `room` in this segment.
    pub(super) fn bytes(&self, room: u32) -> u64 {
        self.rooms.get(room as usize).map_or(0, |room| room.bytes)
    }

    /// The time of the latest verdict in this segment, in milliseconds since 1970.
    pub(super) const fn latest(&self) -> u64 {
        self.latest
    }

    pub(super) fn clear(&mut self) {
        self.latest = 0;
        for room in &mut self.rooms {
            room.at.clear();
            room.bytes = 0;
        }
    }

    /// The index as a file, and its spans.
    pub(super) fn to_file(&self, segment: u64) -> (Vec<u8>, Vec<Span>) {
        let kept: Vec<(u32, &Positions)> = (0..)
            .zip(&self.rooms)
            .filter(|(_, positions)| !positions.at.is_empty())
            .collect();
        let mut at = (HEAD + kept.len() * SPAN + 4) as u64;
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&segment.to_be_bytes());
        out.extend_from_slice(&self.latest.to_be_bytes());
        out.extend_from_slice(&(kept.len() as u32).to_be_bytes());
        let mut spans = Vec::with_capacity(kept.len());
        for (room, positions) in &kept {
            let count = positions.at.len() as u32;
            out.extend_from_slice(&room.to_be_bytes());
            out.extend_from_slice(&positions.first.to_be_bytes());
            out.extend_from_slice(&count.to_be_bytes());
            out.extend_from_slice(&positions.bytes.to_be_bytes());
            spans.push(Span {
                segment,
                room: *room,
                first: positions.first,
                count,
                bytes: positions.bytes,
                positions_at: at,
            });
            at += u64::from(count) * 4;
        }
        out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
        for (_, positions) in &kept {
            for at in &positions.at {
                out.extend_from_slice(&at.to_be_bytes());
            }
        }
        (out, spans)
    }
}

/// The spans of an index file and the time of its segment's last verdict; `None` if it is not good.
pub(super) fn read_spans<D: Disk>(
    disk: &D,
    file: &D::File,
    segment: u64,
) -> io::Result<Option<(Vec<Span>, u64)>> {
    let mut head = [0; HEAD];
    if disk.read(file, 0, &mut head)? < HEAD {
        return Ok(None);
    }
    let mut fields = Fields(&head);
    let (magic, number) = (fields.take::<8>(), fields.u64());
    let (latest, count) = (fields.u64().unwrap_or(0), fields.u32());
    let file_len = disk.len(file)?;
    let count = count.unwrap_or(0) as usize;
    let table = count.saturating_mul(SPAN).saturating_add(4);
    if magic != Some(MAGIC) || number != Some(segment) || table as u64 > file_len {
        return Ok(None);
    }
    let mut bytes = vec![0; HEAD + table];
    if disk.read(file, 0, &mut bytes)? < bytes.len() {
        return Ok(None);
    }
    let (covered, crc) = bytes.split_at(bytes.len() - 4);
    if crc != crc32c::crc32c(covered).to_be_bytes() {
        return Ok(None);
    }
    let mut at = bytes.len() as u64;
    let mut fields = Fields(&covered[HEAD..]);
    let mut spans = Vec::with_capacity(count);
    while let (Some(room), Some(first), Some(count), Some(bytes)) =
        (fields.u32(), fields.u64(), fields.u32(), fields.u64())
    {
        spans.push(Span {
            segment,
            room,
            first,
            count,
            bytes,
            positions_at: at,
        });
        at += u64::from(count) * 4;
    }
    Ok((at == file_len).then_some((spans, latest)))
}

/// The position of the entry `offset` in its segment.
pub(super) fn read_position<D: Disk>(
    disk: &D,
    file: &D::File,
    span: &Span,
    offset: u64,
) -> io::Result<Option<u64>> {
    let mut position = [0; 4];
    let at = span.positions_at + (offset - span.first) * 4;
    let read = disk.read(file, at, &mut position)?;
    Ok((read == 4).then(|| u32::from_be_bytes(position).into()))
}
