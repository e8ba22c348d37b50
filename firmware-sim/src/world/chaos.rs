//! When which fault strikes.

use super::fault::Fault;
use super::{Net, TURN};

/// The mean time between two faults of one device of a fleet, in microseconds.
const FLEET_PAUSE: u64 = 600_000_000;

/// The faults that are to come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chaos {
    next_at: Option<u64>,
    /// The mean time between faults.
    pause: u64,
    stops_hub: Option<Fault>,
    /// When another backup is put back.
    pub(super) another_backup_at: Option<u64>,
    /// A device that is reset again and again: when next, which, and how often still.
    pub(super) reset_loop: Option<(u64, usize, u64)>,
}

impl Chaos {
    pub(super) fn next_at(&self) -> Option<u64> {
        let resets = self.reset_loop.map(|(at, ..)| at);
        let times = [self.next_at, self.another_backup_at, resets];
        times.into_iter().flatten().min()
    }

    pub(super) const fn stops_hub(&self) -> bool {
        self.stops_hub.is_some()
    }

    /// A fault stops the hub.
    pub(super) const fn stop_hub(&mut self, fault: Fault) {
        self.stops_hub = Some(fault);
    }
}

impl Net {
    /// From here on faults strike that are switched on.
    pub(super) fn start_chaos(&mut self) {
        let pause = self.rng.pick(&[300_000, 2_000_000, 10_000_000]);
        let pause = match self.limits.is_fleet {
            true => (FLEET_PAUSE / self.devices.len() as u64).max(TURN),
            false => pause,
        };
        // Every fault strikes about once in so many of those that there are.
        let pause = (pause / 2).max(1);
        self.chaos.pause = pause;
        self.chaos.next_at = Some(self.now + self.rng.below(pause));
        let shape = &mut self.limits.shape;
        if self.faults.has(Fault::Delay) {
            shape.delay = self.rng.pick(&[1000, 30_000, 700_000]);
            shape.jitter = shape.delay;
            self.faults.count(Fault::Delay);
        }
        if self.faults.has(Fault::Slow) {
            shape.per_byte = self.rng.pick(&[100, 2000]);
            self.faults.count(Fault::Slow);
        }
        shape.is_short = self.faults.has(Fault::ShortWrite);
        if self.faults.has(Fault::SlowCommit) {
            let delays = [1000, 300_000, 5_000_000, 40_000_000];
            // A fleet that posts at a pace is to get through.
            let few = if self.limits.is_fleet { 2 } else { 4 };
            self.commit_delay = self.rng.pick(&delays[..few]);
        }
        for device in &mut self.devices {
            device.app.is_busy = true;
        }
        self.bend_clocks();
        if self.faults.has(Fault::Loss) {
            self.air.loss = self.rng.pick(&[30, 200, 500]);
        }
        if self.faults.has(Fault::Mtu) {
            self.air.mtu = self.rng.pick(&[100, 150, 250]);
        }
    }

    /// Which fault stopped the hub; it has to start again.
    pub(super) fn take_stop(&mut self) -> Option<Fault> {
        self.chaos.stops_hub.take()
    }

    /// A fault that strikes by chance, if it is switched on.
    pub(super) fn happens(&mut self, fault: Fault, in_thousand: u64) -> bool {
        let happens = self.faults.has(fault) && self.rng.chance(in_thousand);
        if happens {
            self.faults.count(fault);
        }
        happens
    }

    /// The faults whose time has come.
    pub(super) fn cause_faults(&mut self) {
        self.go_on_resetting();
        let has_come = |at: &mut u64| *at <= self.now;
        let is_due = self.chaos.another_backup_at.take_if(has_come).is_some();
        if is_due && self.is_up {
            self.chaos.stops_hub.get_or_insert(Fault::OldBackup);
        }
        if self.chaos.next_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.chaos.next_at = Some(self.now + 1 + self.rng.below(2 * self.chaos.pause));
        let fault = self.rng.pick(Fault::ALL);
        // What strikes everybody is as rare for each of many as for each of a few.
        let crowd = match self.limits.is_fleet && fault.is_for_all() {
            true => self.devices.len() as u64 / 20 + 1,
            false => 1,
        };
        if self.faults.has(fault) && self.rng.below(crowd) == 0 {
            let number = self.rng.below(self.devices.len() as u64) as usize;
            if self.strike(fault, number) {
                self.faults.count(fault);
                self.trace
                    .note(self.now, "fault", &[fault as u64, number as u64]);
            }
        }
    }

