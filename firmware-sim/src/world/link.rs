//! One connection as both ends see it.

use super::history::Place;
use super::inbox::Inbox;
use super::limits::Limits;
use super::pipe::Pipe;
use halloo_core::chat::hub::ConnId;
use std::sync::Arc;

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
    /// It is a session over datagrams: nothing goes through the pipes.
    pub is_datagrams: bool,
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
    pub decoder: Inbox,
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
    pub rooms: Vec<(u8, Told)>,
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
    pub room: Arc<str>,
    /// Where the model of the store has it.
    pub place: Place,
    /// The hub has said `Joined`: its number, the last offset that it sent, and the last that it may.
    pub joined: Option<(u32, u64, u64)>,
}

impl HubEnd {
    /// What was told of a slot's room.
    pub(super) fn told(&mut self, slot: u8) -> Option<&mut Told> {
        let mut rooms = self.rooms.iter_mut();
        rooms
            .find(|(other, _)| *other == slot)
            .map(|(_, told)| told)
    }

    /// Forgets a slot's room.
    pub(super) fn forget(&mut self, slot: u8) {
        self.rooms.retain(|(other, _)| *other != slot);
    }
}

impl Link {
    /// A connection that is being made.
    pub(super) fn new(device: usize, life: usize, limits: &Limits, now: u64) -> Self {
        let shape = limits.shape;
        Self {
            device,
            life,
            up: Pipe::new(shape),
            down: Pipe::new(shape),
            arrives_at: now + shape.delay,
            stands_at: now + 2 * shape.delay,
            is_datagrams: false,
            is_device_open: true,
            device_reset_at: None,
            hub_reset_at: None,
            hub: HubEnd {
                state: HubState::Coming,
                decoder: Inbox::new(usize::MAX, limits.is_fleet),
                out: Vec::new(),
                held: None,
                wants: false,
                blocked_since: None,
                paused_until: 0,
                rooms: Vec::new(),
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
    let mut frame = Vec::with_capacity(4 + message.len());
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}
