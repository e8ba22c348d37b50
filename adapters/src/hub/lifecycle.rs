//! How connections come and go: accepted, lost, timed out, told to go when the hub stops.

use std::io;

use halloo_core::time::{Instant, after, since};
use halloo_core::wire::ByeReason;
use mio::Token;

use super::chat;
use super::connection::{Connection, Reading, Role, Stage, Stream};
use super::event_loop::EventLoop;
use super::socket::Socket;
use super::tutorial::Gateway;

impl EventLoop<'_> {
    pub(super) fn accept(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.acceptor.start_turn();
        while let Some((listener, socket)) = self.acceptor.accept(self.desk.now, self.connections())
        {
            self.stats.accepted += 1;
            if let Err(error) = self.open(listener, socket) {
                tracing::warn!(%error, "a connection was accepted and could not be served");
            }
        }
    }

    fn open(&mut self, listener: usize, socket: Socket) -> io::Result<()> {
        if self.acceptor.is_line(listener) {
            let endpoint = self.acceptor.endpoint(listener);
            return self
                .lines
                .open(self.poll.registry(), socket, endpoint, None);
        }
        let slot = self.conns.vacant_entry();
        let key = slot.key();
        let mut gateway = None;
        let (role, mut stream) = if self.acceptor.mode(listener).is_some() {
            (Role::Echo { listener }, Stream::Here(socket))
        } else {
            let id = self.desk.hub.connect(self.desk.now);
            let id = id.map_err(io::Error::other)?;
            if let Some(place) = self.by_place.get_mut(id.index()) {
                *place = key;
            }
            if self.acceptor.is_tutorial(listener) {
                let (hub, now) = (&mut self.desk.hub, self.desk.now);
                match Gateway::open(hub, now, id, self.desk.object_limit) {
                    Ok(opened) => gateway = Some(Box::new(opened)),
                    Err(error) => {
                        hub.handle_disconnected(now, id);
                        return Err(error);
                    }
                }
            }
            (Role::Chat(id), Stream::Here(socket))
        };
        let token = Token(self.first_conn + key);
        if let Err(error) = stream.register(self.poll.registry(), token) {
            if let Role::Chat(id) = role {
                self.desk.hub.handle_disconnected(self.desk.now, id);
            }
            return Err(error);
        }
        let mut conn = Connection::new(stream, role, self.desk.now);
        conn.gateway = gateway;
        if let Role::Echo { .. } = role {
            conn.read_due = Some(after(self.desk.now, self.desk.echo_idle));
            self.sweep_at
                .get_or_insert(after(self.desk.now, self.sweep_every));
        }
        slot.insert(conn);
        self.make_room_in_queues();
        tracing::debug!(key, listener = %self.acceptor.endpoint(listener), "connection opened");
        self.stats.connections_most = self.stats.connections_most.max(self.connections());
        Ok(())
    }

    /// Hands a connection to the shard of its room, once it is in one: the posts of a room's members
    /// then come together, and what they are sent goes out together.
    pub(super) fn settle(&mut self, key: usize) {
        if self.shards.is_empty() {
            return;
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let (Role::Chat(id), false, Stage::Open) = (conn.role, conn.is_settled, conn.stage) else {
            return;
        };
        let is_between = conn.writable && !conn.has_pending() && conn.reading != Reading::Ended;
        let Some((room, present)) = self.desk.hub.first_room(id).filter(|_| is_between) else {
            return;
        };
        conn.is_settled = true;
        let block = present as usize / self.shard_block;
        let Some(carried) = self.shards.lane(room as usize + block, key) else {
            return;
        };
        if let Stream::Here(mut socket) =
            std::mem::replace(&mut conn.stream, Stream::There(carried))
            && let Stream::There(carried) = &conn.stream
        {
            // What the system still tells of it is about nobody.
            let _ = socket.deregister(self.poll.registry());
            carried.open(socket);
        }
    }

    /// Looks at the deadlines of all connections.
    pub(super) fn sweep(&mut self) {
        let now = self.desk.now;
        let mut waits = false;
        for key in 0..self.conns.capacity() {
            let Some(conn) = self.conns.get_mut(key) else {
                continue;
            };
            let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if due(conn.write_due) && !conn.extend_write(now, self.desk.write_timeout) {
                self.cut(key, "took nothing for too long");
                continue;
            }
            if due(conn.read_due) {
                match conn.role {
                    Role::Chat(id) => chat::frame_timed_out(&mut self.desk, conn, id),
                    Role::Echo { .. } => {
                        self.close(key, "silent for too long");
                        continue;
                    }
                }
            }
            waits |= conn.read_due.is_some() || conn.write_due.is_some();
        }
        self.sweep_at = waits.then(|| after(now, self.sweep_every));
    }

    /// Says `Bye` to everybody.
    pub(super) fn stop(&mut self, reason: ByeReason) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(self.desk.now);
        self.desk.hub.shut_down(self.desk.now, reason);
        for key in 0..self.conns.capacity() {
            let Some(conn) = self.conns.get_mut(key) else {
                continue;
            };
            match conn.role {
                Role::Echo { .. } if conn.has_pending() => conn.stage = Stage::Finishing,
                Role::Echo { .. } => self.close_last(key),
                Role::Chat(_) if conn.stage == Stage::Draining => self.close_last(key),
                Role::Chat(_) => {}
            }
        }
    }

    pub(super) fn is_done(&mut self) -> bool {
        let Some(since_when) = self.stopping else {
            return false;
        };
        if since(self.desk.now, since_when) >= self.stop_timeout {
            for key in 0..self.conns.capacity() {
                if self.conns.contains(key) {
                    self.cut(key, "the hub stops");
                }
            }
            self.cut_off += self.sessions.clear(&mut self.desk);
            let registry = self.poll.registry();
            self.cut_off += self.lines.clear(&mut self.desk, registry);
        }
        self.conns.is_empty() && self.sessions.is_empty() && self.lines.is_quiet()
    }

    /// Closes a connection that was told everything, without a wait for its peer.
    pub(super) fn close_last(&mut self, key: usize) {
        if let Some(conn) = self.conns.get_mut(key) {
            // What lies there unread would make the close a reset. The outcome changes nothing.
            let _ = conn.drain(&mut self.desk.room);
        }
        self.close(key, "the hub stops");
    }

    /// Closes a connection that is owed more.
    fn cut(&mut self, key: usize, why: &'static str) {
        if self
            .conns
            .get(key)
            .is_some_and(|c| c.stage != Stage::Draining)
        {
            self.cut_off += 1;
        }
        self.close(key, why);
    }

    pub(super) fn fail(&mut self, key: usize, error: &io::Error) {
        tracing::debug!(key, %error, "connection lost");
        self.close(key, "lost");
    }

    pub(super) fn close(&mut self, key: usize, why: &'static str) {
        let Some(mut conn) = self.conns.try_remove(key) else {
            return;
        };
        conn.release(&mut self.desk.buffers);
        conn.stream.close(self.poll.registry());
        if let Role::Chat(id) = conn.role {
            self.desk.hub.handle_disconnected(self.desk.now, id);
        }
        tracing::debug!(key, why, "connection closed");
    }
}
