//! The turn of the hub: what is ready is read, what was posted is committed, what is owed is sent.
//!
//! Knows which connection is served when. Each turn serves each connection once at most, and each
//! of them has a share; who has more to do comes behind all others, in the next turn. Who said
//! something is answered first.

use std::collections::VecDeque;
use std::io;
use std::time;

use halloo_core::chat::Hub;
use halloo_core::time::{Duration, Instant, after, earliest, millis, since};
use halloo_core::wire::ByeReason;
use mio::event::Event;
use mio::{Events, Poll, Token};
use slab::Slab;

use super::accept::Acceptor;
use super::connection::{Connection, Flow, Reading, Role, Stage, Stream};
use super::desk::{Desk, fugit};
use super::durable::{self, Kept};
use super::lines::Lines;
use super::listeners::{Bound, Datagrams, Service};
use super::memory::PER_CONNECTION;
use super::pass::{PARTS, Pass};
use super::sessions::Sessions;
use super::shards::{Shards, Told};
use super::{HubConfig, HubError, HubStats, Memory, Shutdown, Stats, Summary, WAKE, chat, echo};
use crate::journal::JournalError;

/// How many events one turn takes from the system.
const EVENTS: usize = 1024;

/// How old the published numbers may be.
const PUBLISH: Duration = millis(50);

/// No connection.
const NOBODY: usize = usize::MAX;

pub(super) struct EventLoop<'s> {
    pub(super) poll: Poll,
    pub(super) desk: Desk<'s>,
    pub(super) acceptor: Acceptor,
    datagrams: Vec<Datagrams>,
    pub(super) sessions: Sessions,
    pub(super) lines: Lines,
    pub(super) shards: Shards,
    /// So many members of a room are on one shard.
    pub(super) shard_block: usize,
    pub(super) conns: Slab<Connection>,
    /// The connection at each of the chat machine's places.
    pub(super) by_place: Vec<usize>,
    /// Whose input, and whose output, is to be looked at.
    inputs: VecDeque<usize>,
    outputs: VecDeque<usize>,
    /// Who said something in this turn: they are answered before all others.
    spoke: Vec<usize>,
    pass: Pass,
    /// The token of the first datagram socket, and of the first connection.
    first_datagrams: usize,
    pub(super) first_conn: usize,
    clock: time::Instant,
    /// When deadlines are looked at next, if there are any, and how often that is.
    pub(super) sweep_at: Option<Instant>,
    pub(super) sweep_every: Duration,
    /// Since when the hub stops, and how long it may take.
    pub(super) stopping: Option<Instant>,
    /// Why the hub stops, if it was not told to.
    failure: Option<JournalError>,
    pub(super) stop_timeout: Duration,
    pub(super) cut_off: usize,
    handle: HubStats,
    pub(super) stats: Stats,
    published: Instant,
    is_published: bool,
}

/// What the loop waits for.
pub(super) struct Sockets {
    pub(super) poll: Poll,
    pub(super) shards: Shards,
    pub(super) bound: Bound,
}

