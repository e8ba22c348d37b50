//! Frames of 64 bytes of payload, in and out: `cargo bench -p halloo-tests --bench framing`.
//!
//! Each turn decodes 1,024 frames through a 4 KiB buffer, or seals one; the count of frames that
//! came out is checked.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use halloo_core::frame::{Decoder, Framing, JsonObjects, Length32, Lines};

const PAYLOAD: &[u8; 64] = br#"{"type":"chat","room":"lab-2","message":"it is 21.5 degree {C}"}"#;
const FRAMES: u64 = 1024;
const BUFFER: usize = 4096;

fn sealed<F: Framing>(framing: &F, buf: &mut [u8]) -> usize {
    buf[F::HEADER..][..PAYLOAD.len()].copy_from_slice(PAYLOAD);
    framing.seal(buf, PAYLOAD.len()).unwrap()
}

fn decode<F: Framing>(decoder: &mut Decoder<F, BUFFER>, mut stream: &[u8]) -> u64 {
    let mut frames = 0;
    while !stream.is_empty() {
        let room = decoder.room();
        let n = room.len().min(stream.len());
        room[..n].copy_from_slice(&stream[..n]);
        decoder.commit(n);
        stream = &stream[n..];
        while let Some(token) = decoder.poll_frame().unwrap() {
            black_box(decoder.bytes(token));
            frames += 1;
        }
    }
    frames
}

fn bench<F: Framing>(c: &mut Criterion, name: &str, framing: fn() -> F) {
    let mut group = c.benchmark_group(name);
    let mut buf = [0; PAYLOAD.len() + 8];

    group.throughput(Throughput::Elements(1));
    let sealer = framing();
    group.bench_function("encode", |b| {
        b.iter(|| sealed(black_box(&sealer), black_box(&mut buf)));
    });

    let n = sealed(&framing(), &mut buf);
    let stream = buf[..n].repeat(FRAMES as usize);
    let mut decoder = Decoder::new(framing());
    group.throughput(Throughput::Elements(FRAMES));
    group.bench_function("decode", |b| {
        b.iter(|| assert_eq!(decode(&mut decoder, black_box(&stream)), FRAMES));
    });
    group.finish();
}

fn framings(c: &mut Criterion) {
    bench(c, "Length32", || Length32::new(1024));
    bench(c, "Lines", || Lines::new(1024));
    bench(c, "JsonObjects", || JsonObjects::new(1024));
}

criterion_group!(benches, framings);
criterion_main!(benches);
