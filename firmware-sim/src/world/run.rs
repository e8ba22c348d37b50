//! The life of a world: chaos with safety checked, then heal and demand liveness.

use super::Net;
use super::fault::Fault;
use super::limits::HubMemory;
use super::model::{Broken, Check, must};
use super::setup::{Progress, Watcher};
use halloo_core::chat::Hub;
use halloo_core::chat::client::From;
use halloo_core::chat::datagram;
use std::collections::BTreeMap;

/// After the last fault everything is well within so many seconds.
const RECOVERY: u64 = 600;

/// How often it is told how far a run is, in microseconds of its own time.
const SLICE: u64 = 30_000_000;

impl Net {
    /// The whole life of a seed.
    pub(super) fn live(&mut self, seconds: Option<u64>, watch: Watcher<'_>) -> Check {
        self.start_chaos();
        let drawn = self.rng.pick(&[20, 60, 150]);
        let until = self.now + seconds.unwrap_or(drawn) * 1_000_000;
        let mut name = (self.rng.next(), 1);
        loop {
            let mut memory = HubMemory::new(&self.limits);
            let mut hub = match self.limits.is_on_disk {
                true => self.start_kept_hub(&mut memory, name.0)?,
                false => Some(self.start_hub(&mut memory, name)),
            };
            if hub.is_none() {
                // Not on this disk, as it is now.
                self.end_disk(true);
                self.run(&mut hub, self.now + 1_000_000)?;
                self.mend_disk(self.now >= until);
                continue;
            }
            self.run_in_slices(&mut hub, until, watch)?;
            if self.keeping.ends_at.is_some() {
                // It has said why it ends, and does so soon.
                self.run(&mut hub, u64::MAX)?;
            }
            let Some(fault) = self.take_stop() else {
                return self.recover(&mut hub);
            };
            hub = None;
            self.stop_hub();
            let is_power_lost = match fault {
                Fault::Crash => self.rng.chance(700),
                Fault::TornWrite => true,
                _ => self.rng.chance(300),
            };
            self.end_disk(is_power_lost);
            match fault {
                Fault::NewStore => {
                    self.replace_disk();
                    name = (self.rng.next(), 1);
                }
                Fault::Restored => name.1 += 1,
                fault => self.befall_disk(fault)?,
            }
            let pause = self.rng.pick(&[0, 200_000, 4_000_000]);
            self.run(&mut hub, self.now + pause + 1)?;
            self.mend_disk(self.now >= until);
        }
    }

    /// Runs up to `until`, and tells from time to time how far it is.
    fn run_in_slices(
        &mut self,
        hub: &mut Option<Hub<'_>>,
        until: u64,
        watch: Watcher<'_>,
    ) -> Check {
        while self.now < until && !(self.has_to_stop() && hub.is_some()) {
            self.run(hub, until.min(self.now + SLICE))?;
            self.forget_history();
            watch(&self.progress());
        }
        Ok(())
    }

    /// Entries of a fleet that every member has been handed are not looked at again.
    fn forget_history(&mut self) {
        // Who is told of another generation begins with the first entry.
        let comes_again = [Fault::OldBackup, Fault::BitRot].map(|fault| self.faults.has(fault));
        if !self.limits.is_fleet || comes_again.contains(&true) {
            return;
        }
        let mut first = BTreeMap::new();
        for device in &self.devices {
            for membership in device.rooms.iter().flatten().filter(|room| !room.is_over) {
                // Who still has the cursor of an older store will begin with the first entry.
                let is_old = membership
                    .store
                    .is_some_and(|life| life + 1 < self.lives.len());
                // Over datagrams what was handed on comes again until that is acknowledged.
                let again = match device.station {
                    Some(_) => u64::from(datagram::MAX_ENTRIES),
                    None => 0,
                };
                let from = |next: u64| {
                    if is_old {
                        1
                    } else {
                        next.saturating_sub(again)
                    }
                };
                let unknown = device.station.as_ref().map(|_| 1);
                if let Some(next) = membership.next.map(from).or(unknown) {
                    let first = first.entry(&*membership.room).or_insert(u64::MAX);
                    *first = next.min(*first);
                }
            }
        }
        if let Some(store) = self.lives.last_mut() {
            for (room, first) in first {
                store.forget(room, first);
            }
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            seconds: self.now / 1_000_000,
            entries: self.lives.iter().map(|life| life.entries).sum(),
            turns: self.turns,
        }
    }

