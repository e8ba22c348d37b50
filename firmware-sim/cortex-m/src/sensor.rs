//! A device: it joins a room, posts a reading each 100 ms, and obeys a room of commands.
//!
//! Knows the core's machines and what is to survive a reset. Does not know which loop runs it: the
//! images `sensor` and `sensor-async` do. Its rule: what the hub or the application may act on is kept
//! first. A reading is kept before it is sent, so no number is given twice; a command and how far the
//! room was read are kept together, so it is obeyed once.

use halloo_core::chat::Backoff;
use halloo_core::chat::client::{Client, Config, Delivery, Event, From, PostError, outbox_bytes};
use halloo_core::frame::Cobs;
use halloo_core::link::{Link, Output, rx_bytes, tx_bytes};
use halloo_core::time::{Duration, Instant, after, earliest, millis};

use crate::{Kept, Retained, info};

/// The largest frame, in bytes of payload.
const FRAME: usize = 256;
/// The largest body of a post.
const BODY: usize = 32;

const OUTBOX: usize = outbox_bytes(4, BODY);

/// The link of a device to its hub, over a serial line.
pub type Line = Link<Cobs, { rx_bytes::<Cobs>(FRAME) }, { tx_bytes::<Cobs>(BODY) }>;

/// What survives a reset.
#[derive(Debug, Clone)]
pub struct State {
    client: Client<2, OUTBOX>,
    readings: u8,
    commands: u8,
    /// Between two readings, in milliseconds.
    interval: u32,
    /// How many readings were posted, and how many commands obeyed.
    count: u32,
    obeyed: u32,
    random: u64,
}

impl State {
    /// A device that was never on, and is in no room yet.
    fn new(config: Config, noise: u64) -> Self {
        Self {
            client: Client::new(config),
            readings: 0,
            commands: 0,
            interval: 100,
            count: 0,
            obeyed: 0,
            random: noise,
        }
    }

    /// Joins the rooms that it is not in: at first both, later one that a hub has refused.
    fn join(&mut self) {
        if let Ok(slot) = self.client.join("readings", From::Latest) {
            self.readings = slot;
        }
        if let Ok(slot) = self.client.join("commands", From::Earliest) {
            self.commands = slot;
        }
    }

    /// Where a board has a source of randomness it belongs here. This one has none: its numbers go on
    /// from the noise of the memory at power-up, and over resets.
    #[inline(never)]
    fn random(&mut self, now: Instant) -> u64 {
        self.random = self
            .random
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(now.as_ticks());
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Posts a reading: its number, and how many commands it comes after, in decimal.
    fn post(&mut self) -> Result<(), PostError> {
        let mut text = Text::new();
        text.push(self.count);
        text.push(self.obeyed);
        self.client.post(self.readings, text.as_bytes())?;
        self.count = self.count.wrapping_add(1);
        Ok(())
    }

    /// Does as it is told; whether it understood.
    fn obey(&mut self, command: &[u8]) -> bool {
        let interval = command.strip_prefix(b"interval=").and_then(number);
        if let Some(interval) = interval {
            self.interval = interval.max(1);
            self.obeyed = self.obeyed.wrapping_add(1);
            info!("sensor: obeys interval {}", interval);
        }
        interval.is_some()
    }
}

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    On,
    /// The session is over: wait so long, then connect again.
    Wait(Duration),
    /// Another session would end the same way: nothing more until somebody resets the board.
    Halt,
}

/// The device, but for its loop.
#[derive(Debug)]
pub struct Sensor {
    kept: Kept<State>,
    backoff: Backoff,
    due: Instant,
}

impl Sensor {
    /// A device that goes on from what was kept, or that was never on; `None` the second time.
    // Not part of its caller: the stack has what it makes only until it returns.
    #[inline(never)]
    #[must_use]
    pub fn start(place: &'static Retained<State>) -> Option<Self> {
        let mut config = Config::new(*b"halloo-cortex-m3", "board").ok()?;
        config.keepalive = 25;
        let kept = place.take(|noise| State::new(config, noise))?;
        info!(
            "sensor: at reading {}, from before a reset: {}",
            kept.count,
            kept.is_old()
        );
        Some(Self {
            kept,
            backoff: Backoff::new(),
            due: Instant::from_ticks(0),
        })
    }

