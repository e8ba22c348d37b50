//! The measuring side.
//!
//! Knows which probes are in flight and what each reply must be. Invariant: `sent` is `received`
//! and `lost` and what is in flight.

use super::config::{ProbeConfig, ProbeError, Transport};
use super::payload::{self, MIN_PAYLOAD};
use super::report::{ProbeEvent, Report, add};
use crate::time::{self, Duration, Instant};

/// How many of the newest probes a probe remembers the answers of, to tell duplicates from late
/// replies; also the largest window.
const MEMORY: u32 = u64::BITS;

/// Sends numbered payloads and checks that they come back, byte for byte.
///
/// `W` is the window, 1 to 64 probes in flight; each takes about 32 bytes. Call
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event) until they have
/// nothing more, after each `handle_*`: a probe keeps its place in the window until its event was
/// taken. Any other order is safe. Time that goes backwards stands still.
///
/// ```
/// use halloo_core::echo::{Probe, ProbeConfig, ProbeEvent, Transport};
/// use halloo_core::time::{Instant, millis, secs};
///
/// let mut probe: Probe<'_, 4> = Probe::new(ProbeConfig {
///     transport: Transport::Datagram,
///     size: 32,
///     count: 1,
///     interval: secs(1),
///     timeout: secs(1),
///     prefix: b"",
///     seed: 7,
/// })?;
/// let mut out = [0; 64];
/// let sent = probe.poll_transmit(Instant::from_ticks(0), &mut out).unwrap();
/// probe.handle_bytes(Instant::from_ticks(250), &out[..sent]);
/// let time = millis(1) / 4;
/// assert_eq!(probe.poll_event(), Some(ProbeEvent::RoundTrip { sequence: 0, time }));
/// assert!(probe.is_finished());
/// # Ok::<(), halloo_core::echo::ProbeError>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Probe<'t, const W: usize> {
    config: ProbeConfig<'t>,
    state: State,
    flights: [Flight; W],
    now: Instant,
    /// The number of the next probe.
    next: u32,
    /// The earliest time to send it.
    next_at: Instant,
    /// The highest number that was answered in time.
    highest: Option<u32>,
    /// Bit `n`: the probe sent `n` before the newest had a right reply.
    answered: u64,
    report: Report,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// The first `matched` bytes of the oldest probe's reply came, `sound` if all were right.
    Stream {
        matched: usize,
        sound: bool,
    },
    Datagrams,
    Down,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Flight {
    Free,
    Waiting { sequence: u32, sent_at: Instant },
    Done { event: ProbeEvent },
}

impl<'t, const W: usize> Probe<'t, W> {
    /// A probe that is connected and has sent nothing.
    ///
    /// `W` must be 1 to 64, else this does not compile.
    pub const fn new(config: ProbeConfig<'t>) -> Result<Self, ProbeError> {
        const {
            assert!(
                W >= 1 && W <= MEMORY as usize,
                "a window has 1 to 64 probes"
            )
        };
        if config.size < MIN_PAYLOAD {
            return Err(ProbeError::TooSmall);
        }
        Ok(Self {
            state: State::up(config.transport),
            config,
            flights: [Flight::Free; W],
            now: Instant::from_ticks(0),
            next: 0,
            next_at: Instant::from_ticks(0),
            highest: None,
            answered: 0,
            report: Report {
                sent: 0,
                received: 0,
                lost: 0,
                late: 0,
                reordered: 0,
                duplicated: 0,
                corrupt: 0,
                surplus: 0,
            },
        })
    }

    /// What happened so far.
    #[must_use]
    pub const fn report(&self) -> Report {
        self.report
    }

