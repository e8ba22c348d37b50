//! The fleet: devices on threads, led from phase to phase.
//!
//! Devices join first and post then, so that every member of a room stands before the first post.
//! At the end nothing new is posted, and the fleet has a bounded time to bring home what is on the
//! way; what is missing then is missing.

mod app;
mod body;
mod device;
mod driver;
mod pipe;
mod plan;
mod prober;
mod script;
mod shared;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use halloo_core::chat::client::{self, outbox_bytes};
use halloo_core::time;
use halloo_std::socket::{Address, Options, TcpStream, UnixStream};
use halloo_std::url::{Endpoint, Transport};
use mio::{Poll, Token};

use crate::watch::Watch;
use crate::{Config, SimError};
use app::App;
use device::Device;
use driver::{Driver, Unit};
use pipe::Target;
use prober::{EchoTarget, Prober};

pub use plan::Kinds;
pub(crate) use plan::{Kind, Plan};
pub use shared::Phase;
pub(crate) use shared::{Live, Shared, Tally};

/// Two rooms, and an outbox for four posts: 1.2 KiB with everything.
pub(crate) type Client = client::Client<2, { outbox_bytes(4, body::MOST) }>;

/// How often the phases are looked at.
const STEP: Duration = Duration::from_millis(2);

/// How long joining may take, and the more for each device.
const JOINING: Duration = Duration::from_secs(10);
const JOINING_EACH: Duration = Duration::from_millis(2);

/// How long the first look at a hub may take.
const REACH: Duration = Duration::from_secs(5);

/// Where the fleet connects: devices take turns.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    chat: Vec<Target>,
    echo: Vec<EchoTarget>,
}

/// A fleet that runs.
#[derive(Debug)]
pub(crate) struct Fleet {
    threads: Vec<JoinHandle<std::io::Result<Tally>>>,
    shared: Arc<Shared>,
    live: Vec<Arc<Live>>,
}

impl Targets {
    /// Looks names up, and for streams whether anybody is there.
    pub(crate) fn resolve(chat: &[Endpoint], echo: &[Endpoint]) -> Result<Self, SimError> {
        let mut targets = Self::default();
        for endpoint in chat {
            targets.chat.push(reach(endpoint)?);
        }
        for endpoint in echo {
            let target = match &endpoint.transport {
                Transport::Udp { host, port } => {
                    let found = Address::Host(host, *port).resolve();
                    let found = found.map_err(SimError::Unreachable)?;
                    found.first().map(|&at| EchoTarget::Datagrams(at))
                }
                _ => Some(EchoTarget::Stream(reach(endpoint)?)),
            };
            targets.echo.extend(target);
        }
        Ok(targets)
    }
}

/// Connects and hangs up again: an error here is a better one than a device would have.
fn reach(endpoint: &Endpoint) -> Result<Target, SimError> {
    let options = Options {
        connect_timeout: Some(REACH),
        ..Options::default()
    };
    match &endpoint.transport {
        Transport::Unix(path) => {
            UnixStream::connect(path, &options).map_err(SimError::Unreachable)?;
            Ok(Target::Unix(path.clone()))
        }
        Transport::Udp { host, port } => {
            let found = Address::Host(host, *port).resolve();
            let found = found.map_err(SimError::Unreachable)?;
            // Nobody has to answer yet; whether anybody does, joining tells.
            let first = found.first().copied();
            first.map(Target::Udp).ok_or(SimError::Panicked {
                what: "the resolver",
            })
        }
        // Of the serial lines, none gets past the check of the URLs.
        Transport::Serial(_) => Err(SimError::Panicked {
            what: "a serial line",
        }),
        Transport::Tcp { host, port } | Transport::CobsTcp { host, port } => {
            let stream = TcpStream::connect(Address::Host(host, *port), &options);
            let peer = stream.and_then(|stream| stream.peer_addr());
            Ok(Target::Tcp(peer.map_err(SimError::Unreachable)?))
        }
    }
}

