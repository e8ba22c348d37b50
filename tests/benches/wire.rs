//! Encoding and decoding of a post and of an entry with 64 bytes of body.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use halloo_core::wire::{Entry, Message, binary};

const BODY: &[u8] = &[b'x'; 64];

fn both_ways(criterion: &mut Criterion, name: &str, message: &Message<'_>) {
    let mut frame = [0; 256];
    let len = binary::encode(message, &mut frame).expect("it fits");
    let frame = &frame[..len];
    // A benchmark of the wrong answer measures nothing.
    assert_eq!(binary::decode(frame).map(|d| d.message), Ok(*message));

    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(len as u64));
    let mut out = [0; 256];
    group.bench_function("encode", |b| {
        b.iter(|| binary::encode(black_box(message), black_box(&mut out)));
    });
    group.bench_function("decode", |b| b.iter(|| binary::decode(black_box(frame))));
    group.finish();
}

fn wire(criterion: &mut Criterion) {
    both_ways(
        criterion,
        "wire/post",
        &Message::Post {
            slot: 1,
            seq: 1000,
            body: BODY,
        },
    );
    both_ways(
        criterion,
        "wire/entry",
        &Message::Entry(Entry {
            room: 7,
            offset: 1_000_000,
            flags: 0,
            from: "thermometer-17",
            body: BODY,
        }),
    );
}

criterion_group!(benches, wire);
criterion_main!(benches);
