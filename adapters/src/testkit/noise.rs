//! Noise on a serial line: bytes in, bytes out, with faults from a seed.
//!
//! Knows bytes and no frames, no pipe and no clock: put it between any two.

use fastrand::Rng;

/// How many of a million bytes a fault begins at, for each kind; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NoiseRates {
    /// One bit of the byte is turned over.
    pub flipped: u32,
    /// The byte does not come.
    pub lost: u32,
    /// The byte comes twice.
    pub repeated: u32,
    /// From this byte on, 1 to 16 bytes come as random ones.
    pub bursts: u32,
}

impl NoiseRates {
    /// No faults.
    pub const NONE: Self = Self::all(0);

    /// So many of a million for each of the four kinds.
    #[must_use]
    pub const fn all(rate: u32) -> Self {
        Self {
            flipped: rate,
            lost: rate,
            repeated: rate,
            bursts: rate,
        }
    }
}

/// What a [`Noise`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NoiseCounts {
    /// Bytes that went in.
    pub bytes: u64,
    /// Bits that were turned over.
    pub flipped: u64,
    /// Bytes that did not come out.
    pub lost: u64,
    /// Bytes that came out twice.
    pub repeated: u64,
    /// Bursts of random bytes.
    pub bursts: u64,
}

impl NoiseCounts {
    /// How many faults there were.
    #[must_use]
    pub const fn faults(&self) -> u64 {
        self.flipped + self.lost + self.repeated + self.bursts
    }
}

/// One way of a serial line that damages bytes.
///
/// The same seed does the same to the same bytes, in whatever pieces they come. A line has two ways,
/// so it takes two of these.
///
/// ```
/// use halloo_std::testkit::{Noise, NoiseRates};
///
/// let mut noise = Noise::new(7, NoiseRates { lost: 500_000, ..NoiseRates::NONE });
/// let mut out = Vec::new();
/// noise.pass(&[0x55; 1000], &mut out);
/// assert!((400..600).contains(&out.len()));
/// assert_eq!(noise.counts().lost, 1000 - out.len() as u64);
///
/// noise.set_rates(NoiseRates::NONE);
/// out.clear();
/// noise.pass(b"hello", &mut out);
/// assert_eq!(out, b"hello");
/// ```
#[derive(Debug, Clone)]
pub struct Noise {
    random: Rng,
    rates: NoiseRates,
    counts: NoiseCounts,
    /// How many bytes of a burst are still to come.
    burst: u8,
}

impl Noise {
    /// A line with these faults.
    #[must_use]
    pub fn new(seed: u64, rates: NoiseRates) -> Self {
        Self {
            random: Rng::with_seed(seed),
            rates,
            counts: NoiseCounts::default(),
            burst: 0,
        }
    }

    /// Has other faults from here on. A burst that has begun is over if there are to be none.
    pub fn set_rates(&mut self, rates: NoiseRates) {
        self.rates = rates;
        if rates.bursts == 0 {
            self.burst = 0;
        }
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> NoiseCounts {
        self.counts
    }

    /// Puts what becomes of `bytes` behind `out`: at most twice as many.
    pub fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.pass_one(byte, out);
        }
    }

    fn pass_one(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.counts.bytes += 1;
        if self.burst > 0 {
            self.burst -= 1;
            out.push(self.random.u8(..));
            return;
        }
        let drawn = self.random.u32(..1_000_000);
        let mut limit = 0_u32;
        let mut is = |rate| {
            limit = limit.saturating_add(rate);
            drawn < limit
        };
        if is(self.rates.flipped) {
            self.counts.flipped += 1;
            out.push(byte ^ 1 << self.random.u8(..8));
        } else if is(self.rates.lost) {
            self.counts.lost += 1;
        } else if is(self.rates.repeated) {
            self.counts.repeated += 1;
            out.extend([byte, byte]);
        } else if is(self.rates.bursts) {
            self.counts.bursts += 1;
            self.burst = self.random.u8(..16);
            out.push(self.random.u8(..));
        } else {
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_does_the_same_in_whatever_pieces() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
        let whole = |seed| {
            let mut noise = Noise::new(seed, NoiseRates::all(20_000));
            let mut out = Vec::new();
            noise.pass(&bytes, &mut out);
            (out, noise.counts())
        };
        let (expected, counts) = whole(3);
        for size in [1, 7, 64, 5000] {
            let mut noise = Noise::new(3, NoiseRates::all(20_000));
            let mut out = Vec::new();
            for piece in bytes.chunks(size) {
                noise.pass(piece, &mut out);
            }
            assert_eq!((&out, noise.counts()), (&expected, counts), "{size}");
        }
        assert_ne!(whole(4).0, expected);
    }

    #[test]
    fn each_fault_comes_alone_as_often_as_it_was_asked_for() {
        let bytes = [0x55; 100_000];
        let pass = |rates| {
            let mut noise = Noise::new(1, rates);
            let mut out = Vec::new();
            noise.pass(&bytes, &mut out);
            (out, noise.counts())
        };
        let rate = 10_000;
        let (out, counts) = pass(NoiseRates {
            flipped: rate,
            ..NoiseRates::NONE
        });
        let is_one_bit = |&byte: &u8| (byte ^ 0x55).count_ones() == 1;
        assert_eq!(
            out.iter().filter(|&byte| is_one_bit(byte)).count() as u64,
            counts.flipped
        );
        assert_eq!(counts.faults(), counts.flipped);
        assert!((800..1200).contains(&counts.flipped));
        let (out, counts) = pass(NoiseRates {
            lost: rate,
            ..NoiseRates::NONE
        });
        assert_eq!(out.len() as u64, 100_000 - counts.lost);
        assert!((800..1200).contains(&counts.faults()));
        let (out, counts) = pass(NoiseRates {
            repeated: rate,
            ..NoiseRates::NONE
        });
        assert_eq!(out.len() as u64, 100_000 + counts.repeated);
        assert!((800..1200).contains(&counts.faults()));
        let (out, counts) = pass(NoiseRates {
            bursts: rate,
            ..NoiseRates::NONE
        });
        assert_eq!(out.len(), 100_000);
        let changed = out.iter().filter(|&&byte| byte != 0x55).count() as u64;
        assert!((counts.bursts * 7..counts.bursts * 10).contains(&changed));
        let (out, counts) = pass(NoiseRates::NONE);
        assert_eq!(
            (&out[..], counts.faults(), counts.bytes),
            (&bytes[..], 0, 100_000)
        );
    }
}
