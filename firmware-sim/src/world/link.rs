//! One connection as both ends see it.

use super::pipe::{Pipe, Shape};
use halloo_core::chat::hub::ConnId;
use halloo_core::frame::{Decoder, Length32};
use std::collections::BTreeMap;

/// The bytes of a receive buffer; above every frame that is sent.
pub(super) const BUFFER: usize = 1024;

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    /// Whose it is.
    pub device: usize,
    /// To which life of the hub it goes.
    pub life: usize,
    /// What the device sends.
    pub up: Pipe,
    /// What the hub sends.
    pub down: Pipe,
    /// When the connection reaches the hub, and when the device hears of that.
    pub arrives_at: u64,
    /// When the device knows that it stands.
    pub stands_at: u64,
    /// The device has not closed it.
    pub is_device_open: bool,
    /// When the device learns that it is broken.
    pub device_reset_at: Option<u64>,
    /// When the hub learns that it is broken.
    pub hub_reset_at: Option<u64>,
    /// The hub's end.
    pub hub: HubEnd,
}

/// The hub's end of a connection.
#[derive(Debug)]
pub(super) struct HubEnd {
    /// Where it stands.
    pub state: HubState,
    /// What was read.
    pub decoder: Box<Decoder<Length32, BUFFER>>,
    /// What the hub gave and the link has not taken.
    pub out: Vec<u8>,
    /// A message that the hub was too busy for.
    pub held: Option<Vec<u8>>,
    /// The hub may have something for it.
    pub wants: bool,
    /// Since when the link takes nothing.
    pub blocked_since: Option<u64>,
    /// Does not read before that.
    pub paused_until: u64,
    /// What the hub was told and has told of rooms.
    pub rooms: BTreeMap<u8, Told>,
}

/// Where the hub's end stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HubState {
    /// The hub has not seen it.
    Coming,
    /// A connection of the hub.
    Open(ConnId),
    /// Closed once `out` is written.
    Closing(ConnId),
    /// Over.
    Gone,
}

/// A room on a connection, as the messages told it.
#[derive(Debug)]
pub(super) struct Told {
    /// The room.
    pub room: String,
    /// The hub has said `Joined`: its number, the last offset that it sent, and the last that it may.
    pub joined: Option<(u32, u64, u64)>,
}

impl Link {
    /// A connection that is being made.
    pub(super) fn new(device: usize, life: usize, shape: Shape, now: u64) -> Self {
        Self {
            device,
            life,
            up: Pipe::new(shape),
            down: Pipe::new(shape),
            arrives_at: now + shape.delay,
            stands_at: now + 2 * shape.delay,
            is_device_open: true,
            device_reset_at: None,
            hub_reset_at: None,
            hub: HubEnd {
                state: HubState::Coming,
                decoder: Box::new(Decoder::new(Length32::new(BUFFER))),
                out: Vec::new(),
                held: None,
                wants: false,
                blocked_since: None,
                paused_until: 0,
                rooms: BTreeMap::new(),
            },
        }
    }

    /// Whether neither end needs it.
    pub(super) fn is_done(&self) -> bool {
        !self.is_device_open && self.hub.state == HubState::Gone
    }
}

/// A message as a `Length32` frame.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = (message.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(message);
    frame
}
