//! The peers of a hub's connections, as far as the hub has to know them.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub::ConnId;
use halloo_core::time::Instant;
use halloo_core::wire::{DeviceId, Hello, MAX_CONTROL};

/// How far the peer of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Since then.
    Greeting(Instant),
    Serving,
    /// Another connection of its device said `Hello`.
    Fenced,
    Over,
}

/// Where a peer stands in a room.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Whether it ever asked for markers.
    pub(super) wants_markers: bool,
    /// The largest grant since the last `Joined`.
    pub(super) window: u16,
    /// From its `Joined` on: the room's number, and how far it has read and may read.
    pub(super) reads: Option<(u32, u64, u64)>,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: ConnId,
    pub(super) phase: Phase,
    pub(super) device: DeviceId,
    pub(super) nonce: u64,
    pub(super) credit: u16,
    pub(super) max_frame: u32,
    pub(super) seats: BTreeMap<u8, Seat>,
    /// Over datagrams: the session, the last number sent to the hub, and the last that came.
    pub(super) path: Option<Header>,
}

impl Peer {
    pub(super) fn new(id: ConnId, now: Instant) -> Self {
        Self {
            id,
            phase: Phase::Greeting(now),
            device: [0; 16],
            nonce: 0,
            credit: 0,
            max_frame: 0,
            seats: BTreeMap::new(),
            path: None,
        }
    }

    pub(super) fn end_greeting(&mut self) {
        if let Phase::Greeting(_) = self.phase {
            self.phase = Phase::Over;
        }
    }

    /// Room, cursor and limit of a slot.
    pub(super) fn reads(&mut self, slot: u8) -> (u32, &mut u64, &mut u64) {
        let reads = self
            .seats
            .get_mut(&slot)
            .and_then(|seat| seat.reads.as_mut());
        let (room, cursor, limit) = reads.expect("S11: of a room that it is not in");
        (*room, cursor, limit)
    }
}

pub(super) fn hello(u: &mut Unstructured<'_>) -> Result<Hello<'static>> {
    Ok(Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: u.int_in_range(0..=1)?,
        nonce: u.arbitrary::<u16>()?.into(),
        device: [u.int_in_range(1..=3)?; 16],
        max_frame: *u.choose(&[512, 512, 160])?,
        credit: *u.choose(&[64, 3, 1, 0])?,
        keepalive: *u.choose(&[0, 60])?,
        proof: &[],
        cookie: None,
    })
}

pub(super) fn is_good(hello: &Hello<'_>) -> bool {
    (hello.version_min..=hello.version_max).contains(&1)
        && hello.suite == 0
        && hello.max_frame as usize >= MAX_CONTROL
}
