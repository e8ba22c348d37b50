use super::super::testkit::*;
use super::super::{Decoder, buffer_bytes, payload_bytes};
use super::*;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use std::ops::Range;
use std::vec::Vec;

const LIMIT: usize = 600;

/// Holds frames up to the limit.
const N: usize = buffer_bytes::<Cobs>(LIMIT);

fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut buf = std::vec![0xee; buffer_bytes::<Cobs>(payload.len())];
    buf[Cobs::HEADER..][..payload.len()].copy_from_slice(payload);
    let len = Cobs::new(payload.len()).seal(&mut buf, payload.len());
    buf.truncate(len.expect("the bound of the length holds"));
    buf
}

/// The payload and its check, as they are before COBS.
fn checked(payload: &[u8]) -> Vec<u8> {
    [payload, &check::of(payload)].concat()
}

/// A stream of frames, and which bytes of it are whose.
struct Line {
    payloads: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Line {
    fn new(payloads: &[Vec<u8>]) -> Self {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for payload in payloads {
            let start = bytes.len();
            bytes.extend(sealed(payload));
            places.push(start..bytes.len());
        }
        Self {
            payloads: payloads.to_vec(),
            bytes,
            places,
        }
    }

    /// Short frames, with zeros in them and without, and one with a run above 254 bytes.
    fn example() -> Self {
        let long: Vec<u8> = (0..300_u16).map(|n| (n % 255) as u8 + 1).collect();
        Self::new(&[
            b"hi\0".to_vec(),
            // In here is what a frame of no payload would be.
            std::vec![0; 9],
            long,
            b"\0\0four".to_vec(),
            b"ok".to_vec(),
        ])
    }

    /// S14: with `cut` replaced by `noise`, all frames come that neither touches, and of those that
    /// it touches the true payload or none.
    #[track_caller]
    fn check(&self, cut: Range<usize>, noise: &[u8], sizes: &[usize]) {
        let bytes = &self.bytes;
        let damaged = [&bytes[..cut.start], noise, &bytes[cut.end..]].concat();
        let before = self.places.iter().filter(|place| place.end <= cut.start);
        let behind = self.places.iter().filter(|place| place.start >= cut.end);
        let (front, rest) = self.payloads.split_at(before.count());
        let (touched, back) = rest.split_at(rest.len() - behind.count().min(rest.len()));
        for &size in sizes {
            let what = || std::format!("{cut:?} for {noise:x?}, chunks of {size}");
            let seen = decode::<Cobs, N>(Cobs::new(LIMIT), damaged.chunks(size));
            let frames = seen.into_iter().filter_map(|seen| match seen {
                Seen::Frame(payload) => Some(payload),
                Seen::Error(_) => None,
            });
            let frames: Vec<_> = frames.collect();
            let rest = frames.strip_prefix(front);
            let Some(rest) = rest.and_then(|rest| rest.strip_suffix(back)) else {
                panic!("{}: {frames:?}", what());
            };
            let mut touched = touched.iter();
            for payload in rest {
                assert!(touched.any(|it| it == payload), "{}: {payload:?}", what());
            }
        }
    }
}

/// Payloads with runs of many lengths without a zero.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let run = prop_oneof![
        vec(any::<u8>(), 0..20),
        vec(1..=u8::MAX, 0..300),
        vec(Just(0), 0..12)
    ];
    vec(run, 0..4).prop_map(|runs| {
        let mut payload = runs.concat();
        payload.push(7);
        payload.truncate(LIMIT);
        payload
    })
}

#[test]
fn frames_come_out_however_they_are_cut() {
    // [F-COBS-1] [F-COBS-4]
    let payloads = [&b"hi"[..], b"\0", b"a\0b", b"\0\0\0four"];
    let input: Vec<u8> = payloads
        .iter()
        .flat_map(|payload| sealed(payload))
        .collect();
    let expected: Vec<_> = payloads.iter().map(|payload| frame(payload)).collect();
    check::<_, 16>(&Cobs::new(100), &input, &expected);
    check::<_, 64>(&Cobs::new(7), &input, &expected);
    let line = Line::example();
    let expected: Vec<_> = line.payloads.iter().map(|payload| frame(payload)).collect();
    check_every_cut::<_, N>(&Cobs::new(LIMIT), &line.bytes, &expected);
    check_every_cut::<_, 309>(&Cobs::new(300), &line.bytes, &expected);
    check_every_truncation::<_, N>(&Cobs::new(LIMIT), &line.bytes);
}

#[test]
fn one_zero_between_two_frames_is_enough_and_many_are_one() {
    // [F-COBS-4]
    let (hi, ok) = (sealed(b"hi"), sealed(b"ok"));
    let (hi, ok) = (&hi[1..], &ok[1..]);
    let expected = [frame(b"hi"), frame(b"ok")];
    check_every_cut::<_, 16>(&Cobs::new(4), &[hi, ok].concat(), &expected);
    let idle = [&[0; 100][..], hi, &[0; 100], ok, &[0; 100]].concat();
    check_every_cut::<_, 16>(&Cobs::new(4), &idle, &expected);
}

