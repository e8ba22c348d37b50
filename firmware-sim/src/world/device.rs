//! The devices: the real client, its application, and the loop that drives it.

use super::clock::Clock;
use super::fault::Fault;
use super::inbox::Inbox;
use super::limits::Limits;
use super::link::{Link, framed};
use super::links::Links;
use super::machine::Machine;
use super::model::{Check, Membership, PostId, must};
use super::rng::Rng;
use super::station::Station;
use super::{Net, at};
use halloo_core::chat::client::{Config, From, PostError};
use halloo_core::chat::{Backoff, HANDSHAKE};
use halloo_core::time::Duration;
use halloo_core::wire::{Code, Join, Message, binary, kind};

/// How long a write may make no progress.
pub(super) const NO_PROGRESS: u64 = 30_000_000;

/// What an application was told beside entries and verdicts.
#[derive(Debug, Clone, Default)]
pub struct App {
    /// Posts whenever it pleases.
    pub is_busy: bool,
    /// The tokens of echoes that came back.
    pub echoes: Vec<u32>,
    /// Notices: the kind's number on the wire, the count, and who.
    pub notices: Vec<(u8, u32, String)>,
    /// Names out of rosters.
    pub roster: Vec<String>,
    /// Why joins were refused.
    pub refused: Vec<Code>,
    /// Why sessions ended, and when.
    pub closed: Vec<(u64, halloo_core::chat::client::Cause)>,
}

/// A device.
#[derive(Debug)]
pub struct Device {
    /// Its machine.
    pub client: Machine,
    /// What its application knows of rooms.
    pub rooms: Box<[Option<Membership>]>,
    /// What else it was told.
    pub app: App,
    /// Do not connect before somebody says so.
    pub is_kept_offline: bool,
    pub(super) config: Config,
    decoder: Inbox,
    pub(super) out: Vec<u8>,
    pub(super) phase: Phase,
    /// Its socket, if it speaks over datagrams.
    pub(super) station: Option<Box<Station>>,
    pub(super) backoff: Backoff,
    pub(super) clock: Clock,
    pub(super) stalled_until: u64,
    pub(super) paused_until: u64,
    pub(super) blocked_since: Option<u64>,
    pub(super) next_action: u64,
    counter: u32,
    pub(super) next_token: u32,
    /// How many sessions had ended when this connection was made.
    pub(super) ended_before: usize,
    /// The nonce of its newest hello.
    nonce: u64,
    /// The last welcome, which the way to the device may still hold.
    welcome: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting {
        at: u64,
    },
    Connecting {
        link: u64,
        until: u64,
    },
    Up {
        link: u64,
    },
    /// Its socket for datagrams is open.
    Air,
}

impl Device {
    pub(super) fn new(number: usize, limits: &Limits, rng: &mut Rng) -> Self {
        let name = super::model::device_name(number as u32);
        let id = super::model::device_id(number as u32);
        let mut config = Config::new(id, &name).expect("a valid name");
        config.credit = limits.credit;
        config.max_frame = limits.max_frame;
        config.keepalive = limits.keepalive;
        let station = rng.chance(limits.datagram_share);
        let station = station.then(|| Box::new(Station::new(rng)));
        Self {
            client: Machine::new(config.clone(), limits),
            rooms: no_rooms(limits),
            app: App::default(),
            is_kept_offline: false,
            decoder: Inbox::new(config.max_frame as usize, limits.is_fleet),
            config,
            out: Vec::new(),
            station,
            phase: Phase::Waiting {
                at: 1_000_000 + rng.below(1000),
            },
            backoff: Backoff::new(),
            clock: Clock::default(),
            stalled_until: 0,
            paused_until: 0,
            blocked_since: None,
            next_action: 0,
            counter: 0,
            next_token: 0,
            ended_before: 0,
            nonce: 0,
            welcome: Vec::new(),
        }
    }

    /// A connection stands: its machine greets the hub.
    pub(super) fn begin_session(&mut self, now: u64, nonce: u64) {
        self.ended_before = self.app.closed.len();
        self.nonce = nonce;
        let clock = at(self.clock.read(now));
        self.client.handle_connected(clock, nonce);
    }

    pub(super) fn link(&self) -> Option<u64> {
        match self.phase {
            Phase::Waiting { .. } | Phase::Air => None,
            Phase::Connecting { link, .. } | Phase::Up { link } => Some(link),
        }
    }

