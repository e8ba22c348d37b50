//! How long to wait before the next attempt to connect.

use super::super::time::{Duration, Instant, millis, secs, since};

/// Exponential back-off with full jitter: a random span below a ceiling that doubles.
///
/// The ceiling goes from 0.5 s to 60 s and starts over once a connection has been in service for
/// 60 s. Randomness is an argument.
///
/// ```
/// use halloo_core::{chat::Backoff, time};
/// let mut backoff = Backoff::new();
/// let first = backoff.next_wait(u32::MAX, time::secs(0));
/// assert_eq!(first, time::millis(500));
/// // The hub asked for a longer wait:
/// assert!(backoff.next_wait(0, time::secs(5)) >= time::secs(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Backoff {
    attempts: u8,
    serving_since: Option<Instant>,
}

impl Backoff {
    /// The first ceiling.
    pub const FIRST: Duration = millis(500);
    /// The last ceiling.
    pub const MOST: Duration = secs(60);
    /// After so long in service the ceiling starts over.
    pub const CALM: Duration = secs(60);

    /// Before any attempt.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: 0,
            serving_since: None,
        }
    }

    /// The hub said `Welcome`.
    pub const fn handle_service(&mut self, now: Instant) {
        self.serving_since = Some(now);
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self, now: Instant) {
        if let Some(start) = self.serving_since.take()
            && since(now, start) >= Self::CALM
        {
            self.attempts = 0;
        }
    }

    /// How long to wait now: random below the ceiling, on top of what the hub asked for.
    ///
    /// `random` is uniform over `u32`. Each call counts as one failed attempt.
    pub fn next_wait(&mut self, random: u32, retry_after: Duration) -> Duration {
        let ceiling = Self::FIRST
            .as_ticks()
            .saturating_mul(1_u64 << self.attempts.min(7))
            .min(Self::MOST.as_ticks());
        self.attempts = self.attempts.saturating_add(1);
        // Random over 2^32 keeps the product within 64 bits: the ceiling is below 2^26.
        let jittered = ceiling.saturating_mul(u64::from(random).saturating_add(1)) >> 32;
        Duration::from_ticks(retry_after.as_ticks().saturating_add(jittered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = u32::MAX;

    #[test]
    fn the_ceiling_doubles_up_to_a_minute() {
        // [T-WAIT-1]
        let mut backoff = Backoff::new();
        let waits: std::vec::Vec<u64> = (0..9)
            .map(|_| backoff.next_wait(MAX, secs(0)).as_ticks() / 1000)
            .collect();
        let expected = [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000];
        assert_eq!(waits, expected);
        assert!(backoff.next_wait(0, secs(0)) < millis(1));
    }

    #[test]
    fn only_a_long_service_starts_it_over() {
        // [T-WAIT-1]
        let mut backoff = Backoff::new();
        let t = |s: u64| Instant::from_ticks(s * 1_000_000);
        backoff.next_wait(MAX, secs(0));
        backoff.handle_service(t(0));
        backoff.handle_disconnected(t(59));
        assert_eq!(backoff.next_wait(MAX, secs(0)), secs(1));
        backoff.handle_service(t(100));
        backoff.handle_disconnected(t(160));
        assert_eq!(backoff.next_wait(MAX, secs(0)), millis(500));
    }
}
