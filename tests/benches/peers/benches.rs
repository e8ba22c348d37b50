//! The benches: what is run, and the table of each.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use hdrhistogram::Histogram;

use crate::dialect::RUN;
use crate::measure::{Figures, Sample};
use crate::peer::{self, Kind, Mode, Peer};
use crate::table::{Table, kibibytes, mebibytes, median, micros, percent, rate, ratio};
use crate::{durable, echo, fanout, idle, latency, rooms};

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) repeats: usize,
    pub(crate) seconds: f64,
    /// How many posts may be on their way to a room.
    pub(crate) outstanding: usize,
    /// How many files may be open.
    pub(crate) files: u64,
    /// By a signal.
    pub(crate) interrupted: Arc<AtomicBool>,
    pub(crate) quick: bool,
}

type Bench = fn(&Plan, &[Peer]);

pub(crate) const BENCHES: [(&str, Bench); 9] = [
    ("fanout", fan_out),
    ("rooms", many_rooms),
    ("durable", durable_posts),
    ("latency", delivery_latency),
    ("echo", echo_servers),
    ("tutorial", tutorial_servers),
    ("idle", idle_members),
    ("slow", slow_member),
    ("shards", shards),
];

/// Runs all by turns, so that what else the machine does hits them alike.
fn by_turns<P, T>(plan: &Plan, peers: &[P], run: impl Fn(&P) -> T) -> Vec<Vec<T>> {
    let mut samples: Vec<Vec<T>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..plan.repeats {
        for (peer, samples) in peers.iter().zip(&mut samples) {
            assert!(!plan.interrupted.load(Relaxed), "interrupted");
            samples.push(run(peer));
        }
    }
    samples
}

/// The peers that keep rooms: all but the limit.
fn hubs(peers: &[Peer]) -> Vec<Peer> {
    let hubs = peers.iter().filter(|peer| peer.kind != Kind::WriteOnly);
    hubs.cloned().collect()
}

/// Rates and what they cost, the first one ours.
fn throughput(title: &str, unit: &str, names: &[String], samples: &[Vec<Sample>]) {
    let columns = [
        "server",
        unit,
        "halloo / it",
        "its CPU",
        "CPU s / M",
        "generator's CPU",
        "peak MiB",
        "a read",
    ];
    let mut table = Table::new(title, &columns);
    let ours = Figures::of(&samples[0]).rate;
    for (name, samples) in names.iter().zip(samples) {
        let figures = Figures::of(samples);
        table.row(vec![
            name.clone(),
            rate(figures.rate),
            ratio(ours / figures.rate),
            percent(figures.server),
            format!("{:.3}", figures.per_million),
            percent(figures.generator),
            mebibytes(figures.peak),
            figures.per_read.map_or("-".into(), |n| format!("{n:.0}")),
        ]);
    }
    table.print();
}

fn names(peers: &[Peer]) -> Vec<String> {
    peers.iter().map(|peer| peer.name.clone()).collect()
}

fn fan_out(plan: &Plan, peers: &[Peer]) {
    // The limit twice: with all that is to be written in one write, and with as much as comes from
    // our hub at once.
    let mut peers = peers.to_vec();
    let limit = peers.last().expect("the limit is the last").clone();
    peers.push(Peer {
        name: "the same, halloo's batches".into(),
        ..limit
    });
    let last = peers.len() - 1;
    let sizes: &[usize] = if plan.quick { &[10] } else { &[10, 100, 1000] };
    for &members in sizes {
        let load = fanout::Load {
            members,
            outstanding: plan.outstanding,
            seconds: plan.seconds,
            sleeper: false,
        };
        let batch = Cell::new(1);
        let turns: Vec<usize> = (0..peers.len()).collect();
        let samples = by_turns(plan, &turns, |&nth| {
            let mode = if nth == last {
                Mode::Runs(batch.get())
            } else {
                Mode::Memory
            };
            let peer = &peers[nth];
            let (sample, _) = fanout::run(&peer.start(mode), &*peer.dialect(mode), &load);
            if nth == 0 {
                let per_read = sample.count / sample.reads.max(1);
                batch.set((per_read as usize).div_ceil(RUN).max(1));
            }
            sample
        });
        let title = format!("fan-out: 1 poster, {members} members");
        throughput(&title, "deliveries/s", &names(&peers), &samples);
    }
}

