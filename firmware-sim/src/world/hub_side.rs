//! The hub: the real machine, and the loop that drives it as a server's would.

use super::device::NO_PROGRESS;
use super::fault::Fault;
use super::history::{Handed, Place};
use super::link::{HubState, Link, Told, framed};
use super::model::{Broken, Check, must};
use super::{Net, TURN};
use halloo_core::chat::Hub;
use halloo_core::chat::datagram;
use halloo_core::chat::hub::{ConnId, Transmit, Wanted};
use halloo_core::frame::FrameError;
use halloo_core::wire::{Code, Message, binary};
use halloo_std::journal::hub as kept;
use std::sync::Arc;

/// How many messages one connection gets in a turn.
const SHARE: usize = 32;

impl Link {
    /// When the hub's end has something to do.
    pub(super) fn hub_next_time(&self) -> u64 {
        let reset = self.hub_reset_at.unwrap_or(u64::MAX);
        match self.hub.state {
            _ if self.is_datagrams => u64::MAX,
            HubState::Coming if self.up.is_hole() => u64::MAX,
            HubState::Coming => self.arrives_at,
            HubState::Open(_) | HubState::Closing(_) => {
                let read = self.up.ready_at().filter(|_| self.hub.held.is_none());
                let read = read.map_or(u64::MAX, |t| t.max(self.hub.paused_until));
                let blocked = self.hub.blocked_since.map_or(u64::MAX, |t| t + NO_PROGRESS);
                reset.min(read).min(blocked)
            }
            HubState::Gone => u64::MAX,
        }
    }

    /// Whether the hub's end can write more at once.
    fn can_go_on(&self) -> bool {
        let is_closing = matches!(self.hub.state, HubState::Closing(_));
        let is_done = is_closing && self.hub.out.is_empty();
        let has_more = self.hub.wants || !self.hub.out.is_empty();
        self.conn().is_some() && (is_done || has_more && self.down.has_room())
    }

    fn conn(&self) -> Option<ConnId> {
        match self.hub.state {
            HubState::Open(conn) | HubState::Closing(conn) => Some(conn),
            HubState::Coming | HubState::Gone => None,
        }
    }
}

impl Net {
    pub(super) fn run_hub(&mut self, hub: &mut Hub<'_>) -> Check {
        let mut due = std::mem::take(&mut self.due);
        self.link_agenda.take(self.now, &mut due);
        let is_late = |time: Option<u64>| time.is_some_and(|time| time <= self.now);
        let is_timeout = hub.poll_timeout().is_some_and(|due| due <= self.hub_now());
        let is_commit =
            is_late(self.commits.front().map(|(due, _)| *due)) || is_late(self.keeping.next_time());
        if due.is_empty()
            && !is_timeout
            && !is_commit
            && !self.air.waits_at_hub()
            && self.strangers.next_time() > self.now
        {
            self.due = due;
            return Ok(());
        }
        hub.handle_timeout(self.hub_now());
        let mut has_moved = is_timeout;
        for &key in &due {
            (self.moved, self.again) = (false, false);
            self.accept(hub, key);
            self.serve_conn(hub, key)?;
            self.link_moved(key);
            has_moved |= self.moved;
        }
        self.moved = false;
        self.serve_air(hub)?;
        self.serve_strangers(hub)?;
        has_moved |= self.moved;
        self.moved = false;
        match self.keeping.journal {
            Some(_) => self.commit_on_disk(hub)?,
            None => self.commit(hub)?,
        }
        has_moved |= self.moved;
        if self.chaos.stops_hub() {
            self.due = due;
            return Ok(());
        }
        while let Some(id) = hub.poll_ready() {
            let key = self.by_conn.get(id.index()).copied().unwrap_or(u64::MAX);
            if let Some(link) = self.links.get_mut(&key)
                && link.conn() == Some(id)
            {
                link.hub.wants = true;
                due.push(key);
            } else {
                self.strangers.wake();
            }
        }
        due.sort_unstable();
        due.dedup();
        for &key in &due {
            (self.moved, self.again) = (false, false);
            match self.links.get(&key).is_some_and(|link| link.is_datagrams) {
                true => self.pump_session(hub, key)?,
                false => self.pump_conn(hub, key)?,
            }
            self.link_moved(key);
            has_moved |= self.moved;
            let device = self.links.get(&key).map(|link| link.device);
            self.look_at_link(Some(key));
            if let Some(device) = device {
                self.look_at_device(device);
            }
        }
        if has_moved {
            // There may be a place now for what the hub was too busy for.
            self.held.retain(|key| self.links.get(key).is_some());
            for &key in &self.held {
                self.link_agenda.add(key, self.now + TURN);
            }
        }
        self.due = due;
        Ok(())
    }

