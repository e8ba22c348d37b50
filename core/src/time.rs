//! Time as an argument: the machines are told what time it is and never ask.
//!
//! Ticks are microseconds in a `u64`, which never wraps. A board whose counter is narrower
//! widens it with [`Ticks`].

use core::fmt;

/// A point in time, in microseconds since an epoch that the caller chooses.
pub type Instant = fugit::MonotonicTimerInstantU64<1_000_000>;

/// A span of time, in microseconds.
pub type Duration = fugit::TimerDurationU64<1_000_000>;

/// The span of `n` seconds; saturates.
#[must_use]
pub const fn secs(n: u64) -> Duration {
    Duration::from_ticks(n.saturating_mul(1_000_000))
}

/// The span of `n` milliseconds; saturates.
#[must_use]
pub const fn millis(n: u64) -> Duration {
    Duration::from_ticks(n.saturating_mul(1_000))
}

/// The point `span` after `now`; saturates at the end of time.
#[must_use]
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub const fn after(now: Instant, span: Duration) -> Instant {
    Instant::from_ticks(now.as_ticks().saturating_add(span.as_ticks()))
}

/// The span from `earlier` to `now`; zero when time went backwards.
#[must_use]
pub const fn since(now: Instant, earlier: Instant) -> Duration {
    Duration::from_ticks(now.as_ticks().saturating_sub(earlier.as_ticks()))
}

/// The earlier of two deadlines, where `None` means that there is none.
#[must_use]
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The whole milliseconds of a span; saturates.
///
/// Digit by digit, since a division of 64 bits is a library function on small processors, and would
/// be the only one.
pub(crate) fn whole_millis(span: Duration) -> u32 {
    let (mut millis, mut rest) = (0_u64, 0_u32);
    for shift in [48, 32, 16, 0] {
        let [.., high, low] = (span.as_ticks() >> shift).to_be_bytes();
        let digit = rest << 16 | u32::from(u16::from_be_bytes([high, low]));
        millis = millis << 16 | u64::from(digit / 1000);
        rest = digit % 1000;
    }
    u32::try_from(millis).unwrap_or(u32::MAX)
}

/// A deadline of a machine, or none: an `Option<Instant>` in half the room.
///
/// Its tag would be a word of 64 bits, and every enum around it would put its own into that: on
/// small processors each look at a state then costs more than the state is worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due(u64);

impl Due {
    /// There is none; later than all others.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) const fn at(instant: Instant) -> Self {
        Self(instant.as_ticks())
    }

    /// The point `span` after `now`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn after(now: Instant, span: Duration) -> Self {
        Self::at(after(now, span))
    }

    /// Whether its time has come.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn is_over(self, now: Instant) -> bool {
        self.0 <= now.as_ticks() && self != Self::NEVER
    }

    pub(crate) fn get(self) -> Option<Instant> {
        (self != Self::NEVER).then(|| Instant::from_ticks(self.0))
    }
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(at) => at.fmt(f),
            None => f.write_str("never"),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Due {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.get() {
            Some(at) => defmt::write!(f, "{}", at),
            None => defmt::write!(f, "never"),
        }
    }
}

/// Widens a 32-bit tick counter that wraps into one that does not.
///
/// It must be fed at least twice per wrap of the counter, since a reading that is more than half a
/// wrap ahead counts as one from before the last, and changes nothing.
///
/// ```
/// use halloo_core::time::Ticks;
/// let mut ticks = Ticks::new();
/// assert_eq!(ticks.widen(0xffff_fff0), 0xffff_fff0);
/// assert_eq!(ticks.widen(0x0000_0010), 0x1_0000_0010);
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticks {
    wide: u64,
    has_begun: bool,
}

impl Ticks {
    /// A counter that starts with its first reading.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            wide: 0,
            has_begun: false,
        }
    }

    /// The wide reading for a narrow one.
    pub const fn widen(&mut self, narrow: u32) -> u64 {
        let step = narrow.wrapping_sub(self.wide as u32);
        if step <= u32::MAX / 2 || !self.has_begun {
            self.wide = self.wide.saturating_add(step as u64);
        }
        self.has_begun = true;
        self.wide
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_what_a_division_says() {
        for ticks in [
            0,
            999,
            1000,
            1001,
            65_535_999,
            65_536_000,
            u64::MAX / 7,
            u64::MAX,
        ]
        .into_iter()
        .chain((0..64).map(|bit| (1 << bit) | 12_345))
        .chain([4_294_967_295_999, 4_294_967_296_000])
        {
            let divided = u32::try_from(ticks / 1000).unwrap_or(u32::MAX);
            assert_eq!(whole_millis(Duration::from_ticks(ticks)), divided);
        }
    }

    #[test]
    fn a_counter_read_a_tick_late_does_not_jump() {
        let mut ticks = Ticks::new();
        assert_eq!(ticks.widen(0xf000_0000), 0xf000_0000);
        // An interrupt read the counter between this reading and its use.
        assert_eq!(ticks.widen(0xefff_ffff), 0xf000_0000);
        assert_eq!(ticks.widen(0x0000_0005), 0x1_0000_0005);
        assert_eq!(ticks.widen(0xffff_ffff), 0x1_0000_0005);
        assert_eq!(ticks.widen(0x0000_0006), 0x1_0000_0006);
    }
}
