//! Our hub beside others: `cargo bench -p halloo-tests --bench peers`.
//!
//! What is measured, and how, is in `docs/benchmarks.md`. Names of benches as arguments pick them:
//! `-- fanout`. `--quick` checks in seconds that all of it works, and measures nothing.

mod dialect;
mod fanout;
mod helper;
mod inbox;
mod machine;
mod peer;
mod server;
mod table;

use std::env;

use fanout::{Load, Sample};
use peer::Peer;
use table::{Table, mebibytes, median, percent, rate};

/// How much is measured.
pub(crate) struct Plan {
    repeats: usize,
    seconds: f64,
    /// How many posts may be on their way to a room.
    outstanding: usize,
    quick: bool,
}

fn plan(quick: bool) -> Plan {
    let number = |name, usual: f64| {
        let text = env::var(name).ok();
        text.map_or(usual, |text| text.parse().expect(name))
    };
    let (repeats, seconds) = if quick { (1.0, 0.1) } else { (5.0, 1.0) };
    let outstanding = number("HALLOO_BENCH_OUTSTANDING", 512.0) as usize;
    Plan {
        repeats: number("HALLOO_BENCH_REPEATS", repeats) as usize,
        seconds: number("HALLOO_BENCH_SECONDS", seconds),
        outstanding: outstanding.next_multiple_of(dialect::RUN),
        quick,
    }
}

/// What all repeats of one peer gave.
struct Figures {
    rate: f64,
    server: f64,
    per_million: f64,
    generator: f64,
    peak: f64,
}

impl Figures {
    fn of(samples: &[Sample]) -> Self {
        let of = |number: fn(&Sample) -> f64| median(samples.iter().map(number));
        Self {
            rate: of(|s| s.deliveries as f64 / s.seconds),
            server: of(|s| s.server_cpu / s.seconds),
            per_million: of(|s| s.server_cpu / s.deliveries as f64 * 1e6),
            generator: of(|s| s.generator_cpu / s.seconds),
            peak: of(|s| s.memory.peak as f64),
        }
    }
}

/// Runs all peers by turns, so that what else the machine does hits them alike.
fn by_turns<T>(peers: &[Peer], repeats: usize, run: impl Fn(&Peer) -> T) -> Vec<Vec<T>> {
    let mut samples: Vec<Vec<T>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..repeats {
        for (peer, samples) in peers.iter().zip(&mut samples) {
            samples.push(run(peer));
        }
    }
    samples
}

fn fan_out(plan: &Plan, peers: &[Peer]) {
    let sizes: &[usize] = if plan.quick {
        &[10, 100]
    } else {
        &[10, 100, 1000]
    };
    for &members in sizes {
        let load = Load {
            members,
            outstanding: plan.outstanding,
            seconds: plan.seconds,
        };
        let samples = by_turns(peers, plan.repeats, |peer| {
            let server = peer.start();
            fanout::run(&server, &*peer.dialect(), &load)
        });
        let title = format!("fan-out, 1 poster, {members} members");
        throughput(title, peers, &samples).print();
    }
}

/// A table of rates, with ours first.
fn throughput(title: String, peers: &[Peer], samples: &[Vec<Sample>]) -> Table {
    let mut table = Table::new(
        title,
        &[
            "server",
            "deliveries/s",
            "halloo / it",
            "its CPU",
            "CPU s / M",
            "generator's CPU",
            "peak MiB",
        ],
    );
    let ours = Figures::of(&samples[0]).rate;
    for (peer, samples) in peers.iter().zip(samples) {
        let figures = Figures::of(samples);
        table.row(vec![
            peer.name.clone(),
            rate(figures.rate),
            format!("{:.2}", ours / figures.rate),
            percent(figures.server),
            format!("{:.3}", figures.per_million),
            percent(figures.generator),
            mebibytes(figures.peak),
        ]);
    }
    table
}

fn main() {
    let mut args = env::args_os().skip(1);
    match args.next() {
        Some(first) if first == server::BECOME => server::become_server(args),
        Some(first) if first == helper::HELP => {
            let name = args.next().expect("the helper's name");
            return helper::run(&name.to_string_lossy());
        }
        _ => {}
    }
    let args: Vec<String> = env::args().skip(1).collect();
    // `cargo bench` says --bench, and `cargo test --benches` does not.
    let quick = args.iter().any(|arg| arg == "--test" || arg == "--quick")
        || !args.iter().any(|arg| arg == "--bench");
    let plan = plan(quick);
    let chosen: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| *chosen == name);
    let peers = peer::all();
    machine::pin(machine::GENERATOR_CORE);
    if wants("fanout") {
        fan_out(&plan, &peers);
    }
}
