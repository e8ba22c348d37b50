//! Serial lines at a real hub: devices, and lines over TCP that are listened for or connected to.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use halloo_core::chat::datagram::Header;
use halloo_core::frame::{Cobs, Framing};
use halloo_core::wire::binary::encode;
use halloo_core::wire::{Hello, Message};
use halloo_std::client::{Device, From, Happening, Settings};
use halloo_std::hub::{Data, HubConfig, HubError, Server};
use halloo_std::socket::{DeviceProblem, SerialPort, SocketError};
use halloo_std::testkit::NoiseRates;
use halloo_tests::cable::{Cable, Terminal};
use halloo_tests::hub::{Got, RunningHub, small};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

const ROOM: &str = "lab";
const LINE: &str = "chat+cobs+tcp://127.0.0.1:0";
const TCP: &str = "chat+tcp://127.0.0.1:0";

fn settings(name: &str) -> Settings {
    let mut device = [0; 16];
    device[..name.len()].copy_from_slice(name.as_bytes());
    Settings {
        device: Some(device),
        longest_wait: Duration::from_millis(200),
        ..Settings::new(name)
    }
}

/// Somebody in the room: what it has posted, and what it was told.
struct Member {
    name: String,
    device: Device,
    posted: usize,
    acked: usize,
    /// By offset, who posted and what; of its own posts nothing.
    log: Vec<(u64, Option<(String, String)>)>,
    sessions: usize,
}

impl Member {
    fn new(name: &str, url: &str) -> Self {
        let endpoint = url.parse().unwrap();
        let mut device = Device::offline(endpoint, settings(name)).unwrap();
        device.join(ROOM, From::Earliest).unwrap();
        Self {
            name: name.into(),
            device,
            posted: 0,
            acked: 0,
            log: Vec::new(),
            sessions: 0,
        }
    }

    fn turn(&mut self, wanted: usize) {
        if self.posted < wanted {
            let body = format!("{} {}", self.name, self.posted + 1);
            self.posted += usize::from(self.device.post(ROOM, body.as_bytes()).is_ok());
        }
        match self.device.next(Duration::from_millis(1)).unwrap() {
            Some(Happening::Connected) => self.sessions += 1,
            Some(Happening::Acked { .. }) => self.acked += 1,
            Some(Happening::Own { offset, .. }) => self.log.push((offset, None)),
            Some(Happening::Entry {
                offset, from, body, ..
            }) => {
                let text = String::from_utf8(body).unwrap();
                self.log.push((offset, Some((from.to_string(), text))));
            }
            Some(
                other @ (Happening::Gap { .. }
                | Happening::Rejected { .. }
                | Happening::Unknown { .. }),
            ) => {
                panic!("{}: {other:?}", self.name)
            }
            _ => {}
        }
    }
}

/// Each posts so many; until each has all verdicts and the whole log.
#[track_caller]
fn exchange(members: &mut [Member], posts: usize, mut each_turn: impl FnMut(usize)) {
    let all = members.len() * posts;
    let start = Instant::now();
    let is_done = |member: &Member| member.acked == posts && member.log.len() == all;
    while !members.iter().all(is_done) {
        for member in &mut *members {
            member.turn(posts);
        }
        each_turn(members.iter().map(|member| member.acked).sum());
        let stand: Vec<_> = members
            .iter()
            .map(|m| (&m.name, m.acked, m.log.len(), m.sessions))
            .collect();
        assert!(start.elapsed() < PATIENCE, "{stand:?} of {posts} and {all}");
    }
    check(members, posts);
}

/// Nothing is lost or doubled, and all have the same order.
#[track_caller]
fn check(members: &[Member], posts: usize) {
    let mut whole: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for member in members {
        let offsets: Vec<u64> = member.log.iter().map(|(offset, _)| *offset).collect();
        let wanted: Vec<u64> = (1..=(members.len() * posts) as u64).collect();
        assert_eq!(offsets, wanted, "{}", member.name);
        let own = member.log.iter().filter(|(_, post)| post.is_none()).count();
        assert_eq!(own, posts, "{}", member.name);
        for (offset, post) in &member.log {
            if let Some(post) = post {
                let same = whole.entry(*offset).or_insert_with(|| post.clone());
                assert_eq!(same, post);
            }
        }
    }
    for member in members {
        let of = whole.values().filter(|(from, _)| *from == member.name);
        let wanted = (1..=posts).map(|n| format!("{} {n}", member.name));
        assert!(
            of.map(|(_, text)| text.clone()).eq(wanted),
            "{}",
            member.name
        );
    }
}

fn url(hub: &RunningHub, number: usize) -> String {
    hub.endpoints[number].to_string()
}

