//! The command line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, Error, Parser, Subcommand};
use firmware_sim::{Config, SimError};
use halloo_std::url::{Endpoint, Protocol};

use crate::progress;
use crate::virtual_world::{SoakArgs, WorldArgs};

/// Runs a fleet of simulated devices against a hub and accounts for every post.
///
/// Without --hub it starts a hub of its own, on free ports of the loopback. Devices are halloo's own
/// state machines with the fixed buffers of firmware: sensors post readings, actuators answer
/// commands, talkers chat in two rooms, and probes measure echo. What is reported is what their
/// applications have seen, never what the hub says of itself.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES, after_long_help = MORE)]
#[command(args_conflicts_with_subcommands = true, color = help_colour())]
pub(crate) struct Args {
    /// Without one, a fleet on real sockets
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// How many devices
    #[arg(long, value_name = "N", default_value_t = 200)]
    devices: u32,
    /// How long they post, in seconds
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Posts per second of each sensor and talker; 0 leaves all connections idle
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,
    /// Somebody else's hub, such as chat+tcp://127.0.0.1:7007, chat+udp://… or chat+unix:PATH
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// Somebody else's echo, such as echo+udp://127.0.0.1:65433; a --hub without it has no probes
    #[arg(long, value_name = "URL", requires = "hub")]
    echo: Option<String>,
    /// Gives the same plan again; --help tells what is in it [default: random, and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often each device has its connection cut on purpose, on average
    #[arg(long, value_name = "TIMES", default_value_t = 0.05)]
    reconnects: f64,
    /// Threads of devices; one is enough for thousands
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// How long what is on the way at the end may take, in seconds
    #[arg(long, value_name = "S", default_value_t = 15.0)]
    settle: f64,
    /// Write the report to this file, too, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Tell more on standard error: error, warn, info, debug or trace, or a filter of tracing
    #[arg(long, value_name = "FILTER", default_value = "error")]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs devices and a hub in virtual time, with faults, and checks every rule at every step
    World(WorldArgs),
    /// Walks seeds of small worlds with faults until one fails
    Soak(SoakArgs),
}

const EXIT_CODES: &str = "\
Exit codes: 0 nothing lost, doubled or out of order, 1 something was, 2 bad arguments or no run,
3 no hub. --help has examples.";

const MORE: &str = "\
Examples:
  firmware-sim
      200 devices at a hub in this process, for 10 seconds
  firmware-sim --devices 5000 --rate 1 --seconds 60 --json report.json
      a larger fleet, and its numbers in a file
  firmware-sim --hub chat+tcp://192.0.2.7:7007 --reconnects 3
      somebody else's hub, and each connection is cut about three times
  firmware-sim --devices 5000 --rate 0
      what idle connections cost the hub
  firmware-sim world --devices 1000 --hours 1 --faults field
      an hour of virtual time, from a seed, with the faults of the field
  firmware-sim soak --for 10m
      small worlds with all faults, until one fails

Seed:
  The same seed, devices, seconds, rate and reconnects give the same plan: the kind
  of each device, its rooms, its texts in their order, the pauses between its posts,
  and when its connection is cut. What the system decides is not fixed: how posts of
  different devices mix, all times, what an actuator answers, how many posts find
  the outbox full. Names of rooms and devices on the hub are new in every run, so
  that a hub that remembers the last run takes part in this one.

Exit codes:
  0  nothing was lost, doubled or out of order: every acknowledged post was delivered
     to every member of its room
  1  something was, or was not acknowledged in time
  2  bad arguments, or the run could not start
  3  the hub cannot be reached

The first SIGINT or SIGTERM ends posting and leads to the report, the second ends all.";

impl Args {
    /// The arguments of this process. Errors: one line. Asked for help, prints it and ends the
    /// process.
    pub(crate) fn read() -> Result<Self, String> {
        Self::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
            _ => one_line(&error),
        })
    }

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

/// By itself, clap would colour the help in a pipe, or for a dumb terminal, where the environment
/// says `CLICOLOR_FORCE` or `CI`.
fn help_colour() -> ColorChoice {
    if progress::is_coloured(&io::stdout()) {
        ColorChoice::Always
    } else {
        ColorChoice::Never
    }
}

/// What is wrong and what may have been meant; usage and hints are in the help.
fn one_line(error: &Error) -> String {
    let text = error.to_string();
    let said = text.lines().take_while(|line| !line.is_empty());
    let said = said.map(str::trim).collect::<Vec<_>>().join(" ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(meant)) => format!("{said}; is {meant} meant?"),
        _ => format!("{said}; see --help"),
    }
}
