//! Fleets of devices against a hub, and an account of every post.
//!
//! A device is the core's own machine with the fixed buffers that it has in firmware. What a run
//! shows is what the applications on the devices have seen, and not what the hub says of itself.
//!
//! ```
//! use std::time::Duration;
//! let config = firmware_sim::Config {
//!     devices: 4,
//!     time: Duration::from_millis(200),
//!     ..Default::default()
//! };
//! let report = firmware_sim::run(&config)?;
//! assert!(report.is_good(), "{report}");
//! # Ok::<(), firmware_sim::SimError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod config;
mod error;
mod fleet;
mod host;
pub mod ledger;
mod limits;
mod report;
mod watch;
pub mod world;

pub use config::Config;
pub use error::SimError;
pub use fleet::{Kinds, Phase};
pub use report::{EchoCounts, EchoReport, HubReport, Percentiles, Report};
pub use watch::{Progress, Watch};

use std::time::Instant;

use fleet::{Fleet, Plan, Targets};
use host::{Host, Sample};

/// Runs a fleet and reports; blocks until it is over.
///
/// Errors: the run did not take place. What went wrong in it is in the report.
pub fn run(config: &Config) -> Result<Report, SimError> {
    run_watched(config, &Watch::new())
}

/// As [`run`], with a handle for other threads.
pub fn run_watched(config: &Config, watch: &Watch) -> Result<Report, SimError> {
    config.check()?;
    // A hub in this process has the other end of each connection.
    let files = if config.hub.is_some() { 1 } else { 2 };
    limits::raise(config.devices, files)?;
    let salt = getrandom::u64().map_err(|e| SimError::system("draw a random number")(e.into()))?;
    let plan = Plan::new(config, config.has_echo(), salt);
    let host = match &config.hub {
        Some(_) => None,
        None => Some(Host::start(&plan, config.rate)?),
    };
    let targets = match &host {
        Some(host) => {
            let (chat, echo) = host.endpoints().split_at(3);
            Targets::resolve(chat, echo)?
        }
        None => Targets::resolve(config.hub.as_slice(), config.echo.as_slice())?,
    };
    let fleet = Fleet::start(config, &plan, &targets)?;
    watch.attach(fleet.shared(), fleet.live());
    if fleet.join_rooms(watch) == 0 && !watch.is_stopped() {
        return Err(SimError::NoHub {
            url: config
                .hub
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        });
    }
    let before = host.as_ref().map(Host::sample);
    let start = Instant::now();
    fleet.post(config.time, watch);
    let seconds = start.elapsed().as_secs_f64();
    let after = host.as_ref().map(Host::sample);
    fleet.settle(config.settle);
    let mut report = Report::new(config, &plan, fleet.finish()?, seconds);
    report.hub = before
        .zip(after)
        .map(|(before, after)| hub_report(&before, &after, report.posts));
    if let Some(host) = host {
        host.stop()?;
    }
    Ok(report)
}

fn hub_report(before: &Sample, after: &Sample, posts: u64) -> HubReport {
    let (share, used) = after.cpu_since(before);
    let stats = &after.stats;
    HubReport {
        cpu_percent: 100.0 * share,
        cpu_us_per_post: match posts {
            0 => 0.0,
            _ => used.as_secs_f64() * 1e6 / posts as f64,
        },
        connections: stats.connections_most,
        memory_per_connection: stats.memory.per_connection_now(stats.connections),
        memory_fixed: stats.memory.fixed,
    }
}
