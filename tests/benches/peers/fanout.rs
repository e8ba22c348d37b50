//! One poster, many members: how fast posts reach all of them.
//!
//! At most `outstanding` posts have not reached every member yet, whatever the server. A post is
//! counted once for each member that has read it.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::dialect::{Dialect, Part, RUN, Shape, Template};
use crate::inbox::{Inbox, ROOM};
use crate::machine::{self, Memory};
use crate::server::Server;

/// How long nothing may come before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

const ROOM_NAME: &str = "r";

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) members: usize,
    pub(crate) outstanding: usize,
    pub(crate) seconds: f64,
}

/// What came of one run.
pub(crate) struct Sample {
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
    pub(crate) server_cpu: f64,
    pub(crate) generator_cpu: f64,
    pub(crate) memory: Memory,
}

/// A connection that posts.
struct Lane {
    stream: TcpStream,
    shape: Shape,
    template: Template,
    inbox: Inbox,
    posted: u64,
    pending: Vec<u8>,
}

/// A connection that reads.
struct Member {
    stream: TcpStream,
    shape: Shape,
    inbox: Inbox,
    credited: u64,
}

/// Which runs of posts have reached everybody.
struct Progress {
    members: usize,
    /// How many members have read the runs from `complete` on.
    readers: Vec<usize>,
    complete: u64,
}

impl Progress {
    /// A member that had read so many posts now has more.
    fn read(&mut self, before: u64, after: u64) {
        for run in before / RUN as u64..after / RUN as u64 {
            let slot = (run % self.readers.len() as u64) as usize;
            self.readers[slot] += 1;
            if self.readers[slot] == self.members {
                self.readers[slot] = 0;
                self.complete += 1;
            }
        }
    }
}

impl Lane {
    /// Whether the protocol allows another run.
    fn is_free(&self, window: Option<usize>) -> bool {
        let waiting = self.posted - self.inbox.confirmed;
        window.is_none_or(|window| waiting + RUN as u64 <= window as u64)
    }

    fn flush(&mut self) {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(n) => drop(self.pending.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => panic!("posting: {e}"),
            }
        }
    }
}

/// A connection that has joined.
pub(crate) fn attach(
    server: &Server,
    dialect: &dyn Dialect,
    nth: usize,
    room: &str,
    part: Part,
) -> (TcpStream, Shape) {
    let mut stream = std::net::TcpStream::connect(server.address).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP option");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a TCP option");
    let shape = dialect.attach(&mut stream, nth, room, part);
    stream.set_nonblocking(true).expect("a TCP option");
    (TcpStream::from_std(stream), shape)
}

/// Runs the load against a server that has just started.
pub(crate) fn run(server: &Server, dialect: &dyn Dialect, load: &Load) -> Sample {
    let mut poll = Poll::new().expect("an event queue");
    let mut members = Vec::with_capacity(load.members);
    for nth in 0..load.members {
        let (mut stream, shape) = attach(server, dialect, nth, ROOM_NAME, Part::Member);
        let registry = poll.registry();
        registry
            .register(&mut stream, Token(nth), Interest::READABLE)
            .expect("a place in the queue");
        members.push(Member {
            stream,
            shape,
            inbox: Inbox::default(),
            credited: 0,
        });
    }
    let mut lanes = Vec::new();
    let count = dialect
        .window()
        .map_or(1, |window| load.outstanding / window);
    for nth in 0..count {
        let nth = load.members + nth;
        let (mut stream, shape) = attach(server, dialect, nth, ROOM_NAME, Part::Poster);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = poll.registry();
        registry
            .register(&mut stream, Token(nth), interest)
            .expect("a place in the queue");
        lanes.push(Lane {
            stream,
            // Deliveries never come here.
            shape: Shape {
                head: vec![0xff; 8],
                ..shape
            },
            template: dialect.template(ROOM_NAME),
            inbox: Inbox::default(),
            posted: 0,
            pending: Vec::new(),
        });
    }
    Run {
        dialect,
        window: dialect.window(),
        credit_every: dialect.credit_every(),
        progress: Progress {
            members: load.members,
            readers: vec![0; load.outstanding / RUN + 1],
            complete: 0,
        },
        outstanding: load.outstanding as u64,
        members,
        lanes,
        next: 0,
        posted: 0,
        deliveries: 0,
        room: vec![0; ROOM],
    }
    .measure(&mut poll, server, load)
}

