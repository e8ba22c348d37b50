//! What a hub does, rule by rule, towards peers that say anything at any time.

mod joining;
mod latest;
mod out_of_order;
mod posting;
mod reading;

use firmware_sim::world::lone_hub::{MAX_BODY, ack, hello, join, offsets, post};
use firmware_sim::world::model::device_id;
use firmware_sim::world::{HubMemory, Limits, LoneHub, Said};
use halloo_core::chat::hub::{Busy, Verdict};
use halloo_core::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Hello, Join, Message, PeerError, binary,
};

/// Sizes in which nothing is scarce.
const fn usual() -> Limits {
    Limits::usual(8)
}

#[track_caller]
fn with_hub(limits: &Limits, test: impl FnOnce(&mut LoneHub<'_>)) {
    let mut memory = HubMemory::new(limits);
    test(&mut LoneHub::new(limits, &mut memory));
}

fn error(code: Code) -> Message<'static> {
    Message::Error(PeerError {
        code,
        retry_after: 0,
        text: "",
    })
}

fn bye(reason: ByeReason) -> Message<'static> {
    Message::Bye(Bye {
        reason,
        retry_after: 0,
    })
}

const fn refusal(slot: u8, code: Code) -> Message<'static> {
    Message::Reject { slot, seq: 0, code }
}

const fn reject(seq: u32, code: Code) -> Message<'static> {
    Message::Reject { slot: 0, seq, code }
}

const fn credit(cursor: u64, window: u16) -> Message<'static> {
    Message::Credit {
        slot: 0,
        cursor,
        window,
    }
}

/// The `Joined` in what was said: `up_seq`, `rejects`, `start`, `head`.
#[track_caller]
fn standing(said: &[Said]) -> (u32, u32, u64, u64) {
    let joined = said.iter().find_map(|said| match said.message() {
        Message::Joined(j) => Some((j.up_seq, j.rejects, j.start, j.head)),
        _ => None,
    });
    joined.unwrap_or_else(|| panic!("no Joined in {said:?}"))
}

fn gaps(said: &[Said]) -> Vec<(u64, u64, GapReason)> {
    let gap = |said: &Said| match said.message() {
        Message::Gap(Gap {
            from, to, reason, ..
        }) => Some((from, to, reason)),
        _ => None,
    };
    said.iter().filter_map(gap).collect()
}
