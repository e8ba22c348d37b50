//! The hub on a real machine: one event loop that carries bytes between sockets and the machines.
//!
//! Knows sockets, readiness and when to give up. Does not know what a message means: that is
//! [`halloo_core::chat::Hub`]. All of it runs on one thread and holds no lock on the way of a message;
//! with several [`shards`](HubConfig::shards), others read and write sockets for it. Memory is what
//! [`HubConfig`] says, plus a bound for each connection that reads slowly: about one frame and one
//! buffer of 8 KiB, and 64 KiB where its socket is another shard's; and 3 KiB for each serial line. In the
//! tutorial's JSON a frame is an object of up to 6 times the largest body and 1 KiB.
//!
//! ```
//! use std::thread;
//! use halloo_std::hub::{HubConfig, Server, Shutdown};
//!
//! let endpoints = ["echo+tcp://127.0.0.1:0".parse()?];
//! let server = Server::bind(&endpoints, HubConfig::default())?;
//! println!("{}", server.endpoints()[0]); // with the port that it got
//! let shutdown = Shutdown::new();
//! let stop = shutdown.clone();
//! let hub = thread::spawn(move || server.run(&shutdown));
//! stop.trigger();
//! hub.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accept;
mod addresses;
mod chat;
mod connection;
mod cookie;
mod desk;
mod durable;
mod echo;
mod event_loop;
mod lifecycle;
mod lines;
mod listeners;
mod loops;
mod memory;
mod pass;
mod sessions;
mod shards;
mod shutdown;
mod socket;
mod stats;
mod tutorial;
mod wildcard;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use halloo_core::chat::Hub;
use halloo_core::chat::hub::{Config, RoomPattern};
use halloo_core::chat::log::FRAME_HEADER;
use halloo_core::name::{MAX_NAME, NameError};
use halloo_core::wire::ENTRY_OVERHEAD;
use mio::{Poll, Token, Waker};

use crate::journal::{self, Folder, Journal, JournalError, Retention};
use crate::socket::{Options, SocketError};
use crate::url::Endpoint;
use event_loop::{EventLoop, Sockets};
use listeners::Bound;
use memory::Slots;
use shards::Shards;

#[doc(hidden)]
pub use addresses::{Addresses, Local, Place, Taken};
pub use shutdown::{Shutdown, signals};
pub use stats::{HubStats, Memory, Stats};

/// The token of the waker.
const WAKE: Token = Token(0);

/// What a hub is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The most connections at the same time, echo and serial lines included: at least one more than there are
    /// devices, for one whose link broke unseen to come back. Default: 16,384.
    pub max_connections: usize,
    /// The most rooms; one with an entry is one for ever. Default: 4,096.
    pub rooms: usize,
    /// The most pairs of device and room that are remembered. Default: 32,768.
    pub members: usize,
    /// The bytes of each room's log. Default: 64 KiB.
    pub log_bytes: usize,
    /// The most entries in each room's log; a power of two is used. Default: 1,024.
    pub log_entries: usize,
    /// The largest body of a post, in bytes. Default: 1,024.
    pub max_body: u16,
    /// How many posts without verdict a device may have in each room. Default: 32.
    pub window: u16,
    /// The least and the longest keepalive interval that a device gets that wants any, in seconds.
    /// Default: 0 and 300.
    pub keepalive: (u16, u16),
    /// About how many bytes of entries one member gets at a time. Default: 64 KiB.
    pub run_bytes: usize,
    /// Rooms whose members get the latest: names, or what names begin with and `*`. A member that
    /// lags there jumps to the newest entry and is told the gap. Default: none.
    pub latest: Vec<String>,
    /// How long a device's posts are remembered after it went away. Default: 30 days.
    pub lifetime: Duration,
    /// How long devices are told to stay away when the hub stops, is full or has lost its store.
    /// Default: 1 s.
    pub retry_after: Duration,
    /// How many threads read and write the sockets of chat over streams; the first of them is the
    /// one that all messages are taken and given on. Default: 1.
    pub shards: usize,
    /// Where there are several: how many members of a room are on one of them, before the next one
    /// gets as many. A connection goes to the shard of the room that it joins first. Default: 64.
    pub shard_block: usize,
    /// What session numbers and the store's number come from. Default: the system's randomness.
    pub seed: Option<u64>,
    /// How long the rest of a frame may take. Default: 10 s.
    pub frame_timeout: Duration,
    /// How long a connection may take nothing of what is owed to it; a chat connection may as long
    /// as its device says something. Default: 30 s.
    pub write_timeout: Duration,
    /// How long an echo connection may be silent. Default: 5 minutes.
    pub echo_idle: Duration,
    /// How long a connection that was told its last words has to close. Default: 1 s.
    pub drain_timeout: Duration,
    /// How long the hub takes to stop, at most. Default: 2 s.
    pub stop_timeout: Duration,
    /// The options of the sockets, where the URL does not say.
    pub options: Options,
    /// Where posts are kept so that they outlive the hub. Default: in memory alone.
    pub data: Option<Data>,
}

