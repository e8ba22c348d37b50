//! Our encodings and those of others, by the clock: `cargo bench -p halloo-tests --bench wire`.
//!
//! The same in instructions, which repeat on a busy machine: `--bench instructions`.

use criterion::{Criterion, criterion_group, criterion_main};

mod cases;

fn encodings(c: &mut Criterion) {
    cases::by_the_clock(c, cases::wire::CASES);
}

criterion_group!(benches, encodings);
criterion_main!(benches);
