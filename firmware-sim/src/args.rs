//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use firmware_sim::{Config, SimError};
use halloo_std::url::{Endpoint, Protocol};

/// Runs a fleet of simulated devices against a hub and accounts for every post.
///
/// Without --hub it starts a hub of its own, on free ports of the loopback. Devices are halloo's own
/// state machines with the fixed buffers of firmware; what is reported is what their applications
/// have seen.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// How many devices
    #[arg(long, value_name = "N", default_value_t = 200)]
    devices: u32,
    /// How long they post, in seconds
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Posts per second of each device that posts by itself
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,
    /// Somebody else's hub, such as chat+tcp://127.0.0.1:7007
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// Somebody else's echo, such as echo+udp://127.0.0.1:65433
    #[arg(long, value_name = "URL", requires = "hub")]
    echo: Option<String>,
    /// What kinds, rooms, cuts, jitter and payloads come from [default: random, and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often each device has its connection cut on purpose, on average
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    reconnects: f64,
    /// Threads of devices
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// How long what is on the way may take at the end, in seconds
    #[arg(long, value_name = "S", default_value_t = 15.0)]
    settle: f64,
    /// Write the report to this file, too, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Tell more on standard error: error, warn, info, debug or trace, or a filter of tracing
    #[arg(long, value_name = "FILTER", default_value = "error")]
    pub(crate) log: String,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every acknowledged post was delivered to every member, once and in order
  1  something was lost, doubled, out of order, or not acknowledged in time
  2  bad arguments, or the run could not start
  3  the hub cannot be reached";

impl Args {
    pub(crate) fn config(&self) -> Result<Config, SimError> {
        let parse = |url: &Option<String>, protocol| {
            let url = url.as_deref();
            url.map(|url| Endpoint::parse(url, protocol)).transpose()
        };
        let seed = match self.seed {
            Some(seed) => seed,
            // 32 bits are easier to type again.
            None => u64::from(getrandom::u32().unwrap_or(1)),
        };
        Ok(Config {
            devices: self.devices,
            time: span("seconds", self.seconds)?,
            rate: self.rate,
            threads: self.threads,
            hub: parse(&self.hub, Protocol::Chat)?,
            echo: parse(&self.echo, Protocol::Echo)?,
            seed,
            reconnects: self.reconnects,
            settle: span("settle", self.settle)?,
        })
    }
}

fn span(what: &'static str, seconds: f64) -> Result<Duration, SimError> {
    let most = 1e6;
    if (0.0..=most).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(SimError::Config {
        what,
        value: seconds.to_string(),
        wanted: "from 0 to 1000000 seconds",
    })
}
