//! The rooms' side of chat: sessions, members, logs and presence, over memory that the caller lends.
//!
//! Knows connections by number, devices by identity and rooms by name. Knows no socket, no clock
//! and no disk: it is told of messages and time, it is asked what to send, and it asks for posts to
//! be committed. It allocates nothing and keeps no queue: what is owed to a member is read from
//! where the member stands when it can be sent. The one order that everything hangs on: a post is
//! appended, then committed, and only then acknowledged and shown (rules D-2 and D-5 of
//! `core/PROTOCOL.md`).

mod commit;
mod datagrams;
mod inbound;
mod latest;
#[cfg(feature = "datagram")]
mod line;
mod links;
mod members;
#[cfg(feature = "datagram")]
mod opening;
mod presence;
mod session;
mod sizes;
mod slots;
mod store;
mod timers;
mod transmit;

pub use commit::Append;
pub use latest::RoomPattern;
#[cfg(feature = "datagram")]
pub use line::Line;
#[cfg(feature = "datagram")]
pub use opening::NotOpened;
pub use sizes::Sizes;
pub use slots::{Conn, Member, Pending, Room, Storage, Verdict};
pub use store::{Found, Wanted};
pub use transmit::{Entries, Sent, Transmit};

use core::fmt;

use super::log::View;
use super::{HANDSHAKE, MAX_WINDOW};
use crate::time::{Due, Duration, Instant, after};
use crate::trace::warning;
use crate::wire::{ByeReason, Code};
use links::{At, List};
use slots::{LastWord, Phase};

/// What a hub is told once.
///
/// Its secrets stay out of logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Random, new for every start: hashes names, so that nobody can choose ones that collide.
    /// Nothing that is sent depends on it.
    pub table_secret: u64,
    /// Random, new for every start and drawn apart from the other: session numbers come from it.
    pub session_secret: [u32; 4],
    /// Which store the logs live in; random for logs that live in memory only.
    pub store: u64,
    /// Another one each time that store was restored or repaired; [`Hub::set_lineage`] tells those
    /// that it had before.
    pub generation: u32,
    /// The largest body of a post, in bytes.
    pub max_body: u16,
    /// How many posts without verdict a device may have in each room; 1 to 32.
    pub window: u16,
    /// The least keepalive interval that a device gets, in seconds, if it wants any.
    pub keepalive_min: u16,
    /// The longest keepalive interval that a device gets, in seconds.
    pub keepalive_max: u16,
    /// About how many bytes of entries one member gets at a time.
    pub run_bytes: usize,
    /// How long what a device has posted is remembered after it went away.
    pub lifetime: Duration,
    /// How long a peer is to stay away that is told that the hub is full, stops or has lost its
    /// store.
    pub retry_after: Duration,
    /// Whether every entry that was ever committed is kept by the caller too, and what the memory
    /// has no longer is wanted from there ([`Transmit::Stored`]).
    pub has_store: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("store", &self.store)
            .field("generation", &self.generation)
            .field("max_body", &self.max_body)
            .field("window", &self.window)
            .field("keepalive_min", &self.keepalive_min)
            .field("keepalive_max", &self.keepalive_max)
            .field("run_bytes", &self.run_bytes)
            .field("lifetime", &self.lifetime)
            .field("retry_after", &self.retry_after)
            .field("has_store", &self.has_store)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Config {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Config {{ store: {}, generation: {}, max_body: {}, window: {}, keepalive_min: {}, \
             keepalive_max: {}, run_bytes: {}, lifetime: {}, retry_after: {}, has_store: {}, .. }}",
            self.store,
            self.generation,
            self.max_body,
            self.window,
            self.keepalive_min,
            self.keepalive_max,
            self.run_bytes,
            self.lifetime,
            self.retry_after,
            self.has_store
        );
    }
}

impl Config {
    /// The usual limits: bodies of 1 KiB, 32 posts on the way, keepalive of up to 5 minutes.
    #[must_use]
    pub const fn new(table_secret: u64, session_secret: [u32; 4], store: u64) -> Self {
        Self {
            table_secret,
            session_secret,
            store,
            generation: 1,
            max_body: 1024,
            window: MAX_WINDOW,
            keepalive_min: 0,
            keepalive_max: 300,
            run_bytes: 64 * 1024,
            lifetime: super::SESSION_LIFETIME,
            retry_after: crate::time::secs(1),
            has_store: false,
        }
    }
}

/// A connection of a hub. One that is over stays invalid for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConnId {
    index: u32,
    generation: u32,
}

impl ConnId {
    /// The connection's place among the slots that were lent, for tables of the caller's own.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// Every connection slot is in use, or the hub is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the hub takes no more connections")
    }
}

impl core::error::Error for Full {}

/// The message was not taken: commit what is pending, send what is owed, then hand it in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the hub cannot take this message before it has committed or sent others")
    }
}

impl core::error::Error for Busy {}