struct Run<'a> {
    dialect: &'a dyn Dialect,
    window: Option<usize>,
    credit_every: u64,
    progress: Progress,
    outstanding: u64,
    members: Vec<Member>,
    lanes: Vec<Lane>,
    /// Whose turn it is to post.
    next: usize,
    posted: u64,
    deliveries: u64,
    room: Vec<u8>,
}

impl Run<'_> {
    fn measure(mut self, poll: &mut Poll, server: &Server, load: &Load) -> Sample {
        let mut events = Events::with_capacity(1024);
        let span = Duration::from_secs_f64(load.seconds);
        self.turn_for(poll, &mut events, span / 4);
        let (cpu, own) = (machine::cpu_of(server.pid()), machine::own_cpu());
        let (before, begun) = (self.deliveries, Instant::now());
        self.turn_for(poll, &mut events, span);
        let seconds = begun.elapsed();
        let own = machine::own_cpu() - own;
        let cpu = machine::cpu_of(server.pid()) - cpu;
        let deliveries = self.deliveries - before;
        let wanted = self.posted * load.members as u64;
        while self.deliveries < wanted {
            self.turn(poll, &mut events);
        }
        assert_eq!(self.deliveries, wanted, "posts were doubled");
        let members = &self.members;
        assert!(
            members
                .iter()
                .all(|member| member.inbox.deliveries == self.posted)
        );
        Sample {
            deliveries,
            seconds: seconds.as_secs_f64(),
            server_cpu: cpu.as_secs_f64(),
            generator_cpu: own.as_secs_f64(),
            memory: machine::memory_of(server.pid()),
        }
    }

    fn turn_for(&mut self, poll: &mut Poll, events: &mut Events, span: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < span {
            self.post();
            self.turn(poll, events);
        }
    }

    /// Posts what may be on its way.
    fn post(&mut self) {
        let limit = self.progress.complete * RUN as u64 + self.outstanding;
        while self.posted < limit {
            let lane = &mut self.lanes[self.next];
            if !lane.is_free(self.window) {
                break;
            }
            let seq = lane.posted + 1;
            self.dialect
                .add_run(&lane.template, &mut lane.pending, self.posted, seq);
            lane.posted += RUN as u64;
            self.posted += RUN as u64;
            self.next = (self.next + 1) % self.lanes.len();
        }
        self.lanes.iter_mut().for_each(Lane::flush);
    }

    /// Reads what has come.
    fn turn(&mut self, poll: &mut Poll, events: &mut Events) {
        poll.poll(events, Some(PATIENCE)).expect("an event queue");
        assert!(!events.is_empty(), "posts were lost: nothing more comes");
        for event in events.iter() {
            let Token(nth) = event.token();
            if let Some(member) = self.members.get_mut(nth) {
                let before = member.inbox.deliveries;
                member.read(self.dialect, &mut self.room, self.credit_every);
                let after = member.inbox.deliveries;
                self.deliveries += after - before;
                self.progress.read(before, after);
                continue;
            }
            let lane = &mut self.lanes[nth - self.members.len()];
            while lane.inbox.read(
                &mut lane.stream,
                &mut self.room,
                self.dialect,
                &lane.shape,
                |_| {},
            ) {}
            lane.flush();
        }
    }
}

impl Member {
    fn read(&mut self, dialect: &dyn Dialect, room: &mut [u8], credit_every: u64) {
        while self
            .inbox
            .read(&mut self.stream, room, dialect, &self.shape, |_| {})
        {}
        let deliveries = self.inbox.deliveries;
        if deliveries - self.credited >= credit_every {
            self.credited = deliveries;
            let credit = dialect.credit(deliveries);
            let written = self.stream.write(&credit).expect("the server reads");
            assert_eq!(written, credit.len(), "a credit fits into a socket");
        }
    }
}