    /// Its session.
    pub fn client(&mut self) -> &mut Client<2, OUTBOX> {
        &mut self.kept.client
    }

    /// Says `Hello` over the line.
    pub fn connect(&mut self, line: &mut Line, now: Instant) {
        self.kept.join();
        let nonce = self.kept.random(now);
        line.connect(&mut self.kept.client, now, nonce);
        // A nonce is not said twice, not over a reset either.
        self.kept.keep();
    }

    /// When it wants its turn, whatever the line does: for a reading, unless one waits already.
    pub fn due(&self, line: &Line, now: Instant) -> Instant {
        let reading = match self.due <= now {
            true => after(now, millis(100)),
            false => self.due,
        };
        earliest(Some(reading), line.poll_timeout(&self.kept.client)).unwrap_or(reading)
    }

    /// Takes a reading if it is time and the outbox has room; whether it did.
    pub fn post(&mut self, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        let has_posted = self.kept.post().is_ok();
        if has_posted {
            self.kept.keep();
            self.due = after(now, millis(self.kept.interval.into()));
        }
        // Else it waits for a verdict.
        has_posted
    }

    /// Takes what the link has for the application.
    pub fn handle(&mut self, now: Instant, output: Output<'_>) -> Step {
        match output {
            Output::Delivery(Delivery::Entry { slot, body, .. }) => {
                if slot == self.kept.commands && !self.kept.obey(body) {
                    info!("sensor: no such command: {}", body);
                }
            }
            Output::Delivery(delivery) => {
                info!("sensor: {}", delivery);
            }
            Output::Event(Event::Welcomed) => {
                info!("sensor: welcome");
                self.backoff.handle_service(now);
            }
            Output::Event(Event::Refused { code, .. }) => {
                info!("sensor: the hub takes no member: {}", code);
                // It asks again in its next session.
                self.kept.client.bye();
            }
            Output::Event(Event::Closed { cause }) => {
                info!("sensor: the session is over: {}", cause);
                return match (self.over(now), cause.is_final()) {
                    (_, true) => Step::Halt,
                    (step, false) => step,
                };
            }
            Output::Event(event) => {
                info!("sensor: {}", event);
            }
        }
        self.kept.keep();
        Step::On
    }

    /// The session is over, or the line is.
    pub fn over(&mut self, now: Instant) -> Step {
        let wait = self.kept.client.retry_after();
        self.kept.client.handle_disconnected(now);
        self.backoff.handle_disconnected(now);
        let random = self.kept.random(now) as u32;
        Step::Wait(self.backoff.next_wait(random, wait))
    }
}

/// The number that decimal digits make, up to 65,535.
fn number(digits: &[u8]) -> Option<u32> {
    let number = digits.iter().try_fold(0_u32, |number, &digit| {
        let value = u32::from(digit.wrapping_sub(b'0'));
        let next = number.wrapping_mul(10).wrapping_add(value);
        (value < 10 && next <= u16::MAX.into()).then_some(next)
    });
    number.filter(|_| !digits.is_empty())
}

/// Numbers in decimal with a space between, without what `core::fmt` takes of the flash.
struct Text(heapless::Vec<u8, BODY, u8>);

impl Text {
    fn new() -> Self {
        Self(heapless::Vec::new())
    }

    fn push(&mut self, mut number: u32) {
        let mut digits = [0; 10];
        let mut first = digits.len();
        for place in digits.iter_mut().rev() {
            *place = b'0'.wrapping_add((number % 10) as u8);
            number /= 10;
            first = first.saturating_sub(1);
            if number == 0 {
                break;
            }
        }
        if !self.0.is_empty() {
            let _ = self.0.push(b' ');
        }
        for &digit in digits.iter().skip(first) {
            let _ = self.0.push(digit);
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
