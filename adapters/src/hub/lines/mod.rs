//! Serial lines: devices of this machine, and bytes of far ones over TCP.
//!
//! Knows which line is served when. Lines are slow, so the loop serves them itself, whatever the
//! number of shards: a frame is begun only when the one before is out, and what a line is owed until
//! then stays in the log.

mod line;
mod ports;

use std::collections::{BTreeSet, HashMap, VecDeque};

use halloo_core::chat::hub::ConnId;
use halloo_core::time::{Instant, earliest};
use mio::event::Event;
use mio::{Registry, Token};
use slab::Slab;

use super::connection::Flow;
use super::desk::Desk;
use super::socket::Socket;
use crate::url::Endpoint;
use line::SerialLine;
pub(super) use ports::Port;
use ports::Ports;

/// The token of the first line: above all that the loop gives to others.
const FIRST: usize = 1 << (usize::BITS - 2);

/// All lines that are open, and the ports that open them again.
#[derive(Debug)]
pub(super) struct Lines {
    lines: Slab<SerialLine>,
    ports: Ports,
    by_conn: HashMap<ConnId, usize>,
    inputs: VecDeque<usize>,
    outputs: VecDeque<usize>,
    /// When lines want a look though nothing is ready.
    timers: BTreeSet<(Instant, usize)>,
    /// Frames that were none.
    pub(super) damaged: u64,
}

