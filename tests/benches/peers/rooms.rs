//! Many rooms, all members of which post: a few posts on the way in each room, and everybody reads.
//!
//! Everybody is sent its own posts too, since not all servers can leave them out.

use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::client::{Client, PATIENCE};
use crate::dialect::{Dialect, Part};
use crate::inbox::ROOM;
use crate::measure::{Sample, Span};
use crate::server::Server;

/// How many posts a member writes at once.
const POSTS: usize = 4;

/// How many posts may be on their way in a room: as many as halloo/1 allows one device.
const OUTSTANDING: u64 = 32;

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) rooms: usize,
    pub(crate) members: usize,
    pub(crate) seconds: f64,
}

#[derive(Clone, Default)]
struct Room {
    posted: u64,
    deliveries: u64,
    /// Whose turn it is to post.
    next: usize,
}

struct Run<'a> {
    dialect: &'a dyn Dialect,
    load: Load,
    poll: Poll,
    events: Events,
    rooms: Vec<Room>,
    clients: Vec<Client>,
    deliveries: u64,
    buffer: Vec<u8>,
}

/// Runs the load against a server that has just started.
pub(crate) fn run(server: &Server, dialect: &dyn Dialect, load: &Load) -> Sample {
    let poll = Poll::new().expect("an event queue");
    let clients = (0..load.rooms * load.members).map(|nth| {
        let room = format!("r{:03}", nth / load.members);
        let client = Client::attach(server, dialect, nth, &room, Part::Both);
        let mut client = client.crowded();
        client.register(poll.registry(), nth);
        client
    });
    let clients = clients.collect();
    let mut run = Run {
        dialect,
        load: *load,
        poll,
        events: Events::with_capacity(1024),
        rooms: vec![Room::default(); load.rooms],
        clients,
        deliveries: 0,
        buffer: vec![0; ROOM],
    };
    let length = Duration::from_secs_f64(load.seconds);
    (0..load.rooms).for_each(|nth| run.post(nth));
    run.turn_for(length / 4);
    let (before, span) = (run.deliveries, Span::begin(server));
    run.turn_for(length);
    let sample = span.end(run.deliveries - before);
    run.finish();
    sample
}

impl Run<'_> {
    fn turn_for(&mut self, length: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < length {
            self.turn(true);
        }
    }

    /// Reads what has come, and posts what may follow it.
    fn turn(&mut self, posts: bool) {
        let polled = self.poll.poll(&mut self.events, Some(PATIENCE));
        polled.expect("an event queue");
        assert!(
            !self.events.is_empty(),
            "posts were lost: nothing more comes"
        );
        let tokens: Vec<usize> = self.events.iter().map(|e| e.token().0).collect();
        for nth in tokens {
            let client = &mut self.clients[nth];
            let before = client.deliveries();
            client.read(self.dialect, &mut self.buffer, |_| {});
            client.flush();
            let got = client.deliveries() - before;
            self.deliveries += got;
            let room = nth / self.load.members;
            self.rooms[room].deliveries += got;
            if posts {
                self.post(room);
            }
        }
    }

    /// Posts what may be on its way in a room, each time by the next member.
    fn post(&mut self, nth: usize) {
        let room = &mut self.rooms[nth];
        let members = self.load.members as u64;
        while (room.posted + POSTS as u64) * members <= room.deliveries + OUTSTANDING * members {
            let client = &mut self.clients[nth * self.load.members + room.next];
            if !client.may_post(POSTS, self.dialect.window()) {
                return;
            }
            client.post(self.dialect, POSTS, room.posted);
            client.flush();
            room.posted += POSTS as u64;
            room.next = (room.next + 1) % self.load.members;
        }
    }

    /// Waits until everybody has everything.
    fn finish(&mut self) {
        let members = self.load.members;
        let posted: u64 = self.rooms.iter().map(|room| room.posted).sum();
        while self.deliveries < posted * members as u64 {
            self.turn(false);
        }
        for (nth, client) in self.clients.iter().enumerate() {
            let posted = self.rooms[nth / members].posted;
            assert_eq!(client.deliveries(), posted, "posts were lost or doubled");
        }
    }
}