fn many_rooms(plan: &Plan, peers: &[Peer]) {
    let hubs = hubs(peers);
    let load = rooms_load(plan);
    let samples = by_turns(plan, &hubs, |peer| {
        rooms::run(
            &peer.start(Mode::Memory),
            &*peer.dialect(Mode::Memory),
            &load,
        )
    });
    let title = format!(
        "many rooms: {} of {}, all posting",
        load.rooms, load.members
    );
    throughput(&title, "deliveries/s", &names(&hubs), &samples);
}

fn rooms_load(plan: &Plan) -> rooms::Load {
    rooms::Load {
        rooms: if plan.quick { 10 } else { 100 },
        members: 10,
        seconds: plan.seconds,
    }
}

fn shards(plan: &Plan, peers: &[Peer]) {
    if !peers[0].has_shards() {
        println!("\ntwo shards: left out, since this hub has no option --shards");
        return;
    }
    let load = rooms_load(plan);
    let counts = [1, 2];
    let samples = by_turns(plan, &counts, |&count| {
        let mode = Mode::Shards(count);
        rooms::run(&peers[0].start(mode), &*peers[0].dialect(mode), &load)
    });
    let title = format!(
        "shards on one core: {} rooms of {}",
        load.rooms, load.members
    );
    let names = counts.map(|count| format!("halloo --shards {count}"));
    throughput(&title, "deliveries/s", &names, &samples);
}

/// Rates beside times.
fn timed(title: &str, unit: &str, names: &[String], samples: Vec<Vec<(Sample, Histogram<u64>)>>) {
    let columns = [
        "server",
        unit,
        "halloo / it",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "its CPU",
        "CPU s / M",
        "generator's CPU",
    ];
    let mut table = Table::new(title, &columns);
    let mut ours = None;
    for (name, samples) in names.iter().zip(samples) {
        let (samples, times): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
        let figures = Figures::of(&samples);
        let at = |share| median(times.iter().map(|h| h.value_at_quantile(share) as f64));
        table.row(vec![
            name.clone(),
            rate(figures.rate),
            ratio(*ours.get_or_insert(figures.rate) / figures.rate),
            micros(at(0.5)),
            micros(at(0.99)),
            micros(at(0.999)),
            percent(figures.server),
            format!("{:.3}", figures.per_million),
            percent(figures.generator),
        ]);
    }
    table.print();
}

fn durable_posts(plan: &Plan, peers: &[Peer]) {
    let hubs = hubs(peers);
    let posters = if plan.quick { 50 } else { 1000 };
    let samples = by_turns(plan, &hubs, |peer| {
        let (server, dialect) = (peer.start(Mode::Disk), peer.dialect(Mode::Disk));
        dialect.prepare(&server);
        durable::run(&server, &*dialect, posters, plan.seconds)
    });
    let names: Vec<String> = hubs
        .iter()
        .map(|peer| format!("{}, {}", peer.name, peer.durability()))
        .collect();
    let title = format!("durable posts: {posters} posters, each with one post on its way");
    timed(&title, "posts/s", &names, samples);
}

fn delivery_latency(plan: &Plan, peers: &[Peer]) {
    let hubs = hubs(peers);
    let load = latency::Load {
        members: 10,
        per_second: 10_000,
        seconds: plan.seconds,
    };
    let samples = by_turns(plan, &hubs, |peer| {
        latency::run(
            &peer.start(Mode::Memory),
            &*peer.dialect(Mode::Memory),
            &load,
        )
    });
    let title = "delivery latency: a room of 10, 10,000 posts/s";
    timed(title, "deliveries/s", &names(&hubs), samples);
}

fn echo_servers(plan: &Plan, peers: &[Peer]) {
    let echoes = peer::echoes(peers);
    let names: Vec<String> = echoes.iter().map(|(name, _)| (*name).into()).collect();
    let sizes: &[usize] = if plan.quick {
        &[20]
    } else {
        &[100, 1000, 5000]
    };
    for &connections in sizes {
        let samples = by_turns(plan, &echoes, |(_, start)| {
            let load = echo::Load {
                connections,
                window: 1,
                prefix: "",
                seconds: plan.seconds,
            };
            echo::run(&start(), &load)
        });
        let title = format!("echo: {connections} connections, 64 bytes to and fro");
        throughput(&title, "echoes/s", &names, &samples);
    }
}