    /// A connection on which something happened is looked at again.
    fn link_moved(&mut self, key: u64) {
        if self.again || self.links.get(&key).is_some_and(Link::can_go_on) {
            self.link_agenda.add(key, self.now + TURN);
        }
        if self.moved {
            // It may have made room for what the device could not write.
            let device = self.links.get(&key).map(|link| link.device);
            if let Some(number) = device.filter(|&number| self.devices[number].is_blocked()) {
                self.device_agenda.add(number as u64, self.now + TURN);
            }
        }
    }

    fn accept(&mut self, hub: &mut Hub<'_>, key: u64) {
        let clock = self.hub_now();
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if link.hub.state != HubState::Coming || link.arrives_at > self.now || link.up.is_hole() {
            return;
        }
        link.hub.state = match hub.connect(clock) {
            Ok(id) => {
                self.by_conn[id.index()] = key;
                HubState::Open(id)
            }
            Err(_) => {
                self.refused += 1;
                link.device_reset_at = Some(self.now + self.limits.shape.delay);
                HubState::Gone
            }
        };
        self.moved = true;
    }

    /// Reads what came on one connection.
    fn serve_conn(&mut self, hub: &mut Hub<'_>, key: u64) -> Check {
        let now = self.now;
        let Some(link) = self.links.get_mut(&key) else {
            return Ok(());
        };
        let Some(id) = link.conn().filter(|_| !link.is_datagrams) else {
            return Ok(());
        };
        let is_stuck = link
            .hub
            .blocked_since
            .is_some_and(|s| s + NO_PROGRESS <= now);
        if link.hub_reset_at.is_some_and(|t| t <= now) || is_stuck || link.up.is_over(now) {
            self.drop_conn(hub, key, id);
            return Ok(());
        }
        if link.hub.paused_until > now {
            return Ok(());
        }
        if let Some(held) = link.hub.held.take() {
            self.held.remove(&key);
            self.hub_gets(hub, key, id, &held)?;
        }
        let is_cut = self.faults.has(Fault::Cut);
        for _ in 0..SHARE {
            let Some(link) = self.links.get_mut(&key) else {
                return Ok(());
            };
            if link.hub.held.is_some() {
                return Ok(());
            }
            match link.hub.decoder.poll_frame() {
                Ok(Some(frame)) => {
                    let mut message = std::mem::take(&mut self.frame);
                    message.clear();
                    message.extend_from_slice(link.hub.decoder.bytes(frame));
                    self.hub_gets(hub, key, id, &message)?;
                    self.frame = message;
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    let code = match error {
                        FrameError::Oversize { .. } => Code::Oversize,
                        _ => Code::Malformed,
                    };
                    hub.handle_bad_frame(self.hub_now(), id, code);
                    continue;
                }
            }
            let room = link.hub.decoder.room(&mut self.hub_spare);
            let most = match is_cut {
                true => 1 + self.rng.below(room.len() as u64) as usize,
                false => room.len(),
            };
            let got = link.up.read(now, &mut room[..most]);
            if got == 0 {
                link.hub.decoder.rest(&mut self.hub_spare);
                return Ok(());
            }
            self.moved = true;
            self.trace.bytes(&room[..got]);
            link.hub.decoder.commit(got);
        }
        // More may lie in the buffer than it may hand in at a time.
        self.again = true;
        Ok(())
    }

