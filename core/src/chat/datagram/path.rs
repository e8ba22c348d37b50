//! One side of a session over datagrams: its numbers, its round trips, its timer.

use super::Header;
use crate::time::{Due, Duration, Instant, millis, secs, since};

/// Before the first measured round trip; the least; the most.
const FIRST: Duration = secs(1);
const LEAST: Duration = millis(250);
const MOST: Duration = secs(60);

/// One side of a session: its numbers, its round trips (RFC 6298), its timer.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(in crate::chat) struct Path {
    /// The number of the last datagram sent, the highest that came, and the highest of ours that the
    /// other side has told to have.
    sent: u32,
    seen: u32,
    echoed: u32,
    /// The datagram whose round trip is being measured; 0 is none.
    timed: u32,
    /// In microseconds; no round trip was measured while `srtt` is 0.
    srtt: u32,
    rttvar: u32,
    /// How often in a row the timer has fired.
    tries: u8,
    timed_at: Instant,
    /// When what has no answer is sent again; never while nothing waits for one.
    due: Due,
}

impl Path {
    /// Before anything is sent, and `seen` is the last that came.
    pub(in crate::chat) const fn open(seen: u32) -> Option<Self> {
        Some(Self {
            sent: 0,
            seen,
            echoed: 0,
            timed: 0,
            srtt: 0,
            rttvar: 0,
            tries: 0,
            timed_at: Instant::from_ticks(0),
            due: Due::NEVER,
        })
    }

    /// The highest number of ours that the other side has told to have.
    pub(in crate::chat) const fn echoed(&self) -> u32 {
        self.echoed
    }

    /// A `Hello` with this number came again; whether that is newer than all before it.
    pub(in crate::chat) fn hear_again(&mut self, number: u32) -> bool {
        let is_new = number > self.seen;
        self.seen = self.seen.max(number);
        is_new
    }

    pub(in crate::chat) const fn due(&self) -> Due {
        self.due
    }

    /// The number that the next datagram has; `None` when all are used up.
    pub(in crate::chat) const fn next(&self) -> Option<u32> {
        self.sent.checked_add(1)
    }

    /// The header of the next datagram, which counts as sent.
    pub(in crate::chat) fn seal(&mut self, session: u64) -> Header {
        self.sent = self.sent.saturating_add(1);
        Header {
            session,
            number: self.sent,
            seen: self.seen,
        }
    }

    /// A datagram of this session came; whether it is to be taken.
    pub(in crate::chat) fn take(&mut self, now: Instant, header: &Header) -> bool {
        if header.number <= self.seen || header.seen > self.sent {
            return false;
        }
        self.seen = header.number;
        self.echoed = self.echoed.max(header.seen);
        if self.timed != 0 && header.seen >= self.timed {
            self.timed = 0;
            self.measure(since(now, self.timed_at));
        }
        true
    }

    /// The next datagram wants an answer: measures its round trip, if no other is being measured,
    /// and starts the timer. `salt` makes the jitter.
    pub(in crate::chat) fn expect(&mut self, now: Instant, salt: u64) {
        if self.timed == 0 {
            self.timed = self.sent.saturating_add(1);
            self.timed_at = now;
        }
        if self.due == Due::NEVER {
            self.due = Due::after(now, self.patience(salt));
        }
    }

    /// An answer came. `waits` is the lowest of the numbers whose answers are still to come, if any
    /// are.
    ///
    /// One that the other side must have seen by now, or never will, waits no longer for the answers
    /// to others: else a room that is busy would hold up another for ever.
    pub(in crate::chat) fn answered(&mut self, now: Instant, waits: Option<u32>, salt: u64) {
        let Some(number) = waits else {
            return self.stop();
        };
        self.tries = 0;
        let again = Due::after(now, self.patience(salt));
        self.due = match number <= self.echoed {
            true => self.due.min(again),
            false => again,
        };
    }

    /// The timer has fired: waits twice as long for the next time. How often that was in a row.
    pub(in crate::chat) fn expire(&mut self, now: Instant, salt: u64) -> u8 {
        self.tries = self.tries.saturating_add(1);
        // Karn: who answers now may mean either of two datagrams.
        self.timed = 0;
        self.due = Due::after(now, self.patience(salt));
        self.tries
    }

    /// Nothing waits for an answer. A copy that was sent too much may be lost, and seen to be much
    /// later: no round trip is measured by it.
    pub(in crate::chat) const fn stop(&mut self) {
        self.due = Due::NEVER;
        self.tries = 0;
        self.timed = 0;
    }

    fn measure(&mut self, trip: Duration) {
        let trip = u32::try_from(trip.as_ticks()).unwrap_or(u32::MAX).max(1);
        if self.srtt == 0 {
            (self.srtt, self.rttvar) = (trip, trip >> 1);
            return;
        }
        let off = self.srtt.abs_diff(trip);
        let quarter = self.rttvar.saturating_sub(self.rttvar >> 2);
        self.rttvar = quarter.saturating_add(off >> 2);
        let eighth = self.srtt.saturating_sub(self.srtt >> 3);
        self.srtt = eighth.saturating_add(trip >> 3).max(1);
    }