/// The tutorials' non-blocking server, which reads 1,024 bytes at a time.
fn tutorial_servers(plan: &Plan, peers: &[Peer]) {
    let connections = if plan.quick { 20 } else { 100 };
    let prefix = "Non-blocking echo: ";
    for (prefix, window) in [(prefix, 1), ("", 1), ("", 16), ("", 64), ("", 256)] {
        let servers = peer::tutorials(peers, prefix);
        let load = echo::Load {
            connections,
            window,
            prefix,
            seconds: plan.seconds,
        };
        let samples = by_turns(plan, &servers, |(_, start)| echo::run(&start(), &load));
        let title = format!(
            "tutorial: {connections} connections, each with {window} of 64 bytes on their way, prefix {prefix:?}"
        );
        let columns = [
            "server",
            "echoes/s",
            "halloo / it",
            "its CPU",
            "CPU s / M",
            "own code's",
            "per core, halloo / it",
            "generator's CPU",
        ];
        let mut table = Table::new(title, &columns);
        let ours = Figures::of(&samples[0]);
        for ((name, _), samples) in servers.iter().zip(&samples) {
            let figures = Figures::of(samples);
            table.row(vec![
                (*name).into(),
                rate(figures.rate),
                ratio(ours.rate / figures.rate),
                percent(figures.server),
                format!("{:.3}", figures.per_million),
                format!("{:.3}", figures.user_per_million),
                ratio(figures.per_million / ours.per_million),
                percent(figures.generator),
            ]);
        }
        table.print();
    }
}

fn idle_members(plan: &Plan, peers: &[Peer]) {
    let hubs = hubs(peers);
    // Those that the generator and the servers need besides.
    let most = plan.files.saturating_sub(500) / 1000 * 1000;
    let members = if plan.quick {
        100
    } else {
        most.min(10_000) as usize
    };
    let samples = by_turns(plan, &hubs, |peer| {
        idle::run(
            &peer.start(Mode::Memory),
            &*peer.dialect(Mode::Memory),
            members,
        )
    });
    let title = format!("idle: {members} members in rooms of 10 (the server's own memory, RSS)");
    let columns = ["server", "MiB before", "KiB a member", "it / halloo"];
    let mut table = Table::new(title, &columns);
    let mut ours = None;
    for (peer, samples) in hubs.iter().zip(&samples) {
        let each = median(samples.iter().map(|cost| cost.each));
        table.row(vec![
            peer.name.clone(),
            mebibytes(median(samples.iter().map(|cost| cost.before))),
            kibibytes(each),
            ratio(each / *ours.get_or_insert(each)),
        ]);
    }
    table.print();
}

fn slow_member(plan: &Plan, peers: &[Peer]) {
    let members = if plan.quick { 10 } else { 100 };
    let mut cases: Vec<(String, Peer, Mode)> = Vec::new();
    for peer in hubs(peers) {
        if peer.kind == Kind::Halloo {
            cases.push((format!("{}, disk", peer.name), peer.clone(), Mode::Disk));
        }
        cases.push((format!("{}, memory", peer.name), peer, Mode::Memory));
    }
    let samples = by_turns(plan, &cases, |(_, peer, mode)| {
        [false, true].map(|sleeper| {
            let load = fanout::Load {
                members: members - 1,
                outstanding: plan.outstanding,
                // Long enough to fill what the kernel keeps for it.
                seconds: plan.seconds * 3.0,
                sleeper,
            };
            fanout::run(&peer.start(*mode), &*peer.dialect(*mode), &load)
        })
    });
    let title = format!("slow member: one of {members} reads nothing until the others have all");
    let columns = [
        "server",
        "others/s without it",
        "with it",
        "with / without",
        "peak MiB without",
        "with it",
        "then it got",
    ];
    let mut table = Table::new(title, &columns);
    for ((name, peer, _), samples) in cases.iter().zip(&samples) {
        let of = |nth: usize, number: fn(&Sample) -> f64| {
            median(samples.iter().map(|both| number(&both[nth].0)))
        };
        let speed = |s: &Sample| s.count as f64 / s.seconds;
        let pairs = samples
            .iter()
            .map(|[without, with]| speed(&with.0) / speed(&without.0));
        let woken: Vec<_> = samples
            .iter()
            .filter_map(|[_, with]| with.1.as_ref())
            .collect();
        let share = median(woken.iter().map(|w| w.got as f64 / w.of as f64));
        let fate = match (woken.iter().any(|w| w.cut_off), share) {
            (true, share) => format!("{}, cut off", percent(share)),
            (false, 1.0) => "all".into(),
            (false, share) if peer.kind == Kind::Halloo => format!("{}, and a gap", percent(share)),
            (false, share) => percent(share),
        };
        table.row(vec![
            name.clone(),
            rate(of(0, speed)),
            rate(of(1, speed)),
            ratio(median(pairs)),
            mebibytes(of(0, |s| s.peak as f64)),
            mebibytes(median(woken.iter().map(|w| w.memory as f64))),
            fate,
        ]);
    }
    table.print();
}
