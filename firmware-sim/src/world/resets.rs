//! How devices lose what they know: connections, RAM, and how far they were.

use super::device::{Phase, no_rooms};
use super::fault::Fault;
use super::machine::Machine;
use super::{Net, at};
use halloo_core::chat::Backoff;

impl Net {
    /// The device loses all RAM.
    pub fn reset_device(&mut self, number: usize) {
        self.trace.note(self.now, "device resets", &[number as u64]);
        self.abandon(number);
        let device = &mut self.devices[number];
        device.client = Machine::new(device.config.clone(), &self.limits);
        device.rooms = no_rooms(&self.limits);
        device.backoff = Backoff::new();
    }

    /// The device forgets its connection without a word to anybody, and will connect at once.
    pub fn abandon(&mut self, number: usize) {
        let device = &mut self.devices[number];
        if let Some(link) = device.link().and_then(|link| self.links.get_mut(&link)) {
            link.is_device_open = false;
            if self.faults.has(Fault::LateBytes) && self.rng.chance(500) {
                link.up.hold_up(self.now, self.rng.below(40_000_000));
                self.faults.count(Fault::LateBytes);
            }
        }
        let now = device.clock.read(self.now);
        device.client.handle_disconnected(at(now));
        device.phase = Phase::Waiting { at: self.now };
        device.out.clear();
        device.blocked_since = None;
    }

    /// The device is reset; its client, and what its application knows, lie in memory that is spared.
    pub fn reset_kept(&mut self, number: usize) {
        let now = self.now;
        self.trace.note(now, "device starts over", &[number as u64]);
        let device = &mut self.devices[number];
        if let Some(link) = device.link().and_then(|link| self.links.get_mut(&link)) {
            link.is_device_open = false;
        }
        device.clock.restart(now);
        device.phase = Phase::Waiting {
            at: now + self.rng.below(100_000),
        };
        device.backoff = Backoff::new();
        device.out.clear();
        device.blocked_since = None;
        self.wake(number);
    }

    /// The device that is in a loop of resets is reset again, if it is time.
    pub(super) fn go_on_resetting(&mut self) {
        let Some((at, number, left)) = self.chaos.reset_loop.filter(|(at, ..)| *at <= self.now)
        else {
            return;
        };
        // As soon as it has begun to connect, or a little later.
        let next = at.max(self.now) + self.rng.pick(&[5_000, 100_000, 900_000]);
        self.chaos.reset_loop = (left > 1).then_some((next, number, left - 1));
        match self.rng.chance(500) {
            true => self.reset_kept(number),
            false => self.reset_device(number),
        }
        self.wake(number);
    }

    /// Gives devices the clocks that the faults want.
    pub(super) fn bend_clocks(&mut self) {
        for number in 0..self.devices.len() {
            if self.happens(Fault::ClockDrift, 700) {
                let drift = self.rng.within(0, 100) as i64 - 50;
                self.devices[number].clock.drift(self.now, drift);
            }
            // It counts once it wraps.
            if self.faults.has(Fault::TickWrap) && self.rng.chance(700) {
                let left = self.rng.within(1, 30_000_000);
                self.devices[number].clock.narrow(self.now, left);
            }
        }
    }
}
