//! The event loop of one thread: many devices, one poll.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use halloo_core::time::Instant;
use mio::{Events, Poll, Token};

use super::device::{Device, Turn};
use super::prober::Prober;
use super::shared::{Phase, Shared, Tally, add_echo};

/// How many devices of a thread connect at the same time at the start.
const CONNECTING: usize = 64;

/// The longest wait, so that a change of phase is seen.
const LONGEST: Duration = Duration::from_millis(10);

/// How long goodbyes may take, in microseconds.
const GOODBYE: u64 = 500_000;

/// A device of either sort.
#[derive(Debug)]
pub(crate) enum Unit {
    Chat(Box<Device>),
    Echo(Box<Prober>),
}

#[derive(Debug)]
pub(crate) struct Driver {
    poll: Poll,
    units: Vec<Unit>,
    shared: Arc<Shared>,
    tally: Tally,
    phase: Phase,
    /// How many units were started, in order.
    started: usize,
    /// Times at which units want a turn. May hold times that are out of date: a turn too many is
    /// harmless, and each unit has at most one that counts.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    armed: Vec<Option<Instant>>,
    due: Vec<usize>,
    is_due: Vec<bool>,
    left_since: Option<Instant>,
}

impl Driver {
    /// A loop over units whose tokens are their places.
    pub(crate) fn new(poll: Poll, units: Vec<Unit>, shared: Arc<Shared>, tally: Tally) -> Self {
        Self {
            poll,
            shared,
            tally,
            phase: Phase::Joining,
            started: 0,
            timers: BinaryHeap::with_capacity(2 * units.len()),
            armed: vec![None; units.len()],
            due: Vec::with_capacity(units.len()),
            is_due: vec![false; units.len()],
            units,
            left_since: None,
        }
    }

    /// Runs until the fleet is done.
    pub(crate) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1024);
        loop {
            let now = self.shared.now();
            self.follow_phase(now);
            if self.is_done(now) {
                return Ok(self.finish());
            }
            self.start_some(now);
            self.take_timers(now);
            let wait = self.wait(now);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                let Token(at) = event.token();
                match self.units.get_mut(at) {
                    Some(Unit::Chat(device)) => device.handle_readiness(event),
                    Some(Unit::Echo(prober)) => prober.handle_readiness(event),
                    None => {}
                }
                self.make_due(at);
            }
            self.run_due();
            self.publish();
        }
    }

    fn follow_phase(&mut self, now: Instant) {
        let phase = self.shared.phase();
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        if phase == Phase::Posting {
            self.tally.not_joined =
                self.units.iter().filter(|unit| unit.is_joining()).count() as u64;
        }
        if phase == Phase::Leaving {
            self.left_since = Some(now);
        }
        for at in 0..self.units.len() {
            match self.units.get_mut(at) {
                Some(Unit::Chat(device)) => device.handle_phase(phase, now),
                Some(Unit::Echo(prober)) => prober.handle_phase(phase),
                None => {}
            }
            self.make_due(at);
        }
    }

    /// Starts further units while few are connecting: a hub's backlog is not endless.
    fn start_some(&mut self, now: Instant) {
        if self.started == self.units.len() || self.phase >= Phase::Leaving {
            return;
        }
        let running = self.units.get(..self.started).unwrap_or_default();
        let mut connecting = running.iter().filter(|unit| unit.is_joining()).count();
        while connecting < CONNECTING {
            match self.units.get_mut(self.started) {
                Some(Unit::Chat(device)) => device.start(now),
                Some(Unit::Echo(prober)) => prober.start(now),
                None => return,
            }
            self.make_due(self.started);
            self.started += 1;
            connecting += 1;
        }
    }

    fn take_timers(&mut self, now: Instant) {
        while let Some(&Reverse((at, unit))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            if self.armed.get(unit) == Some(&Some(at)) {
                self.armed[unit] = None;
                self.make_due(unit);
            }
        }
    }

    fn wait(&self, now: Instant) -> Duration {
        if !self.due.is_empty() {
            return Duration::ZERO;
        }
        let next = self.timers.peek().map(|Reverse((at, _))| {
            Duration::from_micros(at.as_ticks().saturating_sub(now.as_ticks()))
        });
        next.map_or(LONGEST, |wait| wait.min(LONGEST))
    }

    fn make_due(&mut self, at: usize) {
        if let Some(is_due) = self.is_due.get_mut(at)
            && !std::mem::replace(is_due, true)
        {
            self.due.push(at);
        }
    }

    /// Gives every unit that is due one turn; those with more to do are due again.
    fn run_due(&mut self) {
        let due = std::mem::take(&mut self.due);
        for &at in &due {
            self.is_due[at] = false;
            let mut turn = Turn {
                now: self.shared.now(),
                shared: &self.shared,
                registry: self.poll.registry(),
                tally: &mut self.tally,
            };
            let Some(unit) = self.units.get_mut(at) else {
                continue;
            };
            let (has_more, next) = match unit {
                Unit::Chat(device) => (device.run(&mut turn), device.poll_timeout()),
                Unit::Echo(prober) => (prober.run(&mut turn), prober.poll_timeout()),
            };
            if has_more {
                self.make_due(at);
            }
            self.arm(at, next);
        }
        if self.due.is_empty() {
            // The memory stays in use.
            self.due = due;
            self.due.clear();
        }
    }

    fn arm(&mut self, at: usize, next: Option<Instant>) {
        let Some(next) = next else {
            return;
        };
        let is_earlier = self.armed[at].is_none_or(|armed| next < armed);
        if is_earlier {
            self.armed[at] = Some(next);
            self.timers.push(Reverse((next, at)));
        }
    }

    fn publish(&self) {
        let live = &self.tally.live;
        match self.phase {
            Phase::Settling => {
                let unsettled = self.units.iter().filter(|unit| !unit.is_settled());
                live.unsettled.set(unsettled.count() as u64);
            }
            Phase::Reading => {
                let behind = self
                    .units
                    .iter()
                    .filter(|unit| !unit.has_read(&self.shared));
                live.behind.set(behind.count() as u64);
            }
            Phase::Joining | Phase::Posting | Phase::Leaving => {}
        }
    }

    fn is_done(&self, now: Instant) -> bool {
        let Some(since) = self.left_since else {
            return false;
        };
        let is_gone = |unit: &Unit| match unit {
            Unit::Chat(device) => !device.is_connected(),
            Unit::Echo(_) => true,
        };
        now.as_ticks() > since.as_ticks() + GOODBYE || self.units.iter().all(is_gone)
    }

    fn finish(mut self) -> Tally {
        for unit in self.units {
            match unit {
                Unit::Chat(device) => {
                    let app = device.into_app();
                    // One that came when others posted already saw less, and posted nothing.
                    if app.has_started() {
                        self.tally.pages.extend(app.into_pages());
                    }
                }
                Unit::Echo(prober) => {
                    let at = usize::from(prober.is_datagram());
                    add_echo(&mut self.tally.echo[at], &prober.report());
                }
            }
        }
        self.tally
    }
}

impl Unit {
    fn is_joining(&self) -> bool {
        match self {
            Self::Chat(device) => device.is_joining(),
            Self::Echo(_) => false,
        }
    }

    fn is_settled(&self) -> bool {
        match self {
            Self::Chat(device) => !device.app().has_started() || device.app().is_settled(),
            Self::Echo(prober) => prober.is_settled(),
        }
    }

    fn has_read(&self, shared: &Shared) -> bool {
        match self {
            Self::Chat(device) => !device.app().has_started() || device.app().has_read(shared),
            Self::Echo(_) => true,
        }
    }
}