    /// Strikes, a device or everybody; whether that counts already.
    fn strike(&mut self, fault: Fault, number: usize) -> bool {
        let now = self.now;
        let key = self.devices[number].link();
        let span = self.rng.pick(&[1_000_000, 8_000_000, 100_000_000]);
        match fault {
            Fault::NotReading => {
                let hub_too = self.rng.chance(300);
                self.devices[number].paused_until = now + span;
                if let Some(link) = key.and_then(|key| self.links.get_mut(&key))
                    && hub_too
                {
                    link.hub.paused_until = now + span;
                }
            }
            Fault::Reset if key.is_none() => return false,
            Fault::Reset => self.reset_link(key),
            Fault::Storm => {
                let keys: Vec<u64> = self.links.keys().collect();
                keys.into_iter().for_each(|key| self.reset_link(Some(key)));
            }
            Fault::HalfOpen | Fault::Silence if key.is_none() => return false,
            Fault::HalfOpen => self.half_open(key),
            Fault::Silence => {
                if let Some(link) = key.and_then(|key| self.links.get_mut(&key)) {
                    link.up.hold_up(now, span);
                    link.down.hold_up(now, span);
                }
            }
            Fault::DeviceReset => self.reset_device(number),
            Fault::ClockJump => self.devices[number].clock.jump(now, 10_000_000),
            Fault::ClockBack => self.devices[number].clock.jump(now, -3_000_000),
            Fault::Stall => self.devices[number].stalled_until = now + 10_000_000,
            Fault::TakeOver => self.abandon(number),
            Fault::NewStore | Fault::Restored => {
                // Not too often, else nothing ever happens between. A disk is restored by a backup.
                let is_kept = fault == Fault::Restored && self.limits.is_on_disk;
                if self.rng.chance(500) || is_kept {
                    return false;
                }
                self.chaos.stops_hub = Some(fault);
            }
            Fault::NewerVersion | Fault::OldBackup | Fault::BitRot => {
                // It counts once the journal meets it.
                if self.limits.is_on_disk && self.rng.chance(500) && self.is_up {
                    self.chaos.stops_hub = Some(fault);
                }
                return false;
            }
            Fault::HubPause => self.hub_paused_until = now + span.min(8_000_000),
            Fault::Crash => {
                if !self.limits.is_on_disk {
                    return false;
                }
                self.chaos.stops_hub = Some(fault);
            }
            Fault::SlowSync => {
                self.keeping.slow_until = now + span;
                return false;
            }
            Fault::HubClockJump => self.jump_hub_clocks(),
            Fault::LostRename
            | Fault::TornWrite
            | Fault::WriteError
            | Fault::SyncError
            | Fault::DiskFull => {
                // It counts once the journal meets it.
                if self.limits.is_on_disk && self.keeping.failing.is_none() {
                    let power = self.rng.below(600);
                    self.keeping.fail(fault, power);
                }
                return false;
            }
            Fault::BadBytes => {
                if !self.devices[number].say_rubbish() {
                    return false;
                }
            }
            Fault::ResetKept => self.reset_kept(number),
            Fault::ResetLoop => {
                let times = self.rng.within(3, 10);
                self.chaos.reset_loop.get_or_insert((now, number, times));
            }
            Fault::LossBurst => {
                // It counts once a datagram meets it.
                self.air.burst_until = now + span / 4;
                return false;
            }
            Fault::OneWayCut => {
                let way = self.rng.below(2) as usize;
                if let Some(station) = &mut self.devices[number].station {
                    station.cut_until[way] = now + span;
                }
                return false;
            }
            Fault::ChangedPort => match &mut self.devices[number].station {
                Some(station) => station.move_away(&mut self.rng),
                None => return false,
            },
            Fault::RandomBytes
            | Fault::AnyOrder
            | Fault::Dripping
            | Fault::NeverReads
            | Fault::Flood
            | Fault::WrongWay
            | Fault::Oversize
            | Fault::StaleSession => {
                self.send_stranger(fault);
                return false;
            }
            // These strike where they belong.
            Fault::Cut
            | Fault::Delay
            | Fault::Slow
            | Fault::ShortWrite
            | Fault::Refused
            | Fault::LateBytes
            | Fault::OldWelcome
            | Fault::SlowCommit
            | Fault::Loss
            | Fault::Duplicate
            | Fault::Reorder
            | Fault::BitFlip
            | Fault::Truncate
            | Fault::Mtu
            | Fault::LateReplay
            | Fault::SpoofedSource
            | Fault::ClockDrift
            | Fault::TickWrap => return false,
        }
        match fault {
            Fault::Storm | Fault::NewStore | Fault::Restored | Fault::Crash => self.wake_all(),
            _ => {
                self.wake(number);
                // The one that it had before may be another.
                if let Some(key) = key {
                    self.link_agenda.add(key, now);
                }
            }
        }
        true
    }

