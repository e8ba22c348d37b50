//! A hub that is killed again and again under load: every post that it acknowledged is there once.
//!
//! `HALLOO_KILLS=100 HALLOO_SEED=7 cargo test -p halloo-std --test cli kill -- --nocapture` kills it
//! more often, at other moments, and shows the table.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use halloo_std::client::{Device, From, Happening, PostError, PostId, Settings};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::process::{LONG, Running};

const ROOMS: [&str; 2] = ["lab", "yard"];

/// Half of them over TCP, half over a Unix socket.
const DEVICES: usize = 6;

/// The longest pause between so many acknowledgements and the kill: several commits long.
const JITTER: Duration = Duration::from_millis(4);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    from: String,
    body: String,
}

/// What the threads of the devices are told.
#[derive(Debug, Default)]
struct Orders {
    /// Post no more.
    flush: AtomicBool,
    /// The heads of the rooms when all is said: read up to there, and end.
    heads: OnceLock<[u64; 2]>,
    /// End at once.
    give_up: AtomicBool,
}

/// What the threads tell.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Acked,
    /// It was told to post no more, and all its posts have their verdict.
    Flushed,
}

/// What a device has seen and done, by room.
#[derive(Debug, Default)]
struct Seen {
    name: String,
    log: [Vec<Entry>; 2],
    posted: [u32; 2],
    acked: [Vec<String>; 2],
    reconnects: u32,
    /// Its posts that did not come back as markers yet.
    own: [VecDeque<String>; 2],
    waiting: BTreeMap<PostId, String>,
}

fn number(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap())
}

fn room_at(room: &str) -> usize {
    ROOMS.iter().position(|name| *name == room).unwrap()
}

impl Seen {
    /// Takes what happened to the device; whether that was an acknowledgement.
    fn take(&mut self, happening: Happening) -> bool {
        match happening {
            Happening::Entry {
                room,
                offset,
                from,
                body,
            } => {
                let (from, body) = (from.to_string(), String::from_utf8(body).unwrap());
                self.add(room_at(&room), offset, Entry { from, body });
            }
            Happening::Own { room, offset } => {
                let at = room_at(&room);
                let body = self.own[at].pop_front().expect("a marker is of a post");
                let from = self.name.clone();
                self.add(at, offset, Entry { from, body });
            }
            Happening::Acked { room, post } => {
                let body = self.waiting.remove(&post).expect("one verdict");
                self.acked[room_at(&room)].push(body);
                return true;
            }
            Happening::Reconnected => self.reconnects += 1,
            Happening::Gap { .. }
            | Happening::StoreChanged { .. }
            | Happening::Rejected { .. }
            | Happening::Unknown { .. }
            | Happening::Refused { .. } => panic!("{}: {happening:?}", self.name),
            _ => {}
        }
        false
    }

    fn add(&mut self, room: usize, offset: u64, entry: Entry) {
        let name = &self.name;
        let log = &mut self.log[room];
        assert_eq!(offset, log.len() as u64 + 1, "{name}: not the next entry");
        log.push(entry);
    }

    fn has_read(&self, heads: [u64; 2]) -> bool {
        let lens = [0, 1].map(|room| self.log[room].len() as u64);
        lens == heads
    }
}

fn device(url: &str, name: &str) -> Device {
    let mut id = [b'.'; 16];
    id[..name.len()].copy_from_slice(name.as_bytes());
    let settings = Settings {
        device: Some(id),
        longest_wait: Duration::from_millis(50),
        ..Settings::new(name)
    };
    let mut device = Device::connect(url, settings).unwrap();
    for room in ROOMS {
        device.join_wait(room, From::Earliest, LONG).unwrap();
    }
    device
}

/// Posts to both rooms as fast as the outbox takes it, and reads all that comes.
fn work(url: &str, name: String, orders: &Orders, told: &Sender<Told>) -> Seen {
    let mut device = device(url, &name);
    let mut seen = Seen {
        name,
        ..Seen::default()
    };
    let mut flushed = false;
    while !orders.give_up.load(SeqCst) {
        if orders.flush.load(SeqCst) {
            if !flushed && device.unacknowledged() == 0 {
                flushed = true;
                told.send(Told::Flushed).unwrap();
            }
            if flushed
                && orders
                    .heads
                    .get()
                    .is_some_and(|heads| seen.has_read(*heads))
            {
                break;
            }
        } else {
            post(&mut device, &mut seen);
        }
        if let Some(happening) = device.next(Duration::from_millis(5)).unwrap()
            && seen.take(happening)
        {
            told.send(Told::Acked).unwrap();
        }
    }
    seen
}

