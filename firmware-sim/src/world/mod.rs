//! The virtual world: devices and a hub in virtual time, where every byte, fault and delay comes from a seed.
//!
//! The machines are the real ones, framed and cut as on a stream; what must hold is judged by
//! [`model`] after every step. [`Setup::run`] runs one seed, and [`shrink`] finds out what a seed that
//! fails needs for it.

mod agenda;
mod air;
mod app;
mod chaos;
mod clock;
mod device;
mod disk_faults;
pub mod fault;
pub mod history;
mod hub_air;
mod hub_side;
mod inbox;
pub mod limits;
mod link;
mod links;
pub mod lone_device;
pub mod lone_hub;
pub mod machine;
pub mod model;
mod overheard;
pub mod pipe;
mod presets;
mod report;
mod resets;
pub mod rng;
mod run;
mod said;
mod setup;
mod shrink;
mod station;
mod store;
mod strange_words;
mod strangers;
mod told;
mod trace;

pub use device::{App, Device};
pub use fault::{Fault, FaultSet, Faults, UnknownFault};
pub use limits::{HubMemory, Limits};
pub use lone_device::LoneDevice;
pub use lone_hub::LoneHub;
pub use report::Report;
pub use said::Said;
pub use setup::{Failure, Kind, Progress, Setup};
pub use shrink::{Shrunk, shrink};

use agenda::Agenda;
use air::Air;
use chaos::Chaos;
use halloo_core::chat::Hub;
use halloo_core::time::Instant;
use halloo_std::hub::Addresses;
use history::StoreModel;
use inbox::Spare;
use links::Links;
use model::{Check, Membership, must};
use rng::Rng;
use std::collections::{BTreeSet, VecDeque};
use store::Keeping;
use strangers::Strangers;
use trace::Trace;

/// The shortest time between two turns of everything.
const TURN: u64 = 1000;

/// When worlds begin, in milliseconds since 1970.
const SINCE_1970: u64 = 1_800_000_000_000;

/// Devices and links around a hub that is lent to each call.
#[derive(Debug)]
pub struct Net {
    /// How large everything is.
    pub limits: Limits,
    /// What may go wrong, and what did.
    pub faults: Faults,
    /// The devices.
    pub devices: Vec<Device>,
    /// The lives of the hub; the last one runs, if any.
    pub lives: Vec<StoreModel>,
    /// Microseconds since the start.
    pub now: u64,
    /// Messages that went each way, by what they say about rest: pings and pongs, and others.
    pub idle_messages: u64,
    /// See `idle_messages`.
    pub busy_messages: u64,
    /// Turns taken.
    pub turns: u64,
    /// Messages that the hub was too busy for.
    pub busy: u64,
    /// Connections that the full hub refused.
    pub refused: u64,
    rng: Rng,
    trace: Trace,
    links: Links,
    /// The connection that the hub has a device's session on.
    live: Vec<Option<u64>>,
    is_up: bool,
    /// When the hub's storage has done what was handed out by then.
    commits: VecDeque<(u64, usize)>,
    /// How long a commit takes, at most.
    pub commit_delay: u64,
    chaos: Chaos,
    /// Somebody did something, and has more to do at once.
    moved: bool,
    again: bool,
    keeping: Keeping,
    hub_paused_until: u64,
    air: Air,
    strangers: Strangers,
    /// Where sessions over datagrams are, as the hub that runs knows it.
    addresses: Option<Addresses>,
    /// How far the hub's clock is ahead, and the one on its wall.
    hub_skew: u64,
    hub_wall: i64,
    device_agenda: Agenda,
    link_agenda: Agenda,
    /// Reused in each turn.
    due: Vec<u64>,
    /// A message on its way out of a receive buffer; reused for each.
    frame: Vec<u8>,
    /// Receive buffers that nobody uses.
    device_spare: Spare,
    hub_spare: Spare,
    /// The connection at each of the hub's places.
    by_conn: Vec<u64>,
    /// Connections with a message that the hub was too busy for.
    held: BTreeSet<u64>,
    /// See [`Setup::planted`].
    planted: bool,
    /// Times that the hub started.
    pub starts: u64,
    /// Posts that a full outbox did not take.
    pub held_back: u64,
    /// Commits that outlived a crash though nobody had been told of them.
    pub survived: u64,
    /// Runs of entries that the hub read back from its disk.
    pub read_back: u64,
    /// Answers of the hub to datagrams that belong to no session.
    pub stray_answers: u64,
    /// Times that the journal was repaired.
    pub repairs: u64,
}