    pub(super) fn next_time(&self, links: &Links) -> Option<u64> {
        let mut next = u64::MAX;
        let mut at = |time: Option<u64>| next = next.min(time.unwrap_or(u64::MAX));
        if self.app.is_busy {
            at(Some(self.next_action));
        }
        match self.phase {
            Phase::Waiting { .. } if self.is_kept_offline => {}
            Phase::Waiting { at: due } => at(Some(due)),
            Phase::Connecting { link, until } => {
                let link = links.get(&link);
                at(link
                    .map(|l| l.stands_at)
                    .filter(|_| link.is_some_and(|l| !l.up.is_hole())));
                at(link.and_then(|l| l.device_reset_at));
                at(Some(until));
            }
            Phase::Up { link } => {
                let link = links.get(&link);
                at(link.and_then(|l| l.device_reset_at));
                at(link
                    .and_then(|l| l.down.ready_at())
                    .map(|t| t.max(self.paused_until)));
                at(self.due());
                at(self.blocked_since.map(|since| since + NO_PROGRESS));
            }
            Phase::Air => {
                let station = self.station.as_ref();
                at(station
                    .filter(|station| !station.inbox.is_empty())
                    .map(|_| self.paused_until));
                at(self.due());
            }
        }
        at(Some(self.clock.read_by()));
        (next != u64::MAX).then(|| next.max(self.stalled_until))
    }

    /// When its machine wants to be told the time.
    fn due(&self) -> Option<u64> {
        let due = self.client.poll_timeout()?;
        Some(self.clock.when(due.as_ticks()))
    }

    /// Reads nothing before `until`.
    pub const fn stop_reading(&mut self, until: u64) {
        self.paused_until = until;
    }

    /// Says a frame that is no message, behind the last one; whether that was possible.
    pub fn say_rubbish(&mut self) -> bool {
        let is_between = matches!(self.phase, Phase::Up { .. }) && self.out.is_empty();
        if is_between {
            self.out = framed(&[0xff, 1, 2]);
        }
        is_between
    }

    /// Whether the link did not take all that it said.
    pub(super) const fn is_blocked(&self) -> bool {
        !self.out.is_empty()
    }
}

pub(super) fn no_rooms(limits: &Limits) -> Box<[Option<Membership>]> {
    let mut rooms = Vec::new();
    rooms.resize_with(limits.device_rooms(), || None);
    rooms.into()
}

impl Net {
    /// Joins a room and keeps what its application then knows.
    pub fn join(&mut self, number: usize, room: &str, from: From, flags: u8) -> Option<u8> {
        let device = &mut self.devices[number];
        let slot = device.client.join_with(room, from, flags).ok()?;
        let own = flags & Join::OWN_BODIES != 0;
        let mut new = Membership::new(room, from, own);
        new.keeps_lists = !self.limits.is_fleet;
        let new = Some(new);
        let old = std::mem::replace(&mut device.rooms[usize::from(slot)], new);
        let untold = old.map_or(0, |old| old.posts.len());
        assert_eq!(
            untold, 0,
            "S9: a slot is used again before all verdicts were told"
        );
        self.moved = true;
        Some(slot)
    }

    /// Posts a body of so many bytes.
    pub fn post(&mut self, number: usize, slot: u8, len: usize) -> Result<PostId, PostError> {
        let device = &mut self.devices[number];
        let id = PostId {
            device: number as u32,
            counter: device.counter + 1,
        };
        let seq = device.client.post(slot, &id.body(len))?;
        device.counter = id.counter;
        if let Some(Some(membership)) = device.rooms.get_mut(usize::from(slot)) {
            membership.posts.push((seq, id));
        }
        self.trace
            .note(self.now, "post", &[number as u64, slot.into(), seq.into()]);
        Ok(id)
    }

    /// Leaves a room.
    pub fn leave(&mut self, number: usize, slot: u8) {
        self.devices[number].client.leave(slot);
    }

    /// Says `Bye`.
    pub fn bye(&mut self, number: usize) {
        self.devices[number].client.bye();
    }

