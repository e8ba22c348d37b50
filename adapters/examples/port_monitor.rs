//! Watches ports, and says when one comes up or goes down, and why.
//!
//! ```sh
//! cargo run -p halloo-std --example port_monitor -- 1 0 127.0.0.1:22 '[::1]:80' example.org:443
//! ```
//!
//! Every `SECONDS` it connects to each `HOST:PORT`, all at once, and prints what changed; `ROUNDS` of 0
//! is for ever. It exits 0 if all were up in the last round, 1 if not, and 2 if it was told nonsense.

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use halloo_std::socket::{Options, SocketError, TcpStream};

/// How long a port may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one look at a port has found, in a word, and how long a connection took.
fn look(address: &str) -> (&'static str, Option<Duration>) {
    let options = Options {
        connect_timeout: Some(PATIENCE),
        ..Options::default()
    };
    let start = Instant::now();
    match TcpStream::connect(address, &options) {
        Ok(_) => ("up", Some(start.elapsed())),
        // The host is there, and nothing listens.
        Err(SocketError::Refused { .. }) => ("down: refused", None),
        // The host is not there, or a firewall drops what comes.
        Err(SocketError::TimedOut { .. }) => ("down: timed out", None),
        Err(SocketError::Unresolved { .. }) => ("down: unresolved", None),
        Err(SocketError::Unreachable { .. }) => ("down: unreachable", None),
        Err(_) => ("down: not for this user or this machine", None),
    }
}

/// Watches until the rounds are over; whether all ports were up in the last one.
fn watch(interval: Duration, rounds: u64, addresses: &[String]) -> bool {
    let mut known = vec![""; addresses.len()];
    let mut due = Instant::now();
    for round in 1.. {
        let found: Vec<_> = thread::scope(|scope| {
            let looks = addresses.iter().map(|at| scope.spawn(|| look(at)));
            // All of them start before the first one is waited for.
            let looks: Vec<_> = looks.collect();
            looks.into_iter().flat_map(|look| look.join()).collect()
        });
        for ((address, known), (state, took)) in addresses.iter().zip(&mut known).zip(found) {
            if *known != state {
                let took = took.map_or(String::new(), |took| format!(" in {took:.1?}"));
                println!("{address} {state}{took}");
                *known = state;
            }
        }
        if round == rounds {
            break;
        }
        due += interval;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    known.iter().all(|state| *state == "up")
}

/// A number, as an argument has it.
fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let number = text.parse();
    number.map_err(|_| format!("{text:?} is no number that fits"))
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(seconds), Some(rounds)) = (args.next(), args.next()) else {
        return Err("tell SECONDS ROUNDS HOST:PORT...".into());
    };
    let interval = Duration::try_from_secs_f64(number(&seconds)?)?;
    let addresses: Vec<String> = args.collect();
    Ok(watch(interval, number(&rounds)?, &addresses))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("port_monitor: {error}");
            ExitCode::from(2)
        }
    }
}
