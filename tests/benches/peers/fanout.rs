//! One poster, many members: how fast posts reach all of them.
//!
//! At most `outstanding` posts have not reached every member yet, whatever the server. A post is
//! counted once for each member that has read it.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::client::{Client, PATIENCE};
use crate::dialect::{Dialect, Part, RUN};
use crate::inbox::{ROOM, Read};
use crate::machine;
use crate::measure::{Sample, Span};
use crate::server::Server;

const ROOM_NAME: &str = "r";

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) members: usize,
    pub(crate) outstanding: usize,
    pub(crate) seconds: f64,
    /// One more member reads nothing until all is over.
    pub(crate) sleeper: bool,
}

/// What the member that slept had when nothing more came.
pub(crate) struct Woken {
    pub(crate) got: u64,
    pub(crate) of: u64,
    pub(crate) cut_off: bool,
    /// The server's memory before it read.
    pub(crate) memory: u64,
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

struct Run<'a> {
    dialect: &'a dyn Dialect,
    poll: Poll,
    events: Events,
    progress: Progress,
    outstanding: u64,
    members: Vec<Client>,
    posters: Vec<Client>,
    /// Whose turn it is to post.
    next: usize,
    posted: u64,
    deliveries: u64,
    room: Vec<u8>,
}

/// Runs the load against a server that has just started.
pub(crate) fn run(server: &Server, dialect: &dyn Dialect, load: &Load) -> (Sample, Option<Woken>) {
    let attach = |nth, part| Client::attach(server, dialect, nth, ROOM_NAME, part);
    let mut members: Vec<_> = (0..load.members)
        .map(|nth| attach(nth, Part::Member))
        .collect();
    let asleep = load
        .sleeper
        .then(|| Client::attach_narrow(server, dialect, load.members, ROOM_NAME));
    // As many devices post as the window of one does not hold.
    let count = dialect
        .window()
        .map_or(1, |window| load.outstanding / window);
    let first = load.members + 1;
    let mut posters: Vec<_> = (0..count)
        .map(|nth| attach(first + nth, Part::Poster))
        .collect();
    let poll = Poll::new().expect("an event queue");
    for (nth, client) in members.iter_mut().chain(&mut posters).enumerate() {
        client.register(poll.registry(), nth);
    }
    let mut run = Run {
        dialect,
        poll,
        events: Events::with_capacity(1024),
        progress: Progress {
            members: load.members,
            readers: vec![0; load.outstanding / RUN + 1],
            complete: 0,
        },
        outstanding: load.outstanding as u64,
        members,
        posters,
        next: 0,
        posted: 0,
        deliveries: 0,
        room: vec![0; ROOM],
    };
    let sample = run.measure(server, load);
    let woken = asleep.map(|client| run.wake(server, client));
    (sample, woken)
}

impl Run<'_> {
    fn measure(&mut self, server: &Server, load: &Load) -> Sample {
        let length = Duration::from_secs_f64(load.seconds);
        self.turn_for(length / 4);
        let (before, span) = (self.deliveries, Span::begin(server));
        self.turn_for(length);
        let sample = span.end(self.deliveries - before);
        let wanted = self.posted * load.members as u64;
        while self.deliveries < wanted {
            self.turn();
        }
        let everything = self.members.iter().all(|m| m.deliveries() == self.posted);
        assert!(everything, "posts were lost or doubled");
        sample
    }

    fn turn_for(&mut self, length: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < length {
            self.post();
            self.turn();
        }
    }

    /// Posts what may be on its way.
    fn post(&mut self) {
        let limit = self.progress.complete * RUN as u64 + self.outstanding;
        while self.posted < limit {
            let poster = &mut self.posters[self.next];
            if !poster.may_post(RUN, self.dialect.window()) {
                break;
            }
            poster.post(self.dialect, RUN, self.posted);
            self.posted += RUN as u64;
            self.next = (self.next + 1) % self.posters.len();
        }
        self.posters.iter_mut().for_each(Client::flush);
    }

    /// Reads what has come.
    fn turn(&mut self) {
        let polled = self.poll.poll(&mut self.events, Some(PATIENCE));
        polled.expect("an event queue");
        assert!(
            !self.events.is_empty(),
            "posts were lost: nothing more comes"
        );
        for event in self.events.iter() {
            let Token(nth) = event.token();
            if let Some(member) = self.members.get_mut(nth) {
                let before = member.deliveries();
                member.read(self.dialect, &mut self.room, |_| {});
                self.deliveries += member.deliveries() - before;
                self.progress.read(before, member.deliveries());
            } else {
                let poster = &mut self.posters[nth - self.members.len()];
                poster.read(self.dialect, &mut self.room, |_| {});
                poster.flush();
            }
        }
    }

    /// Lets a member read that has not until now.
    fn wake(&mut self, server: &Server, client: Client) -> Woken {
        let memory = machine::memory_of(server.pid()).now;
        let mut client = client.uncounted();
        client.register(self.poll.registry(), usize::MAX);
        let mut read = Read::Done;
        let mut heard = Instant::now();
        while client.deliveries() < self.posted && read != Read::Closed {
            if heard.elapsed() > PATIENCE / 5 {
                break;
            }
            let before = client.deliveries();
            read = client.read_once(self.dialect, &mut self.room);
            if client.deliveries() != before {
                heard = Instant::now();
            } else if read == Read::Done {
                let _ = self.poll.poll(&mut self.events, Some(PATIENCE / 100));
            }
        }
        Woken {
            got: client.deliveries(),
            of: self.posted,
            cut_off: read == Read::Closed,
            memory,
        }
    }
}
