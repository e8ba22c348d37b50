//! A device that speaks over datagrams: its socket, and the loop that drives its machine.

use super::air::{Way, address_of};
use super::device::Phase;
use super::model::{Broken, Check};
use super::rng::Rng;
use super::{Net, at};
use halloo_core::chat::datagram::HEADER;
use halloo_core::wire::{Message, binary};
use std::collections::VecDeque;

/// The socket of a device that speaks over datagrams.
#[derive(Debug)]
pub(super) struct Station {
    /// The port that the hub sees; no other leads to the device.
    pub port: u16,
    /// What came and was not read, each from a life of the hub.
    pub inbox: VecDeque<(usize, Vec<u8>)>,
    /// The life of the hub that its session is with.
    pub life: usize,
    /// Nothing comes to it before the first, and nothing from it before the second.
    pub cut_until: [u64; 2],
}

impl Station {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            port: new_port(rng),
            inbox: VecDeque::new(),
            life: 0,
            cut_until: [0; 2],
        }
    }

    /// An address translator on the way forgets it: from here on it has another port.
    pub(super) fn move_away(&mut self, rng: &mut Rng) {
        self.port = new_port(rng);
    }
}

fn new_port(rng: &mut Rng) -> u16 {
    rng.within(1024, 65_535) as u16
}

impl Net {
    /// Opens a socket and greets the hub from there; whether the device has one to open.
    pub(super) fn open_station(&mut self, number: usize) -> bool {
        let now = self.now;
        let device = &mut self.devices[number];
        let Some(station) = &mut device.station else {
            return false;
        };
        if self.rng.chance(500) {
            station.move_away(&mut self.rng);
        }
        station.inbox.clear();
        let port = u64::from(station.port);
        device.client.set_datagrams(true);
        let nonce = self.rng.next();
        device.begin_session(now, nonce);
        device.phase = Phase::Air;
        self.trace.note(now, "opens", &[number as u64, port]);
        true
    }

    /// Reads the datagrams that came.
    pub(super) fn serve_station(&mut self, number: usize) -> Check {
        if self.devices[number].paused_until > self.now {
            return Ok(());
        }
        loop {
            let device = &mut self.devices[number];
            let station = device.station.as_mut();
            let Some((life, bytes)) = station.and_then(|station| station.inbox.pop_front()) else {
                return Ok(());
            };
            self.moved = true;
            let clock = at(device.clock.read(self.now));
            self.trace.words(self.now, || {
                format!("device {number} gets {}", in_words(&bytes))
            });
            let delivery = device.client.handle_datagram(clock, &bytes);
            if let Some(delivery) = delivery {
                self.deliver(number, life, delivery)?;
            }
            self.take_events(number, life)?;
            if self.devices[number].phase != Phase::Air {
                return Ok(());
            }
        }
    }

    /// Sends what the machine has to say.
    pub(super) fn pump_station(&mut self, number: usize) -> Check {
        let mut buffer = [0; 512];
        for _ in 0..64 {
            let device = &mut self.devices[number];
            let Some(station) = &device.station else {
                return Ok(());
            };
            let from = Way::Up(address_of(number, station.port));
            let clock = at(device.clock.read(self.now));
            let Some(len) = device.client.poll_transmit(clock, &mut buffer) else {
                return Ok(());
            };
            let datagram = &buffer[..len];
            let message = datagram.get(HEADER..).unwrap_or_default();
            match binary::decode(message).map(|decoded| decoded.message) {
                Ok(Message::Ping { .. } | Message::Pong { .. }) => self.idle_messages += 1,
                Ok(_) => self.busy_messages += 1,
                Err(error) => {
                    return Err(Broken(format!("S12: {message:?} is no message: {error}")));
                }
            }
            self.trace.words(self.now, || {
                format!("device {number} says {}", in_words(datagram))
            });
            self.carry(from, datagram)?;
            self.moved = true;
        }
        self.again = true;
        Ok(())
    }
}

/// A datagram in words, for the trace.
pub(super) fn in_words(datagram: &[u8]) -> String {
    let Some((head, message)) = halloo_core::chat::datagram::Header::decode(datagram) else {
        return format!("{datagram:?}");
    };
    let numbers = format!("{:x} #{} seen {}", head.session, head.number, head.seen);
    match binary::decode(message) {
        Ok(decoded) => format!("{numbers}: {:?}", decoded.message),
        Err(error) => format!("{numbers}: {message:?}, {error}"),
    }
}
