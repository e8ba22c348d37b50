//! Who is in the fleet: kinds, rooms, transports and cuts, all from the seed.

use std::sync::Arc;

use fastrand::Rng;
use halloo_core::wire::DeviceId;
use serde::Serialize;

use crate::Config;

/// About how many members a room has.
const ROOM_SIZE: usize = 10;

/// What a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Posts readings, and now and then a command.
    Sensor,
    /// Answers commands.
    Actuator,
    /// Chats in two rooms, and commands in both.
    Talker,
    /// Measures the hub's echo.
    Probe,
}

/// How many devices of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Kinds {
    /// Devices that post readings.
    pub sensors: u32,
    /// Devices that answer commands.
    pub actuators: u32,
    /// Devices that chat in two rooms.
    pub talkers: u32,
    /// Devices that measure echo.
    pub probes: u32,
}

impl Kinds {
    /// The usual mix: 60 % sensors, 15 % actuators, 15 % talkers, and 10 % probes if there is echo
    /// to measure.
    #[must_use]
    pub const fn mix(devices: u32, has_echo: bool) -> Self {
        let probes = if has_echo { devices / 10 } else { 0 };
        let chat = devices - probes;
        let sixth = chat / 6;
        Self {
            sensors: chat - 2 * sixth,
            actuators: sixth,
            talkers: sixth,
            probes,
        }
    }

    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u32 {
        self.sensors + self.actuators + self.talkers + self.probes
    }
}

/// What one device is.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) kind: Kind,
    /// The rooms that it joins: two of a talker, one of other devices, none of a probe.
    pub(crate) rooms: Vec<u32>,
    /// Microseconds after the start of posting, the latest first.
    pub(crate) cuts: Vec<u64>,
    pub(crate) seed: u64,
}

/// The whole fleet.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) kinds: Kinds,
    pub(crate) roles: Vec<Role>,
    /// The devices of each room, in ascending order.
    pub(crate) rooms: Vec<Arc<[u32]>>,
    /// Tells this run from all others, also to a hub that remembers them.
    pub(crate) salt: u64,
    seed: u64,
}

impl Plan {
    pub(crate) fn new(config: &Config, has_echo: bool, salt: u64) -> Self {
        let mut rng = Rng::with_seed(config.seed);
        let kinds = Kinds::mix(config.devices, has_echo);
        let mut roles = Vec::with_capacity(kinds.all() as usize);
        for (kind, count) in [
            (Kind::Sensor, kinds.sensors),
            (Kind::Actuator, kinds.actuators),
            (Kind::Talker, kinds.talkers),
            (Kind::Probe, kinds.probes),
        ] {
            roles.extend((0..count).map(|_| kind));
        }
        rng.shuffle(&mut roles);
        let seats = (kinds.all() - kinds.probes + kinds.talkers) as usize;
        let rooms = seats.div_ceil(ROOM_SIZE).max(1);
        let mut members = vec![Vec::new(); rooms];
        let span = u64::try_from(config.time.as_micros()).unwrap_or(u64::MAX);
        let roles = (0_u32..)
            .zip(roles)
            .map(|(device, kind)| {
                let rooms = choose_rooms(kind, &members, &mut rng);
                for &room in &rooms {
                    members[room as usize].push(device);
                }
                Role {
                    kind,
                    rooms,
                    cuts: choose_cuts(kind, config.reconnects, span, &mut rng),
                    seed: rng.u64(..),
                }
            })
            .collect();
        Self {
            kinds,
            roles,
            rooms: members.into_iter().map(Arc::from).collect(),
            salt,
            seed: config.seed,
        }
    }

    /// The name of a room on the hub.
    pub(crate) fn room_name(&self, room: u32) -> String {
        format!("sim-{:08x}-{room}", self.salt as u32)
    }

    /// The identity of a device: another one in every run.
    pub(crate) fn device_id(&self, device: u32) -> DeviceId {
        let own = Rng::with_seed(self.seed.wrapping_add(u64::from(device))).u64(..);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.salt.to_be_bytes());
        // The number in the clear: two devices of a run never meet.
        id[8..12].copy_from_slice(&device.to_be_bytes());
        id[12..].copy_from_slice(&own.to_be_bytes()[..4]);
        id
    }
}

/// The emptiest of a few rooms: sizes stay about even, and neighbours differ from run to run.
fn choose_rooms(kind: Kind, members: &[Vec<u32>], rng: &mut Rng) -> Vec<u32> {
    let wanted = match kind {
        Kind::Sensor | Kind::Actuator => 1,
        Kind::Talker => 2.min(members.len()),
        Kind::Probe => 0,
    };
    let mut chosen: Vec<u32> = Vec::with_capacity(wanted);
    while chosen.len() < wanted {
        let best = (0..8)
            .map(|_| rng.u32(..members.len() as u32))
            .filter(|room| !chosen.contains(room))
            .min_by_key(|&room| members[room as usize].len());
        chosen.extend(best);
    }
    chosen
}

fn choose_cuts(kind: Kind, share: f64, span: u64, rng: &mut Rng) -> Vec<u64> {
    if kind == Kind::Probe {
        return Vec::new();
    }
    let certain = share as usize;
    let count = certain + usize::from(rng.f64() < share.fract());
    let mut cuts: Vec<u64> = (0..count).map(|_| rng.u64(..span.max(1))).collect();
    cuts.sort_unstable_by_key(|&cut| std::cmp::Reverse(cut));
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(devices: u32, seed: u64, salt: u64) -> Plan {
        let config = Config {
            devices,
            seed,
            reconnects: 1.5,
            ..Config::default()
        };
        Plan::new(&config, true, salt)
    }

    #[test]
    fn every_number_of_devices_gives_a_fleet_of_that_many() {
        for devices in [1, 2, 3, 9, 10, 11, 40, 199, 200, 1000] {
            let plan = plan(devices, 7, 1);
            assert_eq!(plan.kinds.all(), devices);
            assert_eq!(plan.roles.len(), devices as usize);
            let largest = plan.rooms.iter().map(|room| room.len()).max();
            assert!(largest <= Some(2 * ROOM_SIZE), "{devices}: {largest:?}");
            for room in &plan.rooms {
                assert!(room.is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn a_seed_gives_one_fleet_and_another_seed_another() {
        let shape = |plan: &Plan| format!("{:?} {:?}", plan.rooms, plan.roles);
        assert_eq!(shape(&plan(100, 7, 1)), shape(&plan(100, 7, 2)));
        assert_ne!(shape(&plan(100, 7, 1)), shape(&plan(100, 8, 1)));
    }

    #[test]
    fn identities_and_rooms_differ_from_device_to_device_and_from_run_to_run() {
        let (one, two) = (plan(50, 7, 1), plan(50, 7, 2));
        let mut ids: Vec<_> = (0..50)
            .flat_map(|n| [one.device_id(n), two.device_id(n)])
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 100);
        assert_ne!(one.room_name(1), two.room_name(1));
        assert!(halloo_core::name::room(one.room_name(99_999).as_bytes()).is_ok());
    }

    #[test]
    fn a_share_above_one_cuts_every_device() {
        let plan = plan(200, 7, 1);
        for role in &plan.roles {
            let fits = match role.kind {
                Kind::Probe => role.cuts.is_empty(),
                _ => (1..=2).contains(&role.cuts.len()),
            };
            assert!(fits, "{role:?}");
        }
    }
}
