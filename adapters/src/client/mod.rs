//! A blocking device for hosts and gateways: it connects, resumes after lost connections, and
//! hands on what happens.
//!
//! Knows sockets, the clock and randomness, which the core's machines are told of. Does not know
//! messages: the same [`Client`] and [`Link`](halloo_core::link::Link) run on a microcontroller. No
//! thread, and no wait without an end: every call that waits takes a time-out, and the rest return at
//! once.
//!
//! ```no_run
//! use std::time::Duration;
//! use halloo_std::client::{Device, From, Happening, Settings};
//!
//! # fn main() -> Result<(), halloo_std::client::ClientError> {
//! let second = Duration::from_secs(1);
//! let mut device = Device::connect("chat+tcp://127.0.0.1:7007", Settings::new("gateway"))?;
//! device.join("lab", From::Last(20))?;
//! device.post_wait("lab", b"hello", 10 * second)?;
//! loop {
//!     match device.next(second)? {
//!         Some(Happening::Entry { room, from, body, .. }) => {
//!             println!("[{room}] {from}: {}", String::from_utf8_lossy(&body));
//!         }
//!         Some(Happening::Disconnected { cause, .. }) => eprintln!("{cause}"),
//!         Some(_) | None => {}
//!     }
//! }
//! # }
//! ```

mod drive;
mod error;
mod happening;
mod link;
mod pipe;
mod settings;
mod translate;

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use halloo_core::chat::Client;
use halloo_core::chat::client::{Config, SlotId};
pub use halloo_core::chat::client::{From, JoinError, PostError, Store};
use halloo_core::chat::datagram;
use halloo_core::name::{self, MAX_NAME};
use halloo_core::wire::ENTRY_OVERHEAD;

use crate::socket::Interest;
use crate::url::{Endpoint, Protocol, Transport};
use drive::Line;
use error::Last;
pub use error::{ClientError, Ended};
pub use happening::{Happening, PostId};
use link::HostLink;
pub use settings::{Reconnect, Settings};
use translate::{Rooms, Told, Track};

/// The most rooms of one [`Device`].
pub const ROOMS: usize = 8;

/// The bytes of posts that wait for their verdict; each takes 9 more than its body.
pub const OUTBOX: usize = 16 * 1024;

/// The largest payload of a frame.
pub const MAX_FRAME: usize = 8 * 1024;

/// The longest body of a post, over UDP and serial lines 1,200 bytes; another device takes it whole, whatever the poster's name.
pub const MAX_BODY: usize = MAX_FRAME - ENTRY_OVERHEAD - MAX_NAME;

/// The most happenings that calls which wait for something else put by for
/// [`next`](Device::next).
pub const QUEUE: usize = 1024;

/// A device that chats over TCP, UDP, a Unix socket or a serial line, in up to [`ROOMS`] rooms.
///
/// It takes about 40 KiB, and up to [`QUEUE`] happenings while a call waits for something else.
/// Bytes move during calls only: an application calls [`next`](Self::next) often enough that the
/// hub hears from it within the keepalive interval. To drop it closes the connection without a
/// [`bye`](Self::bye): the hub keeps its place, and whoever comes with the same identity takes it.
#[derive(Debug)]
pub struct Device {
    endpoint: Endpoint,
    settings: Settings,
    client: Box<Client<ROOMS, OUTBOX>>,
    link: HostLink,
    line: Line,
    rooms: Rooms,
    /// Posts whose verdict the application was not told, oldest first.
    tracks: VecDeque<Track>,
    next_post: u64,
    queue: VecDeque<Happening>,
    /// The application asked for something that no turn has looked at yet.
    is_asked: bool,
}

impl Device {
    /// Connects to the hub at `url` and waits until the session is open.
    ///
    /// Waits at most `connect_timeout` and `handshake_timeout` together. It tries once; what is
    /// lost later is connected again as the settings say.
    pub fn connect(url: &str, settings: Settings) -> Result<Self, ClientError> {
        let patience = settings.connect_timeout + settings.handshake_timeout;
        let mut device = Self::offline(Endpoint::parse(url, Protocol::Chat)?, settings)?;
        let deadline = after(patience);
        loop {
            match device.turn()? {
                Some(Happening::Connected) => return Ok(device),
                Some(Happening::NotConnected { cause, .. }) => {
                    return Err(ClientError::Ended(cause));
                }
                Some(_) => {}
                None => device.wait_until(deadline)?,
            }
        }
    }