    fn hub_gets(&mut self, hub: &mut Hub<'_>, key: u64, id: ConnId, bytes: &[u8]) -> Check {
        let message = match binary::decode(bytes) {
            Ok(decoded) => decoded.message,
            Err(error) => {
                hub.handle_bad_frame(self.hub_now(), id, error.code());
                return Ok(());
            }
        };
        let sessions = hub.counters().sessions;
        let taken = hub.handle_message(self.hub_now(), id, &message);
        let Some(link) = self.links.get_mut(&key) else {
            return Ok(());
        };
        if taken.is_err() {
            self.busy += 1;
            link.hub.held = Some(bytes.to_vec());
            self.held.insert(key);
            return Ok(());
        }
        self.trace
            .words(self.now, || format!("hub gets on {key}: {message:?}"));
        self.moved = true;
        let device = link.device;
        if hub.counters().sessions > sessions {
            self.live[device] = Some(key);
        }
        self.hub_took(key, &message)
    }

    /// The hub has taken a message of a device: what the model has to know of it.
    pub(super) fn hub_took(&mut self, key: u64, message: &Message<'_>) -> Check {
        let Some(link) = self.links.get_mut(&key) else {
            return Ok(());
        };
        let device = link.device;
        let is_live = self.live[device] == Some(key);
        match *message {
            Message::Join(join) if is_live => {
                let room: Arc<str> = String::from_utf8_lossy(join.room).as_ref().into();
                // Over datagrams the same join may come again, and changes nothing.
                let is_same = |told: &mut Told| told.room == room;
                if link.is_datagrams && link.hub.told(join.slot).is_some_and(is_same) {
                    return Ok(());
                }
                let told = Told {
                    room,
                    place: Place::default(),
                    joined: None,
                };
                link.hub.forget(join.slot);
                // Most are in one room.
                link.hub.rooms.reserve_exact(1);
                link.hub.rooms.push((join.slot, told));
            }
            Message::Leave { slot } => {
                link.hub.forget(slot);
            }
            Message::Post { slot, seq, body } if is_live => {
                if let (Some(told), Some(store)) = (link.hub.told(slot), self.lives.last_mut()) {
                    let window = match link.is_datagrams {
                        true => self.limits.window.min(datagram::WINDOW),
                        false => self.limits.window,
                    };
                    let posted = (seq, window);
                    store.offer(device as u32, &told.room, posted, body)?;
                }
            }
            Message::Credit {
                slot,
                cursor,
                window,
            } => {
                if let Some(told) = link.hub.told(slot)
                    && let Some((_, sent, granted)) = &mut told.joined
                {
                    must!(cursor <= *sent, "S10: credit for {cursor}, sent {sent}");
                    let window = match link.is_datagrams {
                        true => window.min(datagram::MAX_ENTRIES),
                        false => window,
                    };
                    *granted = (*granted).max(cursor + u64::from(window));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn drop_conn(&mut self, hub: &mut Hub<'_>, key: u64, id: ConnId) {
        hub.handle_disconnected(self.hub_now(), id);
        let now = self.now;
        self.trace.note(now, "hub drops", &[key]);
        if let Some(link) = self.links.get_mut(&key) {
            link.hub.state = HubState::Gone;
            link.down.close(now);
            // Whoever writes to a closed connection learns of it.
            link.device_reset_at.get_or_insert(now + 60_000_000);
        }
        self.moved = true;
    }

    /// What is handed out becomes durable after a while, in any portions.
    fn commit(&mut self, hub: &mut Hub<'_>) -> Check {
        let Some(store) = self.lives.last_mut() else {
            return Ok(());
        };
        let before = store.handed.len();
        while let Some(append) = hub.poll_append() {
            store.handed.push_back(Handed::of(&append));
        }
        let fresh = store.handed.len() - before;
        if fresh > 0 {
            let mut due = self.now;
            if self.commit_delay > 0 {
                due += self.rng.below(self.commit_delay + 1);
                self.faults.count(Fault::SlowCommit);
            }
            due = due.max(self.commits.back().map_or(0, |(at, _)| *at));
            let first = match self.commit_delay > 0 {
                true => self.rng.below(fresh as u64 + 1) as usize,
                false => fresh,
            };
            self.commits.push_back((due, first));
            self.commits
                .push_back((due + self.commit_delay / 2, fresh - first));
        }
        while let Some((due, count)) = self.commits.front().copied() {
            if due > self.now {
                break;
            }
            self.commits.pop_front();
            store.commit(count)?;
            hub.handle_appended(count);
            self.moved = true;
        }
        Ok(())
    }

    /// Writes what the hub has for one connection.
    fn pump_conn(&mut self, hub: &mut Hub<'_>, key: u64) -> Check {
        let clock = self.hub_now();
        let mut buffer = [0; 200];
        for _ in 0..SHARE {
            let Some(link) = self.links.get_mut(&key) else {
                return Ok(());
            };
            let Some(id) = link.conn() else {
                return Ok(());
            };
            if !link.hub.out.is_empty() {
                let taken = link.down.write(&mut self.rng, self.now, &link.hub.out);
                link.hub.out.drain(..taken);
                let is_all = link.hub.out.is_empty();
                if is_all {
                    link.hub.out = Vec::new();
                }
                self.note_write(key, taken, is_all);
                if !is_all {
                    return Ok(());
                }
                continue;
            }
            if link.hub.state == HubState::Closing(id) {
                self.drop_conn(hub, key, id);
                return Ok(());
            }
            if !link.hub.wants {
                return Ok(());
            }
            match hub.poll_transmit(clock, id, &mut buffer) {
                Transmit::Idle => link.hub.wants = false,
                Transmit::Stored(wanted) => {
                    if !self.show_stored(hub, key, id, wanted)? {
                        return Ok(());
                    }
                }
                Transmit::Close => link.hub.state = HubState::Closing(id),
                Transmit::Message(len) => {
                    link.hub.out = framed(&buffer[..len]);
                    self.hub_says(key, &buffer[..len])?;
                }
                Transmit::Entries(entries) => {
                    let mut bytes = std::mem::take(&mut self.frame);
                    bytes.clear();
                    bytes.extend_from_slice(entries.head);
                    bytes.extend_from_slice(entries.tail);
                    let sent = entries.sent;
                    let taken = link.down.write(&mut self.rng, self.now, &bytes);
                    link.hub.out = hub.handle_sent(clock, id, sent, taken).to_vec();
                    self.hub_shows(key, &bytes, taken)?;
                    let is_all = taken == bytes.len();
                    self.frame = bytes;
                    self.note_write(key, taken, is_all);
                    if !is_all {
                        return Ok(());
                    }
                }
            }
        }
        self.moved = true;
        Ok(())
    }

    /// Writes what a member wants out of the journal; whether the connection may take more.
    fn show_stored(
        &mut self,
        hub: &mut Hub<'_>,
        key: u64,
        id: ConnId,
        wanted: Wanted,
    ) -> Check<bool> {
        let now = self.hub_now();
        let (Some(journal), Some(link)) = (&mut self.keeping.journal, self.links.get_mut(&key))
        else {
            return Err(Broken(
                "S5: without a journal, it is asked for entries".into(),
            ));
        };
        let run = match kept::read_back(journal, wanted, self.limits.run_bytes) {
            Ok(run) => run,
            Err(found) => {
                hub.handle_found(now, id, wanted, found);
                return Ok(true);
            }
        };
        self.read_back += 1;
        let taken = link.down.write(&mut self.rng, self.now, run.bytes());
        if taken > 0 {
            let (last, rest) = run.taken(wanted, taken);
            link.hub.out = rest.to_vec();
            hub.handle_stored(now, id, wanted, last);
        }
        self.hub_shows(key, run.bytes(), taken)?;
        let is_all = taken == run.bytes().len();
        self.note_write(key, taken, is_all);
        Ok(is_all)
    }

    fn note_write(&mut self, key: u64, taken: usize, is_all: bool) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if taken > 0 || is_all {
            self.moved = true;
            link.hub.blocked_since = None;
        }
        if is_all {
            return;
        }
        if link.down.has_room() {
            if taken == 0 {
                self.faults.count(Fault::ShortWrite);
                self.moved = true;
            }
        } else {
            link.hub.blocked_since.get_or_insert(self.now);
        }
    }
}
