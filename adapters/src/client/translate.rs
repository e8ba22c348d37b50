//! What the machine tells, made into what the application is told: owned, with names for numbers.

use std::collections::VecDeque;

use halloo_core::chat::client::{Cause, Delivery, Event, SlotId};
use halloo_core::link::Output;
use halloo_core::name::{self, Name};

use super::{Happening, PostId, ROOMS};

/// The names of the slots' rooms, kept until the slot has another.
#[derive(Debug, Default)]
pub(super) struct Rooms([Name; ROOMS]);

/// A post under way.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) slot: SlotId,
    pub(super) seq: u32,
    pub(super) id: PostId,
}

/// What a turn has found.
#[derive(Debug)]
pub(super) enum Told {
    Happening(Happening),
    Welcomed,
    /// The hub's `Error`, whose text is told with the end that follows.
    Text(String),
    Closed(Cause),
    Nothing,
}

impl Rooms {
    pub(super) fn set(&mut self, slot: SlotId, room: &str) {
        if let Some(name) = self.0.get_mut(usize::from(slot)) {
            *name = name::store(room);
        }
    }

    fn get(&self, slot: SlotId) -> Name {
        self.0.get(usize::from(slot)).cloned().unwrap_or_default()
    }
}

pub(super) fn output(output: Output<'_>, rooms: &Rooms, tracks: &mut VecDeque<Track>) -> Told {
    match output {
        Output::Delivery(delivery) => self::delivery(delivery, rooms),
        Output::Event(event) => self::event(event, rooms, tracks),
    }
}

fn delivery(delivery: Delivery<'_>, rooms: &Rooms) -> Told {
    Told::Happening(match delivery {
        Delivery::Entry {
            slot,
            offset,
            from,
            body,
        } => Happening::Entry {
            room: rooms.get(slot),
            offset,
            from: name::store(from),
            body: body.to_vec(),
        },
        Delivery::Own { slot, offset } => Happening::Own {
            room: rooms.get(slot),
            offset,
        },
        Delivery::Gap {
            slot,
            from,
            to,
            reason,
        } => Happening::Gap {
            room: rooms.get(slot),
            from,
            to,
            reason,
        },
        Delivery::Notice(notice) => Happening::Notice {
            room: rooms.get(notice.slot),
            kind: notice.kind,
            who: name::store(notice.who),
            members: notice.members,
        },
        Delivery::Roster(roster) => Happening::Roster {
            room: rooms.get(roster.slot),
            skip: roster.skip,
            names: roster.names.iter().map(name::store).collect(),
            members: roster.members,
        },
        Delivery::Echo { token, bytes } => Happening::Echo {
            token,
            bytes: bytes.to_vec(),
        },
        Delivery::Error(error) => return Told::Text(error.text.into()),
    })
}

pub(super) fn event(event: Event, rooms: &Rooms, tracks: &mut VecDeque<Track>) -> Told {
    let happening = match event {
        Event::Welcomed => return Told::Welcomed,
        Event::Closed { cause } => return Told::Closed(cause),
        Event::Joined {
            slot,
            head,
            members,
        } => Happening::Joined {
            room: rooms.get(slot),
            head,
            members,
        },
        Event::Refused { slot, code } => Happening::Refused {
            room: rooms.get(slot),
            code,
        },
        Event::Left { slot } => Happening::Left {
            room: rooms.get(slot),
        },
        Event::StoreChanged { slot } => Happening::StoreChanged {
            room: rooms.get(slot),
        },
        Event::Acked { slot, seq } => match settle(tracks, slot, seq) {
            Some(post) => Happening::Acked {
                room: rooms.get(slot),
                post,
            },
            None => return Told::Nothing,
        },
        Event::Rejected { slot, seq, code } => match settle(tracks, slot, seq) {
            Some(post) => Happening::Rejected {
                room: rooms.get(slot),
                post,
                code,
            },
            None => return Told::Nothing,
        },
        Event::Unknown { slot, seq, code } => match settle(tracks, slot, seq) {
            Some(post) => Happening::Unknown {
                room: rooms.get(slot),
                post,
                code,
            },
            None => return Told::Nothing,
        },
    };
    Told::Happening(happening)
}

fn settle(tracks: &mut VecDeque<Track>, slot: SlotId, seq: u32) -> Option<PostId> {
    let is_it = |track: &Track| track.slot == slot && track.seq == seq;
    let at = tracks.iter().position(is_it)?;
    tracks.remove(at).map(|track| track.id)
}
