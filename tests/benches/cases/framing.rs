//! Frames of 64 bytes out of a stream, and into one.

use std::hint::black_box;

use halloo_core::frame::{Cobs, Decoder, Framing, JsonObjects, Length16, Length32, Lines, Scan};

use super::peers;
use super::{Case, Measure};

/// A payload that every framing can carry.
pub(crate) const PAYLOAD: &[u8; 64] =
    br#"{"type":"chat","room":"lab-2","message":"it is 21.5 degree {C}"}"#;

/// How many frames there are in a stream.
pub(crate) const FRAMES: u32 = 900;

/// Holds a stream of any framing.
pub(crate) const WHOLE: usize = 1 << 16;

/// What a TCP segment carries.
pub(crate) const SEGMENT: usize = 1460;

/// Holds a few segments.
pub(crate) const SMALL: usize = 1 << 13;

/// The most bytes of a frame that a decoder takes.
pub(crate) const LIMIT: usize = 1024;

const DECODE: &str = "decode: a buffer of whole frames";
const CHUNKS: &str = "decode: chunks of 1,460 bytes";
const LINES: &str = "decode lines: a buffer of whole frames";
const LINE_CHUNKS: &str = "decode lines: chunks of 1,460 bytes";
const JSON: &str = "find JSON objects: a buffer of whole frames";
const ENCODE: &str = "encode one frame";

pub(crate) const CASES: &[Case] = &[
    Case::ours(DECODE, "Length32", FRAMES, |m| {
        decode::<_, WHOLE>(m, Length32::new(LIMIT), WHOLE)
    }),
    Case::ours(DECODE, "Length32, scan alone", FRAMES, |m| {
        scan(m, Length32::new(LIMIT))
    }),
    Case::ours(DECODE, "Length16", FRAMES, |m| {
        decode::<_, WHOLE>(m, Length16::new(LIMIT), WHOLE)
    }),
    Case::peer(DECODE, "tokio-util LengthDelimitedCodec", FRAMES, |m| {
        peers::length_delimited(m, WHOLE)
    }),
    Case::ours(DECODE, "Cobs, with its CRC-32", FRAMES, |m| {
        decode::<_, WHOLE>(m, Cobs::new(LIMIT), WHOLE)
    }),
    Case::peer(DECODE, "cobs, zero by zero", FRAMES, peers::cobs),
    Case::ours(CHUNKS, "Length32", FRAMES, |m| {
        decode::<_, SMALL>(m, Length32::new(LIMIT), SEGMENT)
    }),
    Case::ours(CHUNKS, "Cobs, with its CRC-32", FRAMES, |m| {
        decode::<_, SMALL>(m, Cobs::new(LIMIT), SEGMENT)
    }),
    Case::ours(CHUNKS, "Length16", FRAMES, |m| {
        decode::<_, SMALL>(m, Length16::new(LIMIT), SEGMENT)
    }),
    Case::peer(CHUNKS, "tokio-util LengthDelimitedCodec", FRAMES, |m| {
        peers::length_delimited(m, SEGMENT)
    }),
    Case::ours(LINES, "Lines", FRAMES, |m| {
        decode::<_, WHOLE>(m, Lines::new(LIMIT), WHOLE)
    }),
    Case::peer(LINES, "tokio-util LinesCodec", FRAMES, |m| {
        peers::lines(m, WHOLE)
    }),
    Case::peer(LINES, "tokio-util AnyDelimiterCodec", FRAMES, |m| {
        peers::any_delimiter(m, WHOLE)
    }),
    Case::ours(LINE_CHUNKS, "Lines", FRAMES, |m| {
        decode::<_, SMALL>(m, Lines::new(LIMIT), SEGMENT)
    }),
    Case::peer(LINE_CHUNKS, "tokio-util LinesCodec", FRAMES, |m| {
        peers::lines(m, SEGMENT)
    }),
    Case::ours(JSON, "JsonObjects", FRAMES, |m| {
        decode::<_, WHOLE>(m, JsonObjects::new(LIMIT), WHOLE)
    }),
    Case::peer(
        JSON,
        "serde_json, values ignored",
        FRAMES,
        peers::json_objects,
    ),
    Case::ours(ENCODE, "Length32", FRAMES, |m| {
        encode(m, Length32::new(LIMIT))
    }),
    Case::ours(ENCODE, "Cobs, with its CRC-32", FRAMES, |m| {
        encode(m, Cobs::new(LIMIT))
    }),
    Case::ours(ENCODE, "Lines", FRAMES, |m| encode(m, Lines::new(LIMIT))),
    Case::peer(
        ENCODE,
        "tokio-util LengthDelimitedCodec",
        FRAMES,
        peers::encode_length_delimited,
    ),
    Case::peer(ENCODE, "cobs", FRAMES, peers::encode_cobs),
];

fn sealed<F: Framing>(framing: &F, buf: &mut [u8]) -> usize {
    buf[F::HEADER..][..PAYLOAD.len()].copy_from_slice(PAYLOAD);
    framing.seal(buf, PAYLOAD.len()).unwrap()
}

pub(crate) fn stream<F: Framing>(framing: &F) -> Vec<u8> {
    let mut buf = [0; PAYLOAD.len() + 8];
    let len = sealed(framing, &mut buf);
    buf[..len].repeat(FRAMES as usize)
}

/// In pieces of `size` bytes, each copied into the buffer of `N` bytes as a socket's read would.
fn decode<F: Framing, const N: usize>(measure: Measure<'_>, framing: F, size: usize) {
    let stream = stream(&framing);
    let mut decoder = Box::new(Decoder::<F, N>::new(framing));
    measure(&mut || {
        let mut frames = 0;
        for piece in black_box(&stream).chunks(size) {
            let room = decoder.room();
            room[..piece.len()].copy_from_slice(piece);
            decoder.commit(piece.len());
            while let Some(token) = decoder.poll_frame().unwrap() {
                frames += black_box(decoder.bytes(token)).len() / PAYLOAD.len();
            }
        }
        assert_eq!(frames, FRAMES as usize);
    });
}

/// The framing over bytes that are in a buffer already, as the hub does it.
fn scan<F: Framing>(measure: Measure<'_>, mut framing: F) {
    let stream = stream(&framing);
    measure(&mut || {
        let (mut rest, mut frames) = (black_box(&stream[..]), 0);
        while let Scan::Frame {
            start,
            end,
            consumed,
        } = framing.scan(rest).unwrap()
        {
            frames += black_box(&rest[start..end]).len() / PAYLOAD.len();
            rest = &rest[consumed..];
        }
        assert_eq!(frames, FRAMES as usize);
    });
}

fn encode<F: Framing>(measure: Measure<'_>, framing: F) {
    let mut buf = [0; PAYLOAD.len() + 8];
    measure(&mut || {
        for _ in 0..FRAMES {
            let len = sealed(&framing, black_box(&mut buf));
            black_box(&buf[..len]);
        }
    });
}
