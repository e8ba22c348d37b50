//! What a device does, rule by rule, towards a hub that says anything at any time.

mod keepalive;
mod opening;
mod out_of_order;
mod posting;
mod reading;
mod rooms;

use firmware_sim::world::lone_device::joined;
use firmware_sim::world::lone_hub::{ack, hello, join, post};
use firmware_sim::world::{LoneDevice, Said};
use halloo_core::chat::Backoff;
use halloo_core::chat::client::{Cause, Delivery, Event, From, JoinError, PostError};
use halloo_core::time::{millis, secs};
use halloo_core::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Hello, Join, Joined, MAX_ECHO, Message, Names,
    Notice, NoticeKind, PeerError, Roster, Welcome, binary,
};

const ERROR: Message<'static> = error(Code::Unexpected);
const DONE: Message<'static> = Message::Bye(Bye {
    reason: ByeReason::Done,
    retry_after: 0,
});

const fn error(code: Code) -> Message<'static> {
    Message::Error(PeerError {
        code,
        retry_after: 0,
        text: "",
    })
}

const fn entry(room: u32, offset: u64) -> Message<'static> {
    Message::Entry(Entry {
        room,
        offset,
        flags: 0,
        from: "ann",
        body: b"a body",
    })
}

const fn gap(slot: u8, from: u64, to: u64) -> Message<'static> {
    Message::Gap(Gap {
        slot,
        from,
        to,
        reason: GapReason::Retention,
    })
}

const fn notice(slot: u8) -> Message<'static> {
    Message::Notice(Notice {
        slot,
        version: 2,
        kind: NoticeKind::Joined,
        members: 2,
        who: "ann",
    })
}

fn roster(slot: u8) -> Message<'static> {
    Message::Roster(Roster {
        slot,
        skip: 0,
        members: 2,
        names: Names::new(b"\x03ann").expect("a name"),
    })
}

const fn closed(cause: Cause) -> Event {
    Event::Closed { cause }
}

/// The numbers of the posts in what was said.
fn seqs(said: &[Said]) -> Vec<u32> {
    let seq = |said: &Said| match said.message() {
        Message::Post { seq, .. } => Some(seq),
        _ => None,
    };
    said.iter().filter_map(seq).collect()
}

fn first_join(said: &[Said]) -> (u8, u64, u32) {
    match said.first().map(Said::message) {
        Some(Message::Join(Join {
            slot,
            cursor,
            history,
            ..
        })) => (slot, cursor, history),
        other => panic!("{other:?} is no Join"),
    }
}