    /// Whether all probes were sent and each was answered or lost.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.next >= self.config.count && !self.flights.iter().any(Flight::is_waiting)
    }

    /// Whether it sends nothing until [`handle_connected`](Self::handle_connected): the connection
    /// was lost, or is a stream that owes a reply past its deadline.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        matches!(self.state, State::Down)
    }

    /// A new connection is there, and the next probe goes over it.
    ///
    /// What was in flight on an older one is lost. Work: linear in `W`.
    pub fn handle_connected(&mut self) {
        self.handle_disconnected();
        self.state = State::up(self.config.transport);
    }

    /// The connection is gone, and what was in flight is lost. Work: linear in `W`.
    pub fn handle_disconnected(&mut self) {
        self.lose(|_| true);
        self.state = State::Down;
    }

    /// Bytes came: a piece of the stream, or one datagram. Replies after their deadline are late.
    ///
    /// Work: linear in `bytes`, and in `W` for each reply that they end.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.handle_timeout(now);
        match self.state {
            State::Stream { matched, sound } => self.handle_stream(bytes, matched, sound),
            State::Datagrams => self.handle_datagram(bytes),
            State::Down => add(&mut self.report.surplus, bytes.len() as u64),
        }
    }

    /// Time passed: what is past its deadline is lost, and a stream that has lost a reply is down.
    ///
    /// Work: linear in `W`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let (now, timeout) = (self.now, self.config.timeout);
        let lost = self.lose(|sent_at| now >= time::after(sent_at, timeout));
        // Replies come in order: behind one that is overdue, none can be on time.
        if lost && matches!(self.state, State::Stream { .. }) {
            self.handle_disconnected();
        }
    }

    /// Writes the next payload into the front of `out`, if one is due; returns its length.
    ///
    /// The caller sends all of it, on a datagram transport as one datagram. `None` also if `out` is
    /// shorter than the configured size. Work: linear in the size and in `W`.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.handle_timeout(now);
        if self.now < self.next_at || !self.may_send() {
            return None;
        }
        let payload = out.get_mut(..self.config.size)?;
        let flight = self.flights.iter_mut().find(|flight| flight.is_free())?;
        let sequence = self.next;
        payload::write(payload, self.config.seed, sequence);
        *flight = Flight::Waiting {
            sequence,
            sent_at: self.now,
        };
        self.next = self.next.saturating_add(1);
        self.next_at = time::after(self.now, self.config.interval);
        self.answered <<= 1;
        add(&mut self.report.sent, 1);
        Some(payload.len())
    }

    /// What became of a probe, once for each; the lowest number first. Work: linear in `W`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ProbeEvent> {
        let done = |flight: &Flight| match *flight {
            Flight::Done { event } => Some(event.sequence()),
            Flight::Free | Flight::Waiting { .. } => None,
        };
        let flight = lowest(&mut self.flights, done)?;
        match core::mem::replace(flight, Flight::Free) {
            Flight::Done { event } => Some(event),
            Flight::Free | Flight::Waiting { .. } => None,
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and then `poll_transmit`: the next
    /// deadline, or the next send that only waits for its time. Work: linear in `W`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let send = (self.now < self.next_at && self.may_send()).then_some(self.next_at);
        self.flights.iter().fold(send, |soonest, flight| {
            let deadline = flight
                .sent_at()
                .map(|sent_at| time::after(sent_at, self.config.timeout));
            time::earliest(soonest, deadline)
        })
    }

    /// Whether a probe could be sent if its time has come.
    fn may_send(&self) -> bool {
        let free = self.flights.iter().any(Flight::is_free);
        let alone = || !self.flights.iter().any(Flight::is_waiting);
        let open = match self.state {
            State::Stream { .. } => self.config.prefix.is_empty() || alone(),
            State::Datagrams => true,
            State::Down => false,
        };
        open && free && self.next < self.config.count
    }

    fn handle_stream(&mut self, mut bytes: &[u8], mut matched: usize, mut sound: bool) {
        let prefix = self.config.prefix;
        let whole = prefix.len().saturating_add(self.config.size);
        while !bytes.is_empty() {
            let Some(flight) = lowest(&mut self.flights, Flight::waits_as) else {
                add(&mut self.report.surplus, bytes.len() as u64);
                break;
            };
            let &mut Flight::Waiting { sequence, sent_at } = flight else {
                break;
            };
            let take = whole.saturating_sub(matched).min(bytes.len());
            let (piece, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
            sound = sound && is_reply(&self.config, sequence, matched, piece);
            matched = matched.saturating_add(take);
            bytes = rest;
            if matched < whole {
                break;
            }
            *flight = if sound {
                self.report.answer(&mut self.highest, sequence);
                Flight::answered(sequence, time::since(self.now, sent_at))
            } else {
                add(&mut self.report.corrupt, 1);
                add(&mut self.report.lost, 1);
                Flight::lost(sequence)
            };
            (matched, sound) = (0, true);
        }
        self.state = State::Stream { matched, sound };
    }

    fn handle_datagram(&mut self, datagram: &[u8]) {
        let payload = datagram.strip_prefix(self.config.prefix);
        let sequence = payload
            .filter(|payload| payload.len() == self.config.size)
            .and_then(payload::sequence)
            .filter(|&sequence| sequence < self.next)
            .filter(|&sequence| is_reply(&self.config, sequence, 0, datagram));
        let Some(sequence) = sequence else {
            add(&mut self.report.corrupt, 1);
            return;
        };
        let age = self.next.saturating_sub(sequence).saturating_sub(1);
        let bit = 1_u64.unbounded_shl(age);
        let waiting = self
            .flights
            .iter_mut()
            .find(|flight| flight.waits_as() == Some(sequence));
        if let Some(flight) = waiting {
            let sent_at = flight.sent_at().unwrap_or(self.now);
            *flight = Flight::answered(sequence, time::since(self.now, sent_at));
            self.report.answer(&mut self.highest, sequence);
        } else if self.answered & bit != 0 {
            add(&mut self.report.duplicated, 1);
        } else {
            add(&mut self.report.late, 1);
        }
        self.answered |= bit;
    }

    /// Counts as lost what waits and was sent at a time that `is_over`; whether that was any.
    fn lose(&mut self, is_over: impl Fn(Instant) -> bool) -> bool {
        let before = self.report.lost;
        for flight in &mut self.flights {
            match *flight {
                Flight::Waiting { sequence, sent_at } if is_over(sent_at) => {
                    *flight = Flight::lost(sequence);
                    add(&mut self.report.lost, 1);
                }
                Flight::Free | Flight::Waiting { .. } | Flight::Done { .. } => {}
            }
        }
        self.report.lost > before
    }
}

