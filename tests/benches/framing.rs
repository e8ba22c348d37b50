//! Our framings and those of others, by the clock: `cargo bench -p halloo-tests --bench framing`.
//!
//! The same in instructions, which repeat on a busy machine: `--bench instructions`.

use criterion::{Criterion, criterion_group, criterion_main};

mod cases;

fn framings(c: &mut Criterion) {
    cases::by_the_clock(c, cases::framing::CASES);
}

criterion_group!(benches, framings);
criterion_main!(benches);
