//! One post to all members of a room: what the hub machine itself costs, without sockets.
//!
//! `cargo bench -p halloo-tests --bench broadcast`; the time is that of 32 posts.

use criterion::{Criterion, criterion_group, criterion_main};

mod cases;

fn broadcast(c: &mut Criterion) {
    cases::by_the_clock(c, cases::broadcast::CASES);
}

criterion_group!(benches, broadcast);
criterion_main!(benches);
