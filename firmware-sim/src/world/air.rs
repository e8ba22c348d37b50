//! The carrier of datagrams: it loses, doubles, delays, cuts off and repeats them, as the faults say.
//!
//! Knows addresses and times. A datagram is seen by its receiver as behind UDP: a flipped bit does not
//! pass the checksum, so the datagram is discarded ([`Fault::BitFlip`]); one that a receiver's buffer
//! cut off is handed in as it is ([`Fault::Truncate`]), for a message that is cut is none.

use super::Net;
use super::fault::Fault;
use super::model::{Check, must};
use super::rng::Rng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The hub's port for chat over datagrams.
const HUB: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 255, 255, 1)), 7007);

/// What waits at the hub's socket, and at a device's; more is dropped, as a system does.
const AT_HUB: usize = 1024;
pub(super) const AT_DEVICE: usize = 16;

/// The last datagrams that were sent to the hub, for strangers to send again.
const RECORDED: usize = 64;

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// To the hub, from this address.
    Up(SocketAddr),
    /// To this address, from a life of the hub.
    Down(SocketAddr, usize),
}

impl Way {
    const fn address(self) -> SocketAddr {
        match self {
            Self::Up(address) | Self::Down(address, _) => address,
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: u64,
    count: u64,
    way: Way,
    /// The fault that it is, if it counts once it arrives.
    counts: Option<u8>,
    bytes: Vec<u8>,
}

/// All datagrams on their way.
#[derive(Debug, Default)]
pub(super) struct Air {
    on_way: BinaryHeap<Reverse<Flight>>,
    count: u64,
    /// Of a thousand datagrams, so many are lost.
    pub loss: u64,
    /// Larger ones vanish; 0 is no limit.
    pub mtu: usize,
    /// Every datagram is lost before that.
    pub burst_until: u64,
    /// What came to the hub, and what it was too busy for.
    pub at_hub: VecDeque<(SocketAddr, Vec<u8>)>,
    pub busy: Option<(SocketAddr, Vec<u8>)>,
    pub recorded: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Datagrams that were sent.
    pub sent: u64,
}

impl Air {
    /// When the next one arrives, or the hub has one to look at.
    pub(super) fn next_time(&self) -> u64 {
        let arrives = self.on_way.peek();
        arrives.map_or(u64::MAX, |Reverse(flight)| flight.at)
    }

    /// Whether the hub has something to look at.
    pub(super) fn waits_at_hub(&self) -> bool {
        self.busy.is_some() || !self.at_hub.is_empty()
    }

    /// The hub is gone, and its socket with it.
    pub(super) fn stop_hub(&mut self) {
        self.at_hub.clear();
        self.busy = None;
    }

    /// The carrier is good; what it would repeat in minutes, it repeats now.
    pub(super) fn heal(&mut self, now: u64) {
        (self.loss, self.mtu, self.burst_until) = (0, 0, 0);
        let flights = std::mem::take(&mut self.on_way).into_iter();
        self.on_way = flights
            .map(|Reverse(mut flight)| {
                flight.at = flight.at.min(now + 2_000_000);
                Reverse(flight)
            })
            .collect();
    }

    /// A stranger sends one, or somebody else's again; it counts as `fault` once it arrives.
    pub(super) fn send_strange(&mut self, at: u64, from: SocketAddr, bytes: &[u8], fault: Fault) {
        self.sent += 1;
        self.push(at, Way::Up(from), bytes, Some(fault));
    }

    fn push(&mut self, at: u64, way: Way, bytes: &[u8], counts: Option<Fault>) {
        self.count += 1;
        self.on_way.push(Reverse(Flight {
            at,
            count: self.count,
            way,
            counts: counts.map(|fault| fault as u8),
            bytes: bytes.to_vec(),
        }));
    }
}

impl Net {
    /// Sends a datagram on its way.
    pub(super) fn carry(&mut self, way: Way, bytes: &[u8]) -> Check {
        self.trace.bytes(bytes);
        self.air.sent += 1;
        let now = self.now;
        let station = device_at(way.address()).and_then(|number| self.devices.get(number));
        let cut = station.and_then(|device| device.station.as_ref());
        let cut = cut.map_or(0, |station| station.cut_until[usize::from(is_up(way))]);
        if now < cut {
            self.faults.count(Fault::OneWayCut);
            return Ok(());
        }
        if self.air.mtu > 0 && bytes.len() > self.air.mtu {
            self.faults.count(Fault::Mtu);
            return Ok(());
        }
        if now < self.air.burst_until {
            self.faults.count(Fault::LossBurst);
            return Ok(());
        }
        let loss = self.air.loss;
        if self.happens(Fault::Loss, loss) {
            return Ok(());
        }
        if self.happens(Fault::BitFlip, 50) {
            return flip(&mut self.rng, way, bytes);
        }
        let mut bytes = bytes;
        if self.happens(Fault::Truncate, 30) {
            bytes = &bytes[..self.rng.below(bytes.len() as u64) as usize];
        }
        let shape = self.limits.shape;
        let mut at = now + shape.delay + self.rng.below(shape.jitter + 1);
        if self.happens(Fault::Reorder, 200) {
            at += self.rng.below(2_000_000);
        }
        if self.happens(Fault::Duplicate, 100) {
            let later = at + self.rng.below(300_000);
            self.air.push(later, way, bytes, None);
        }
        if self.faults.has(Fault::LateReplay) && self.rng.chance(20) {
            let late = now + self.rng.below(600_000_000);
            self.air.push(late, way, bytes, Some(Fault::LateReplay));
        }
        if let Way::Up(_) = way {
            if self.faults.has(Fault::SpoofedSource) && self.rng.chance(30) {
                let from = Way::Up(stranger_address(self.rng.below(200)));
                let sooner = now + shape.delay / 2;
                let counts = Some(Fault::SpoofedSource);
                self.air.push(sooner, from, bytes, counts);
            }
            if self.air.recorded.len() == RECORDED {
                self.air.recorded.pop_front();
            }
            self.air.recorded.push_back((way.address(), bytes.to_vec()));
        }
        self.air.push(at, way, bytes, None);
        Ok(())
    }

    /// What has arrived by now lies at the sockets.
    pub(super) fn land(&mut self) {
        while let Some(Reverse(flight)) = self.air.on_way.peek()
            && flight.at <= self.now
            && let Some(Reverse(flight)) = self.air.on_way.pop()
        {
            if let Some(&fault) = flight.counts.and_then(|at| Fault::ALL.get(usize::from(at))) {
                self.faults.count(fault);
            }
            match flight.way {
                Way::Up(from) if self.is_up && self.air.at_hub.len() < AT_HUB => {
                    self.air.at_hub.push_back((from, flight.bytes));
                }
                Way::Up(_) => {}
                Way::Down(to, life) => self.land_at_device(to, life, flight.bytes),
            }
        }
    }

    fn land_at_device(&mut self, to: SocketAddr, life: usize, bytes: Vec<u8>) {
        let Some(number) = device_at(to) else { return };
        let device = self.devices.get_mut(number);
        let Some(station) = device.and_then(|device| device.station.as_mut()) else {
            return;
        };
        // What comes to an address that it had before comes to nobody.
        if station.port == to.port() && station.inbox.len() < AT_DEVICE {
            station.inbox.push_back((life, bytes));
            self.device_agenda.add(number as u64, self.now);
        }
    }
}

const fn is_up(way: Way) -> bool {
    matches!(way, Way::Up(_))
}

/// The address of a device as the hub sees it.
pub(super) fn address_of(number: usize, port: u16) -> SocketAddr {
    let [_, a, b, c] = (number as u32).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, a, b, c)), port)
}