impl Lines {
    pub(super) fn new(ports: Vec<Port>) -> Self {
        Self {
            lines: Slab::new(),
            ports: Ports::new(ports),
            by_conn: HashMap::new(),
            inputs: VecDeque::new(),
            outputs: VecDeque::new(),
            timers: BTreeSet::new(),
            damaged: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nobody on a line is owed anything.
    pub(super) fn is_quiet(&self) -> bool {
        self.lines.iter().all(|(_, line)| line.is_quiet())
    }

    pub(super) fn has_work(&self) -> bool {
        !self.inputs.is_empty() || !self.outputs.is_empty()
    }

    /// When something is due though nothing is ready. Work: linear in the ports.
    pub(super) fn due(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(due, _)| *due);
        earliest(first, self.ports.due())
    }

    /// Serves a line from here on. `port` opens it again when it is gone.
    pub(super) fn open(
        &mut self,
        registry: &Registry,
        mut socket: Socket,
        endpoint: &Endpoint,
        port: Option<usize>,
    ) -> std::io::Result<()> {
        let slot = self.lines.vacant_entry();
        let key = slot.key();
        socket.register(registry, Token(FIRST + key))?;
        slot.insert(SerialLine::new(socket, endpoint, port));
        self.queue_input(key);
        tracing::debug!(%endpoint, key, "serial line opened");
        Ok(())
    }

    /// What the system says; `false` if it is not about a line.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let Some(key) = event.token().0.checked_sub(FIRST) else {
            return false;
        };
        let Some(line) = self.lines.get_mut(key) else {
            return true;
        };
        let is_over = event.is_read_closed() || event.is_error();
        if event.is_readable() || is_over {
            line.readable = true;
            self.queue_input(key);
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            self.lines[key].writable = true;
            self.queue_output(key);
        }
        true
    }

    /// The machine has something for a connection; `false` if it is not on a line.
    pub(super) fn queue(&mut self, id: ConnId) -> bool {
        match self.by_conn.get(&id) {
            Some(&key) => {
                self.queue_output(key);
                true
            }
            None => false,
        }
    }

    /// Reads what came.
    pub(super) fn read(&mut self, desk: &mut Desk<'_>, registry: &Registry) {
        for _ in 0..self.inputs.len() {
            let Some(key) = self.inputs.pop_front() else {
                return;
            };
            let Some(line) = self.lines.get_mut(key) else {
                continue;
            };
            line.in_inputs = false;
            let before = line.conn();
            let flow = line.read(desk);
            let after = line.conn();
            self.damaged += std::mem::take(&mut line.damaged_now);
            if before != after {
                before.and_then(|id| self.by_conn.remove(&id));
                after.and_then(|id| self.by_conn.insert(id, key));
            }
            match flow {
                Ok(Flow::Over) => self.close(desk, registry, key, "ended"),
                Ok(flow) => {
                    if flow == Flow::More {
                        self.queue_input(key);
                    }
                    self.queue_output(key);
                }
                Err(error) => {
                    tracing::debug!(key, %error, "serial line lost");
                    self.close(desk, registry, key, "failed");
                }
            }
        }
    }

    /// Writes what the machine owes, each line its share.
    pub(super) fn write(&mut self, desk: &mut Desk<'_>, registry: &Registry, is_stopping: bool) {
        while let Some(&(due, key)) = self.timers.first() {
            if due > desk.now {
                break;
            }
            self.timers.pop_first();
            if let Some(line) = self.lines.get_mut(key) {
                line.timer = None;
                self.queue_output(key);
            }
        }
        for _ in 0..self.outputs.len() {
            let Some(key) = self.outputs.pop_front() else {
                return;
            };
            let Some(line) = self.lines.get_mut(key) else {
                continue;
            };
            line.in_outputs = false;
            let before = line.conn();
            let flow = line.write(desk);
            if before != line.conn() {
                before.and_then(|id| self.by_conn.remove(&id));
            }
            let (due, is_quiet) = (line.due(), line.is_quiet());
            match flow {
                Ok(Flow::Over) => self.close(desk, registry, key, "took nothing for too long"),
                Ok(_) if is_stopping && is_quiet => {
                    self.close(desk, registry, key, "the hub stops");
                }
                Ok(flow) => {
                    if flow == Flow::More {
                        self.queue_output(key);
                    }
                    self.set_timer(key, due);
                }
                Err(error) => {
                    tracing::debug!(key, %error, "serial line lost");
                    self.close(desk, registry, key, "failed");
                }
            }
        }
    }

    /// The hub stops: what could not be told is not. How many were not told.
    pub(super) fn clear(&mut self, desk: &mut Desk<'_>, registry: &Registry) -> usize {
        let mut left = 0;
        for key in 0..self.lines.capacity() {
            if let Some(line) = self.lines.get(key) {
                left += usize::from(!line.is_quiet());
                self.close(desk, registry, key, "the hub stops");
            }
        }
        left
    }

    /// Opens what is to be opened.
    pub(super) fn open_ports(&mut self, desk: &Desk<'_>, registry: &Registry) {
        while let Some((number, socket)) = self.ports.next(desk.now) {
            let endpoint = self.ports.endpoint(number).clone();
            match self.open(registry, socket, &endpoint, Some(number)) {
                Ok(()) => tracing::info!(%endpoint, "serial line open"),
                Err(error) => {
                    tracing::warn!(%endpoint, %error, "a serial line cannot be watched");
                    self.ports.lost(number, desk.now, false);
                }
            }
        }
    }

    fn close(&mut self, desk: &mut Desk<'_>, registry: &Registry, key: usize, why: &'static str) {
        let Some(mut line) = self.lines.try_remove(key) else {
            return;
        };
        line.conn().and_then(|id| self.by_conn.remove(&id));
        if let Some(due) = line.timer {
            self.timers.remove(&(due, key));
        }
        line.close(desk, registry);
        tracing::debug!(key, why, "serial line closed");
        if let Some(number) = line.port {
            self.ports.lost(number, desk.now, line.has_heard);
        }
    }

    fn set_timer(&mut self, key: usize, due: Option<Instant>) {
        let line = &mut self.lines[key];
        if line.timer == due {
            return;
        }
        if let Some(old) = std::mem::replace(&mut line.timer, due) {
            self.timers.remove(&(old, key));
        }
        if let Some(due) = due {
            self.timers.insert((due, key));
        }
    }

    fn queue_input(&mut self, key: usize) {
        if let Some(line) = self.lines.get_mut(key)
            && !std::mem::replace(&mut line.in_inputs, true)
        {
            self.inputs.push_back(key);
        }
    }

    fn queue_output(&mut self, key: usize) {
        if let Some(line) = self.lines.get_mut(key)
            && !std::mem::replace(&mut line.in_outputs, true)
        {
            self.outputs.push_back(key);
        }
    }
}
