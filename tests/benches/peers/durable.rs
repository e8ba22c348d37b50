//! Posts that are kept on disk: many posters, each with one post on its way until it is confirmed.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use crate::client::{Client, PATIENCE};
use crate::dialect::{Dialect, Part};
use crate::inbox::ROOM;
use crate::measure::{self, Sample, Span};
use crate::server::Server;

/// In each room.
const PER_ROOM: usize = 10;

/// Runs the load against a server that has just started; what was counted are confirmed posts.
pub(crate) fn run(
    server: &Server,
    dialect: &dyn Dialect,
    posters: usize,
    seconds: f64,
) -> (Sample, Histogram<u64>) {
    let mut poll = Poll::new().expect("an event queue");
    let mut clients: Vec<(Client, Instant)> = (0..posters)
        .map(|nth| {
            let room = format!("r{:03}", nth / PER_ROOM);
            let mut client = Client::attach(server, dialect, nth, &room, Part::Poster);
            client.register(poll.registry(), nth);
            (client, Instant::now())
        })
        .collect();
    let mut times = measure::times();
    let (mut events, mut room) = (Events::with_capacity(1024), vec![0; ROOM]);
    for (client, since) in &mut clients {
        client.post(dialect, 1, 0);
        client.flush();
        *since = Instant::now();
    }
    let (mut count, length) = (0, Duration::from_secs_f64(seconds));
    let mut run_for = |length: Duration, times: &mut Histogram<u64>| {
        let begun = Instant::now();
        while begun.elapsed() < length {
            turn(&mut poll, &mut events);
            for event in &events {
                let Token(nth) = event.token();
                let (client, since) = &mut clients[nth];
                let before = client.confirmed();
                client.read(dialect, &mut room, |_| {});
                if client.confirmed() == before {
                    continue;
                }
                assert_eq!(client.confirmed(), before + 1, "one post was on its way");
                count += 1;
                times.saturating_record(since.elapsed().as_nanos() as u64);
                client.post(dialect, 1, before + 1);
                client.flush();
                *since = Instant::now();
            }
        }
        count
    };
    let before = run_for(length / 4, &mut times);
    times.reset();
    let span = Span::begin(server);
    let after = run_for(length, &mut times);
    let sample = span.end(after - before);
    // The last post of each is confirmed, too.
    let mut waiting = posters;
    while waiting > 0 {
        turn(&mut poll, &mut events);
        for event in &events {
            let client = &mut clients[event.token().0].0;
            let before = client.confirmed();
            client.read(dialect, &mut room, |_| {});
            waiting -= usize::from(client.confirmed() > before);
        }
    }
    (sample, times)
}

fn turn(poll: &mut Poll, events: &mut Events) {
    poll.poll(events, Some(PATIENCE)).expect("an event queue");
    assert!(!events.is_empty(), "posts were lost: nothing more comes");
}