    /// Breaks a connection in the middle of what is on its way; both ends learn of it.
    pub(super) fn reset_link(&mut self, key: Option<u64>) {
        let Some(link) = key.and_then(|key| self.links.get_mut(&key)) else {
            return;
        };
        link.up.truncate(&mut self.rng);
        link.down.truncate(&mut self.rng);
        link.device_reset_at
            .get_or_insert(self.now + self.rng.below(200_000));
        link.hub_reset_at
            .get_or_insert(self.now + self.rng.below(200_000));
    }

    /// Breaks a connection; at most one end learns of it.
    pub(super) fn half_open(&mut self, key: Option<u64>) {
        let Some(link) = key.and_then(|key| self.links.get_mut(&key)) else {
            return;
        };
        link.up.open_hole();
        link.down.open_hole();
        match self.rng.below(3) {
            0 => link.device_reset_at = Some(self.now),
            1 => link.hub_reset_at = Some(self.now),
            _ => {}
        }
    }

    /// Cuts a device's connection at once; both ends learn of it.
    pub fn cut(&mut self, number: usize) {
        self.reset_link(self.devices[number].link());
    }

    /// A device's connection is dead and nobody is told.
    pub fn kill_link(&mut self, number: usize) {
        let key = self.devices[number].link();
        if let Some(link) = key.and_then(|key| self.links.get_mut(&key)) {
            link.up.open_hole();
            link.down.open_hole();
        }
    }

    /// No more faults: applications are quiet, and carriers are good.
    pub(super) fn heal(&mut self) {
        self.faults.heal();
        self.chaos.next_at = None;
        self.chaos.stops_hub = None;
        (self.chaos.reset_loop, self.chaos.another_backup_at) = (None, None);
        self.air.heal(self.now);
        self.send_strangers_home();
        self.commit_delay = 0;
        self.hub_paused_until = 0;
        self.keeping.heal(self.now);
        // A storage that was slow for long has piled up more than there is time for.
        for (due, _) in &mut self.commits {
            *due = self.now;
        }
        for device in &mut self.devices {
            device.app.is_busy = false;
            device.paused_until = 0;
            device.stalled_until = 0;
            if let Some(station) = &mut device.station {
                station.cut_until = [0; 2];
            }
        }
        let shape = &mut self.limits.shape;
        (shape.is_short, shape.per_byte, shape.delay, shape.jitter) = (false, 0, 1000, 0);
        for link in self.links.values_mut() {
            link.up.heal();
            link.down.heal();
            link.hub.paused_until = 0;
            // Without keepalive nobody notices a dead link that is idle: that is its meaning.
            let is_dead = link.up.is_hole()
                || !link.is_device_open
                || link.hub.state == super::link::HubState::Gone;
            if is_dead && self.limits.keepalive == 0 {
                link.device_reset_at.get_or_insert(self.now);
                link.hub_reset_at.get_or_insert(self.now);
            }
        }
        self.trace.note(self.now, "healed", &[]);
    }
}