#[test]
fn a_frame_above_the_limit_is_told_once_and_skipped() {
    // [F-COBS-5]
    let input = [b"hi", &b"large"[..], b"four", b"\0\0\0\0\0", b"ok"].map(sealed);
    let (hi, over) = (frame(b"hi"), oversize(4));
    let expected = [hi, over.clone(), frame(b"four"), over, frame(b"ok")];
    check::<_, 12>(&Cobs::new(100), &input.concat(), &expected);
    check::<_, 64>(&Cobs::new(4), &input.concat(), &expected);
}

#[test]
fn a_frame_longer_than_any_buffer_is_survived() {
    for byte in [1, 0x5a, 0xff] {
        let bad = [&[byte; 1 << 20][..], b"\0"].concat();
        check_survival::<_, 16>(&Cobs::new(100), &sealed(b"hi"), &bad, b"hi");
    }
}

#[test]
fn a_line_held_at_zero_is_silence() {
    let hi = sealed(b"hi");
    let input = [&hi, &[0; 1 << 16][..], &hi].concat();
    for size in [1, 15, 16, 17, input.len()] {
        let seen = decode::<Cobs, 16>(Cobs::new(8), input.chunks(size));
        assert_eq!(seen, [frame(b"hi"), frame(b"hi")], "chunks of {size}");
    }
}

#[test]
fn what_is_no_frame_is_malformed_and_nothing_behind_it_is_lost() {
    // [F-COBS-5]
    let good = sealed(b"hi");
    let bad: [&[u8]; 8] = [
        b"\x01\x01\x01\x01\x01", // the check of nothing, and nothing
        b"\x01",                 // nothing, and not even a check of nothing
        b"\x02a",                // shorter than a check
        b"\x04abc",              // shorter than a check
        b"\x05\x01\x01\x01",     // ends inside a block
        b"\x07hi\xac\x2a\x93\xd9",
        b"\x07hj\xac\x2a\x93\xd8",
        b"\x07hi\xd8\x93\x2a\xac", // the check is turned round
    ];
    for bad in bad {
        let input = [&good, bad, &good, bad, b"\0", &good].concat();
        let expected = [
            frame(b"hi"),
            MALFORMED,
            frame(b"hi"),
            MALFORMED,
            frame(b"hi"),
        ];
        check_every_cut::<_, 16>(&Cobs::new(8), &input, &expected);
    }
}

#[test]
fn a_stream_that_ends_inside_a_frame_is_truncated() {
    let framing = Cobs::new(4);
    let hi = sealed(b"hi");
    check_every_cut::<_, 16>(&framing, b"", &[]);
    check_every_cut::<_, 16>(&framing, b"\0", &[]);
    check_every_cut::<_, 16>(&framing, &hi, &[frame(b"hi")]);
    check_every_cut::<_, 16>(&framing, &hi[..hi.len() - 1], &[TRUNCATED]);
    let over = [oversize(4), TRUNCATED];
    check_every_cut::<_, 16>(&framing, b"\x20larger than that", &over);
}

#[test]
fn sealing_writes_a_zero_the_code_the_payload_the_check_and_a_zero() {
    // [F-COBS-1] [F-COBS-2] [F-COBS-3] [F-COBS-4]
    let framing = Cobs::new(4);
    check_unframeable(&framing, b"");
    check_seal(&framing, b"hi", b"\0\x07hi\xac\x2a\x93\xd8\0");
    check_seal(&framing, b"\0", b"\0\x01\x05\x8d\xef\x02\xd2\0");
    check_unframeable(&framing, b"large");
    let huge = Cobs::new(usize::MAX);
    for len in [usize::MAX, usize::MAX - 6, 16] {
        assert_eq!(huge.seal(&mut [0; 16], len), Err(FrameError::Unframeable));
    }
}

#[test]
fn a_block_is_full_at_254_bytes() {
    // [F-COBS-3]
    for len in 240..LIMIT {
        let payload = std::vec![7; len];
        let wire = sealed(&payload);
        let data = checked(&payload);
        assert!(!data.contains(&0) || len > 260, "{len}");
        let mut judge = std::vec![0; cobs::max_encoding_length(data.len())];
        let n = cobs::encode(&data, &mut judge);
        assert_eq!(wire[1..wire.len() - 1], judge[..n], "{len}");
        let seen = decode::<Cobs, N>(Cobs::new(LIMIT), [&wire[..]]);
        assert_eq!(seen, [frame(&payload)], "{len}");
    }
}

/// Some encoders open a block behind a full one though nothing follows.
#[test]
fn an_empty_block_behind_a_full_last_one_is_taken() {
    // [F-COBS-3]
    for blocks in [1, 2] {
        let mut payload = std::vec![7; 254 * blocks - check::BYTES];
        while check::of(&payload).contains(&0) {
            payload[0] += 1;
        }
        let wire = sealed(&payload);
        let longer = [&wire[..wire.len() - 1], b"\x01\0"].concat();
        assert!(longer.len() <= buffer_bytes::<Cobs>(payload.len()));
        for wire in [&wire, &longer] {
            let seen = decode::<Cobs, N>(Cobs::new(payload.len()), wire.chunks(100));
            assert_eq!(seen, [frame(&payload)]);
        }
    }
}