    pub(super) fn run_device(&mut self, number: usize) -> Check {
        if self.devices[number].stalled_until > self.now {
            return Ok(());
        }
        self.devices[number].clock.read(self.now);
        let wraps = self.devices[number].clock.take_wraps();
        (0..wraps).for_each(|_| self.faults.count(Fault::TickWrap));
        match self.devices[number].phase {
            Phase::Waiting { at } if at <= self.now => self.connect(number),
            Phase::Waiting { .. } => {}
            Phase::Connecting { link, until } => {
                let Some(found) = self.links.get(&link) else {
                    return Ok(());
                };
                if found.device_reset_at.is_some_and(|t| t <= self.now) || until <= self.now {
                    self.disconnect(number, true);
                } else if found.stands_at <= self.now && !found.up.is_hole() {
                    let nonce = self.rng.next();
                    let device = &mut self.devices[number];
                    device.phase = Phase::Up { link };
                    let limit = device.config.max_frame as usize;
                    device.decoder = Inbox::new(limit, self.limits.is_fleet);
                    device.begin_session(self.now, nonce);
                    self.repeat_welcome(number, link)?;
                }
            }
            Phase::Up { link } => self.serve_device(number, link)?,
            Phase::Air => self.serve_station(number)?,
        }
        self.act(number);
        self.drive_client(number)
    }

    fn connect(&mut self, number: usize) {
        if self.devices[number].is_kept_offline {
            return;
        }
        if self.open_station(number) {
            return;
        }
        let life = self.lives.len().wrapping_sub(1);
        let mut link = Link::new(number, life, &self.limits, self.now);
        let is_refused = !self.is_up || self.happens(Fault::Refused, 300);
        if is_refused {
            link.hub.state = super::link::HubState::Gone;
            link.device_reset_at = Some(link.stands_at);
            link.stands_at = u64::MAX;
        } else if self.happens(Fault::HalfOpen, 50) {
            link.up.open_hole();
            link.down.open_hole();
        }
        let link = self.links.insert(link);
        self.trace
            .note(self.now, "connects", &[number as u64, link]);
        self.devices[number].phase = Phase::Connecting {
            link,
            until: self.now + HANDSHAKE.as_ticks(),
        };
    }

    /// What was on the way to the device before, perhaps to one that has lost its RAM since, arrives.
    fn repeat_welcome(&mut self, number: usize, link: u64) -> Check {
        let device = &mut self.devices[number];
        let frame = framed(&device.welcome);
        if device.welcome.is_empty() || !self.happens(Fault::OldWelcome, 300) {
            return Ok(());
        }
        let decoder = &mut self.devices[number].decoder;
        decoder.room(&mut self.device_spare)[..frame.len()].copy_from_slice(&frame);
        decoder.commit(frame.len());
        self.hand_in(number, link)
    }

    /// Reads what came.
    fn serve_device(&mut self, number: usize, link: u64) -> Check {
        let is_cut = self.faults.has(Fault::Cut);
        if self.devices[number].paused_until > self.now {
            return Ok(());
        }
        loop {
            let device = &mut self.devices[number];
            let Some(found) = self.links.get_mut(&link) else {
                return Ok(());
            };
            let room = device.decoder.room(&mut self.device_spare);
            let mut most = room.len();
            if is_cut {
                most = 1 + self.rng.below(most as u64) as usize;
                self.faults.count(Fault::Cut);
            }
            let got = found.down.read(self.now, &mut room[..most]);
            if got == 0 {
                device.decoder.rest(&mut self.device_spare);
                break;
            }
            self.moved = true;
            self.trace.bytes(&room[..got]);
            device.decoder.commit(got);
            self.hand_in(number, link)?;
            if self.devices[number].link() != Some(link) {
                return Ok(());
            }
        }
        let found = self.links.get(&link);
        let is_reset = found
            .and_then(|l| l.device_reset_at)
            .is_some_and(|t| t <= self.now);
        if is_reset || found.is_none_or(|link| link.down.is_over(self.now)) {
            self.disconnect(number, true);
        }
        Ok(())
    }