#[test]
fn boards_on_lines_and_members_over_tcp_meet_in_one_room() {
    let (_cable, near, far) = Cable::null_modem(1, NoiseRates::NONE);
    let device = format!("chat+serial:{}?baud=921600", near.display());
    let hub = RunningHub::start(&[TCP, LINE, &device], small());
    let mut members = [
        Member::new("ann", &url(&hub, 0)),
        Member::new("bob", &url(&hub, 1)),
        Member::new("cy", &url(&hub, 1)),
        Member::new("dan", &format!("serial:{}?baud=921600", far.display())),
    ];
    exchange(&mut members, 30, |_| {});
    let [_, _, _, dan] = members;
    dan.device.bye(PATIENCE).unwrap();
    let summary = hub.stop();
    assert_eq!((summary.stats.noise, summary.cut_off), (0, 0));
}

#[test]
fn noise_both_ways_loses_nothing_and_doubles_nothing() {
    for seed in 0..3 {
        let hub = RunningHub::start(&[TCP, LINE], small());
        let rates = NoiseRates::all(400);
        let cables = [0, 1].map(|n| Cable::over_tcp(hub.address(1), seed * 2 + n, rates));
        let line = |n: usize| format!("chat+cobs+tcp://127.0.0.1:{}", cables[n].1);
        let mut members = [
            Member::new("ann", &url(&hub, 0)),
            Member::new("bob", &line(0)),
            Member::new("cy", &line(1)),
        ];
        // The faults stop before the end, so that all drains.
        exchange(&mut members, 60, |acked| {
            if acked > 150 {
                cables
                    .iter()
                    .for_each(|(cable, _)| cable.set_rates(NoiseRates::NONE));
            }
        });
        let faults: u64 = cables
            .iter()
            .flat_map(|(cable, _)| cable.counts())
            .map(|c| c.faults())
            .sum();
        assert!(faults > 10, "{faults}");
        let noise = hub.stats.snapshot().noise;
        drop(members);
        let summary = hub.stop();
        assert!(summary.stats.noise >= noise && summary.stats.noise > 0);
        assert_eq!(summary.stats.chat.violations, 0);
    }
}

#[test]
fn a_hub_with_a_data_folder_that_starts_again_goes_on_with_its_boards() {
    let folder = tempfile::tempdir().unwrap();
    let config = || HubConfig {
        data: Some(Data::new(folder.path())),
        ..small()
    };
    let (_cable, near, far) = Cable::null_modem(5, NoiseRates::all(100));
    let device = format!("chat+serial:{}?baud=921600", near.display());
    let mut board = Member::new("board", &format!("serial:{}", far.display()));
    let mut last = 0;
    for round in 1..=3 {
        let hub = RunningHub::start(&[&device], config());
        let start = Instant::now();
        while board.acked < round * 20 {
            board.turn(round * 20);
            assert!(start.elapsed() < PATIENCE, "round {round}: {}", board.acked);
        }
        let posts = hub.stop().stats.chat.posts;
        assert_eq!(posts, 20, "round {round}");
        last += posts;
    }
    assert_eq!(last, 60);
}

#[test]
fn a_hub_connects_to_a_serial_server_again_and_again() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let hub = RunningHub::start(&[&format!("chat+cobs+tcp://{address}?connect")], small());
    let mut board = Terminal::new();
    let mut member = Member::new("board", &format!("serial:{}", board.path.display()));
    for round in 1..=3 {
        // The server's side of the line: this cable.
        let (line, _) = server.accept().unwrap();
        line.set_nonblocking(true).unwrap();
        let cable = Cable::between(line.into(), board.master.into(), 1, NoiseRates::NONE);
        let start = Instant::now();
        while member.acked < round * 5 {
            member.turn(round * 5);
            assert!(
                start.elapsed() < PATIENCE,
                "round {round}: {}",
                member.acked
            );
        }
        // It ends, the board's device with it.
        drop(cable);
        board = Terminal::new();
        member = Member {
            acked: member.acked,
            posted: member.posted,
            ..Member::new("board", &format!("serial:{}", board.path.display()))
        };
    }
    assert_eq!(hub.stop().stats.chat.posts, 15);
}

#[test]
fn a_device_that_is_pulled_is_opened_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttyUSB0");
    // It is not there yet.
    let hub = RunningHub::start(&[&format!("chat+serial:{}", path.display())], small());
    for round in 1..=3 {
        let (cable, near, far) = Cable::null_modem(round, NoiseRates::NONE);
        plug(&near, &path);
        let mut member = Member::new("board", &format!("serial:{}", far.display()));
        let start = Instant::now();
        while member.acked < 5 {
            member.turn(5);
            assert!(
                start.elapsed() < PATIENCE,
                "round {round}: {}",
                member.acked
            );
        }
        std::fs::remove_file(&path).unwrap();
        drop(cable);
    }
    assert_eq!(hub.stop().stats.chat.posts, 15);
}

fn plug(device: &Path, path: &Path) {
    symlink(device, path).unwrap();
}