impl Fleet {
    /// Starts the threads; devices begin to connect.
    pub(crate) fn start(config: &Config, plan: &Plan, targets: &Targets) -> Result<Self, SimError> {
        let shared = Arc::new(Shared::new(
            plan.rooms.len(),
            plan.kinds.all() - plan.kinds.probes,
        ));
        let period = time::Duration::from_ticks((1e6 / config.rate).clamp(1.0, 1e15) as u64);
        let mut units: Vec<Vec<Unit>> = (0..config.threads).map(|_| Vec::new()).collect();
        let mut probers = 0..;
        for (number, role) in (0_u32..).zip(&plan.roles) {
            let units = &mut units[number as usize % config.threads];
            let token = Token(units.len());
            let unit = match role.kind {
                Kind::Probe => {
                    let target = probers.next().and_then(|at| pick(&targets.echo, at));
                    let Some(target) = target else {
                        continue;
                    };
                    let prober = Prober::new(target, token, period, role.seed);
                    prober.ok().map(|prober| Unit::Echo(Box::new(prober)))
                }
                Kind::Sensor | Kind::Actuator | Kind::Talker => {
                    // Five of ten over TCP, two over a Unix socket, three over UDP, where there are all.
                    let at = match number % 10 {
                        0..5 => 0,
                        5 | 6 => 1,
                        _ => 2,
                    };
                    let target = pick(&targets.chat, at);
                    let app = App::new(number, plan, period);
                    app.zip(target)
                        .and_then(|(app, target)| Device::new(number, plan, target, token, app))
                        .map(|device| Unit::Chat(Box::new(device)))
                }
            };
            units.push(unit.ok_or(SimError::Panicked { what: "the plan" })?);
        }
        let mut fleet = Self {
            threads: Vec::with_capacity(config.threads),
            shared,
            live: Vec::with_capacity(config.threads),
        };
        for units in units {
            fleet.spawn(units)?;
        }
        Ok(fleet)
    }

    fn spawn(&mut self, units: Vec<Unit>) -> Result<(), SimError> {
        let poll = Poll::new().map_err(SimError::system("make an event queue"))?;
        let live = Arc::new(Live::new());
        let tally = Tally::new(Arc::clone(&live));
        let driver = Driver::new(poll, units, Arc::clone(&self.shared), tally);
        let thread = thread::Builder::new()
            .name(format!("devices-{}", self.threads.len()))
            .spawn(move || driver.run())
            .map_err(SimError::system("start a thread for devices"))?;
        self.live.push(live);
        self.threads.push(thread);
        Ok(())
    }

    pub(crate) fn live(&self) -> &[Arc<Live>] {
        &self.live
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until all are members, the time for it is over, or `watch` says stop; how many are.
    pub(crate) fn join_rooms(&self, watch: &Watch) -> u64 {
        let members = self.shared.members();
        let most = JOINING + JOINING_EACH * u32::try_from(members).unwrap_or(u32::MAX);
        self.wait(most, Some(watch), |fleet| fleet.joined() >= members);
        self.joined()
    }

    /// Posts for `span`, or until `watch` says stop.
    pub(crate) fn post(&self, span: Duration, watch: &Watch) {
        self.shared.set_phase(Phase::Posting);
        self.wait(span, Some(watch), |_| false);
    }

    /// Waits until everything that is on the way is home, at most `span`.
    pub(crate) fn settle(&self, span: Duration) {
        let start = Instant::now();
        self.shared.set_phase(Phase::Settling);
        self.wait(span, None, |fleet| fleet.sum(|live| &live.unsettled) == 0);
        self.shared.set_phase(Phase::Reading);
        let rest = span.saturating_sub(start.elapsed());
        self.wait(rest, None, |fleet| fleet.sum(|live| &live.behind) == 0);
    }

    /// Sends all devices home and adds up what they have.
    pub(crate) fn finish(mut self) -> Result<Tally, SimError> {
        let mut sum = Tally::new(Arc::new(Live::new()));
        for thread in self.leave() {
            let tally = thread.join().map_err(|_| SimError::Panicked {
                what: "a thread of devices",
            })?;
            sum.absorb(tally.map_err(SimError::system("wait for events"))?);
        }
        Ok(sum)
    }

    fn leave(&mut self) -> Vec<JoinHandle<std::io::Result<Tally>>> {
        self.shared.set_phase(Phase::Leaving);
        std::mem::take(&mut self.threads)
    }

    fn joined(&self) -> u64 {
        self.sum(|live| &live.joined)
    }

    fn sum(&self, of: impl Fn(&Live) -> &shared::Count) -> u64 {
        // Saturating, since a count that was not made yet is the largest there is.
        let counts = self.live.iter().map(|live| of(live).get());
        counts.fold(0, u64::saturating_add)
    }

    /// Waits until `is_done`, for `most`, and no longer than `watch` allows or the threads live.
    fn wait(&self, most: Duration, watch: Option<&Watch>, is_done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        loop {
            let left = most.saturating_sub(start.elapsed());
            let is_stopped = watch.is_some_and(Watch::is_stopped);
            let is_dead = self.threads.iter().any(JoinHandle::is_finished);
            if left.is_zero() || is_stopped || is_dead || is_done(self) {
                return;
            }
            thread::sleep(STEP.min(left));
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Only after an error; then it is the first error that counts.
        for thread in self.leave() {
            let _ = thread.join();
        }
    }
}

fn pick<T: Clone>(targets: &[T], at: u32) -> Option<T> {
    targets.get(at as usize % targets.len().max(1)).cloned()
}
