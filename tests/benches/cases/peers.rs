//! The same work in other people's libraries.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use halloo_core::frame::{JsonObjects, Lines};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::IgnoredAny};
use tokio_util::codec::{AnyDelimiterCodec, Decoder, Encoder, LengthDelimitedCodec, LinesCodec};

use super::Measure;
use super::framing::{FRAMES, LIMIT, PAYLOAD, SMALL, WHOLE, stream};

/// In pieces of `size` bytes, each put behind what is in the buffer, as `FramedRead` does.
fn decode<C>(measure: Measure<'_>, mut codec: C, stream: &[u8], size: usize)
where
    C: Decoder<Item: AsRef<[u8]>, Error: std::fmt::Debug>,
{
    let mut buf = BytesMut::with_capacity(if size == WHOLE { WHOLE } else { SMALL });
    measure(&mut || {
        let mut frames = 0;
        for piece in black_box(stream).chunks(size) {
            buf.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut buf).unwrap() {
                frames += black_box(frame.as_ref()).len() / PAYLOAD.len();
            }
        }
        assert_eq!(frames, FRAMES as usize);
    });
}

fn length_codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(LIMIT)
        .new_codec()
}

pub(crate) fn length_delimited(measure: Measure<'_>, size: usize) {
    let stream = stream(&halloo_core::frame::Length32::new(LIMIT));
    decode(measure, length_codec(), &stream, size);
}

pub(crate) fn lines(measure: Measure<'_>, size: usize) {
    let codec = LinesCodec::new_with_max_length(LIMIT);
    decode(measure, codec, &stream(&Lines::new(LIMIT)), size);
}

pub(crate) fn any_delimiter(measure: Measure<'_>, size: usize) {
    let codec = AnyDelimiterCodec::new_with_max_length(b"\n".into(), b"\n".into(), LIMIT);
    decode(measure, codec, &stream(&Lines::new(LIMIT)), size);
}

pub(crate) fn json_objects(measure: Measure<'_>) {
    let stream = stream(&JsonObjects::new(LIMIT));
    measure(&mut || {
        let values = serde_json::Deserializer::from_slice(black_box(&stream));
        let frames = values.into_iter::<IgnoredAny>().map(Result::unwrap).count();
        assert_eq!(frames, FRAMES as usize);
    });
}

/// Each frame is changed in place, so the stream is copied for each round, as a read would.
pub(crate) fn cobs(measure: Measure<'_>) {
    let mut frame = [0; PAYLOAD.len() + 2];
    let len = ::cobs::encode(PAYLOAD, &mut frame);
    let stream = frame[..=len].repeat(FRAMES as usize);
    let mut buf = stream.clone();
    measure(&mut || {
        buf.copy_from_slice(black_box(&stream));
        let (mut rest, mut frames) = (&mut buf[..], 0);
        while let Some(end) = rest.iter().position(|&byte| byte == 0) {
            let (frame, behind) = rest.split_at_mut(end + 1);
            let len = ::cobs::decode_in_place(frame).unwrap();
            frames += black_box(&frame[..len]).len() / PAYLOAD.len();
            rest = behind;
        }
        assert_eq!(frames, FRAMES as usize);
    });
}

pub(crate) fn encode_length_delimited(measure: Measure<'_>) {
    let (mut codec, mut buf) = (length_codec(), BytesMut::with_capacity(SMALL));
    measure(&mut || {
        for _ in 0..FRAMES {
            codec
                .encode(Bytes::from_static(black_box(PAYLOAD)), &mut buf)
                .unwrap();
            black_box(&buf);
            buf.clear();
        }
    });
}

pub(crate) fn encode_cobs(measure: Measure<'_>) {
    let mut buf = [0; PAYLOAD.len() + 2];
    measure(&mut || {
        for _ in 0..FRAMES {
            let len = ::cobs::encode(black_box(PAYLOAD), black_box(&mut buf));
            buf[len] = 0;
            black_box(&buf[..=len]);
        }
    });
}

/// Three of our messages, as a user of serde would write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message<'a> {
    Post {
        slot: u8,
        seq: u32,
        #[serde(borrow)]
        body: Raw<'a>,
    },
    Entry {
        room: u32,
        offset: u64,
        flags: u8,
        from: &'a str,
        #[serde(borrow)]
        body: Raw<'a>,
    },
    Ack {
        slot: u8,
        up_seq: u32,
        rejects: u32,
    },
}

/// Bytes that serde moves as a whole: it takes a slice for a sequence of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&[u8] as de::Deserialize>::deserialize(from).map(Self)
    }
}

/// A post in JSON, for a reader that knows that it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JsonPost<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) slot: u8,
    pub(crate) seq: u32,
    pub(crate) body: &'a str,
}

/// An entry in JSON, for a reader that knows that it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JsonEntry<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) room: u32,
    pub(crate) offset: u64,
    pub(crate) flags: u8,
    pub(crate) from: &'a str,
    pub(crate) body: &'a str,
}
