//! Our hub beside others: `cargo bench -p halloo-tests --bench peers`.
//!
//! What is measured, and how, is in `docs/benchmarks.md`. Names of benches as arguments pick them:
//! `-- fanout echo`. `--quick` checks in seconds that all of it works and that nothing is lost.

mod benches;
mod client;
mod dialect;
mod durable;
mod echo;
mod fanout;
mod helper;
mod idle;
mod inbox;
mod latency;
mod machine;
mod measure;
mod peer;
mod rooms;
mod server;
mod table;

use std::env;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};

use benches::{BENCHES, Plan};

fn plan(quick: bool) -> Plan {
    let number = |name, usual: f64| {
        let text = env::var(name).ok();
        text.map_or(usual, |text| text.parse().expect(name))
    };
    let (repeats, seconds, outstanding) = if quick {
        (1.0, 0.1, 64.0)
    } else {
        (5.0, 1.0, 512.0)
    };
    let outstanding = number("HALLOO_BENCH_OUTSTANDING", outstanding) as usize;
    Plan {
        repeats: number("HALLOO_BENCH_REPEATS", repeats) as usize,
        seconds: number("HALLOO_BENCH_SECONDS", seconds),
        outstanding: outstanding.next_multiple_of(dialect::RUN),
        files: machine::raise_files(),
        interrupted: Arc::default(),
        quick,
    }
}

fn main() {
    let mut args = env::args_os().skip(1);
    match args.next() {
        Some(first) if first == server::BECOME => server::become_server(args),
        Some(first) if first == helper::HELP => {
            let mut args = args.map(|arg| arg.to_string_lossy().into_owned());
            let name = args.next().expect("the helper's name");
            return helper::run(
                &name,
                args.next().map_or(1, |most| most.parse().expect("runs")),
            );
        }
        _ => {}
    }
    let args: Vec<String> = env::args().skip(1).collect();
    // `cargo bench` says --bench, and `cargo test --benches` does not.
    let quick = args.iter().any(|arg| arg == "--test" || arg == "--quick")
        || !args.iter().any(|arg| arg == "--bench");
    let chosen: Vec<&str> = args.iter().map(String::as_str).collect();
    let chosen: Vec<&str> = chosen
        .into_iter()
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    for name in &chosen {
        let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        assert!(
            known.contains(name),
            "there is no bench {name}: there are {}",
            known.join(", ")
        );
    }
    let plan = plan(quick);
    // What is under way fails then, and takes its server and its files with it.
    for signal in [SIGINT, SIGTERM] {
        let flag = Arc::clone(&plan.interrupted);
        signal_hook::flag::register(signal, flag).expect("a signal that can be caught");
    }
    let peers = peer::all();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    machine::pin(machine::GENERATOR_CORE);
    println!(
        "{cores} cores; {} repeats by turns, each of {} s after a warm-up; medians",
        plan.repeats, plan.seconds
    );
    if quick {
        println!("a short run, to see that it works: the figures mean nothing");
    }
    for (name, bench) in BENCHES {
        if chosen.is_empty() || chosen.contains(&name) {
            bench(&plan, &peers);
        }
    }
}