    fn hand_in(&mut self, number: usize, link: u64) -> Check {
        let clock = self.devices[number].clock.read(self.now);
        let mut frame = std::mem::take(&mut self.frame);
        loop {
            let device = &mut self.devices[number];
            match device.decoder.poll_frame() {
                Ok(Some(token)) => {
                    frame.clear();
                    frame.extend_from_slice(device.decoder.bytes(token));
                }
                Ok(None) => {
                    self.frame = frame;
                    return Ok(());
                }
                Err(error) => return Err(super::model::Broken(format!("frame: {error}"))),
            }
            let message = binary::decode(&frame).map(|d| d.message);
            let Ok(message) = message else {
                return Err(super::model::Broken(format!(
                    "S12: {frame:?} is no message"
                )));
            };
            self.trace
                .words(self.now, || format!("device {number} gets {message:?}"));
            let life = self.links[&link].life;
            let was_serving = device.client.is_serving();
            let delivery = device.client.handle_message(at(clock), &message);
            if let Message::Welcome(welcome) = &message
                && !was_serving
                && device.client.is_serving()
            {
                must!(
                    welcome.nonce == device.nonce,
                    "S8: device {number} takes the welcome to an older hello"
                );
                if self.faults.has(Fault::OldWelcome) {
                    device.welcome.clone_from(&frame);
                }
            }
            // What was lost before the delivery is told first: it is about older messages.
            if let Some(delivery) = delivery {
                self.deliver(number, life, delivery)?;
            }
            self.take_events(number, life)?;
        }
    }

    /// Time, events and what is to be sent.
    fn drive_client(&mut self, number: usize) -> Check {
        let device = &mut self.devices[number];
        let clock = at(device.clock.read(self.now));
        device.client.handle_timeout(clock);
        let life = match device.phase {
            Phase::Up { link } => self.links.get(&link).map_or(0, |link| link.life),
            Phase::Air => device.station.as_ref().map_or(0, |station| station.life),
            Phase::Waiting { .. } | Phase::Connecting { .. } => {
                return self.take_events(number, self.lives.len().wrapping_sub(1));
            }
        };
        self.take_events(number, life)?;
        match self.devices[number].phase {
            Phase::Up { link } => self.pump_device(number, link),
            _ => self.pump_station(number)?,
        }
        self.take_events(number, life)?;
        let device = &self.devices[number];
        let is_over = device.app.closed.len() > device.ended_before;
        let is_stuck = device
            .blocked_since
            .is_some_and(|s| s + NO_PROGRESS <= self.now);
        // The last word is said if the link takes it.
        if is_over || is_stuck {
            self.disconnect(number, false);
            self.take_events(number, life)?;
        }
        Ok(())
    }

    fn pump_device(&mut self, number: usize, link: u64) {
        let device = &mut self.devices[number];
        let clock = at(device.clock.read(self.now));
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        let mut buffer = [0; 512];
        for _ in 0..64 {
            if device.out.is_empty() {
                let Some(len) = device.client.poll_transmit(clock, &mut buffer) else {
                    device.blocked_since = None;
                    return;
                };
                let message = &buffer[..len];
                match message.first() {
                    Some(&(kind::PING | kind::PONG)) => self.idle_messages += 1,
                    _ => self.busy_messages += 1,
                }
                self.trace.words(self.now, || {
                    format!("device {number} says {:?}", binary::decode(message))
                });
                device.out = framed(message);
                if self.faults.has(Fault::StaleSession) {
                    self.strangers.overhear(message);
                }
            }
            let taken = found.up.write(&mut self.rng, self.now, &device.out);
            if taken < device.out.len() && found.up.has_room() {
                self.faults.count(Fault::ShortWrite);
                self.again = true;
            }
            if taken > 0 {
                self.moved = true;
                device.blocked_since = None;
            }
            device.out.drain(..taken);
            if !device.out.is_empty() {
                device.blocked_since.get_or_insert(self.now);
                return;
            }
            device.out = Vec::new();
        }
        self.again = true;
    }

    /// The device closes its end, or has learned that it is closed.
    fn disconnect(&mut self, number: usize, is_lost: bool) {
        let now = self.now;
        let device = &mut self.devices[number];
        if let Some(link) = device.link().and_then(|link| self.links.get_mut(&link)) {
            link.is_device_open = false;
            if !is_lost && self.faults.has(Fault::LateBytes) && self.rng.chance(500) {
                link.up.hold_up(now, self.rng.below(40_000_000));
                self.faults.count(Fault::LateBytes);
            }
            link.up.close(now);
        }
        let clock = at(device.clock.read(now));
        device.client.handle_disconnected(clock);
        device.backoff.handle_disconnected(clock);
        let asked: Duration = device.client.retry_after();
        let wait = device.backoff.next_wait(self.rng.next() as u32, asked);
        self.trace
            .note(now, "disconnects", &[number as u64, wait.as_ticks()]);
        device.phase = Phase::Waiting {
            at: now + wait.as_ticks(),
        };
        device.out.clear();
        device.blocked_since = None;
        self.moved = true;
    }
}