/// A folder for posts, and how much of them is kept there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The folder; it is made if it is not there.
    pub folder: PathBuf,
    /// What is kept.
    pub retention: Retention,
    /// How many bytes a segment of the journal has.
    pub segment_bytes: u64,
}

impl Data {
    /// Everything is kept in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let settings = journal::Settings::default();
        Self {
            folder: folder.into(),
            retention: settings.retention,
            segment_bytes: settings.segment_bytes,
        }
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            rooms: 4096,
            members: 32_768,
            log_bytes: 64 * 1024,
            log_entries: 1024,
            max_body: 1024,
            window: halloo_core::chat::MAX_WINDOW,
            keepalive: (0, 300),
            run_bytes: 64 * 1024,
            latest: Vec::new(),
            lifetime: Duration::from_secs(30 * 24 * 3600),
            retry_after: Duration::from_secs(1),
            shards: 1,
            shard_block: 64,
            seed: None,
            frame_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            echo_idle: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(2),
            options: Options::default(),
            data: None,
        }
    }
}

/// Why a hub did not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// There is nothing to listen on.
    #[error("there is no listener: name at least one URL, such as chat+tcp://127.0.0.1:7007")]
    NoListener,
    /// A URL whose protocol the hub does not speak there.
    #[error(
        "{url} is not served: chat, echo and greet go over tcp, udp and unix, json over tcp and unix, and over serial: and cobs+tcp chat alone"
    )]
    NotServed {
        /// The URL.
        url: String,
    },
    /// A number that cannot be.
    #[error("{what} is {value}: {wanted}")]
    Config {
        /// The field.
        what: &'static str,
        /// Its value.
        value: usize,
        /// What it should be.
        wanted: &'static str,
    },
    /// What should name rooms is no name, nor the beginning of one and `*`.
    #[error("{pattern:?} names no rooms: {source}")]
    Rooms {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// An address could not be listened on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The journal could not be opened, or failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system refused something that the loop itself needs.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl HubError {
    fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}

/// How a hub ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The numbers at the end.
    pub stats: Stats,
    /// Connections that were closed though they had not taken all that was owed to them.
    pub cut_off: usize,
}

/// A hub that listens and does not run yet.
#[derive(Debug)]
pub struct Server {
    poll: Poll,
    waker: Arc<Waker>,
    bound: Bound,
    config: HubConfig,
    journal: Option<durable::Kept>,
    stats: HubStats,
}

impl Server {
    /// Listens at every address of every endpoint.
    ///
    /// Errors: an endpoint that is not served, an address that cannot be had, a configuration that
    /// cannot be.
    pub fn bind(endpoints: &[Endpoint], config: HubConfig) -> Result<Self, HubError> {
        config.check()?;
        let journal = config.open_journal()?;
        let bound = Bound::bind(endpoints, &config.options)?;
        let poll = Poll::new().map_err(HubError::system("make an event queue"))?;
        let waker = Waker::new(poll.registry(), WAKE)
            .map_err(HubError::system("make a waker of the event queue"))?;
        for endpoint in &bound.endpoints {
            tracing::info!(%endpoint, "listening");
        }
        Ok(Self {
            poll,
            waker: Arc::new(waker),
            bound,
            config,
            journal,
            stats: HubStats::default(),
        })
    }