    /// A device that connects during the calls that follow, as often as the settings say.
    pub fn offline(endpoint: Endpoint, settings: Settings) -> Result<Self, ClientError> {
        let is_udp = matches!(endpoint.transport, Transport::Udp { .. });
        let is_datagram = is_udp || endpoint.transport.is_line();
        if endpoint.protocol != Protocol::Chat {
            return Err(ClientError::NotChat(endpoint.to_string()));
        }
        let device = match settings.device {
            Some(device) => device,
            None => {
                let mut device = [0; 16];
                getrandom::fill(&mut device)?;
                device
            }
        };
        let checked = name::member(settings.name.as_bytes());
        let checked = checked.map_err(|source| ClientError::Name {
            name: settings.name.clone(),
            source,
        })?;
        let config = Config {
            device,
            name: name::store(checked),
            max_frame: MAX_FRAME as u32,
            credit: settings.credit,
            keepalive: match u16::try_from(settings.keepalive.as_secs()).unwrap_or(u16::MAX) {
                keepalive if is_datagram => keepalive.min(datagram::KEEPALIVE),
                keepalive => keepalive,
            },
            is_ephemeral: settings.is_ephemeral,
        };
        Ok(Self {
            client: Box::new(Client::new(config)),
            link: HostLink::new(&endpoint.transport),
            endpoint,
            line: Line::new(),
            settings,
            rooms: Rooms::default(),
            tracks: VecDeque::new(),
            next_post: 0,
            queue: VecDeque::new(),
            is_asked: false,
        })
    }

