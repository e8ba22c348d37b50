//! How long a post takes to each member at a fixed, moderate rate.
//!
//! Each post carries the time at which it was due, so a server that stalls is not spared those that
//! it held up. The generator never sleeps.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use crate::client::{Client, PATIENCE};
use crate::dialect::{Dialect, Part};
use crate::inbox::ROOM;
use crate::measure::{self, Sample, Span};
use crate::server::Server;

const ROOM_NAME: &str = "r";

/// How many devices post where each may have so many posts on its way: one, as long as it is acked,
/// and then the next.
const POSTERS: usize = 16;

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) members: usize,
    pub(crate) per_second: u32,
    pub(crate) seconds: f64,
}

/// Runs the load against a server that has just started; what was counted are the deliveries.
pub(crate) fn run(server: &Server, dialect: &dyn Dialect, load: &Load) -> (Sample, Histogram<u64>) {
    let mut poll = Poll::new().expect("an event queue");
    let mut clients: Vec<Client> = Vec::new();
    let posters = dialect.window().map_or(1, |_| POSTERS);
    for nth in 0..load.members + posters {
        let is_poster = nth >= load.members;
        let part = if is_poster {
            Part::Poster
        } else {
            Part::Member
        };
        let mut client = Client::attach(server, dialect, nth, ROOM_NAME, part);
        if !is_poster {
            client = client.crowded();
        }
        client.register(poll.registry(), nth);
        clients.push(client);
    }
    let mut times = measure::times();
    let (mut events, mut room) = (Events::with_capacity(64), vec![0; ROOM]);
    let apart = Duration::from_secs(1) / load.per_second;
    let warm_up = Duration::from_secs_f64(load.seconds / 4.0);
    let whole = warm_up + Duration::from_secs_f64(load.seconds);
    let posts = (whole.as_nanos() / apart.as_nanos()) as u64;
    let wanted = posts * load.members as u64;
    let (begun, mut posted, mut got) = (Instant::now(), 0_u64, 0_u64);
    let (mut span, mut sample, mut heard) = (None, None, begun);
    while got < wanted {
        let now = begun.elapsed();
        let due = ((now.as_nanos() / apart.as_nanos()) as u64 + 1).min(posts);
        while posted < due {
            let mut posters = clients[load.members..].iter_mut();
            let Some(poster) = posters.find(|poster| poster.may_post(1, dialect.window())) else {
                break;
            };
            let mark = apart.as_nanos() as u64 * posted;
            poster.post(dialect, 1, mark);
            poster.flush();
            posted += 1;
        }
        if span.is_none() && now >= warm_up {
            span = Some((got, Span::begin(server)));
        }
        if posted == posts && sample.is_none() {
            sample = span.take().map(|(before, span)| span.end(got - before));
        }
        let polled = poll.poll(&mut events, Some(Duration::ZERO));
        polled.expect("an event queue");
        for event in &events {
            let Token(nth) = event.token();
            let client = &mut clients[nth];
            let before = client.deliveries();
            let now = begun.elapsed().as_nanos() as u64;
            client.read(dialect, &mut room, |mark| {
                if mark >= warm_up.as_nanos() as u64 {
                    times.saturating_record(now.saturating_sub(mark));
                }
            });
            client.flush();
            got += client.deliveries() - before;
            heard = Instant::now();
        }
        assert!(
            heard.elapsed() < PATIENCE,
            "posts were lost: nothing more comes"
        );
    }
    (sample.expect("it ran longer than the warm-up"), times)
}
