//! The image `hub4`: the rooms on a chip, with four members on two lines.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use embedded_io::{Read, ReadReady, Write};
use halloo_core::chat::Client;
use halloo_core::chat::client::{Config, Delivery, Event, From, PostError, outbox_bytes};
use halloo_core::frame::Cobs;
use halloo_core::link::{Link, Output, rx_bytes, tx_bytes};
use halloo_core::time::Instant as Time;
use halloo_core::wire::Join;
use halloo_std::testkit::{End, Noise, NoiseRates, pipe};

use super::{Board, images, report};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

type Line = Link<Cobs, { rx_bytes::<Cobs>(256) }, { tx_bytes::<Cobs>(32) }>;

/// A device on a bus.
struct Member {
    name: String,
    client: Client<1, { outbox_bytes(4, 32) }>,
    link: Line,
    nonce: u64,
    /// The member's end of its tap, and the bus's.
    tap: End,
    bus: End,
    posted: usize,
    read: Vec<(u64, String)>,
}

impl Member {
    fn new(number: u8, now: Time) -> Self {
        let name = format!("member-{number}");
        let mut client = Client::new(Config::new([number; 16], &name).unwrap());
        client
            .join_with("lab", From::Earliest, Join::OWN_BODIES)
            .unwrap();
        let (tap, bus) = pipe(1 << 16);
        let mut member = Self {
            name,
            client,
            link: Line::new(Cobs::new(256)),
            nonce: u64::from(number) << 32,
            tap,
            bus,
            posted: 0,
            read: Vec::new(),
        };
        member.connect(now);
        member
    }

    fn connect(&mut self, now: Time) {
        self.nonce += 1;
        self.link.connect(&mut self.client, now, self.nonce);
    }

    /// Reads, and posts up to `count` in all.
    fn turn(&mut self, now: Time, count: usize) {
        loop {
            match self.link.poll(&mut self.tap, &mut self.client, now) {
                Ok(Output::Delivery(Delivery::Entry { offset, body, .. })) => {
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    self.read.push((offset, body));
                }
                Ok(Output::Delivery(Delivery::Gap { .. })) => panic!("{}: a gap", self.name),
                Ok(Output::Event(Event::Closed { .. })) => self.connect(now),
                Ok(_) => {}
                Err(nb::Error::WouldBlock) => break,
                Err(nb::Error::Other(error)) => panic!("{error:?}"),
            }
        }
        while self.posted < count {
            let body = format!("{} {}", self.name, self.posted);
            match self.client.post(0, body.as_bytes()) {
                Ok(_) => self.posted += 1,
                Err(PostError::OutboxFull | PostError::NotJoined) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A line with two members: what the hub says, both hear.
struct Bus {
    line: TcpStream,
    noise: [Noise; 2],
    members: Vec<Member>,
}

impl Bus {
    fn new(line: TcpStream, members: Vec<Member>, rates: NoiseRates) -> Self {
        // Short, since the members want their turns.
        line.set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        Self {
            line,
            noise: [11, 12].map(|seed| Noise::new(seed, rates)),
            members,
        }
    }

    fn turn(&mut self, now: Time, count: usize) {
        let mut bytes = [0; 1024];
        let [down, up] = &mut self.noise;
        let mut heard = Vec::new();
        if let Ok(len) = self.line.read(&mut bytes) {
            assert!(len > 0, "the board is gone");
            down.pass(&bytes[..len], &mut heard);
        }
        for member in &mut self.members {
            member.bus.write_all(&heard).unwrap();
            member.turn(now, count);
            // Whole frames, as long as the tap holds all of a turn.
            let mut said = Vec::new();
            while member.bus.read_ready().unwrap() {
                let len = member.bus.read(&mut bytes).unwrap();
                up.pass(&bytes[..len], &mut said);
            }
            self.line.write_all(&said).unwrap();
        }
    }
}

/// Four members on two lines, who post and read what all of them post.
#[track_caller]
fn meet(rates: NoiseRates) -> usize {
    const POSTS: usize = 25;
    let Some(images) = images() else { return 0 };
    let (mut board, lines) = Board::start(images, "hub4", 2);
    let start = Instant::now();
    let now = || Time::from_ticks(start.elapsed().as_micros().try_into().unwrap());
    let mut buses: Vec<Bus> = (0..)
        .zip(lines)
        .map(|(at, line)| {
            let members = [1, 2].map(|number| Member::new(at * 2 + number, now()));
            Bus::new(line, members.into(), rates)
        })
        .collect();
    let is_done = |buses: &[Bus], each: usize| {
        let mut members = buses.iter().flat_map(|bus| &bus.members);
        members.all(|member| member.read.len() >= each * 4 && member.client.unacknowledged() == 0)
    };
    // All in before anybody posts, and in step, since the log is short.
    for each in 1..=POSTS {
        while !is_done(&buses, each) {
            assert!(start.elapsed() < PATIENCE, "stuck at {each}");
            buses.iter_mut().for_each(|bus| bus.turn(now(), each));
        }
    }
    let all: Vec<&Member> = buses.iter().flat_map(|bus| &bus.members).collect();
    for member in &all {
        assert_eq!(
            member.read, all[0].read,
            "{} reads another log",
            member.name
        );
    }
    let read = &all[0].read;
    assert!((1..).zip(read).all(|(at, (offset, _))| at == *offset));
    for member in &all {
        let own = read
            .iter()
            .filter(|(_, body)| body.starts_with(&member.name));
        let expected = (0..POSTS).map(|at| format!("{} {at}", member.name));
        assert!(
            own.map(|(_, body)| body.clone()).eq(expected),
            "{}",
            member.name
        );
    }
    board.stack()
}

#[test]
fn four_members_on_two_lines_meet_in_a_room_on_a_chip() {
    let stack = meet(NoiseRates::NONE);
    if stack > 0 {
        report("stack", "hub4", stack);
    }
}

#[test]
fn four_members_on_two_noisy_lines_lose_and_double_nothing() {
    meet(NoiseRates::all(300));
}
