//! What durability on disk costs: posts per second and ack latency, with a data folder and without.
//!
//! `cargo bench -p halloo-tests --bench durability` runs 1,000 posters over TCP, each with one post on
//! its way, against a hub with `--data` and one in memory by turns, the hub on one core and the
//! posters on another. Then the posters post once a second each. Before and after each run with a
//! disk it measures what the disk takes to sync a write of the size that a commit had.
//! `HALLOO_POSTERS`, `HALLOO_SECONDS` and `HALLOO_ROUNDS` change the load, `HALLOO_FOLDER` the disk.
//!
//! On a machine that others use, run it under `chrt --rr 1`: else it measures how long a thread waits
//! for its core once the disk is done.

use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use halloo_core::wire::{Hello, Join, Message, VERSION, kind};
use halloo_std::hub::{Data, HubConfig, Stats};
use halloo_tests::hub::{Peer, RunningHub, post};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::thread::{CpuSet, sched_setaffinity};

const BODY: [u8; 100] = [7; 100];

/// In each room.
const PER_ROOM: usize = 10;

/// About the bytes of a post in the journal.
const RECORD: u64 = 170;

/// So many syncs are enough to know the disk, and do not fill it.
const MOST_SYNCS: usize = 4000;

/// Where the sequence number stands in the frame of a post.
const SEQ: usize = 4 + 1 + 1;

struct Plan {
    posters: usize,
    seconds: f64,
    rounds: usize,
}

/// How the posters post.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// The next post once the last one is acknowledged.
    AllAtOnce,
    /// One post a second each, spread over the second.
    OneASecond,
}

struct Poster {
    stream: TcpStream,
    frame: Vec<u8>,
    seq: u32,
    sent: Option<Instant>,
    held: Vec<u8>,
}

/// What came of one run.
struct Outcome {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    posts_per_commit: f64,
    /// Of the hub's core.
    busy: f64,
}

/// One core for the calling thread, if the machine has that many.
fn pin(core: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    set.set(core % cores);
    let _ = sched_setaffinity(None, &set);
}

fn connect(hub: &RunningHub, nth: usize) -> Poster {
    let mut device = [0; 16];
    device[..8].copy_from_slice(&(nth as u64 + 1).to_be_bytes());
    let mut peer = Peer::new(hub.tcp(0));
    peer.send(&Message::Hello(Hello {
        version_min: VERSION,
        version_max: VERSION,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 1,
        device,
        max_frame: 512,
        // It reads nothing: what is measured is posting.
        credit: 0,
        keepalive: 0,
        proof: &[],
        cookie: None,
    }));
    peer.send(&Message::Join(Join {
        slot: 0,
        flags: Join::NO_PRESENCE,
        cursor: Join::LATEST,
        history: u32::MAX,
        room: format!("room-{}", nth / PER_ROOM).as_bytes(),
        name: b"device",
    }));
    while peer.recv_frame().expect("the hub serves")[0] != kind::JOINED {}
    peer.stream.set_nonblocking(true).unwrap();
    Poster {
        stream: TcpStream::from_std(peer.stream),
        frame: post(0, &BODY),
        seq: 0,
        sent: None,
        held: Vec::new(),
    }
}

impl Poster {
    fn post(&mut self, now: Instant) {
        self.seq += 1;
        self.frame[SEQ..SEQ + 4].copy_from_slice(&self.seq.to_be_bytes());
        self.sent = Some(now);
        let written = self.stream.write(&self.frame).expect("the hub reads");
        assert_eq!(written, self.frame.len(), "one post fits into a socket");
    }

