//! The applications: one that does whatever comes to its mind, and one as firmware has it.

use super::Net;
use super::limits::FLEET_BODY;
use halloo_core::chat::client::{From, Store};
use halloo_core::wire;

impl Net {
    /// The application does something.
    pub(super) fn act(&mut self, number: usize) {
        let device = &mut self.devices[number];
        if !device.app.is_busy || device.next_action > self.now {
            return;
        }
        if self.limits.is_fleet {
            return self.act_steadily(number);
        }
        let pause = self.rng.pick(&[50_000, 500_000, 3_000_000]);
        device.next_action = self.now + 1 + self.rng.below(pause);
        let slot = self.rng.below(self.limits.device_rooms() as u64) as u8;
        match self.rng.below(100) {
            0..60 => {
                for _ in 0..self.rng.pick(&[1, 1, 1, 3, 12]) {
                    let most = u64::from(self.limits.max_body).max(8);
                    let len = self.rng.within(8, most) as usize;
                    let _ = self.post(number, slot, len);
                }
            }
            60..85 => {
                let room = self.rng.pick(&["a", "b", "c", "lab-2.x", "e"]);
                let from = match self.rng.below(5) {
                    0 => From::Latest,
                    1 => From::Last(self.rng.below(6) as u32),
                    2 => {
                        let (id, generation) = self.lives.last().map_or((0, 0), |life| life.name);
                        let id = id ^ u64::from(self.rng.chance(300));
                        From::After {
                            cursor: self.rng.below(12),
                            store: Store { id, generation },
                        }
                    }
                    _ => From::Earliest,
                };
                let flags = self.rng.below(4) as u8;
                self.join(number, room, from, flags);
            }
            85..89 => self.leave(number, slot),
            89..93 => device.client.who(slot, self.rng.below(3) as u16),
            93..98 => {
                device.next_token += 1;
                device.client.echo(device.next_token, &[7; wire::MAX_ECHO]);
            }
            _ => self.bye(number),
        }
        self.moved = true;
    }

    /// What firmware does: it is in its room, and posts at its pace.
    fn act_steadily(&mut self, number: usize) {
        let pace = self.limits.pace;
        let device = &mut self.devices[number];
        device.next_action = self.now + pace - pace / 4 + self.rng.below(pace / 2 + 1);
        let is_in = device.rooms.iter().flatten().any(|room| !room.is_over);
        if !is_in {
            return self.join_fleet_room(number);
        }
        match self.post(number, 0, FLEET_BODY) {
            Ok(_) => {}
            Err(_) => self.held_back += 1,
        }
        self.moved = true;
    }

    /// The room that a device of a fleet belongs to.
    pub(super) fn join_fleet_room(&mut self, number: usize) {
        let room = format!("room-{}", number / self.limits.per_room);
        self.join(number, &room, From::Latest, 0);
    }
}
