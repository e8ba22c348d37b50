//! One record of the journal: what it says, and how it lies on the disk.
//!
//! ```text
//! len u32 │ crc u32 │ batch u32 │ kind u8 │ fields
//!         └ CRC-32C of the segment's number, the record's place, and all after the crc
//! ```
//!
//! Integers are big-endian; `len` counts `batch`, `kind` and `fields`. The place is in the sum, so
//! that bytes of an older record never pass for a new one. All records of one commit have the same
//! batch number, and the last of them says so in bit 7 of its kind. A batch is written only when the
//! one before it has been synced: so a bad record that a later batch follows was not torn by a crash.

use halloo_core::wire::{Code, DeviceId};

/// The bytes before a record's batch number.
pub(super) const PREFIX: usize = 8;

/// The bytes of batch number and kind.
const HEAD: usize = 5;

/// No record is longer than this: an entry with the largest body and name is not.
pub(super) const LONGEST: usize = 80 * 1024;

/// The last record of its batch.
const LAST: u8 = 0x80;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// A room was opened: from here on it has this number.
    Room {
        /// Its number.
        number: u32,
        /// Its name.
        name: &'a str,
    },
    /// A post was kept.
    Entry {
        /// When, in milliseconds since 1970.
        time: u64,
        /// Who posted.
        device: DeviceId,
        /// The post's sequence number.
        seq: u32,
        /// The room's number.
        room: u32,
        /// Its place in the room's log.
        offset: u64,
        /// The entry as its `Length32` frame.
        frame: &'a [u8],
    },
    /// A post was refused.
    Reject {
        /// When, in milliseconds since 1970.
        time: u64,
        /// Who posted.
        device: DeviceId,
        /// The post's sequence number.
        seq: u32,
        /// The room's number.
        room: u32,
        /// Why.
        code: Code,
    },
    /// What a device posted to a room is remembered no longer.
    Forget {
        /// The device.
        device: DeviceId,
        /// The room's number.
        room: u32,
    },
    /// A repair found these entries damaged.
    Lost {
        /// The room's number.
        room: u32,
        /// The first offset.
        from: u64,
        /// The last offset.
        to: u64,
    },
}

/// The place of a record, which its sum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) at: u64,
}

/// A record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read<'a> {
    pub(super) record: Record<'a>,
    pub(super) batch: u32,
    pub(super) is_last: bool,
    /// Its length on the disk.
    pub(super) len: usize,
}

/// Adds a record to `out`, which begins at place `start`.
pub(super) fn write(out: &mut Vec<u8>, start: Place, batch: u32, record: &Record<'_>) {
    let at = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    out.extend_from_slice(&batch.to_be_bytes());
    match record {
        Record::Room { number, name } => {
            out.push(1);
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(name.as_bytes());
        }
        Record::Entry {
            time,
            device,
            seq,
            room,
            offset,
            frame,
        } => {
            out.push(2);
            out.extend_from_slice(&time.to_be_bytes());
            out.extend_from_slice(device);
            out.extend_from_slice(&seq.to_be_bytes());
            out.extend_from_slice(&room.to_be_bytes());
            out.extend_from_slice(&offset.to_be_bytes());
            out.extend_from_slice(frame);
        }
        Record::Reject {
            time,
            device,
            seq,
            room,
            code,
        } => {
            out.push(3);
            out.extend_from_slice(&time.to_be_bytes());
            out.extend_from_slice(device);
            out.extend_from_slice(&seq.to_be_bytes());
            out.extend_from_slice(&room.to_be_bytes());
            out.push(code.to_wire());
        }
        Record::Forget { device, room } => {
            out.push(4);
            out.extend_from_slice(device);
            out.extend_from_slice(&room.to_be_bytes());
        }
        Record::Lost { room, from, to } => {
            out.push(5);
            out.extend_from_slice(&room.to_be_bytes());
            out.extend_from_slice(&from.to_be_bytes());
            out.extend_from_slice(&to.to_be_bytes());
        }
    }
    let place = Place {
        at: start.at + at as u64,
        ..start
    };
    seal(&mut out[at..], place);
}

/// Marks the record that `bytes` hold as the last of its batch.
pub(super) fn end_batch(bytes: &mut [u8], place: Place) {
    bytes[PREFIX + 4] |= LAST;
    seal(bytes, place);
}

fn seal(bytes: &mut [u8], place: Place) {
    let len = u32::try_from(bytes.len() - PREFIX).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    let crc = sum(place, &bytes[PREFIX..]);
    bytes[4..PREFIX].copy_from_slice(&crc.to_be_bytes());
}

fn sum(place: Place, bytes: &[u8]) -> u32 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&place.segment.to_be_bytes());
    seed[8..].copy_from_slice(&place.at.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), bytes)
}

/// The length on the disk that a record claims; `None` if no record is that long.
pub(super) fn claimed_len(bytes: &[u8]) -> Option<usize> {
    let len = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    (HEAD..=LONGEST).contains(&len).then_some(PREFIX + len)
}

/// The record that `bytes` begin with; `None` if there is no whole and good one.
pub(super) fn read(bytes: &[u8], place: Place) -> Option<Read<'_>> {
    let len = claimed_len(bytes)?;
    let crc = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
    let rest = bytes.get(PREFIX..len)?;
    if sum(place, rest) != crc {
        return None;
    }
    let mut fields = Fields(rest);
    let batch = u32::from_be_bytes(fields.take()?);
    let [kind] = fields.take()?;
    let record = match kind & !LAST {
        1 => Record::Room {
            number: fields.u32()?,
            name: std::str::from_utf8(fields.rest()).ok()?,
        },
        2 => Record::Entry {
            time: fields.u64()?,
            device: fields.take()?,
            seq: fields.u32()?,
            room: fields.u32()?,
            offset: fields.u64()?,
            frame: fields.rest(),
        },
        3 => Record::Reject {
            time: fields.u64()?,
            device: fields.take()?,
            seq: fields.u32()?,
            room: fields.u32()?,
            code: Code::from_wire(fields.take::<1>()?[0]),
        },
        4 => Record::Forget {
            device: fields.take()?,
            room: fields.u32()?,
        },
        5 => Record::Lost {
            room: fields.u32()?,
            from: fields.u64()?,
            to: fields.u64()?,
        },
        _ => return None,
    };
    Some(Read {
        record,
        batch,
        is_last: kind & LAST != 0,
        len,
    })
}

/// What is still to be read of some fields.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
