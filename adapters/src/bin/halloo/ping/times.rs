//! Round-trip times, summed up as ping does.

use std::fmt;

/// Least, mean, most and deviation of microseconds.
#[derive(Debug, Default)]
pub(super) struct Times {
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    squares: u128,
}

impl Times {
    pub(super) fn add(&mut self, micros: u64) {
        self.min = if self.count == 0 {
            micros
        } else {
            self.min.min(micros)
        };
        self.max = self.max.max(micros);
        self.count += 1;
        self.sum += u128::from(micros);
        self.squares += u128::from(micros) * u128::from(micros);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The root of the mean square's distance from the square of the mean.
    fn deviation(&self) -> u128 {
        let count = u128::from(self.count.max(1));
        let above = (self.squares * count).saturating_sub(self.sum * self.sum);
        (above / (count * count)).isqrt()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = self.sum / u128::from(self.count.max(1));
        write!(
            f,
            "rtt min/avg/max/mdev = {}/{}/{}/{} ms",
            Millis(self.min.into()),
            Millis(mean),
            Millis(self.max.into()),
            Millis(self.deviation()),
        )
    }
}

/// Microseconds, shown in milliseconds.
pub(super) struct Millis(pub(super) u128);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(times: &[u64], expected: &str) {
        let mut all = Times::default();
        times.iter().for_each(|&time| all.add(time));
        assert_eq!(
            all.to_string(),
            format!("rtt min/avg/max/mdev = {expected} ms")
        );
    }

    #[test]
    fn times_are_summed_up_as_ping_does() {
        check(&[45], "0.045/0.045/0.045/0.000");
        check(
            &[2000, 4000, 4000, 4000, 5000, 5000, 7000, 9000],
            "2.000/5.000/9.000/2.000",
        );
        check(
            &[u64::MAX / 1_000_000; 3],
            "18446744073.709/18446744073.709/18446744073.709/0.000",
        );
    }
}