impl Net {
    /// Healthy devices and links, no hub yet.
    pub fn new(seed: u64, limits: Limits) -> Self {
        Self::with(seed, limits, Faults::none(), Trace::with_text())
    }

    fn with(seed: u64, limits: Limits, faults: Faults, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let devices: Vec<_> = (0..limits.devices)
            .map(|number| Device::new(number, &limits, &mut rng))
            .collect();
        Self {
            faults,
            lives: Vec::new(),
            now: 1_000_000,
            idle_messages: 0,
            busy_messages: 0,
            turns: 0,
            busy: 0,
            refused: 0,
            rng,
            trace,
            links: Links::default(),
            live: vec![None; devices.len()],
            is_up: false,
            commits: VecDeque::new(),
            commit_delay: 0,
            chaos: Chaos::default(),
            moved: false,
            again: false,
            keeping: Keeping::default(),
            hub_paused_until: 0,
            air: Air::default(),
            strangers: Strangers::default(),
            addresses: None,
            hub_skew: 0,
            hub_wall: 0,
            device_agenda: Agenda::default(),
            link_agenda: Agenda::default(),
            due: Vec::new(),
            frame: Vec::new(),
            device_spare: Spare::default(),
            hub_spare: Spare::default(),
            by_conn: vec![u64::MAX; limits.conns],
            held: BTreeSet::new(),
            planted: false,
            starts: 0,
            held_back: 0,
            survived: 0,
            read_back: 0,
            stray_answers: 0,
            repairs: 0,
            limits,
            devices,
        }
    }

