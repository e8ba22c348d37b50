//! A serial line between a board and a hub, with faults from a seed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use halloo_std::testkit::{Noise, NoiseCounts, NoiseRates};

/// One way of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    FromBoard,
    ToBoard,
}

/// A line; gone when dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    ends: [TcpStream; 2],
    noise: [Arc<Mutex<Noise>>; 2],
    pumps: Vec<JoinHandle<()>>,
}

impl Wire {
    /// A line between two ends.
    pub(crate) fn new(ends: [TcpStream; 2], seed: u64, rates: NoiseRates) -> Self {
        let noise = [0, 1].map(|way| Arc::new(Mutex::new(Noise::new(seed * 2 + way, rates))));
        let [board, hub] = &ends;
        let pumps = [(board, hub), (hub, board)];
        let pumps = pumps.iter().zip(&noise).map(|((from, to), noise)| {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let noise = noise.clone();
            std::thread::spawn(move || pump(&mut from, &mut to, &noise))
        });
        let pumps = pumps.collect();
        Self { ends, noise, pumps }
    }

    /// Has other faults from here on.
    pub(crate) fn set_rates(&self, rates: NoiseRates) {
        for noise in &self.noise {
            noise.lock().unwrap().set_rates(rates);
        }
    }

    /// Lets nothing more through to the board, or from it.
    pub(crate) fn cut(&self, way: Way) {
        let rates = NoiseRates {
            lost: 1_000_000,
            ..NoiseRates::NONE
        };
        self.noise[way as usize].lock().unwrap().set_rates(rates);
    }

    /// What was done so far: to what the board says, and to what it is told.
    pub(crate) fn counts(&self) -> [NoiseCounts; 2] {
        [0, 1].map(|way: usize| self.noise[way].lock().unwrap().counts())
    }
}

fn pump(from: &mut TcpStream, to: &mut TcpStream, noise: &Mutex<Noise>) {
    let (mut read, mut out) = ([0; 1024], Vec::new());
    while let Ok(len @ 1..) = from.read(&mut read) {
        out.clear();
        noise.lock().unwrap().pass(&read[..len], &mut out);
        if to.write_all(&out).is_err() {
            break;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
        for pump in self.pumps.drain(..) {
            let _ = pump.join();
        }
    }
}
