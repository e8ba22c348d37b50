//! Messages with 64 bytes of body, to bytes and back.

use std::hint::black_box;

use halloo_core::frame::{Decoder, Framing, Length32};
use halloo_core::wire::{Entry, Message, binary, json};
use postcard::accumulator::{CobsAccumulator, FeedResult};
use serde::{Deserialize, Serialize};

use super::framing::{LIMIT, SEGMENT, SMALL};
use super::peers::{self, JsonEntry, JsonPost, Raw};
use super::{Case, Measure};

const BODY: &str = "it is 21.5 degrees in the laboratory, and it has been all day !!";

const FROM: &str = "thermometer-17";

const POST: Message<'static> = Message::Post {
    slot: 1,
    seq: 1000,
    body: BODY.as_bytes(),
};

const ENTRY: Message<'static> = Message::Entry(Entry {
    room: 7,
    offset: 1_000_000,
    flags: 0,
    from: FROM,
    body: BODY.as_bytes(),
});

const ACK: Message<'static> = Message::Ack {
    slot: 1,
    up_seq: 1000,
    rejects: 0,
};

const SERDE_POST: peers::Message<'static> = peers::Message::Post {
    slot: 1,
    seq: 1000,
    body: Raw(BODY.as_bytes()),
};

const SERDE_ENTRY: peers::Message<'static> = peers::Message::Entry {
    room: 7,
    offset: 1_000_000,
    flags: 0,
    from: FROM,
    body: Raw(BODY.as_bytes()),
};

const SERDE_ACK: peers::Message<'static> = peers::Message::Ack {
    slot: 1,
    up_seq: 1000,
    rejects: 0,
};

const JSON_POST: JsonPost<'static> = JsonPost {
    kind: "post",
    slot: 1,
    seq: 1000,
    body: BODY,
};

const JSON_ENTRY: JsonEntry<'static> = JsonEntry {
    kind: "entry",
    room: 7,
    offset: 1_000_000,
    flags: 0,
    from: FROM,
    body: BODY,
};

/// Messages in a round.
const ROUND: u32 = 500;

const ENCODE_POST: &str = "encode a post";
const DECODE_POST: &str = "decode a post";
const ENCODE_ENTRY: &str = "encode an entry";
const DECODE_ENTRY: &str = "decode an entry";
const ENCODE_ACK: &str = "encode an ack";
const DECODE_ACK: &str = "decode an ack";
const ENCODE_JSON: &str = "encode a post in JSON";
const DECODE_JSON: &str = "decode a post in JSON";
const DECODE_JSON_ENTRY: &str = "decode an entry in JSON";
const SEAL: &str = "a post to a frame";
const RECEIVE: &str = "posts out of chunks of 1,460 bytes";

pub(crate) const CASES: &[Case] = &[
    Case::ours(ENCODE_POST, "binary", ROUND, |m| encode(m, &POST)),
    Case::peer(ENCODE_POST, "postcard", ROUND, |m| {
        to_postcard(m, &SERDE_POST)
    }),
    Case::ours(DECODE_POST, "binary", ROUND, |m| decode(m, &POST)),
    Case::peer(DECODE_POST, "postcard", ROUND, |m| {
        from_postcard(m, &SERDE_POST)
    }),
    Case::ours(ENCODE_ENTRY, "binary", ROUND, |m| encode(m, &ENTRY)),
    Case::peer(ENCODE_ENTRY, "postcard", ROUND, |m| {
        to_postcard(m, &SERDE_ENTRY)
    }),
    Case::ours(DECODE_ENTRY, "binary", ROUND, |m| decode(m, &ENTRY)),
    Case::peer(DECODE_ENTRY, "postcard", ROUND, |m| {
        from_postcard(m, &SERDE_ENTRY)
    }),
    Case::ours(ENCODE_ACK, "binary", ROUND, |m| encode(m, &ACK)),
    Case::peer(ENCODE_ACK, "postcard", ROUND, |m| {
        to_postcard(m, &SERDE_ACK)
    }),
    Case::ours(DECODE_ACK, "binary", ROUND, |m| decode(m, &ACK)),
    Case::peer(DECODE_ACK, "postcard", ROUND, |m| {
        from_postcard(m, &SERDE_ACK)
    }),
    Case::ours(ENCODE_JSON, "json", ROUND, |m| encode_json(m, &POST)),
    Case::peer(ENCODE_JSON, "serde_json", ROUND, |m| to_json(m, &JSON_POST)),
    Case::ours(DECODE_JSON, "json", ROUND, |m| decode_json(m, &POST)),
    Case::peer(DECODE_JSON, "serde_json, borrowed struct", ROUND, |m| {
        from_json(m, &JSON_POST)
    }),
    Case::ours(DECODE_JSON_ENTRY, "json", ROUND, |m| decode_json(m, &ENTRY)),
    Case::peer(
        DECODE_JSON_ENTRY,
        "serde_json, borrowed struct",
        ROUND,
        |m| from_json(m, &JSON_ENTRY),
    ),
    Case::ours(SEAL, "binary in Length32", ROUND, seal),
    Case::peer(SEAL, "postcard in COBS", ROUND, seal_postcard),
    Case::ours(RECEIVE, "Length32, then binary", ROUND, receive),
    Case::peer(RECEIVE, "postcard's COBS accumulator", ROUND, accumulate),
];

fn encode(measure: Measure<'_>, message: &Message<'_>) {
    let mut out = [0; 256];
    measure(&mut || {
        for _ in 0..ROUND {
            let len = binary::encode(black_box(message), black_box(&mut out)).unwrap();
            black_box(&out[..len]);
        }
    });
    assert_eq!(
        binary::decode(&out[..frame(message).len()])
            .unwrap()
            .message,
        *message
    );
}