/// The device that an address belongs to.
pub(super) fn device_at(address: SocketAddr) -> Option<usize> {
    match address.ip() {
        IpAddr::V4(ip) => match ip.octets() {
            [10, a, b, c] => Some(u32::from_be_bytes([0, a, b, c]) as usize),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

/// An address that is no device's.
pub(super) fn stranger_address(number: u64) -> SocketAddr {
    let last = (number % 256) as u8;
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 40_000)
}

/// One bit is flipped on the way, and the receiver's system discards the datagram: its checksum finds
/// every single bit.
fn flip(rng: &mut Rng, way: Way, bytes: &[u8]) -> Check {
    let (from, to) = match way {
        Way::Up(from) => (from, HUB),
        Way::Down(to, _) => (HUB, to),
    };
    let mut bent = bytes.to_vec();
    let bit = rng.below(bytes.len() as u64 * 8) as usize;
    bent[bit / 8] ^= 1 << (bit % 8);
    must!(
        checksum(from, to, &bent) != checksum(from, to, bytes),
        "a flipped bit passes the checksum of UDP"
    );
    Ok(())
}

/// The checksum of UDP over IPv4 (RFC 768).
fn checksum(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> u16 {
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    let len = (payload.len() + 8) as u16;
    let mut covered = [octets(from), octets(to)].concat();
    covered.extend([0, 17]);
    covered.extend(len.to_be_bytes());
    covered.extend(from.port().to_be_bytes());
    covered.extend(to.port().to_be_bytes());
    covered.extend(len.to_be_bytes());
    covered.extend_from_slice(payload);
    let words = covered.chunks(2);
    let sum: u64 = words
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    match !(folded as u16) {
        0 => u16::MAX,
        sum => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_udp() {
        // All words of it, the sum included, add up to ones.
        let from = address_of(1, 4096);
        let sum = checksum(from, HUB, b"halloo!");
        let mut words = [0x0a00, 0x0001, 0x0aff, 0xff01, 17, 15, 4096, 7007, 15].to_vec();
        words.extend([0x6861, 0x6c6c, 0x6f6f, 0x2100]);
        let total: u32 = words.iter().sum::<u32>() + u32::from(sum);
        let folded = (total & 0xffff) + (total >> 16);
        assert_eq!((folded & 0xffff) + (folded >> 16), 0xffff);
    }

    #[test]
    fn an_address_leads_to_its_device_and_a_strangers_to_none() {
        for number in [0, 1, 255, 256, 70_000] {
            assert_eq!(device_at(address_of(number, 9)), Some(number));
        }
        assert_eq!(device_at(stranger_address(7)), None);
    }
}
