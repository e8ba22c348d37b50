//! What a hub takes in memory, before its slots are written down.

use super::{Conn, Hub, Member, Pending, Room};
use crate::chat::log::IndexSlot;

/// How many slots a hub is lent; see [`Storage`](super::Storage) for how to choose them.
///
/// ```
/// use halloo_core::chat::hub::Sizes;
/// const FOUR: Sizes = Sizes { conns: 5, members: 8, rooms: 2, bytes: 2048, index: 32, pending: 4 };
/// const { assert!(FOUR.ram_bytes() <= 8192) };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sizes {
    /// Connections.
    pub conns: usize,
    /// Members: pairs of device and room.
    pub members: usize,
    /// Rooms.
    pub rooms: usize,
    /// The bytes of all logs.
    pub bytes: usize,
    /// The entries of all logs.
    pub index: usize,
    /// Posts whose commit is awaited.
    pub pending: usize,
}

impl Sizes {
    /// The RAM of the hub and of what it is lent, on the target that this is compiled for.
    ///
    /// What each line or socket needs for its frames comes on top, as does the stack.
    #[must_use]
    pub const fn ram_bytes(self) -> usize {
        size_of::<Hub<'_>>()
            .saturating_add(self.conns.saturating_mul(size_of::<Conn>()))
            .saturating_add(self.members.saturating_mul(size_of::<Member>()))
            .saturating_add(self.rooms.saturating_mul(size_of::<Room>()))
            .saturating_add(self.bytes)
            .saturating_add(self.index.saturating_mul(size_of::<IndexSlot>()))
            .saturating_add(self.pending.saturating_mul(size_of::<Pending>()))
    }
}