fn decode(measure: Measure<'_>, message: &Message<'_>) {
    let frame = frame(message);
    assert_eq!(binary::decode(&frame).unwrap().message, *message);
    measure(&mut || {
        for _ in 0..ROUND {
            black_box(&binary::decode(black_box(&frame)).unwrap());
        }
    });
}

fn frame(message: &Message<'_>) -> Vec<u8> {
    let mut out = [0; 256];
    let len = binary::encode(message, &mut out).unwrap();
    out[..len].to_vec()
}

fn to_postcard(measure: Measure<'_>, message: &peers::Message<'_>) {
    let mut out = [0; 256];
    measure(&mut || {
        for _ in 0..ROUND {
            black_box(postcard::to_slice(black_box(message), black_box(&mut out)).unwrap());
        }
    });
}

fn from_postcard(measure: Measure<'_>, message: &peers::Message<'_>) {
    let frame = postcard::to_stdvec(message).unwrap();
    assert_eq!(postcard::from_bytes(&frame), Ok(*message));
    measure(&mut || {
        for _ in 0..ROUND {
            let message: peers::Message<'_> = postcard::from_bytes(black_box(&frame)).unwrap();
            black_box(&message);
        }
    });
}

fn encode_json(measure: Measure<'_>, message: &Message<'_>) {
    let mut out = [0; 512];
    measure(&mut || {
        for _ in 0..ROUND {
            let len = json::encode(black_box(message), black_box(&mut out)).unwrap();
            black_box(&out[..len]);
        }
    });
}

/// Without escapes decoding changes nothing, so each round finds the same frame.
fn decode_json(measure: Measure<'_>, message: &Message<'_>) {
    let mut out = [0; 512];
    let len = json::encode(message, &mut out).unwrap();
    let mut frame = out[..len].to_vec();
    assert_eq!(json::decode(&mut frame).unwrap().message, *message);
    measure(&mut || {
        for _ in 0..ROUND {
            black_box(&json::decode(black_box(&mut frame)).unwrap());
        }
    });
    assert_eq!(frame, out[..len]);
}

fn to_json(measure: Measure<'_>, message: &impl Serialize) {
    let mut out = [0; 512];
    measure(&mut || {
        for _ in 0..ROUND {
            serde_json::to_writer(&mut black_box(&mut out)[..], black_box(message)).unwrap();
        }
    });
}

/// The frame is leaked, since a type that borrows it can then be named.
fn from_json<T>(measure: Measure<'_>, message: &T)
where
    T: Serialize + Deserialize<'static> + PartialEq + std::fmt::Debug,
{
    let frame: &'static [u8] = serde_json::to_vec(message).unwrap().leak();
    assert_eq!(serde_json::from_slice::<T>(frame).unwrap(), *message);
    measure(&mut || {
        for _ in 0..ROUND {
            black_box(&serde_json::from_slice::<T>(black_box(frame)).unwrap());
        }
    });
}

fn sealed(out: &mut [u8]) -> usize {
    let len = binary::encode(black_box(&POST), &mut out[Length32::HEADER..]).unwrap();
    Length32::new(LIMIT).seal(out, len).unwrap()
}

fn seal(measure: Measure<'_>) {
    let mut out = [0; 256];
    measure(&mut || {
        for _ in 0..ROUND {
            let len = sealed(black_box(&mut out));
            black_box(&out[..len]);
        }
    });
}

fn seal_postcard(measure: Measure<'_>) {
    let mut out = [0; 256];
    measure(&mut || {
        for _ in 0..ROUND {
            let frame = postcard::to_slice_cobs(black_box(&SERDE_POST), black_box(&mut out));
            black_box(frame.unwrap());
        }
    });
}

fn receive(measure: Measure<'_>) {
    let mut out = [0; 256];
    let len = sealed(&mut out);
    let stream = out[..len].repeat(ROUND as usize);
    let mut decoder = Box::new(Decoder::<_, SMALL>::new(Length32::new(LIMIT)));
    measure(&mut || {
        let mut posts = 0;
        for piece in black_box(&stream).chunks(SEGMENT) {
            decoder.room()[..piece.len()].copy_from_slice(piece);
            decoder.commit(piece.len());
            while let Some(token) = decoder.poll_frame().unwrap() {
                let decoded = binary::decode(decoder.bytes(token)).unwrap();
                posts += u32::from(matches!(black_box(&decoded).message, Message::Post { .. }));
            }
        }
        assert_eq!(posts, ROUND);
    });
}

fn accumulate(measure: Measure<'_>) {
    let mut out = [0; 256];
    let frame = postcard::to_slice_cobs(&SERDE_POST, &mut out).unwrap();
    let stream = frame.repeat(ROUND as usize);
    let mut accumulator = CobsAccumulator::<LIMIT>::new();
    measure(&mut || {
        let mut posts = 0;
        for piece in black_box(&stream).chunks(SEGMENT) {
            let mut rest = piece;
            while !rest.is_empty() {
                rest = match accumulator.feed_ref::<peers::Message<'_>>(rest) {
                    FeedResult::Success { data, remaining } => {
                        let is_post = matches!(black_box(&data), peers::Message::Post { .. });
                        posts += u32::from(is_post);
                        remaining
                    }
                    FeedResult::Consumed => &[],
                    FeedResult::OverFull(_) | FeedResult::DeserError(_) => unreachable!(),
                };
            }
        }
        assert_eq!(posts, ROUND);
    });
}
