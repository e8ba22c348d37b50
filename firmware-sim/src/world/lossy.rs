//! A carrier of datagrams that loses, doubles and reorders them.

use super::rng::Rng;

/// Datagrams on their way.
#[derive(Debug)]
pub struct Lossy {
    on_way: Vec<(u64, u64, Vec<u8>)>,
    count: u64,
    /// Of a thousand datagrams, so many are lost.
    pub loss: u64,
    /// Of a thousand datagrams, so many come twice.
    pub doubled: u64,
    /// The random part of the time on the way, which puts them out of order.
    pub jitter: u64,
    /// How many were lost, and how many came twice.
    pub fired: [u64; 2],
}

impl Lossy {
    /// A carrier with these faults.
    pub const fn new(loss: u64, doubled: u64, jitter: u64) -> Self {
        Self {
            on_way: Vec::new(),
            count: 0,
            loss,
            doubled,
            jitter,
            fired: [0; 2],
        }
    }

    /// Sends one.
    pub fn send(&mut self, rng: &mut Rng, now: u64, datagram: &[u8]) {
        if rng.chance(self.loss) {
            self.fired[0] += 1;
            return;
        }
        let is_doubled = rng.chance(self.doubled);
        self.fired[1] += u64::from(is_doubled);
        for _ in 0..=u64::from(is_doubled) {
            let at = now + 1000 + rng.below(self.jitter + 1);
            self.count += 1;
            self.on_way.push((at, self.count, datagram.to_vec()));
        }
    }

    /// The next one that has arrived.
    pub fn receive(&mut self, now: u64) -> Option<Vec<u8>> {
        let places = 0..self.on_way.len();
        let first = places.min_by_key(|&place| (self.on_way[place].0, self.on_way[place].1))?;
        (self.on_way[first].0 <= now).then(|| self.on_way.swap_remove(first).2)
    }

    /// When the next one arrives.
    pub fn next_time(&self) -> Option<u64> {
        self.on_way.iter().map(|(at, ..)| *at).min()
    }
}
