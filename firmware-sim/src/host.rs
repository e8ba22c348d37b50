//! A hub in this process: its own thread, free ports on the loopback, and its numbers.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use halloo_std::hub::{HubConfig, HubError, HubStats, Server, Shutdown, Stats, Summary};
use halloo_std::url::Endpoint;
use tempfile::TempDir;

use crate::SimError;
use crate::fleet::Plan;

/// How many seconds of posts a room's log holds at least: a device that comes back after that finds
/// a gap.
const KEPT_SECONDS: f64 = 10.0;

/// The bytes of a log for each entry: a body of 64 bytes, a name, and what is around them.
const ENTRY_BYTES: usize = 128;

/// The most bytes of all logs together; they are used as they are written.
const MOST_LOG_BYTES: usize = 1 << 30;

/// A hub that runs; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Host {
    endpoints: Vec<Endpoint>,
    stats: HubStats,
    shutdown: Shutdown,
    thread: Option<JoinHandle<Result<Summary, HubError>>>,
    /// Where the Unix socket is; removed when this is dropped.
    _place: TempDir,
}

/// The numbers of a hub at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    at: Instant,
    pub(crate) stats: Stats,
}

impl Host {
    pub(crate) fn start(plan: &Plan, rate: f64) -> Result<Self, SimError> {
        let place = tempfile::Builder::new()
            .prefix("firmware-sim-")
            .tempdir()
            .map_err(SimError::system("make a directory for a socket"))?;
        let socket = place.path().join("hub.sock");
        let urls = [
            "chat+tcp://127.0.0.1:0".to_string(),
            format!("chat+unix:{}", socket.display()),
            "chat+udp://127.0.0.1:0".to_string(),
            "echo+tcp://127.0.0.1:0".to_string(),
            "echo+udp://127.0.0.1:0".to_string(),
        ];
        let endpoints: Vec<Endpoint> = urls
            .iter()
            .map(|url| url.parse())
            .collect::<Result<_, _>>()?;
        let server = Server::bind(&endpoints, config(plan, rate))?;
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let (endpoints, stats) = (server.endpoints().to_vec(), server.stats());
        let thread = thread::Builder::new()
            .name("hub".into())
            .spawn(move || server.run(&stop))
            .map_err(SimError::system("start a thread for the hub"))?;
        Ok(Self {
            endpoints,
            stats,
            shutdown,
            thread: Some(thread),
            _place: place,
        })
    }

    /// Chat over TCP, over a Unix socket and over UDP, echo over TCP and over UDP.
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    pub(crate) fn sample(&self) -> Sample {
        Sample {
            at: Instant::now(),
            stats: self.stats.snapshot(),
        }
    }

    /// Stops the hub; the error that it ended with, if it did.
    pub(crate) fn stop(mut self) -> Result<(), SimError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), SimError> {
        self.shutdown.trigger();
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(_))) => Ok(()),
            Some(Ok(Err(error))) => Err(error.into()),
            Some(Err(_)) => Err(SimError::Panicked { what: "the hub" }),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the hub failed");
        }
    }
}

impl Sample {
    /// The share of one core that the hub has used since `earlier`, and the time itself.
    pub(crate) fn cpu_since(&self, earlier: &Self) -> (f64, Duration) {
        let used = self.stats.cpu.saturating_sub(earlier.stats.cpu);
        let span = self.at.duration_since(earlier.at).as_secs_f64();
        (used.as_secs_f64() / span.max(1e-6), used)
    }
}

/// Sized for the fleet.
fn config(plan: &Plan, rate: f64) -> HubConfig {
    let devices = plan.kinds.all() as usize;
    let seats = devices + plan.kinds.talkers as usize;
    let largest = plan.rooms.iter().map(|room| room.len()).max().unwrap_or(1);
    let wanted = (largest as f64 * rate * KEPT_SECONDS) as usize;
    let most = MOST_LOG_BYTES / ENTRY_BYTES / plan.rooms.len();
    let entries = wanted.min(most).max(1024).next_power_of_two();
    HubConfig {
        // A device that comes back may meet its old connection.
        max_connections: 2 * devices + 16,
        rooms: plan.rooms.len(),
        members: seats,
        log_entries: entries,
        log_bytes: entries * ENTRY_BYTES,
        ..HubConfig::default()
    }
}
