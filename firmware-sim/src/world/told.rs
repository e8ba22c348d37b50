//! What an application is told, held against the model.

use super::Net;
use super::at;
use super::model::{Check, PostId, Seen, is_name_of, must};
use halloo_core::chat::client::{Delivery, Event};

impl Net {
    pub(super) fn deliver(&mut self, number: usize, life: usize, delivery: Delivery<'_>) -> Check {
        let device = &mut self.devices[number];
        let store = &self.lives[life];
        let me = number as u32;
        let (slot, seen) = match delivery {
            Delivery::Entry {
                slot,
                offset,
                from,
                body,
            } => {
                let id = PostId::of(body);
                let body = Some(body);
                must!(
                    id.is_some_and(|id| is_name_of(id.device, from)),
                    "S5: {from} did not post {id:?}"
                );
                (slot, Seen { offset, body, id })
            }
            Delivery::Own { slot, offset } => {
                let (body, id) = (None, None);
                (slot, Seen { offset, body, id })
            }
            Delivery::Gap {
                slot,
                from,
                to,
                reason,
            } => {
                let membership = device.rooms[usize::from(slot)].as_mut();
                must!(membership.is_some(), "S11: a gap for no room");
                return membership.map_or(Ok(()), |m| m.gap(life, store, (from, to), reason));
            }
            Delivery::Notice(notice) => {
                let membership = &device.rooms[usize::from(notice.slot)];
                must!(
                    membership.as_ref().is_some_and(|m| !m.is_over),
                    "S11: {notice:?} of a room that is over"
                );
                let who = notice.who.to_owned();
                let notice = (notice.kind.to_wire(), notice.members, who);
                if !self.limits.is_fleet {
                    device.app.notices.push(notice);
                }
                return Ok(());
            }
            Delivery::Roster(roster) => {
                let membership = &device.rooms[usize::from(roster.slot)];
                must!(
                    membership.as_ref().is_some_and(|m| !m.is_over),
                    "S11: {roster:?} of a room that is over"
                );
                device
                    .app
                    .roster
                    .extend(roster.names.iter().map(str::to_owned));
                return Ok(());
            }
            Delivery::Echo { token, .. } => {
                device.app.echoes.push(token);
                return Ok(());
            }
            Delivery::Error(_) => return Ok(()),
        };
        let membership = device.rooms[usize::from(slot)].as_mut();
        must!(membership.is_some(), "S11: an entry for no room");
        membership.map_or(Ok(()), |m| m.entry(life, store, me, seen))
    }

    /// Tells the application what happened.
    pub(super) fn take_events(&mut self, number: usize, life: usize) -> Check {
        while let Some(event) = self.devices[number].client.poll_event() {
            self.trace
                .words(self.now, || format!("device {number}: {event:?}"));
            let device = &mut self.devices[number];
            let store = self.lives.get(life);
            let slot = match event {
                Event::Welcomed => {
                    let clock = at(device.clock.read(self.now));
                    device.backoff.handle_service(clock);
                    if let Some(station) = &mut device.station {
                        station.life = life;
                    }
                    continue;
                }
                Event::Closed { cause } => {
                    device.app.closed.push((self.now, cause));
                    continue;
                }
                Event::Joined { slot, .. }
                | Event::Refused { slot, .. }
                | Event::Acked { slot, .. }
                | Event::Rejected { slot, .. }
                | Event::Unknown { slot, .. }
                | Event::StoreChanged { slot }
                | Event::Left { slot } => slot,
                #[allow(unreachable_patterns)]
                _ => continue,
            };
            let cursor = device.client.cursor(slot);
            let Some(membership) = device.rooms[usize::from(slot)].as_mut() else {
                return Err(super::model::Broken(format!("S11: {event:?} for no room")));
            };
            match event {
                Event::Joined { head, .. } => {
                    let name = store.map(|store| store.name);
                    membership.joined(life, name, head, cursor)?;
                }
                Event::StoreChanged { .. } => membership.changed(life)?,
                Event::Refused { code, .. } => {
                    membership.is_over = true;
                    device.app.refused.push(code);
                }
                Event::Left { .. } => membership.is_over = true,
                Event::Acked { seq, .. } => match store {
                    Some(store) => membership.verdict(store, seq, Some(true))?,
                    None => must!(false, "S1: acknowledged by nobody"),
                },
                Event::Rejected { seq, .. } => match store {
                    Some(store) => membership.verdict(store, seq, Some(false))?,
                    None => must!(false, "S9: rejected by nobody"),
                },
                Event::Unknown { seq, .. } => match store {
                    Some(store) => membership.verdict(store, seq, None)?,
                    None => must!(false, "S9: unknown to nobody"),
                },
                _ => {}
            }
        }
        Ok(())
    }
}
