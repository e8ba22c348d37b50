//! Devices and a hub together, over links that any bytes direct; then all is well, and all arrives.

mod device;
mod net;

use arbitrary::{Result, Unstructured};
use halloo_core::chat::Hub;
use halloo_core::chat::client::From;
use halloo_core::chat::hub::Config;
use halloo_core::time::{Duration, Instant, after, earliest, millis, secs};

use crate::store::{Memory, Store};
use device::Device;
use net::Net;

const ROOMS: [&str; 2] = ["lab", "yard"];
const DEVICES: usize = 3;

/// Runs them over streams, which keep the order of what they carry as far as they carry it.
pub fn stream(data: &[u8]) {
    story(data, false);
}

/// Runs them over datagrams.
pub fn datagram(data: &[u8]) {
    story(data, true);
}

/// What survives a crash of the hub.
struct World {
    store: Store,
    devices: [Device; DEVICES],
    net: Net,
    now: Instant,
    nonce: u64,
}

fn story(data: &[u8], is_datagram: bool) {
    let mut u = Unstructured::new(data);
    let mut world = World {
        store: Store::default(),
        devices: std::array::from_fn(|at| Device::new(at, is_datagram)),
        net: Net::new(is_datagram),
        now: Instant::from_ticks(1),
        nonce: 0,
    };
    let has_acks = u.int_in_range(1..=4).unwrap_or(1);
    for start in 1.. {
        let mut memory = Memory::new();
        let mut hub = memory.hub(Config {
            max_body: 16,
            window: has_acks,
            run_bytes: 64,
            has_store: true,
            ..Config::new(1, [start, 2, 3, 4], 5)
        });
        world.store.restore(&mut hub);
        let mut is_up = true;
        while is_up && !u.is_empty() {
            is_up = world.step(&mut hub, &mut u).unwrap_or(true);
            if is_up {
                world.check(&hub);
            }
        }
        if is_up {
            return world.heal(&mut hub);
        }
        world.store.crash();
        world.net.hub_is_gone();
    }
}

impl World {
    /// One step; `false` is a crash of the hub.
    fn step(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<bool> {
        let step = u.int_in_range(0..=21)?;
        let at: usize = u.int_in_range(0..=DEVICES - 1)?;
        match step {
            0 | 1 => self.connect(hub, at),
            2 => {
                let from = *u.choose(&[From::Earliest, From::Latest, From::Last(2)])?;
                let room = *u.choose(&ROOMS)?;
                self.devices[at].join(room, from, u.arbitrary()?);
            }
            3 => self.devices[at].leave(u.int_in_range(0..=1)?),
            4..=6 => self.devices[at].post(u.int_in_range(0..=1)?),
            7..=9 => self.net.up(hub, at, self.now, u.arbitrary()?),
            10..=12 => {
                let nth = u.arbitrary()?;
                self.down(at, nth);
            }
            13 => {
                self.store.stage(hub);
                let count = self.store.sync(u.int_in_range(0..=3)?);
                hub.handle_appended(count);
            }
            14 => {
                self.devices[at].disconnect(self.now);
                self.net.cut(at);
            }
            15 => self.net.notice(hub, self.now),
            16 => self.net.lose(at, u.arbitrary()?, u.arbitrary()?),
            17 => self.net.double(at, u.arbitrary()?, u.arbitrary()?),
            18 => {
                // A crash, before the sync or after it.
                self.store.stage(hub);
                self.store.sync(u.int_in_range(0..=3)?);
                return Ok(false);
            }
            19 => {
                self.devices[at].reset(at);
                self.net.cut(at);
            }
            20 => self.pass(hub, Some(millis(u.arbitrary::<u16>()?.into()))),
            _ => self.pass(hub, None),
        }
        self.speak(hub);
        Ok(true)
    }

    fn connect(&mut self, hub: &mut Hub<'_>, at: usize) {
        let device = &mut self.devices[at];
        if device.is_down && self.net.connect(hub, at, self.now) {
            self.nonce += 1;
            device.connect(self.now, self.nonce);
        }
    }

    /// The `nth` message on its way to a device arrives; on a stream, the first.
    fn down(&mut self, at: usize, nth: u8) {
        if let Some(message) = self.net.down(at, nth) {
            self.devices[at].take(self.now, &message, &self.store);
        }
    }

    /// Time passes, by so much or up to the next deadline.
    fn pass(&mut self, hub: &mut Hub<'_>, span: Option<Duration>) {
        let mut due = hub.poll_timeout();
        for device in &self.devices {
            due = earliest(due, device.client.poll_timeout());
        }
        self.now = match span {
            Some(span) => after(self.now, span),
            None => due.unwrap_or(self.now).max(self.now),
        };
        hub.handle_timeout(self.now);
        for device in &mut self.devices {
            device.client.handle_timeout(self.now);
        }
    }

    /// All say what they have to say, and the applications hear what they are told.
    fn speak(&mut self, hub: &mut Hub<'_>) {
        for at in 0..DEVICES {
            let said = self.devices[at].speak(self.now);
            self.net.carry_up(at, said);
        }
        self.net.speak(hub, self.now, &self.store);
        for at in 0..DEVICES {
            if self.devices[at].hear(&self.store, self.now) {
                self.net.cut(at);
            }
        }
    }

    fn check(&self, hub: &Hub<'_>) {
        for room in ROOMS {
            if let Some(head) = hub.head(room) {
                assert_eq!(head, self.store.log_of(room).len() as u64, "S6");
            }
        }
    }

    /// From here on nothing fails: every outbox drains, and every cursor reaches its head.
    fn heal(&mut self, hub: &mut Hub<'_>) {
        let until = after(self.now, secs(1200));
        for turn in 0_u32.. {
            self.net.notice(hub, self.now);
            (0..DEVICES).for_each(|at| self.connect(hub, at));
            self.speak(hub);
            while let Some(at) = (0..DEVICES).find(|at| self.net.has_work(*at)) {
                self.net.up(hub, at, self.now, 0);
                self.store.stage(hub);
                hub.handle_appended(self.store.sync(usize::MAX));
                self.down(at, 0);
                self.speak(hub);
            }
            self.check(hub);
            if self.is_settled(hub) {
                return;
            }
            assert!(turn < 5000 && self.now < until, "it comes to no rest");
            self.pass(hub, None);
        }
    }

    fn is_settled(&self, hub: &Hub<'_>) -> bool {
        self.devices.iter().all(|device| {
            let reads = (0..2).all(|slot| match device.client.room(slot) {
                None => true,
                Some(room) => device.client.cursor(slot) == hub.head(room),
            });
            device.client.is_serving() && device.client.unacknowledged() == 0 && reads
        })
    }
}