    /// A hub starts, with memory that is all fresh, under this name of its store.
    pub fn start_hub<'m>(&mut self, memory: &'m mut HubMemory, name: (u64, u32)) -> Hub<'m> {
        let config = self.limits.config(self.rng.next(), name.0, name.1);
        self.lives.push(StoreModel::new(name, &self.limits));
        self.begin_life(name);
        Hub::new(config, memory.storage())
    }

    fn begin_life(&mut self, name: (u64, u32)) {
        self.is_up = true;
        self.starts += 1;
        self.live.fill(None);
        self.held.clear();
        self.open_addresses();
        self.trace
            .note(self.now, "hub starts", &[name.0, name.1.into()]);
    }

    /// The hub is gone, with all that it did not send. Whoever is connected may learn of it.
    pub fn stop_hub(&mut self) {
        self.is_up = false;
        self.commits.clear();
        self.trace.note(self.now, "hub stops", &[]);
        self.links.remove_sessions();
        self.addresses = None;
        self.air.stop_hub();
        self.strangers.leave();
        for link in self.links.values_mut() {
            if link.hub.state != link::HubState::Gone {
                link.hub.state = link::HubState::Gone;
                let is_told = !self.faults.has(Fault::HalfOpen) || self.rng.chance(700);
                if is_told {
                    let later = self.rng.below(50_000);
                    link.device_reset_at.get_or_insert(self.now + later);
                }
                link.down.truncate(&mut self.rng);
            }
        }
    }

    /// Everything happens up to `until`, or up to a fault that stops the hub.
    pub fn run(&mut self, hub: &mut Option<Hub<'_>>, until: u64) -> Check {
        // Whoever called may have done anything to anybody.
        self.wake_all();
        while self.now < until && !(self.chaos.stops_hub() && hub.is_some()) {
            self.turn(hub)?;
            let next = self.next_time(hub.as_ref());
            must!(next > self.now, "time stands still at {}", self.now);
            self.now = next.min(until);
        }
        Ok(())
    }

    /// Whether a fault stops the hub.
    pub(super) const fn has_to_stop(&self) -> bool {
        self.chaos.stops_hub()
    }

    /// Everything happens for so many seconds.
    pub fn run_secs(&mut self, hub: &mut Option<Hub<'_>>, secs: u64) -> Check {
        self.run(hub, self.now + secs * 1_000_000)
    }

    /// One turn: every device that is due, then the hub.
    fn turn(&mut self, hub: &mut Option<Hub<'_>>) -> Check {
        self.turns += 1;
        self.trace.tick(self.now);
        self.cause_faults();
        self.land();
        let mut due = std::mem::take(&mut self.due);
        self.device_agenda.take(self.now, &mut due);
        for &number in &due {
            let number = number as usize;
            (self.moved, self.again) = (false, false);
            let before = self.devices[number].link();
            self.run_device(number)?;
            if self.again {
                self.device_agenda.add(number as u64, self.now + TURN);
            }
            if self.moved {
                let link = before.and_then(|key| Some((key, self.links.get(&key)?)));
                // It may have made room for what the hub could not write.
                if let Some((key, link)) = link
                    && (link.hub.wants || !link.hub.out.is_empty())
                {
                    self.link_agenda.add(key, self.now + TURN);
                }
            }
            let after = self.devices[number].link();
            if before != after {
                self.look_at_link(before);
            }
            self.look_at_link(after);
            self.look_at_device(number);
        }
        self.due = due;
        if let Some(hub) = hub {
            if self.keeping.ends_at.is_some_and(|at| at <= self.now) {
                self.chaos.stop_hub(Fault::WriteError);
            } else if self.hub_paused_until <= self.now {
                self.run_hub(hub)?;
            }
        }
        Ok(())
    }

    fn next_time(&mut self, hub: Option<&Hub<'_>>) -> u64 {
        // No time before this one is another than it.
        let soon = self.now + TURN;
        let mut next = self.chaos.next_at().unwrap_or(u64::MAX);
        next = next
            .min(self.device_agenda.next_time(soon))
            .min(self.air.next_time());
        if let Some(hub) = hub {
            let timeout = hub.poll_timeout().map_or(u64::MAX, |due| due.as_ticks());
            let timeout = timeout.saturating_sub(self.hub_skew);
            let commit = self.commits.front().map_or(u64::MAX, |(due, _)| *due);
            let disk = self.keeping.next_time().unwrap_or(u64::MAX);
            let links = self.link_agenda.next_time(soon);
            let air = if self.air.waits_at_hub() { 0 } else { u64::MAX };
            let hub_at = timeout.min(commit).min(disk).min(links).min(air);
            let hub_at = hub_at.min(self.strangers.next_time());
            next = next.min(hub_at.max(self.hub_paused_until));
        }
        next.max(soon)
    }

    /// A device is looked at when it has something to do.
    fn look_at_device(&mut self, number: usize) {
        let next = self.devices[number].next_time(&self.links);
        self.device_agenda
            .add(number as u64, next.unwrap_or(u64::MAX));
    }

    /// A connection is looked at when the hub has something to do for it, and gone when both ends
    /// are.
    fn look_at_link(&mut self, key: Option<u64>) {
        let Some(key) = key else { return };
        let Some(link) = self.links.get(&key) else {
            return;
        };
        if link.is_done() {
            self.links.remove(&key);
        } else {
            self.link_agenda.add(key, link.hub_next_time());
        }
    }

    /// A device and its connection are looked at now.
    fn wake(&mut self, number: usize) {
        self.device_agenda.add(number as u64, self.now);
        if let Some(key) = self.devices[number].link() {
            self.link_agenda.add(key, self.now);
        }
    }

    fn wake_all(&mut self) {
        for number in 0..self.devices.len() {
            self.device_agenda.add(number as u64, self.now);
        }
        for key in self.links.keys() {
            self.link_agenda.add(key, self.now);
        }
    }

    /// The rooms that a device's application knows of.
    pub fn membership(&self, device: usize, slot: u8) -> Option<&Membership> {
        self.devices[device].rooms.get(usize::from(slot))?.as_ref()
    }

    /// The last lines of the trace.
    pub fn tail(&self) -> String {
        self.trace.tail()
    }
}

impl Net {
    /// What the hub's clock shows.
    fn hub_now(&self) -> Instant {
        at(self.now + self.hub_skew)
    }

    /// What the clock on the hub's wall shows, in milliseconds since 1970.
    fn hub_wall_now(&self) -> u64 {
        (SINCE_1970 + self.now / 1000).saturating_add_signed(self.hub_wall)
    }

    /// The hub's clock goes ahead, and the one on its wall either way.
    fn jump_hub_clocks(&mut self) {
        let ahead = self.rng.pick(&[0, 5_000_000, 90_000_000, 3_600_000_000]);
        self.hub_skew += ahead;
        if let Some(life) = self.lives.last_mut() {
            // Who has left a room is remembered for ten minutes by the hub's clock.
            life.may_forget |= self.hub_skew >= 600_000_000;
        }
        let by = self.rng.pick(&[1_000, 3_600_000, 31_536_000_000]);
        self.hub_wall += if self.rng.chance(500) { by } else { -by };
    }
}

/// A time as the machines take it.
pub fn at(micros: u64) -> Instant {
    Instant::from_ticks(micros)
}