#[test]
fn what_cannot_be_a_line_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no device").unwrap();
    let bind = |url: &str| Server::bind(&[url.parse().unwrap()], small());
    let wrong = bind(&format!("chat+serial:{}", file.display())).unwrap_err();
    let is_told = matches!(
        &wrong,
        HubError::Socket(SocketError::Device {
            problem: DeviceProblem::NotSerial,
            ..
        })
    );
    assert!(is_told, "{wrong:?}");
    assert!(
        wrong.to_string().contains("is no serial device: name one"),
        "{wrong}"
    );
    for url in [
        "echo+serial:/dev/ttyS0",
        "json+cobs+tcp://127.0.0.1:0",
        "greet+cobs+tcp://h:1?connect",
    ] {
        let wrong = bind(url).unwrap_err();
        assert!(
            matches!(wrong, HubError::NotServed { .. }),
            "{url}: {wrong:?}"
        );
    }
}

#[test]
fn a_device_is_raw_and_has_the_rate_that_was_asked_for() {
    let mut terminal = Terminal::new();
    let mut port = SerialPort::open(&terminal.path, 57_600).unwrap();
    let settings = rustix::termios::tcgetattr(&port).unwrap();
    assert_eq!(settings.output_speed(), 57_600);
    assert_eq!(settings.input_speed(), 57_600);
    let all: Vec<u8> = (0..=255).collect();
    port.write_all(&all).unwrap();
    terminal.master.write_all(&all).unwrap();
    let mut there = [0; 256];
    let mut here = [0; 256];
    let mut at = 0;
    while at < 256 {
        at += embedded_io::Read::read(&mut port, &mut here[at..]).unwrap();
    }
    let mut at = 0;
    let start = Instant::now();
    while at < 256 {
        at += terminal.master.read(&mut there[at..]).unwrap_or(0);
        assert!(start.elapsed() < PATIENCE);
    }
    assert_eq!((&here[..], &there[..]), (&all[..], &all[..]));
    let none = SerialPort::open("/dev/there-is-none", 57_600).unwrap_err();
    assert!(matches!(
        none,
        SocketError::Device {
            problem: DeviceProblem::Absent,
            ..
        }
    ));
}

#[test]
fn a_line_that_takes_nothing_holds_up_nobody_and_is_kept_nothing_for() {
    let hub = RunningHub::start(&[TCP, &format!("{LINE}?baud=300")], small());
    // A board that joins and is not read again, on a line of 30 bytes a second.
    let mut deaf = Member::new("deaf", &url(&hub, 1));
    let start = Instant::now();
    while deaf.device.cursor(ROOM).is_none() {
        deaf.turn(0);
        assert!(start.elapsed() < PATIENCE);
    }
    let mut members = [
        Member::new("ann", &url(&hub, 0)),
        Member::new("bob", &url(&hub, 0)),
    ];
    exchange(&mut members, 200, |_| {});
    let kept = hub.stats.snapshot().memory.buffers;
    assert!(kept <= 64 * 1024, "{kept}");
    // Of the 400 entries a handful was begun.
    let delivered = hub.stop().stats.chat.delivered;
    assert!(delivered <= 800 + 16, "{delivered}");
}

#[test]
fn a_line_is_given_no_more_than_its_rate_carries() {
    // [F-LINE-6]
    let hub = RunningHub::start(&[TCP, &format!("{LINE}?baud=1")], small());
    let mut line = hub.tcp(1);
    let mut member = hub.peer();
    member.hello(9);
    line.write_all(&said(1)).unwrap();
    // The first frame goes at once, and is ten minutes on its way.
    let mut first = [0; 9];
    line.read_exact(&mut first).unwrap();
    let mut rest = [0; 256];
    loop {
        let n = line.read(&mut rest).unwrap();
        if rest[..n].ends_with(b"\0") {
            break;
        }
    }
    for number in 2..20 {
        line.write_all(&said(number)).unwrap();
        // When this is answered, the hub has taken that.
        member.send(&Message::Ping { token: number });
        assert_eq!(member.recv(), Got::Pong { token: number });
    }
    line.set_nonblocking(true).unwrap();
    let more = line.read(&mut rest).map_err(|error| error.kind());
    assert_eq!(more, Err(std::io::ErrorKind::WouldBlock));
}

/// The `Hello` of one attempt, said again under another number.
fn said(number: u32) -> Vec<u8> {
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 7,
        device: [1; 16],
        max_frame: 512,
        credit: 8,
        keepalive: 25,
        proof: &[],
        cookie: None,
    };
    let header = Header {
        session: 7,
        number,
        seen: 0,
    };
    let mut frame = vec![0; 256];
    let (head, message) = frame[Cobs::HEADER..].split_at_mut(16);
    head.copy_from_slice(&header.encode());
    let len = encode(&Message::Hello(hello), message).unwrap();
    let sealed = Cobs::new(200).seal(&mut frame, 16 + len).unwrap();
    frame.truncate(sealed);
    frame
}