impl<'s> EventLoop<'s> {
    pub(super) fn new(
        sockets: Sockets,
        hub: Hub<'s>,
        journal: Option<Kept>,
        config: &HubConfig,
        handle: HubStats,
        fixed: usize,
    ) -> Result<Self, HubError> {
        let Sockets {
            poll,
            shards,
            bound,
        } = sockets;
        let refused = || HubError::system("watch a listener");
        let first_datagrams = 1 + bound.streams.len();
        let mut acceptor = Acceptor::new(bound.streams, config.max_connections);
        acceptor.register(poll.registry()).map_err(refused())?;
        let mut datagrams = bound.datagrams;
        for (token, datagrams) in (first_datagrams..).zip(&mut datagrams) {
            let socket = &mut datagrams.socket;
            socket
                .register(poll.registry(), Token(token))
                .map_err(refused())?;
        }
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|e| HubError::system("draw a secret")(e.into()))?;
        let sessions = Sessions::new(key);
        // With a journal each part would wait for a sync of its own.
        let pass = Pass::new(match journal {
            Some(_) => 1,
            None => PARTS,
        });
        let desk = Desk::new(hub, journal, config);
        let shortest = config.frame_timeout.min(config.write_timeout);
        let shortest = shortest.min(config.drain_timeout).min(config.echo_idle);
        let most = config.max_connections;
        let stats = Stats {
            memory: Memory {
                fixed: fixed + desk.bytes() + most * size_of::<usize>(),
                per_connection: PER_CONNECTION,
                buffers: 0,
            },
            ..Stats::default()
        };
        Ok(Self {
            first_conn: first_datagrams + datagrams.len(),
            poll,
            desk,
            acceptor,
            datagrams,
            sessions,
            lines: Lines::new(bound.ports),
            shards,
            shard_block: config.shard_block,
            conns: Slab::new(),
            by_place: vec![0; most],
            inputs: VecDeque::new(),
            outputs: VecDeque::new(),
            spoke: Vec::new(),
            pass,
            first_datagrams,
            clock: time::Instant::now(),
            sweep_at: None,
            sweep_every: fugit(shortest / 4).clamp(millis(10), millis(1000)),
            stopping: None,
            failure: None,
            stop_timeout: fugit(config.stop_timeout),
            cut_off: 0,
            handle,
            stats,
            published: Instant::from_ticks(0),
            is_published: true,
        })
    }

    pub(super) fn run(mut self, shutdown: &Shutdown) -> Result<Summary, HubError> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_done() {
            self.desk.now = self.now();
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(HubError::system("wait for events")(e)),
            }
            self.desk.now = self.now();
            for event in &events {
                self.note(event);
            }
            if shutdown.is_triggered() && self.stopping.is_none() {
                self.stop(ByeReason::Shutdown);
            }
            self.take_reports()?;
            self.turn();
            let handed = self.shards.flush();
            handed.map_err(HubError::system("hand over to a shard"))?;
        }
        // Who left last is forgotten on disk, too.
        self.commit();
        self.publish();
        match self.failure {
            Some(failure) => Err(failure.into()),
            None => Ok(Summary {
                stats: self.stats,
                cut_off: self.cut_off,
            }),
        }
    }

    fn turn(&mut self) {
        for _ in 0..self.inputs.len() {
            if let Some(key) = self.inputs.pop_front() {
                self.serve_input(key);
            }
        }
        self.serve_datagrams();
        self.serve_lines();
        self.accept();
        self.commit();
        if self
            .desk
            .hub
            .poll_timeout()
            .is_some_and(|due| due <= self.desk.now)
        {
            self.desk.hub.handle_timeout(self.desk.now);
        }
        if self.sweep_at.is_some_and(|due| due <= self.desk.now) {
            self.sweep();
        }
        while let Some(key) = self.spoke.pop() {
            if let Some(conn) = self.conns.get_mut(key) {
                conn.out_queue = true;
                self.serve_output(key);
            }
        }
        while let Some(id) = self.desk.hub.poll_ready() {
            if self.sessions.queue(id) || self.lines.queue(id) {
                continue;
            }
            let key = self.by_place.get(id.index()).copied();
            self.queue_output(key.unwrap_or(NOBODY));
        }
        // Who is served late is to miss nothing; from disk nobody does.
        if self.pass.is_over() && self.desk.journal.is_none() {
            self.desk.hub.begin_pass();
        }
        for _ in 0..self.pass.part(self.outputs.len()) {
            if let Some(key) = self.outputs.pop_front() {
                self.serve_output(key);
            }
        }
        self.sessions.write(&mut self.desk, &mut self.datagrams);
        let is_stopping = self.stopping.is_some();
        self.lines
            .write(&mut self.desk, self.poll.registry(), is_stopping);
        self.stats.turns += 1;
        self.is_published = false;
        if since(self.desk.now, self.published) >= PUBLISH {
            self.publish();
        }
    }

    fn serve_datagrams(&mut self) {
        for number in 0..self.datagrams.len() {
            let socket = &mut self.datagrams[number];
            match (socket.ready, &socket.service) {
                (false, _) => {}
                (true, Service::Chat) => {
                    self.sessions
                        .read(&mut self.desk, &mut self.datagrams, number);
                }
                (true, _) => echo::serve_datagrams(&mut self.desk, socket),
            }
        }
        self.stats.accepted += std::mem::take(&mut self.sessions.opened);
        self.stats.connections_most = self.stats.connections_most.max(self.connections());
    }

    fn serve_lines(&mut self) {
        if self.stopping.is_none() {
            self.lines.open_ports(&self.desk, self.poll.registry());
        }
        self.lines.read(&mut self.desk, self.poll.registry());
        self.stats.noise += std::mem::take(&mut self.lines.damaged);
    }

    /// How many take a place among the most connections.
    pub(super) fn connections(&self) -> usize {
        self.conns.len() + self.sessions.len() + self.lines.len()
    }

    /// Makes what was posted durable, and shows it. Where that fails, nothing is acknowledged any
    /// more: everybody is told, and the hub stops.
    fn commit(&mut self) {
        let Some(journal) = &mut self.desk.journal else {
            return self.desk.hub.commit_in_memory();
        };
        if self.failure.is_some() {
            return;
        }
        if let Err(error) = durable::commit(&mut self.desk.hub, journal) {
            tracing::info!(%error, "the posts cannot be kept");
            self.failure = Some(error);
            self.stop(ByeReason::Storage);
        }
    }

    /// What the system says, remembered for the turn.
    fn note(&mut self, event: &Event) {
        let token = event.token();
        if token == WAKE {
            return;
        }
        if token.0 < self.first_datagrams {
            return self.acceptor.note(token);
        }
        if token.0 < self.first_conn {
            if let Some(datagrams) = self.datagrams.get_mut(token.0 - self.first_datagrams) {
                datagrams.ready |= event.is_readable() || event.is_error();
                if event.is_writable() {
                    datagrams.unblock();
                }
            }
            return;
        }
        if self.lines.note(event) {
            return;
        }
        let key = token.0 - self.first_conn;
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if (event.is_readable() || event.is_read_closed() || event.is_error())
            && conn.reading != Reading::Ended
        {
            conn.reading = Reading::Ready {
                ending: event.is_read_closed() || event.is_error(),
            };
            self.queue_input(key);
        }
        self.note_writable(key, event);
    }

    fn note_writable(&mut self, key: usize, event: &Event) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let writable = event.is_writable() || event.is_write_closed() || event.is_error();
        if writable && !conn.writable {
            conn.writable = true;
            match conn.role {
                Role::Chat(_) => self.queue_output(key),
                Role::Echo { .. } => self.queue_input(key),
            }
        }
    }

    /// What the shards tell, remembered for the turn.
    fn take_reports(&mut self) -> Result<(), HubError> {
        let Self {
            shards,
            conns,
            desk,
            inputs,
            outputs,
            ..
        } = self;
        let taken = shards.take(|lane, told| {
            let Some(conn) = conns.get_mut(lane.key()) else {
                return;
            };
            let Stream::There(carried) = &mut conn.stream else {
                return;
            };
            if carried.lane() != lane {
                return;
            }
            let ending = match told {
                Told::Wrote(bytes) => {
                    carried.handle_wrote(bytes);
                    if !std::mem::replace(&mut conn.writable, true) {
                        enqueue(outputs, &mut conn.out_queue, lane.key());
                    }
                    return;
                }
                Told::Read(bytes) => {
                    carried.handle_read(&mut desk.buffers, bytes);
                    false
                }
                Told::Ended => {
                    carried.handle_end();
                    true
                }
                Told::Failed(kind) => {
                    carried.handle_failed(kind);
                    true
                }
            };
            if conn.reading != Reading::Ended {
                conn.reading = Reading::Ready { ending };
                enqueue(inputs, &mut conn.in_queue, lane.key());
            }
        });
        taken.map_err(HubError::system("hear from a shard"))
    }

    fn serve_input(&mut self, key: usize) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.in_queue = false;
        let desk = &mut self.desk;
        let served = match (conn.stage, conn.role) {
            (Stage::Open, Role::Chat(id)) => chat::read(desk, conn, id),
            (Stage::Open | Stage::Finishing, Role::Echo { listener }) => {
                match self.acceptor.mode(listener) {
                    Some(mode) => echo::serve(desk, conn, mode),
                    None => Ok(Flow::Over),
                }
            }
            (Stage::Deaf | Stage::Finishing | Stage::Draining, _) => conn.drain(&mut desk.room),
        };
        let is_chat = matches!(conn.role, Role::Chat(_));
        let owes = is_chat && (conn.busy || conn.reading == Reading::Ended) && served.is_ok();
        match served {
            Ok(Flow::Idle) => {}
            Ok(Flow::More) => self.queue_input(key),
            Ok(Flow::Over) => return self.close(key, "done"),
            Err(error) => return self.fail(key, &error),
        }
        if owes {
            self.queue_output(key);
        }
        if is_chat {
            self.spoke.push(key);
        }
        self.watch(key);
    }

    fn serve_output(&mut self, key: usize) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if !std::mem::take(&mut conn.out_queue) {
            // It spoke, and was served before its turn.
            return;
        }
        let (Role::Chat(id), false) = (conn.role, conn.stage == Stage::Draining) else {
            return;
        };
        let served = chat::write(&mut self.desk, conn, id);
        let conn = &*conn;
        let (draining, retry) = (
            conn.stage == Stage::Draining,
            conn.busy && conn.writable && !conn.has_pending(),
        );
        match served {
            Ok(Flow::Over) => return self.close(key, "done"),
            Ok(Flow::More) if draining => self.queue_input(key),
            Ok(Flow::More) => self.queue_output(key),
            Ok(Flow::Idle) => {}
            Err(error) => return self.fail(key, &error),
        }
        if retry {
            self.queue_input(key);
        }
        self.watch(key);
        self.settle(key);
    }

    /// Makes sure that a connection's deadline is looked at.
    fn watch(&mut self, key: usize) {
        let drains = |conn: &Connection| conn.stage == Stage::Draining;
        if self.stopping.is_some() && self.conns.get(key).is_some_and(drains) {
            return self.close_last(key);
        }
        let waits = |conn: &Connection| conn.read_due.is_some() || conn.write_due.is_some();
        if self.conns.get(key).is_some_and(waits) {
            self.sweep_at
                .get_or_insert(after(self.desk.now, self.sweep_every));
        }
    }

    /// A turn may have to do with every connection, and then has no time for memory.
    pub(super) fn make_room_in_queues(&mut self) {
        for queue in [&mut self.inputs, &mut self.outputs] {
            queue.reserve(self.conns.len().saturating_sub(queue.len()));
        }
        self.spoke
            .reserve(self.conns.len().saturating_sub(self.spoke.len()));
    }

    fn queue_input(&mut self, key: usize) {
        if let Some(conn) = self.conns.get_mut(key) {
            enqueue(&mut self.inputs, &mut conn.in_queue, key);
        }
    }

    fn queue_output(&mut self, key: usize) {
        if let Some(conn) = self.conns.get_mut(key) {
            enqueue(&mut self.outputs, &mut conn.out_queue, key);
        }
    }

    /// How long the system may let the loop sleep.
    fn timeout(&self) -> Option<time::Duration> {
        let now = self.desk.now;
        let is_full = self.acceptor.is_full(self.connections());
        let at_once = !self.inputs.is_empty()
            || !self.outputs.is_empty()
            || self.datagrams.iter().any(|d| d.ready)
            || self.sessions.has_work(&self.datagrams)
            || self.lines.has_work();
        if at_once {
            return Some(time::Duration::ZERO);
        }
        let stale = !self.is_published;
        let mut due = earliest(self.desk.hub.poll_timeout(), self.sweep_at);
        due = earliest(due, self.lines.due());
        due = earliest(due, stale.then(|| after(self.published, PUBLISH)));
        match self.stopping {
            Some(start) => due = earliest(due, Some(after(start, self.stop_timeout))),
            None if is_full => {}
            None => due = earliest(due, self.acceptor.due(now)),
        }
        due.map(|due| time::Duration::from_micros(since(due, now).as_ticks()))
    }

    /// One function tells the time.
    fn now(&self) -> Instant {
        let micros = self.clock.elapsed().as_micros();
        Instant::from_ticks(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn publish(&mut self) {
        self.published = self.desk.now;
        self.is_published = true;
        self.stats.chat = self.desk.hub.counters();
        self.stats.connections = self.connections();
        self.stats.accept_pauses = self.acceptor.pauses;
        self.stats.echoed = self.desk.echoed;
        self.stats.datagrams_dropped = self.desk.datagrams_dropped;
        let (of_shards, kept) = self.shards.usage();
        self.stats.cpu = thread_cpu_time() + of_shards;
        let journal = self.desk.journal.as_ref();
        self.stats.read_back = journal.map_or(0, Kept::bytes_read);
        self.stats.commits = journal.map_or(0, Kept::commits);
        self.stats.memory.buffers = self.desk.buffers.in_use() + kept;
        self.handle.publish(self.stats);
    }
}

/// Puts a connection into a queue that it is not in.
fn enqueue(queue: &mut VecDeque<usize>, is_queued: &mut bool, key: usize) {
    if !std::mem::replace(is_queued, true) {
        queue.push_back(key);
    }
}

/// The processor's time that this thread has used.
fn thread_cpu_time() -> time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time::Duration::try_from(time).unwrap_or_default()
}