    /// What it listens on, each at its real address and port.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.bound.endpoints
    }

    /// A handle on its numbers.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.stats.clone()
    }

    /// Serves until `shutdown` is triggered, and then until everybody has been told.
    pub fn run(self, shutdown: &Shutdown) -> Result<Summary, HubError> {
        let mut slots = Slots::new(&self.config);
        let fixed = slots.bytes();
        let mut machine = self.config.machine()?;
        let lineage = self.journal.as_ref().map(|j| j.lineage().to_vec());
        let lineage = lineage.unwrap_or_default();
        if let Some(journal) = &self.journal {
            (machine.store, machine.generation) = journal.store();
            machine.has_store = true;
        }
        let latest = self.config.latest()?;
        let mut hub = Hub::new(machine, slots.lend());
        hub.set_latest(&latest);
        hub.set_lineage(&lineage);
        if let Some(journal) = &self.journal {
            durable::restore(&mut hub, journal)?;
        }
        shutdown.attach(&self.waker);
        if shutdown.is_triggered() {
            // It was before this hub could be woken by it.
            self.waker
                .wake()
                .map_err(HubError::system("wake the hub"))?;
        }
        let (config, stats) = (&self.config, self.stats);
        let shards = Shards::start(config.shards - 1, &self.waker);
        let shards = shards.map_err(HubError::system("start a shard"))?;
        let sockets = Sockets {
            poll: self.poll,
            shards,
            bound: self.bound,
        };
        let done = EventLoop::new(sockets, hub, self.journal, config, stats, fixed)
            .and_then(|event_loop| event_loop.run(shutdown));
        shutdown.detach(&self.waker);
        done
    }
}

/// Listens at the endpoints and serves until `shutdown` is triggered.
pub fn run(
    endpoints: &[Endpoint],
    config: HubConfig,
    shutdown: &Shutdown,
) -> Result<Summary, HubError> {
    Server::bind(endpoints, config)?.run(shutdown)
}

impl HubConfig {
    fn check(&self) -> Result<(), HubError> {
        let least = |what, value, least, wanted| {
            let bad = HubError::Config {
                what,
                value,
                wanted,
            };
            if value < least { Err(bad) } else { Ok(()) }
        };
        let one = "at least 1 is needed";
        least("max_connections", self.max_connections, 1, one)?;
        least("rooms", self.rooms, 1, one)?;
        least("shards", self.shards, 1, one)?;
        least("shard_block", self.shard_block, 1, one)?;
        least("members", self.members, 1, one)?;
        least("log_entries", self.log_entries, 1, one)?;
        let entry = FRAME_HEADER + ENTRY_OVERHEAD + MAX_NAME + usize::from(self.max_body);
        let wanted = "a log has to hold the largest entry: max_body and 53 bytes";
        least("log_bytes", self.log_bytes, entry, wanted)?;
        self.latest().map(|_| ())
    }

    fn latest(&self) -> Result<Vec<RoomPattern<'_>>, HubError> {
        let mut patterns = Vec::new();
        for text in &self.latest {
            let pattern = RoomPattern::new(text).map_err(|source| HubError::Rooms {
                pattern: text.clone(),
                source,
            })?;
            patterns.push(pattern);
        }
        Ok(patterns)
    }

    fn open_journal(&self) -> Result<Option<durable::Kept>, HubError> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        let name = data.folder.display().to_string();
        let folder = Folder::take(&data.folder).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => JournalError::InUse,
            _ => JournalError::disk("open", &name)(error),
        })?;
        let store = getrandom::u64();
        let settings = journal::Settings {
            segment_bytes: data.segment_bytes,
            retention: data.retention,
            store: store.map_err(|e| HubError::system("draw a store's number")(e.into()))?,
        };
        let journal = Journal::open(folder, &settings)?;
        let state = journal.state();
        for (what, most, has, wanted) in [
            ("rooms", self.rooms, state.rooms.len(), durable::MORE_ROOMS),
            (
                "members",
                self.members,
                state.members.len(),
                durable::MORE_MEMBERS,
            ),
        ] {
            if has > most {
                return Err(HubError::Config {
                    what,
                    value: most,
                    wanted,
                });
            }
        }
        Ok(Some(journal))
    }

    fn machine(&self) -> Result<Config, HubError> {
        let random = |doing| getrandom::u64().map_err(|e| HubError::system(doing)(e.into()));
        let halves = |number: u64| [number as u32, (number >> 32) as u32];
        let ([table, session, more], store) = match self.seed {
            Some(seed) => ([seed; 3], seed ^ 0x5eed),
            None => {
                let mut secrets = [0; 3];
                for number in &mut secrets {
                    *number = random("draw a secret")?;
                }
                (secrets, random("draw a store's number")?)
            }
        };
        let ([a, b], [c, d]) = (halves(session), halves(more));
        Ok(Config {
            max_body: self.max_body,
            window: self.window,
            keepalive_min: self.keepalive.0,
            keepalive_max: self.keepalive.1,
            run_bytes: self.run_bytes,
            lifetime: desk::fugit(self.lifetime),
            retry_after: desk::fugit(self.retry_after),
            ..Config::new(table, [a, b, c, d], store)
        })
    }
}