/// What a hub has counted since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Sessions opened.
    pub sessions: u64,
    /// Sessions fenced by a newer one of the same device.
    pub fenced: u64,
    /// Posts kept.
    pub posts: u64,
    /// Posts rejected.
    pub rejected: u64,
    /// Posts that came again and were only acknowledged.
    pub repeated: u64,
    /// Entries sent whole, markers included.
    pub delivered: u64,
    /// Gaps told.
    pub gaps: u64,
    /// Unknown messages that were skipped.
    pub skipped: u64,
    /// Datagrams that were late or doubled.
    pub late: u64,
    /// Times that datagrams were sent again since no acknowledgement came.
    pub resent: u64,
    /// Connections closed because the peer broke the protocol.
    pub violations: u64,
}

/// How a connection's members leave their rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// In good order: the others are told at once.
    Said,
    /// The connection is gone: the others are told if it stays away.
    Lost,
}

/// The rooms and everybody in them.
///
/// A turn of the caller's loop: hand in what was read (`handle_message`), commit
/// (`poll_append` and `handle_appended`, or `commit_in_memory`), then for each connection that
/// `poll_ready` names, `poll_transmit` until it is idle or the connection takes no more. Call
/// `handle_timeout` when `poll_timeout` says so. Any order of calls is safe, and extra ones do
/// nothing.
#[derive(Debug)]
pub struct Hub<'s> {
    config: Config,
    storage: Storage<'s>,
    now: Instant,
    stopping: bool,
    sessions: u64,
    /// Slots that came back, and from where on slots were never used.
    free_conn: At,
    fresh_conn: u32,
    fresh_member: u32,
    free_members: List,
    fresh_room: u32,
    free_rooms: List,
    ready: List,
    /// Members without a connection: not yet told to be gone, gone, and gone for good.
    lingering: List,
    away: List,
    done: List,
    /// Those who never come back.
    gone: List,
    /// Rooms whose members have not heard of the last commit; rooms whose presence is to be told.
    dirty: List,
    presence_dirty: List,
    /// Of those, the rooms whose time has come.
    telling: List,
    presence_at: Option<Instant>,
    /// The ring of pending posts: the oldest, how many are handed out, how many there are.
    pending_at: usize,
    pending_handed: usize,
    pending_len: usize,
    /// How many members' slots wait for the commit of their being forgotten.
    forgetting: u32,
    /// Counts the passes over all connections; wraps.
    pass: u32,
    /// The rooms whose members get the latest.
    latest: &'s [RoomPattern<'s>],
    /// The generations that the store had before.
    lineage: &'s [u32],
    counters: Counters,
}

impl<'s> Hub<'s> {
    /// A hub over slots that are all free.
    #[must_use]
    pub fn new(config: Config, storage: Storage<'s>) -> Self {
        Self {
            config: Config {
                window: config.window.clamp(1, MAX_WINDOW),
                ..config
            },
            storage,
            now: Instant::from_ticks(0),
            stopping: false,
            sessions: 0,
            free_conn: At::NONE,
            fresh_conn: 0,
            fresh_member: 0,
            free_members: List::EMPTY,
            fresh_room: 0,
            free_rooms: List::EMPTY,
            ready: List::EMPTY,
            lingering: List::EMPTY,
            away: List::EMPTY,
            done: List::EMPTY,
            gone: List::EMPTY,
            dirty: List::EMPTY,
            presence_dirty: List::EMPTY,
            telling: List::EMPTY,
            presence_at: None,
            pending_at: 0,
            pending_handed: 0,
            pending_len: 0,
            forgetting: 0,
            pass: 0,
            latest: &[],
            lineage: &[],
            counters: Counters::default(),
        }
    }

    /// The generations that the store had before its own, the newest first.
    ///
    /// Devices are told the first [`MAX_LINEAGE`](crate::wire::MAX_LINEAGE) of them. One that knows
    /// another generation sends its posts without verdict as new ones (rule D-STORE-4 of
    /// `core/PROTOCOL.md`): so where the lineage is not known, a post may come twice, but none is lost.
    pub const fn set_lineage(&mut self, generations: &'s [u32]) {
        self.lineage = generations;
    }

    /// What has been counted.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How long a peer that is told `code` is to stay away, in milliseconds: what `Error` says.
    #[must_use]
    pub fn retry_after(&self, code: Code) -> u32 {
        match code {
            Code::Full | Code::Storage => self.stay_away(),
            _ => 0,
        }
    }

    fn stay_away(&self) -> u32 {
        crate::time::whole_millis(self.config.retry_after)
    }

    /// The last committed offset of a room; `None` for one that has no entry and no member.
    #[must_use]
    pub fn head(&self, room: &str) -> Option<u64> {
        let room = self.storage.rooms.get(self.find_room(room)? as usize)?;
        Some(room.log.head())
    }