impl State {
    const fn up(transport: Transport) -> Self {
        match transport {
            Transport::Stream => Self::Stream {
                matched: 0,
                sound: true,
            },
            Transport::Datagram => Self::Datagrams,
        }
    }
}

impl Flight {
    const fn answered(sequence: u32, time: Duration) -> Self {
        let event = ProbeEvent::RoundTrip { sequence, time };
        Self::Done { event }
    }

    const fn lost(sequence: u32) -> Self {
        let event = ProbeEvent::Lost { sequence };
        Self::Done { event }
    }

    const fn is_free(&self) -> bool {
        matches!(self, Self::Free)
    }

    const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    const fn waits_as(&self) -> Option<u32> {
        match *self {
            Self::Waiting { sequence, .. } => Some(sequence),
            Self::Free | Self::Done { .. } => None,
        }
    }

    const fn sent_at(&self) -> Option<Instant> {
        match *self {
            Self::Waiting { sent_at, .. } => Some(sent_at),
            Self::Free | Self::Done { .. } => None,
        }
    }
}

/// The flight for which `number` is lowest, of those that have one.
fn lowest(flights: &mut [Flight], number: impl Fn(&Flight) -> Option<u32>) -> Option<&mut Flight> {
    flights
        .iter_mut()
        .filter_map(|flight| number(flight).map(|number| (number, flight)))
        .min_by_key(|(number, _)| *number)
        .map(|(_, flight)| flight)
}

/// Whether `piece` is what stands at `from` in the reply to probe `sequence`.
fn is_reply(config: &ProbeConfig<'_>, sequence: u32, from: usize, piece: &[u8]) -> bool {
    piece.iter().enumerate().all(|(at, &byte)| {
        let at = from.saturating_add(at);
        let expected = match config.prefix.get(at) {
            Some(&expected) => expected,
            None => {
                let at = at.saturating_sub(config.prefix.len());
                payload::byte_at(config.seed, sequence, at)
            }
        };
        byte == expected
    })
}

#[cfg(test)]
mod tests;
