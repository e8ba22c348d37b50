//! What the records of a journal add up to: rooms, heads, and where each device stands.

use std::collections::HashMap;

use halloo_core::wire::DeviceId;

use super::record::{Fields, Record};

/// One room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomState {
    /// Its name; empty for a number that is no room's.
    pub name: String,
    /// The first offset that is kept; one above the head when nothing is.
    pub oldest: u64,
    /// The last offset.
    pub head: u64,
}

impl RoomState {
    /// A number without a room.
    const NONE: Self = Self {
        name: String::new(),
        oldest: 1,
        head: 0,
    };
}

/// More rooms than any hub has.
const MOST_ROOMS: u32 = 1 << 24;

/// More entries than any room has: one more can still be counted.
const MOST_ENTRIES: u64 = u64::MAX >> 1;

/// Where a device stands in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberState {
    /// The last sequence number with a verdict.
    pub up_seq: u32,
    /// Which of the 32 up to it were rejected; bit 0 is the last one.
    pub rejects: u32,
    /// The time of the last verdict, in milliseconds since 1970.
    pub seen: u64,
}

/// Everything that a hub has to know to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The rooms, by number.
    pub rooms: Vec<RoomState>,
    /// The members, by room and device.
    pub members: HashMap<(u32, DeviceId), MemberState>,
    /// The time of the latest verdict, in milliseconds since 1970.
    pub latest: u64,
}

impl State {
    /// Adds one record; the error says how it contradicts those before it.
    pub(super) fn apply(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        match *record {
            Record::Room { number, name } => {
                if number > MOST_ROOMS {
                    return Err("a room has a number beyond all limits");
                }
                // A number whose room never had an entry may be used for another.
                if self.rooms.len() <= number as usize {
                    self.rooms.resize(number as usize + 1, RoomState::NONE);
                }
                let room = &mut self.rooms[number as usize];
                if room.head > 0 {
                    return Err("a room gets another name");
                }
                name.clone_into(&mut room.name);
            }
            Record::Entry {
                time,
                device,
                seq,
                room,
                offset,
                frame: _,
            } => {
                let room_state = self.room(room)?;
                if offset != room_state.head + 1 {
                    return Err("an entry is out of order");
                }
                room_state.head = offset;
                self.take_verdict(room, device, seq, 0, time);
            }
            Record::Reject {
                time,
                device,
                seq,
                room,
                code: _,
            } => {
                self.room(room)?;
                self.take_verdict(room, device, seq, 1, time);
            }
            Record::Forget { device, room } => {
                self.members.remove(&(room, device));
            }
            Record::Lost { room, from: _, to } => {
                let room = self.room(room)?;
                if to > MOST_ENTRIES {
                    return Err("an entry has an offset beyond all limits");
                }
                room.head = room.head.max(to);
            }
        }
        Ok(())
    }

    fn room(&mut self, number: u32) -> Result<&mut RoomState, &'static str> {
        let room = self.rooms.get_mut(number as usize);
        room.ok_or("a record names a room that was never opened")
    }

    fn take_verdict(&mut self, room: u32, device: DeviceId, seq: u32, rejected: u32, time: u64) {
        let member = self.members.entry((room, device)).or_insert(MemberState {
            up_seq: 0,
            rejects: 0,
            seen: time,
        });
        let is_next = seq == member.up_seq.wrapping_add(1);
        let before = if is_next { member.rejects << 1 } else { 0 };
        *member = MemberState {
            up_seq: seq,
            rejects: before | rejected,
            seen: time,
        };
        self.latest = self.latest.max(time);
    }

    /// Adds the state as bytes to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.latest.to_be_bytes());
        out.extend_from_slice(&(self.rooms.len() as u32).to_be_bytes());
        for room in &self.rooms {
            out.push(room.name.len() as u8);
            out.extend_from_slice(room.name.as_bytes());
            out.extend_from_slice(&room.oldest.to_be_bytes());
            out.extend_from_slice(&room.head.to_be_bytes());
        }
        // In order, so that the same state is the same bytes.
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_unstable_by_key(|(key, _)| **key);
        out.extend_from_slice(&(members.len() as u64).to_be_bytes());
        for ((room, device), member) in members {
            out.extend_from_slice(&room.to_be_bytes());
            out.extend_from_slice(device);
            out.extend_from_slice(&member.up_seq.to_be_bytes());
            out.extend_from_slice(&member.rejects.to_be_bytes());
            out.extend_from_slice(&member.seen.to_be_bytes());
        }
    }

    /// The state that bytes hold, all of them.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mut state = Self {
            latest: fields.u64()?,
            ..Self::default()
        };
        for _ in 0..fields.u32()? {
            let [len] = fields.take()?;
            let (name, rest) = fields.0.split_at_checked(len.into())?;
            fields.0 = rest;
            let (oldest, head) = (fields.u64()?, fields.u64()?);
            if head > MOST_ENTRIES || oldest > head + 1 {
                return None;
            }
            state.rooms.push(RoomState {
                name: std::str::from_utf8(name).ok()?.to_owned(),
                oldest,
                head,
            });
        }
        for _ in 0..fields.u64()? {
            let key = (fields.u32()?, fields.take()?);
            let member = MemberState {
                up_seq: fields.u32()?,
                rejects: fields.u32()?,
                seen: fields.u64()?,
            };
            state.members.insert(key, member);
        }
        fields.0.is_empty().then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_ends_where_offsets_cannot_be_counted_on() {
        let with = |oldest, head| {
            let room = RoomState {
                name: "lab".to_owned(),
                oldest,
                head,
            };
            let mut out = Vec::new();
            let rooms = vec![room];
            let state = State {
                rooms,
                ..State::default()
            };
            state.write(&mut out);
            State::read(&out)
        };
        assert!(with(1, 7).is_some() && with(8, 7).is_some());
        assert_eq!(with(9, 7), None);
        assert_eq!(with(1, u64::MAX), None);
        let mut state = with(1, 7).unwrap_or_default();
        for (to, is_good) in [(9, true), (u64::MAX, false)] {
            let lost = Record::Lost {
                room: 0,
                from: 8,
                to,
            };
            assert_eq!(state.apply(&lost).is_ok(), is_good);
        }
    }
}