fn post(device: &mut Device, seen: &mut Seen) {
    for (at, room) in ROOMS.into_iter().enumerate() {
        let body = format!("{} {:6} {}", seen.name, seen.posted[at] + 1, "x".repeat(80));
        match device.post(room, body.as_bytes()) {
            Ok(id) => {
                seen.posted[at] += 1;
                seen.own[at].push_back(body.clone());
                seen.waiting.insert(id, body);
            }
            // It has as many under way as it may, or no session since the hub was killed.
            Err(PostError::OutboxFull | PostError::NotJoined) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A hub's addresses, which are its own even while it is dead.
struct Place {
    tcp: String,
    unix: String,
    data: String,
    /// Bound, and listened on by the hub alone.
    _port: Socket,
}

impl Place {
    fn in_folder(folder: &Path) -> Self {
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        port.set_reuse_address(true).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        port.bind(&any.into()).unwrap();
        let address = port.local_addr().unwrap().as_socket().unwrap();
        Self {
            tcp: format!("chat+tcp://{address}"),
            unix: format!("chat+unix:{}", folder.join("hub.sock").display()),
            data: folder.join("data").display().to_string(),
            _port: port,
        }
    }

    /// A hub whose memory holds little, so that much is read from its short segments.
    fn start(&self) -> Running {
        let listen = ["serve", "--listen", &self.tcp, "--listen", &self.unix];
        let memory = [
            "--max-rooms",
            "4",
            "--room-posts",
            "64",
            "--max-members",
            "64",
        ];
        let data = ["--data", &self.data, "--segment-bytes", "64K"];
        let hub = Running::start(&[&listen[..], &memory, &data].concat());
        hub.out("listening on chat+tcp");
        hub.out("listening on chat+unix");
        hub
    }
}

/// Ends the threads, also when the test fails.
struct EndOnDrop<'a>(&'a Orders);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.give_up.store(true, SeqCst);
    }
}

/// Waits until so many have told `what`; fails as soon as a device has failed.
fn wait_for(
    what: Told,
    count: usize,
    told: &Receiver<Told>,
    devices: &[ScopedJoinHandle<'_, Seen>],
) {
    let mut left = count;
    while left > 0 {
        let news = told.recv_timeout(LONG).expect("a device goes on");
        assert!(devices.iter().all(|d| !d.is_finished()), "a device failed");
        left -= usize::from(news == what);
    }
}

/// All that the hub has, as somebody reads it who was not there.
fn read_all(url: &str) -> Seen {
    let mut reader = device(url, "reader");
    let mut seen = Seen {
        name: "reader".into(),
        ..Seen::default()
    };
    let mut heads = [None; 2];
    while !heads[0]
        .zip(heads[1])
        .is_some_and(|(a, b)| seen.has_read([a, b]))
    {
        let happening = reader.next(LONG).unwrap().expect("the rest of the log");
        if let Happening::Joined { room, head, .. } = &happening {
            heads[room_at(room)] = Some(*head);
        }
        seen.take(happening);
    }
    seen
}

#[test]
fn a_hub_that_is_killed_again_and_again_keeps_every_acknowledged_post_once_and_in_order() {
    let (kills, seed) = (number("HALLOO_KILLS", 10), number("HALLOO_SEED", 1));
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let place = Place::in_folder(folder.path());
    let orders = Orders::default();
    let (hub, log, devices) = thread::scope(|scope| {
        let mut hub = place.start();
        let end = EndOnDrop(&orders);
        let (tell, told) = mpsc::channel();
        let devices: Vec<_> = (0..DEVICES)
            .map(|n| {
                let url = [&place.tcp, &place.unix][n % 2];
                let (tell, orders) = (tell.clone(), &orders);
                scope.spawn(move || work(url, format!("device-{n}"), orders, &tell))
            })
            .collect();
        for _ in 0..kills {
            wait_for(Told::Acked, random.usize(1..2000), &told, &devices);
            // Else it would always be killed just after a commit.
            thread::sleep(JITTER.mul_f64(random.f64()));
            hub.signal(Signal::KILL);
            hub.wait();
            hub = place.start();
        }
        orders.flush.store(true, SeqCst);
        wait_for(Told::Flushed, DEVICES, &told, &devices);
        let log = read_all(&place.tcp);
        let heads = [0, 1].map(|room| log.log[room].len() as u64);
        orders.heads.set(heads).unwrap();
        let devices: Vec<Seen> = devices.into_iter().map(|d| d.join().unwrap()).collect();
        drop(end);
        (hub, log, devices)
    });
    hub.signal(Signal::TERM);
    assert_eq!(hub.wait().code, Some(0));
    check(kills, &log, &devices);
}

fn check(kills: u64, log: &Seen, devices: &[Seen]) {
    let mut found: [BTreeMap<&str, u32>; 2] = Default::default();
    for (found, log) in found.iter_mut().zip(&log.log) {
        for entry in log {
            *found.entry(&entry.body).or_default() += 1;
        }
    }
    println!("kills  device     room  reconnects  posts  acknowledged  found once");
    let mut all_found = true;
    for device in devices {
        for (at, room) in ROOMS.into_iter().enumerate() {
            let acked = &device.acked[at];
            let once = acked
                .iter()
                .filter(|body| found[at].get(body.as_str()) == Some(&1));
            let once = once.count();
            println!(
                "{kills:5}  {}  {room:4}  {:10}  {:5}  {:12}  {once:10}",
                device.name,
                device.reconnects,
                device.posted[at],
                acked.len()
            );
            all_found &= once == acked.len() && once == device.posted[at] as usize;
        }
    }
    assert!(all_found, "each acknowledged post is in the log once");
    for device in devices {
        assert!(
            device.log == log.log,
            "{} has read another log",
            device.name
        );
        for log in &log.log {
            let posts = log.iter().filter(|entry| entry.from == device.name);
            let bodies: Vec<&str> = posts.map(|entry| &*entry.body).collect();
            assert!(
                bodies.is_sorted(),
                "{}: its posts changed places",
                device.name
            );
        }
    }
    for (found, log) in found.iter().zip(&log.log) {
        assert_eq!(found.len(), log.len(), "something is there twice");
    }
}