#[test]
fn every_flipped_bit_costs_the_frame_that_it_is_in() {
    let line = Line::example();
    for at in 0..line.bytes.len() {
        for bit in 0..8 {
            line.check(at..at + 1, &[line.bytes[at] ^ 1 << bit], &[1, 1000]);
        }
    }
}

#[test]
fn every_byte_that_is_changed_lost_or_put_in_costs_at_most_the_frame_that_it_is_in() {
    let payloads = [&b"hi\0"[..], b"a\0\0\0\0\0", b"\0\0four", b"ok"];
    let line = Line::new(&payloads.map(<[u8]>::to_vec));
    for at in 0..=line.bytes.len() {
        for value in 0..=u8::MAX {
            line.check(at..at, &[value], &[1, 1000]);
            if at < line.bytes.len() {
                line.check(at..at + 1, &[value], &[1, 1000]);
            }
        }
        for end in at..line.bytes.len() {
            line.check(at..end, &[], &[1, 1000]);
        }
    }
    let line = Line::example();
    for at in 0..line.bytes.len() {
        line.check(at..at + 1, &[], &[1, 1000]);
        line.check(at..at, &[line.bytes[at]], &[1, 1000]);
    }
}

#[test]
fn a_buffer_for_a_payload_holds_that_payload_and_no_larger_one() {
    #[track_caller]
    fn check<F: Framing>() {
        for payload in 0..2000 {
            let buffer = buffer_bytes::<F>(payload);
            assert_eq!(payload_bytes::<F>(buffer), payload);
            if payload > 0 {
                assert_eq!(payload_bytes::<F>(buffer - 1), payload - 1);
            }
        }
        assert_eq!(payload_bytes::<F>(0), 0);
        assert_eq!(buffer_bytes::<F>(usize::MAX), usize::MAX);
    }
    check::<Cobs>();
    check::<super::super::Length32>();
    check::<super::super::Datagram>();
    assert_eq!(Decoder::<Cobs, 16>::new(Cobs::new(100)).limit(), 8);
    assert_eq!(Decoder::<Cobs, 264>::new(Cobs::new(500)).limit(), 255);
}

#[test]
fn to_unseal_what_is_no_frame_is_safe() {
    for bytes in [&b""[..], b"\x05", b"\xff\xff\xff", b"\0\0", b"\x02a\x09b\0"] {
        let mut bytes = bytes.to_vec();
        Cobs::new(9).unseal(&mut bytes);
        Cobs::new(9).unseal(&mut bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bursts_of_noise_cost_the_frames_that_they_touch(
        payloads in vec(payload(), 1..5),
        at in any::<proptest::sample::Index>(),
        lost in 0_usize..40,
        noise in prop_oneof![vec(any::<u8>(), 0..40), vec(0..3_u8, 0..9), vec(any::<u8>(), 0..2000)],
        size in 1_usize..700,
    ) {
        let line = Line::new(&payloads);
        let at = at.index(line.bytes.len() + 1);
        let end = (at + lost).min(line.bytes.len());
        line.check(at..end, &noise, &[size]);
    }

    #[test]
    fn the_crate_cobs_says_the_same(payload in payload(), size in 1_usize..700) {
        // [F-COBS-3]
        let wire = sealed(&payload);
        let data = checked(&payload);
        assert!(wire.len() <= 3 + data.len() + data.len() / 254);
        let mut decoded = std::vec![0; wire.len()];
        let stuffed = &wire[1..wire.len() - 1];
        let report = cobs::decode(stuffed, &mut decoded).unwrap();
        assert_eq!(decoded[..report.frame_size()], data);
        let mut judge = std::vec![0; cobs::max_encoding_length(data.len())];
        let n = cobs::encode(&data, &mut judge);
        judge.truncate(n);
        assert_eq!(stuffed, judge);
        let seen = decode::<Cobs, N>(Cobs::new(LIMIT), wire.chunks(size));
        assert_eq!(seen, [frame(&payload)]);
    }

    #[test]
    fn what_any_bytes_decode_to_is_what_the_crate_cobs_makes_of_them(
        bytes in vec(prop_oneof![1..=u8::MAX, 1..4_u8, Just(u8::MAX)], 1..600),
    ) {
        let mut cursor = match START {
            State::InFrame { cursor, .. } => cursor,
            State::Skipping => unreachable!(),
        };
        assert!(matches!(cursor.advance(&bytes, usize::MAX), Stop::Open));
        let mut judge = std::vec![0; bytes.len()];
        let decoded = cobs::decode(&bytes, &mut judge);
        assert_eq!(cursor.left == 0, decoded.is_ok());
        if let Ok(report) = decoded {
            let judge = &judge[..report.frame_size()];
            let mut ours = [&bytes[..], b"\0"].concat();
            Cobs::new(0).unseal(&mut ours);
            assert_eq!(&ours[1..][..cursor.len], judge);
            let crc = judge.iter().fold(check::START, |crc, &byte| check::step(crc, byte));
            assert_eq!(cursor.crc, crc);
        }
    }
}