    /// Reads what is there; how long the post on its way took, if it was acknowledged.
    fn read(&mut self) -> Option<Duration> {
        let mut room = [0; 512];
        loop {
            match self.stream.read(&mut room) {
                Ok(0) => panic!("the hub closed the connection"),
                Ok(len) => self.held.extend_from_slice(&room[..len]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("{e}"),
            }
        }
        let (mut at, mut acked) = (0, false);
        while let Some(head) = self.held.get(at..at + 4) {
            let len = u32::from_be_bytes(head.try_into().unwrap()) as usize;
            let Some(frame) = self.held.get(at + 4..at + 4 + len) else {
                break;
            };
            acked |= frame[0] == kind::ACK && frame[2..6] == self.seq.to_be_bytes();
            at += 4 + len;
        }
        self.held.drain(..at);
        acked
            .then(|| self.sent.take())
            .flatten()
            .map(|at| at.elapsed())
    }
}

fn run(plan: &Plan, load: Load, folder: Option<&Path>) -> Outcome {
    let config = HubConfig {
        data: folder.map(Data::new),
        ..HubConfig::default()
    };
    let hub = RunningHub::start_with(&["chat+tcp://127.0.0.1:0"], config, || pin(0));
    let mut posters: Vec<_> = (0..plan.posters).map(|nth| connect(&hub, nth)).collect();
    let mut poll = Poll::new().unwrap();
    for (nth, poster) in posters.iter_mut().enumerate() {
        let registry = poll.registry();
        registry
            .register(&mut poster.stream, Token(nth), Interest::READABLE)
            .unwrap();
    }
    let (mut events, mut taken) = (Events::with_capacity(1024), Vec::new());
    let warm_up = Duration::from_secs_f64(plan.seconds / 5.0);
    let whole = warm_up + Duration::from_secs_f64(plan.seconds);
    let before = settled(&hub);
    let begun = Instant::now();
    let (mut next, mut turn, mut counted_from) = (begun, 0, None);
    if load == Load::AllAtOnce {
        posters.iter_mut().for_each(|poster| poster.post(begun));
    }
    loop {
        let now = Instant::now();
        if begun.elapsed() >= whole {
            break;
        }
        let mut timeout = whole.saturating_sub(now - begun);
        if load == Load::OneASecond {
            while next <= now {
                if posters[turn].sent.is_none() {
                    posters[turn].post(now);
                }
                turn = (turn + 1) % posters.len();
                next += Duration::from_secs(1) / posters.len() as u32;
            }
            timeout = timeout.min(next - now);
        }
        poll.poll(&mut events, Some(timeout)).unwrap();
        if counted_from.is_none() && begun.elapsed() >= warm_up {
            counted_from = Some(Instant::now());
        }
        for event in &events {
            let poster = &mut posters[event.token().0];
            if let Some(latency) = poster.read() {
                if counted_from.is_some() {
                    taken.push(latency);
                }
                if load == Load::AllAtOnce {
                    poster.post(Instant::now());
                }
            }
        }
    }
    let counted = counted_from.expect("it ran longer").elapsed();
    let lasted = begun.elapsed();
    let after = hub.stop().stats;
    taken.sort_unstable();
    let at = |share: usize| taken[(taken.len() - 1) * share / 100];
    let commits = after.commits.saturating_sub(before.commits).max(1);
    Outcome {
        per_second: taken.len() as f64 / counted.as_secs_f64(),
        p50: at(50),
        p99: at(99),
        posts_per_commit: (after.chat.posts - before.chat.posts) as f64 / commits as f64,
        busy: (after.cpu - before.cpu).as_secs_f64() / lasted.as_secs_f64(),
    }
}

/// The hub's numbers once it has published them.
fn settled(hub: &RunningHub) -> Stats {
    let turns = hub.stats.snapshot().turns;
    while hub.stats.snapshot().turns == turns && turns == 0 {
        std::thread::yield_now();
    }
    hub.stats.snapshot()
}

/// How long the disk takes to write and sync so many bytes behind others, each time, for as long as
/// `span`: its worst moments are seconds apart.
fn sync_times(folder: &Path, bytes: u64, span: Duration) -> Vec<Duration> {
    let path = folder.join("sync-time");
    let file = File::create(&path).unwrap();
    let block = vec![7; bytes as usize];
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < span && times.len() < MOST_SYNCS {
        let start = Instant::now();
        let at = times.len() as u64 * bytes;
        file.write_all_at(&block, at).unwrap();
        file.sync_data().unwrap();
        times.push(start.elapsed());
    }
    std::fs::remove_file(&path).unwrap();
    times
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn compare(plan: &Plan, load: Load, root: &Path) {
    let (mut rates, mut p50s, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = 64 * RECORD;
    let span = Duration::from_secs_f64(plan.seconds / 2.0);
    for round in 0..plan.rounds {
        let memory = run(plan, load, None);
        let folder = root.join(format!("round-{round}"));
        let mut syncs = sync_times(root, bytes, span);
        let disk = run(plan, load, Some(&folder));
        syncs.extend(sync_times(root, bytes, span));
        std::fs::remove_dir_all(&folder).unwrap();
        syncs.sort_unstable();
        let at = |share: usize| syncs[(syncs.len() - 1) * share / 100];
        println!(
            "  memory {:>8.0}/s, ack p50 {:.1?}, p99 {:.1?}, hub's core {:.0}% busy",
            memory.per_second,
            memory.p50,
            memory.p99,
            memory.busy * 100.0,
        );
        println!(
            "  disk   {:>8.0}/s, ack p50 {:.1?}, p99 {:.1?}, hub's core {:.0}% busy, {:.0} posts a \
             commit; a sync of {bytes} bytes takes {:.1?}, p99 {:.1?}",
            disk.per_second,
            disk.p50,
            disk.p99,
            disk.busy * 100.0,
            disk.posts_per_commit,
            at(50),
            at(99),
        );
        bytes = (disk.posts_per_commit as u64).max(1) * RECORD;
        rates.push(disk.per_second / memory.per_second);
        p50s.push(disk.p50.as_secs_f64() / at(50).as_secs_f64());
        p99s.push(disk.p99.as_secs_f64() / at(99).as_secs_f64());
    }
    println!(
        "  medians: {:.2} of the posts of memory; ack p50 {:.2} of the median sync, p99 {:.2} of \
         the p99 sync",
        median(rates),
        median(p50s),
        median(p99s),
    );
}

fn main() {
    let is_test = env::args().any(|arg| arg == "--test");
    let number = |name, usual: f64| env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (posters, seconds, rounds) = if is_test {
        (50.0, 0.2, 1.0)
    } else {
        (1000.0, 5.0, 5.0)
    };
    let plan = Plan {
        posters: number("HALLOO_POSTERS", posters) as usize,
        seconds: number("HALLOO_SECONDS", seconds),
        rounds: number("HALLOO_ROUNDS", rounds) as usize,
    };
    let temporary = tempfile::tempdir().unwrap();
    let root =
        env::var_os("HALLOO_FOLDER").map_or(temporary.path().into(), std::path::PathBuf::from);
    pin(1);
    println!("{} posters, each with one post on its way:", plan.posters);
    compare(&plan, Load::AllAtOnce, &root);
    println!("{} posters, one post a second each:", plan.posters);
    compare(&plan, Load::OneASecond, &root);
}