    /// Whether a session is open.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_serving()
    }

    /// How many posts the application was not told the verdict of.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.tracks.len()
    }

    /// The last offset of a room that came in; `None` when that is not known yet.
    ///
    /// A gateway that keeps it, together with [`store`](Self::store), joins with [`From::After`]
    /// when it starts again.
    #[must_use]
    pub fn cursor(&self, room: &str) -> Option<u64> {
        self.client.cursor(self.slot(room)?)
    }

    /// What the cursor of a room is of; `None` before the hub has taken the join.
    #[must_use]
    pub fn store(&self, room: &str) -> Option<Store> {
        self.client.store(self.slot(room)?)
    }

    /// Becomes a member of a room, now or as soon as there is a session, and again after each
    /// reconnect. [`Happening::Joined`] or [`Happening::Refused`] follows.
    pub fn join(&mut self, room: &str, from: From) -> Result<(), ClientError> {
        let joined = self.client.join(room, from);
        let slot = joined.map_err(|source| ClientError::Join {
            room: room.into(),
            source,
        })?;
        self.rooms.set(slot, room);
        self.is_asked = true;
        Ok(())
    }

    /// As [`join`](Self::join), and waits until the hub has answered.
    pub fn join_wait(
        &mut self,
        room: &str,
        from: From,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        self.join(room, from)?;
        let deadline = after(timeout);
        loop {
            let Some(happening) = self.work(deadline)? else {
                continue;
            };
            match &happening {
                Happening::Refused {
                    room: refused,
                    code,
                } if refused == room => {
                    return Err(ClientError::Refused {
                        room: room.into(),
                        code: *code,
                    });
                }
                Happening::Joined { room: joined, .. } if joined == room => {
                    self.queue.push_back(happening);
                    return Ok(());
                }
                _ => self.queue.push_back(happening),
            }
        }
    }

    /// Leaves a room once its posts have their verdicts; [`Happening::Left`] follows. Does nothing
    /// for a room that is not joined.
    pub fn leave(&mut self, room: &str) {
        if let Some(slot) = self.slot(room) {
            self.client.leave(slot);
            self.is_asked = true;
        }
    }

    /// Puts a post into the outbox; it goes out during the calls that follow.
    ///
    /// Works offline too, once the room was joined. [`Happening::Acked`],
    /// [`Happening::Rejected`] or [`Happening::Unknown`] tells the verdict, exactly once. Errors: [`PostError::OutboxFull`]
    /// with [`OUTBOX`] bytes or 32 posts of the room under way; [`PostError::NotJoined`];
    /// [`PostError::TooLarge`] above what the hub takes, or [`MAX_BODY`], or 1,200 bytes over UDP and
    /// serial lines.
    pub fn post(&mut self, room: &str, body: &[u8]) -> Result<PostId, PostError> {
        let slot = self.slot(room).ok_or(PostError::NotJoined)?;
        if body.len() > MAX_BODY {
            return Err(PostError::TooLarge);
        }
        let seq = self.client.post(slot, body)?;
        self.is_asked = true;
        let id = PostId(self.next_post);
        self.next_post += 1;
        self.tracks.push_back(Track { slot, seq, id });
        Ok(id)
    }

    /// As [`post`](Self::post), and waits for place in the outbox, or for the room to be joined,
    /// at most `timeout`.
    pub fn post_wait(
        &mut self,
        room: &str,
        body: &[u8],
        timeout: Duration,
    ) -> Result<PostId, ClientError> {
        let deadline = after(timeout);
        loop {
            match self.post(room, body) {
                Err(PostError::OutboxFull) => {}
                Err(PostError::NotJoined) if self.slot(room).is_some() => {}
                outcome => return Ok(outcome?),
            }
            if let Some(happening) = self.work(deadline)? {
                self.queue.push_back(happening);
            }
        }
    }

    /// Waits until every post has its verdict, at most `timeout`; `next` tells the verdicts.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), ClientError> {
        let deadline = after(timeout);
        while !self.tracks.is_empty() {
            if let Some(happening) = self.work(deadline)? {
                self.queue.push_back(happening);
            }
        }
        Ok(())
    }

    /// Asks who is in a room, passing over the first `skip`. Best effort;
    /// [`Happening::Roster`] follows. Does nothing for a room that is not joined.
    pub fn who(&mut self, room: &str, skip: u16) {
        if let Some(slot) = self.slot(room) {
            self.client.who(slot, skip);
            self.is_asked = true;
        }
    }

    /// Sends up to 32 bytes to the hub and back. Best effort; [`Happening::Echo`] follows.
    pub fn echo(&mut self, token: u32, bytes: &[u8]) {
        self.client.echo(token, bytes);
        self.is_asked = true;
    }

    /// What happens next; `None` when nothing did for `timeout`. A zero `timeout` only looks.
    ///
    /// The error is [`ClientError::Ended`] once there is no connection and there will be none.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Happening>, ClientError> {
        if let Some(happening) = self.queue.pop_front() {
            return Ok(Some(happening));
        }
        let deadline = after(timeout);
        match self.step(deadline) {
            Err(ClientError::TimedOut) => Ok(None),
            outcome => outcome,
        }
    }

    /// Says bye and ends; waits at most `timeout` until the hub has closed.
    ///
    /// Posts without a verdict are given up: [`flush`](Self::flush) first. A device with a random
    /// identity leaves its rooms.
    pub fn bye(mut self, timeout: Duration) -> Result<(), ClientError> {
        let deadline = after(timeout);
        if self.settings.device.is_none() && self.is_connected() && self.tracks.is_empty() {
            self.leave_all(deadline)?;
        }
        self.say_bye(deadline)
    }

    /// What to wait for with poll(2) before the next call of [`next`](Self::next); `None` while
    /// there is no connection.
    ///
    /// It is another descriptor after each reconnect: ask anew before each wait, and wait no
    /// longer than [`poll_timeout`](Self::poll_timeout).
    #[must_use]
    pub fn poll_fd(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        self.line.poll_fd(self.link.is_writing())
    }

    /// How long to wait at most before the next call of [`next`](Self::next); `None` when only
    /// the descriptor matters.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.is_asked || !self.queue.is_empty() {
            return Some(Duration::ZERO);
        }
        self.deadline()
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn slot(&self, room: &str) -> Option<SlotId> {
        (0..ROOMS as SlotId).find(|&slot| self.client.room(slot) == Some(room))
    }

    /// One step of a call that waits for something else, as long as there is place in the queue.
    fn work(&mut self, deadline: Option<Instant>) -> Result<Option<Happening>, ClientError> {
        if self.queue.len() >= QUEUE {
            return Err(ClientError::Unread);
        }
        self.step(deadline)
    }
}

/// A deadline beyond the end of the clock is none.
fn after(span: Duration) -> Option<Instant> {
    Instant::now().checked_add(span)
}
