//! A device's clock: it drifts, it jumps, and its counter has 32 bits and wraps.

use halloo_core::time::Ticks;

/// How often a device that has such a counter reads it at least: twice within each wrap is needed.
const READ_EVERY: u64 = 600_000_000;

/// A device's clock, in microseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    /// What it showed at which time.
    base: u64,
    shown: u64,
    /// How much faster than time it goes, in thousandths.
    drift: i64,
    /// A counter of 32 bits, widened as firmware does it; what is added to `shown` before it is cut.
    narrow: Option<(Ticks, u64)>,
    /// The last reading, and when it was.
    last: u64,
    read_at: u64,
    /// How often the counter has wrapped.
    wraps: u64,
}

impl Clock {
    /// What it shows.
    pub(super) fn read(&mut self, now: u64) -> u64 {
        let raw = self.raw(now);
        self.last = match &mut self.narrow {
            None => raw,
            Some((ticks, phase)) => {
                let before = self.last;
                let wide = ticks.widen(raw.wrapping_add(*phase) as u32);
                self.wraps += u64::from(before != 0 && wide >> 32 > before >> 32);
                wide
            }
        };
        self.read_at = now;
        self.last
    }

    fn raw(&self, now: u64) -> u64 {
        let passed = i128::from(now.saturating_sub(self.base));
        let passed = passed * i128::from(1000 + self.drift) / 1000;
        self.shown.saturating_add(passed as u64)
    }

    /// When it shows `due`, at the earliest.
    pub(super) fn when(&self, due: u64) -> u64 {
        let wait = u128::from(due.saturating_sub(self.last)) * 1000;
        let wait = wait.div_ceil((1000 + self.drift) as u128);
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        self.read_at.saturating_add(wait)
    }

    /// When it is to be read again, whatever else there is to do.
    pub(super) fn read_by(&self) -> u64 {
        match self.narrow {
            Some(_) => self.read_at.saturating_add(READ_EVERY),
            None => u64::MAX,
        }
    }

    /// It shows so much more, or less, from now on.
    pub(super) fn jump(&mut self, now: u64, by: i64) {
        (self.shown, self.base) = (self.raw(now).saturating_add_signed(by), now);
        self.read(now);
    }

    /// From now on it goes so many thousandths faster than time.
    pub(super) fn drift(&mut self, now: u64, drift: i64) {
        self.jump(now, 0);
        self.drift = drift;
    }

    /// It starts over, at zero.
    pub(super) fn restart(&mut self, now: u64) {
        (self.shown, self.base) = (0, now);
        if let Some((ticks, _)) = &mut self.narrow {
            *ticks = Ticks::new();
        }
        self.last = 0;
        self.read(now);
    }

    /// It is read from a counter of 32 bits, which wraps in `left` for the first time.
    pub(super) fn narrow(&mut self, now: u64, left: u64) {
        let phase = (1_u64 << 32).wrapping_sub(left).wrapping_sub(self.raw(now));
        self.narrow = Some((Ticks::new(), phase));
        self.last = 0;
        self.read(now);
    }

    /// How often its counter has wrapped since this was asked.
    pub(super) fn take_wraps(&mut self) -> u64 {
        std::mem::take(&mut self.wraps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_due_when_the_clock_shows_it_and_not_before() {
        for (drift, is_narrow) in [(0, false), (50, false), (-50, true), (50, true)] {
            let mut clock = Clock::default();
            clock.drift(7, drift);
            if is_narrow {
                clock.narrow(7, 3_000_000);
            }
            for now in [1_000, 2_999_999, 5_000_000, 4_000_000_000, 9_000_000_000] {
                // No counter is read less often than twice in a wrap.
                for at in (clock.read_at..now).step_by(1_000_000_000) {
                    clock.read(at);
                }
                let shown = clock.read(now);
                let at = clock.when(shown + 1_234_567);
                assert!(
                    clock.clone().read(at) >= shown + 1_234_567,
                    "{drift} at {now}"
                );
                assert!(
                    clock.clone().read(at - 3) < shown + 1_234_567,
                    "{drift} at {now}"
                );
            }
            assert_eq!(clock.take_wraps() > 0, is_narrow);
        }
    }
}
