//! The hub over datagrams: the product's own table of addresses, and the loop that drives it.

use super::Net;
use super::air::{Way, device_at};
use super::link::{HubState, Link};
use super::model::{Broken, Check, must, number_of};
use super::station::in_words;
use halloo_core::chat::Hub;
use halloo_core::chat::datagram::HEADER;
use halloo_core::chat::hub::{Busy, ConnId, Transmit};
use halloo_core::wire::{Message, binary};
use halloo_std::hub::{Addresses, Place};
use halloo_std::journal::hub as kept;
use std::net::SocketAddr;

/// How many datagrams are taken in a turn, and sent to one session.
const SHARE: usize = 64;

/// The largest datagram that the hub sends here.
const LARGEST: usize = 512;

impl Net {
    /// The addresses of a hub that starts.
    pub(super) fn open_addresses(&mut self) {
        let [high, low] = [self.rng.next(), self.rng.next()];
        let key = u128::from(high) << 64 | u128::from(low);
        self.addresses = Some(Addresses::new(key.to_be_bytes()));
    }

    /// Takes the datagrams that came to the hub.
    pub(super) fn serve_air(&mut self, hub: &mut Hub<'_>) -> Check {
        if let Some((from, bytes)) = self.air.busy.take() {
            // What is not taken after a commit is as good as lost.
            let _ = self.hub_takes(hub, from, &bytes)?;
        }
        for _ in 0..SHARE {
            let Some((from, bytes)) = self.air.at_hub.pop_front() else {
                return Ok(());
            };
            if self.hub_takes(hub, from, &bytes)?.is_err() {
                self.busy += 1;
                self.air.busy = Some((from, bytes));
                return Ok(());
            }
        }
        Ok(())
    }

    fn hub_takes(
        &mut self,
        hub: &mut Hub<'_>,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Check<Result<(), Busy>> {
        let now = self.hub_now();
        let Some(addresses) = &mut self.addresses else {
            return Ok(Ok(()));
        };
        let place = Place {
            address: from,
            socket: 0,
            local: None,
        };
        let mut out = [0; LARGEST];
        let known = addresses.len();
        let taken = match addresses.take(hub, now, place, bytes, &mut out) {
            Ok(taken) => taken,
            Err(busy) => return Ok(Err(busy)),
        };
        let is_more = addresses.len() > known;
        self.moved = true;
        self.trace.words(self.now, || {
            format!("hub gets from {from} {}", in_words(bytes))
        });
        let decoded = bytes.get(HEADER..).and_then(|m| binary::decode(m).ok());
        if let (Some(id), true) = (taken.session, taken.is_new) {
            self.session_opens(hub, id, decoded.as_ref().map(|decoded| &decoded.message))?;
        }
        must!(
            taken.is_new || !is_more,
            "S10: a datagram that opens no session is kept something for"
        );
        if let (Some(id), Some(decoded)) = (taken.by, &decoded) {
            let key = self.by_conn.get(id.index()).copied().unwrap_or(u64::MAX);
            self.hub_took(key, &decoded.message)?;
        }
        let answer = &out[..taken.answer];
        if !answer.is_empty() {
            must!(
                !taken.is_stray || answer.len() <= bytes.len(),
                "S10: {} bytes are answered with {}",
                bytes.len(),
                answer.len()
            );
            match taken.is_stray {
                true => self.stray_answers += 1,
                false => self.idle_messages += 1,
            }
            self.trace.words(self.now, || {
                format!("hub answers {from} {}", in_words(answer))
            });
            let life = self.lives.len().wrapping_sub(1);
            self.carry(Way::Down(from, life), answer)?;
        }
        Ok(Ok(()))
    }

    fn session_opens(&mut self, hub: &Hub<'_>, id: ConnId, message: Option<&Message<'_>>) -> Check {
        let Some(Message::Hello(hello)) = message else {
            return Err(Broken(format!("S8: {message:?} opens a session")));
        };
        let device = number_of(&hello.device) as usize;
        must!(
            hub.session(id).is_some() && device < self.devices.len(),
            "S8: device {device} has a session that nobody opened"
        );
        let life = self.lives.len().wrapping_sub(1);
        let mut link = Link::new(device, life, &self.limits, self.now);
        link.is_device_open = false;
        link.is_datagrams = true;
        link.hub.state = HubState::Open(id);
        let key = self.links.insert(link);
        self.by_conn[id.index()] = key;
        self.live[device] = Some(key);
        Ok(())
    }

    /// Sends what the hub has for one session, in datagrams.
    pub(super) fn pump_session(&mut self, hub: &mut Hub<'_>, key: u64) -> Check {
        let now = self.hub_now();
        for _ in 0..SHARE {
            let Some(link) = self.links.get_mut(&key) else {
                return Ok(());
            };
            let HubState::Open(id) = link.hub.state else {
                return Ok(());
            };
            let mut out = [0; LARGEST];
            let len = match hub.poll_transmit(now, id, &mut out) {
                Transmit::Message(len) => len,
                Transmit::Stored(wanted) => {
                    let Some(journal) = &mut self.keeping.journal else {
                        return Err(Broken("S5: it is asked for entries of a journal".into()));
                    };
                    let read = kept::read_datagram(hub, journal, now, (id, wanted), &mut out);
                    let Some(len) = read else { continue };
                    self.read_back += 1;
                    len
                }
                Transmit::Close => {
                    link.hub.state = HubState::Gone;
                    if let Some(addresses) = &mut self.addresses {
                        addresses.remove(id);
                    }
                    hub.handle_disconnected(now, id);
                    self.trace.note(self.now, "hub drops", &[key]);
                    return Ok(());
                }
                Transmit::Idle | Transmit::Entries(_) => {
                    link.hub.wants = false;
                    return Ok(());
                }
            };
            let device = link.device;
            let life = link.life;
            let place = self.addresses.as_ref().and_then(|table| table.place(id));
            let Some(place) = place else {
                return Err(Broken("S8: a session without an address".to_owned()));
            };
            must!(
                device_at(place.address) == Some(device),
                "S11: what device {device} is sent goes to {}",
                place.address
            );
            self.hub_says(key, &out[HEADER..len])?;
            self.carry(Way::Down(place.address, life), &out[..len])?;
        }
        self.moved = true;
        self.again = true;
        Ok(())
    }
}