    /// A peer connected. It has 10 s to say `Hello`.
    ///
    /// A device that is back on a second connection ends its first one by its `Hello`, so it can
    /// come back only while there is a slot to spare.
    pub fn connect(&mut self, now: Instant) -> Result<ConnId, Full> {
        let now = self.tick(now);
        if self.stopping {
            return Err(Full);
        }
        let at = match self.storage.conns.get(self.free_conn.get() as usize) {
            Some(conn) => core::mem::replace(&mut self.free_conn, conn.free).get(),
            None => self.fresh_conn,
        };
        let Some(conn) = self.storage.conns.get_mut(at as usize) else {
            return Err(Full);
        };
        self.fresh_conn = self.fresh_conn.max(at.saturating_add(1));
        let deadline = after(now, HANDSHAKE);
        // The links of the slot itself stay: other connections run through them.
        let (generation, chain, heap) = (conn.generation, conn.chain, conn.heap);
        *conn = Conn::FREE;
        (conn.generation, conn.chain, conn.heap) = (generation, chain, heap);
        conn.phase = Phase::Greeting { deadline };
        (conn.heard, conn.spoke) = (now, now);
        let id = ConnId {
            index: at,
            generation: conn.generation,
        };
        timers::schedule(self.storage.conns, at, Due::at(deadline));
        Ok(id)
    }

    /// The connection is gone, for whatever reason. Its number is free again.
    pub fn handle_disconnected(&mut self, now: Instant, id: ConnId) {
        let Some(at) = self.conn_at(id) else {
            return;
        };
        let now = self.tick(now);
        self.end_session(at, now, Parting::Lost);
        timers::schedule(self.storage.conns, at, Due::NEVER);
        self.ready.remove(self.storage.conns, at, Conn::ready);
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            conn.phase = Phase::Free;
            conn.generation = conn.generation.wrapping_add(1);
            conn.free = core::mem::replace(&mut self.free_conn, At::of(at));
        }
    }

    /// The connection's bytes are no frame or no message: it is told `code`, then closed.
    pub fn handle_bad_frame(&mut self, now: Instant, id: ConnId, code: Code) {
        let Some(at) = self.conn_at(id) else {
            return;
        };
        let now = self.tick(now);
        self.violation(at, now, code);
    }

    /// Stop: every connection is told `Bye` and closed, and no new one is taken.
    ///
    /// Work: linear in the connections.
    pub fn shut_down(&mut self, now: Instant, reason: ByeReason) {
        let now = self.tick(now);
        self.stopping = true;
        for at in 0..self.fresh_conn {
            self.part(at, now, LastWord::Bye(reason), Parting::Said);
        }
    }

    /// A connection that has something to send, each once until it has something again.
    ///
    /// A connection whose socket takes nothing may be passed over: what is owed to it stays owed,
    /// and `poll_transmit` may be called at any time.
    pub fn poll_ready(&mut self) -> Option<ConnId> {
        let index = self.ready.pop(self.storage.conns, Conn::ready)?;
        let conn = self.storage.conns.get(index as usize)?;
        Some(ConnId {
            index,
            generation: conn.generation,
        })
    }

    /// Time never goes backwards, whatever the caller says.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn conn_at(&self, id: ConnId) -> Option<u32> {
        let conn = self.storage.conns.get(id.index())?;
        let live = conn.generation == id.generation && conn.phase != Phase::Free;
        live.then_some(id.index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn queue(&mut self, conn: u32) {
        self.ready.push(self.storage.conns, conn, Conn::ready);
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn violation(&mut self, at: u32, now: Instant, code: Code) {
        let phase = self.storage.conns.get(at as usize).map(|conn| conn.phase);
        if !matches!(phase, Some(Phase::Greeting { .. } | Phase::Serving)) {
            // It is closing already: what came behind its first fault is no other.
            return;
        }
        count(&mut self.counters.violations);
        warning!("hub: connection {} is closed: {:?}", at, code);
        self.part(at, now, LastWord::Error(code), Parting::Lost);
    }

    /// Ends what the connection does; it is left to say `last`.
    fn part(&mut self, at: u32, now: Instant, last: LastWord, how: Parting) {
        match self.storage.conns.get(at as usize).map(|conn| conn.phase) {
            Some(Phase::Greeting { .. } | Phase::Serving) => {}
            Some(Phase::Free | Phase::Parting { .. } | Phase::Closed) | None => return,
        }
        self.end_session(at, now, how);
        let deadline = self.schedule_parting(at, now);
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            conn.phase = Phase::Parting { last, deadline };
        }
        self.queue(at);
    }

    /// The memory of one room's log: an even share of all.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn log_view(&self, room: u32) -> View<'_> {
        let rooms = self.storage.rooms.len();
        View {
            bytes: share(self.storage.bytes, rooms, room as usize),
            index: share(self.storage.index, rooms, room as usize),
        }
    }
}

/// One more.
#[cfg_attr(target_pointer_width = "32", inline(never))]
const fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// Where the part of `len` things lies that belongs to `at` when `of` divide them evenly.
fn share_range(len: usize, of: usize, at: usize) -> core::ops::Range<usize> {
    let each = len.checked_div(of).unwrap_or(0);
    let start = each.saturating_mul(at);
    start..start.saturating_add(each)
}

fn share<T>(all: &[T], of: usize, at: usize) -> &[T] {
    all.get(share_range(all.len(), of, at)).unwrap_or_default()
}

fn share_mut<T>(all: &mut [T], of: usize, at: usize) -> &mut [T] {
    let range = share_range(all.len(), of, at);
    all.get_mut(range).unwrap_or_default()
}

#[cfg(test)]
mod tests;