    /// SRTT + 4 RTTVAR within its limits, doubled for each try, a quarter more or less by chance.
    fn patience(&self, salt: u64) -> Duration {
        let base = match self.srtt {
            0 => FIRST.as_ticks(),
            srtt => u64::from(srtt).saturating_add(u64::from(self.rttvar).saturating_mul(4)),
        };
        let base = base.clamp(LEAST.as_ticks(), MOST.as_ticks());
        let doubled = base
            .saturating_mul(1 << self.tries.min(8))
            .min(MOST.as_ticks());
        // From three quarters up, by up to half: the product stays below 2^42.
        let chance = mix(salt ^ u64::from(self.sent)) >> 48;
        let jitter = (doubled >> 1).saturating_mul(chance) >> 16;
        let least = doubled.saturating_sub(doubled >> 2);
        Duration::from_ticks(least.saturating_add(jitter))
    }
}

/// Spreads the bits: the salt is random already, the number next to it is not.
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ (word >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn at(ms: u64) -> Instant {
        after(Instant::from_ticks(0), millis(ms))
    }

    fn echo(number: u32, seen: u32) -> Header {
        Header {
            session: 0,
            number,
            seen,
        }
    }

    #[track_caller]
    fn check_patience(path: &Path, want: Duration) {
        let want = want.as_ticks();
        let waits: std::vec::Vec<u64> = (0..1000)
            .map(|s| path.patience(mix(s)).as_ticks())
            .collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(
            (want * 3 / 4..want * 77 / 100).contains(least),
            "{least} of {want}"
        );
        assert!(
            (want * 123 / 100..=want * 5 / 4).contains(most),
            "{most} of {want}"
        );
    }

    #[test]
    fn only_what_is_newer_is_taken() {
        // [F-DGRAM-4]
        let mut path = Path::open(0).unwrap();
        path.sent = 2;
        assert!(path.take(at(0), &echo(1, 0)));
        assert!(!path.take(at(0), &echo(1, 0)), "doubled");
        assert!(path.take(at(0), &echo(5, 2)));
        assert!(!path.take(at(0), &echo(3, 2)), "late");
        assert!(!path.take(at(0), &echo(6, 3)), "echoes what was never sent");
        assert_eq!((path.seen, path.echoed), (5, 2));
    }

    #[test]
    fn the_timer_follows_rfc_6298_within_its_limits() {
        // [F-TIMER-1] [F-TIMER-2]
        let mut path = Path::open(0).unwrap();
        check_patience(&path, secs(1));
        path.expect(at(0), 0);
        path.seal(0);
        assert!(path.take(at(200), &echo(1, 1)));
        check_patience(&path, millis(600)); // 200 + 4 × 100
        path.expect(at(1000), 0);
        path.seal(0);
        assert!(path.take(at(1200), &echo(2, 2)));
        check_patience(&path, millis(500)); // 200 + 4 × 75
        for n in 1..=6 {
            assert_eq!(path.expire(at(2000), 0), n);
            check_patience(&path, millis(500 << n));
        }
        path.expire(at(2000), 0);
        check_patience(&path, secs(60));
        path.answered(at(3000), None, 0);
        assert_eq!(path.due(), Due::NEVER);
        for n in 3..100 {
            path.expect(at(n * 1000), 0);
            path.seal(0);
            let number = path.sent;
            assert!(path.take(at(n * 1000 + 1), &echo(number, number)));
        }
        check_patience(&path, millis(250));
    }

    #[test]
    fn one_round_trip_counts_for_an_eighth_and_its_distance_for_a_quarter() {
        // [F-TIMER-1]
        let mut path = Path::open(0).unwrap();
        for (number, trip) in [(1, 200), (2, 360)] {
            path.expect(at(0), 0);
            path.seal(0);
            assert!(path.take(at(trip), &echo(number, number)));
        }
        check_patience(&path, millis(680)); // 220 + 4 × (75 + 40)
    }

    #[test]
    fn what_was_sent_twice_measures_no_round_trip() {
        // [F-TIMER-2]
        let mut path = Path::open(0).unwrap();
        path.expect(at(0), 0);
        path.seal(0);
        path.expire(at(1000), 0);
        assert!(path.take(at(1001), &echo(1, 1)));
        assert_eq!(path.srtt, 0);
    }

    #[test]
    fn what_was_lost_and_is_wanted_no_more_measures_no_round_trip() {
        // [F-TIMER-2]
        let mut path = Path::open(0).unwrap();
        path.expect(at(0), 0);
        path.seal(0);
        path.expire(at(1000), 0);
        path.expect(at(1000), 0);
        path.seal(0);
        // The first copy is answered; the second is lost, and seen to be much later.
        assert!(path.take(at(1001), &echo(1, 1)));
        path.answered(at(1001), None, 0);
        assert!(path.take(at(50_000), &echo(2, 2)));
        assert_eq!(path.srtt, 0);
    }

    #[test]
    fn numbers_that_are_used_up_are_not_used_again() {
        // [F-DGRAM-5]
        let mut path = Path::open(0).unwrap();
        path.sent = u32::MAX - 1;
        assert_eq!(path.next(), Some(u32::MAX));
        path.seal(0);
        assert_eq!(path.next(), None);
    }
}
