//! Chat with rooms: the device's side, the rooms' side, and the log between them.
//!
//! [`Client`] is a device, [`Hub`] is the rooms, [`RoomLog`] is one room's log in memory. All are
//! machines without I/O: told what happened by `handle_*`, asked what to do by `poll_*`, with time
//! as an argument. The rules that they keep are in `core/PROTOCOL.md`.

mod backoff;
pub mod client;
pub mod datagram;
pub mod hub;
pub mod log;
mod seq;

pub use backoff::Backoff;
pub use client::Client;
pub use hub::Hub;
pub use log::RoomLog;

use crate::time::{Duration, secs};

/// How long a connection may take to say `Hello`, and a `Hello` to be answered.
pub const HANDSHAKE: Duration = secs(10);

/// How long a post or a join may go without an answer on a live stream.
pub const ANSWER: Duration = secs(30);

/// How long a lost connection may come back before its members are told to have left.
pub const PRESENCE_GRACE: Duration = secs(15);

/// How often presence is told in a room with more than [`SMALL_ROOM`] members.
pub const PRESENCE_PACE: Duration = secs(1);

/// Up to so many members, presence is told by name; above, by count.
pub const SMALL_ROOM: u32 = 32;

/// How long a hub remembers what a device that went away has posted.
pub const SESSION_LIFETIME: Duration = secs(30 * 24 * 3600);

/// The most rooms of one device, and one above the highest slot number.
pub const MAX_SLOTS: u8 = 32;

/// The most posts without verdict that one device may have in one room.
pub const MAX_WINDOW: u16 = 32;
