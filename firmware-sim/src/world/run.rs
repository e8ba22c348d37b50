//! One seed from start to end: chaos with safety checked, then heal and demand liveness.

use super::Net;
use super::fault::{Fault, Faults};
use super::limits::{HubMemory, Limits};
use super::model::{Broken, Check, must};
use super::rng::Rng;
use super::trace::Trace;
use halloo_core::chat::Hub;
use halloo_core::chat::client::From;

/// After the last fault everything is well within so many seconds.
const RECOVERY: u64 = 600;

/// What one seed did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The trace, to the byte.
    pub hash: u64,
    /// How often each fault fired.
    pub fired: Vec<u64>,
    /// Messages that the hub was too busy for, connections that it refused, entries handed on,
    /// gaps told, verdicts told, changes of store told, turns, commits that outlived a crash though
    /// nobody had been told, runs of entries read back from the disk.
    pub counts: [u64; 9],
}

/// A seed that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// What does not hold.
    pub what: String,
    /// The end of the trace; empty without words.
    pub tail: String,
}

/// How the sizes of a run are drawn.
pub type Draw = fn(&mut Rng) -> Limits;

/// Runs one seed.
pub fn run_seed(seed: u64, limits: Draw) -> Result<Outcome, Failure> {
    run_with(seed, limits, Trace::default())
}

/// Runs one seed again, with the end of its trace in words if it fails.
pub fn replay(seed: u64, limits: Draw) -> Result<Outcome, Failure> {
    run_with(seed, limits, Trace::with_text())
}

fn run_with(seed: u64, limits: Draw, trace: Trace) -> Result<Outcome, Failure> {
    let mut net = Net::random(seed, limits, trace);
    let run = std::panic::AssertUnwindSafe(|| net.live());
    let what = match std::panic::catch_unwind(run) {
        Ok(Ok(())) => return Ok(net.outcome()),
        Ok(Err(Broken(what))) => what,
        Err(cause) => match cause.downcast_ref::<String>() {
            Some(words) => format!("a panic: {words}"),
            None => "a panic".to_owned(),
        },
    };
    let tail = net.tail();
    Err(Failure { seed, what, tail })
}

impl Net {
    fn random(seed: u64, limits: Draw, trace: Trace) -> Self {
        let mut rng = Rng::new(!seed);
        let limits = limits(&mut rng);
        let faults = Faults::random(&mut rng);
        Self::with(seed, limits, faults, trace)
    }

    /// The whole life of a seed.
    fn live(&mut self) -> Check {
        self.start_chaos();
        let until = self.now + self.rng.pick(&[20, 60, 150]) * 1_000_000;
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
            self.run(&mut hub, until)?;
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
                _ => {}
            }
            let pause = self.rng.pick(&[0, 200_000, 4_000_000]);
            self.run(&mut hub, self.now + pause + 1)?;
            self.mend_disk(self.now >= until);
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
                self.join(number, "a", From::Earliest, 0);
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
        for (device, token) in self.devices.iter_mut().zip(1_000_000..) {
            device.client.echo(token, b"still there");
        }
        self.run_secs(hub, 20)?;
        for (number, token) in (0..self.devices.len()).zip(1_000_000..) {
            let echoes = &self.devices[number].app.echoes;
            must!(echoes.contains(&token), "device {number} heard no echo");
        }
        self.rest(hub)
    }

    /// What is not as it should be, once all faults are over.
    fn what_waits(&self) -> Option<String> {
        let store = self.lives.last()?;
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

    fn outcome(&self) -> Outcome {
        let memberships = self
            .devices
            .iter()
            .flat_map(|device| device.rooms.iter().flatten());
        let turns = self.turns;
        let (busy, refused) = (self.busy, self.refused);
        let mut counts = [
            busy,
            refused,
            0,
            0,
            0,
            0,
            turns,
            self.survived,
            self.read_back,
        ];
        for membership in memberships {
            counts[2] += membership.entries;
            counts[3] += membership.gap_count;
            counts[4] += membership.verdict_count;
            counts[5] += u64::from(membership.changes);
        }
        Outcome {
            hash: self.trace.hash(),
            fired: self.faults.fired().to_vec(),
            counts,
        }
    }
}