    /// No more faults: everything that waits has to end well, and then there is rest.
    fn recover(&mut self, hub: &mut Option<Hub<'_>>) -> Check {
        self.heal();
        for device in &mut self.devices {
            device.app.echoes.clear();
            device.app.is_busy = false;
        }
        let end = self.now + RECOVERY * 1_000_000;
        // Who is in no room yet joins one, so that there is something to reach.
        for number in 0..self.devices.len() {
            if self.devices[number]
                .rooms
                .iter()
                .flatten()
                .all(|m| m.is_over)
            {
                match self.limits.is_fleet {
                    true => self.join_fleet_room(number),
                    false => drop(self.join(number, "a", From::Earliest, 0)),
                }
            }
        }
        let mut waits = self.what_waits();
        while self.now < end && waits.is_some() {
            self.run_secs(hub, 1)?;
            waits = self.what_waits();
        }
        if let Some(waits) = waits {
            return Err(Broken(format!("never again well: {waits}")));
        }
        // Dead links are noticed, and presence of those who are gone is told.
        self.run_secs(hub, 200)?;
        while self.now < end && self.what_waits().is_some() {
            self.run_secs(hub, 1)?;
        }
        // It is best effort: one that was on its way to an old address is lost with it.
        for _ in 0..2 {
            for (device, token) in self.devices.iter_mut().zip(1_000_000..) {
                if !device.app.echoes.contains(&token) {
                    device.client.echo(token, b"still there");
                }
            }
            self.run_secs(hub, 20)?;
        }
        for (number, token) in (0..self.devices.len()).zip(1_000_000..) {
            let echoes = &self.devices[number].app.echoes;
            must!(echoes.contains(&token), "device {number} heard no echo");
        }
        // One that noticed only by its echo that its session is gone may find its room full, and asks
        // again for a minute.
        self.run_secs(hub, 100)?;
        self.rest(hub)
    }

    /// What is not as it should be, once all faults are over.
    fn what_waits(&self) -> Option<String> {
        let store = self.lives.last()?;
        if let Some(visitor) = store.visitor() {
            return Some(format!(
                "device {visitor} never comes back, and is remembered"
            ));
        }
        for (number, device) in self.devices.iter().enumerate() {
            if !device.client.is_serving() {
                return Some(format!("device {number} has no session"));
            }
            for (slot, membership) in device.rooms.iter().enumerate() {
                let Some(membership) = membership else {
                    continue;
                };
                if !membership.posts.is_empty() {
                    let posts = &membership.posts;
                    return Some(format!("device {number}: {posts:?} have no verdict"));
                }
                if membership.is_over {
                    continue;
                }
                let head = store.head(&membership.room);
                let cursor = device.client.cursor(slot as u8);
                if membership.next != Some(head + 1) || cursor != Some(head) {
                    let (room, next) = (&membership.room, membership.next);
                    return Some(format!(
                        "device {number} in {room} waits for {next:?} at {cursor:?}, the head is {head}"
                    ));
                }
            }
        }
        None
    }

    /// Nothing but keepalives, and few turns.
    fn rest(&mut self, hub: &mut Option<Hub<'_>>) -> Check {
        let (idle, busy, turns) = (self.idle_messages, self.busy_messages, self.turns);
        self.run_secs(hub, 200)?;
        let (idle, busy) = (self.idle_messages - idle, self.busy_messages - busy);
        let turns = self.turns - turns;
        must!(busy == 0, "no rest: {busy} messages that are no keepalives");
        let devices = self.devices.len() as u64;
        let intervals = match self.limits.keepalive {
            0 if self.devices.iter().any(|device| device.station.is_some()) => 4,
            0 => 0,
            keepalive => 200 / u64::from(keepalive) + 2,
        };
        must!(
            idle <= devices * intervals * 4,
            "no rest: {idle} keepalives of {devices} devices in {intervals} intervals"
        );
        // Each keepalive may come in single bytes.
        let most = 400 + idle * 60;
        must!(
            turns <= most,
            "a busy loop: {turns} turns, {idle} keepalives"
        );
        Ok(())
    }
}
