//! halloo/1 over TCP.

use std::io::Write;
use std::net::TcpStream;

use halloo_core::chat::MAX_WINDOW;
use halloo_core::wire::binary::decode;
use halloo_core::wire::{ENTRY_OVERHEAD, Hello, Join, Message, VERSION, kind};
use halloo_tests::hub::framed;

use super::{BODY, Confirms, Control, Dialect, Part, Shape, Template, read_until};

const HEADER: usize = 4;
const NAME: &str = "p";

pub(crate) struct Halloo;

impl Dialect for Halloo {
    fn attach(&self, stream: &mut TcpStream, nth: usize, room: &str, part: Part) -> Shape {
        let mut device = [0; 16];
        device[..8].copy_from_slice(&(nth as u64 + 1).to_be_bytes());
        let hello = framed(&Message::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION,
            suite: 0,
            key_id: 0,
            flags: 0,
            nonce: 1,
            device,
            max_frame: 4096,
            credit: if part.reads() { u16::MAX } else { 0 },
            keepalive: 0,
            proof: &[],
            cookie: None,
        }));
        stream.write_all(&hello).expect("the hub reads");
        read_frame(stream, kind::WELCOME);
        let join = framed(&Message::Join(Join {
            slot: 0,
            flags: Join::NO_PRESENCE | Join::OWN_BODIES,
            cursor: Join::LATEST,
            history: u32::MAX,
            room: room.as_bytes(),
            name: NAME.as_bytes(),
        }));
        stream.write_all(&join).expect("the hub reads");
        let joined = read_frame(stream, kind::JOINED);
        let Ok(Message::Joined(joined)) = decode(&joined).map(|read| read.message) else {
            panic!("not a Joined: {joined:?}");
        };
        let payload = ENTRY_OVERHEAD + NAME.len() + BODY;
        let mut head = u32::try_from(payload)
            .expect("small")
            .to_be_bytes()
            .to_vec();
        head.push(kind::ENTRY);
        head.extend_from_slice(&joined.room.to_be_bytes());
        Shape {
            mixed: false,
            count: Some((head.len(), joined.start + 1)),
            head,
            size: HEADER + payload,
            body_at: HEADER + payload - BODY,
        }
    }

    fn template(&self, _nth: usize, _room: &str) -> Template {
        let body = [0; BODY];
        let post = framed(&Message::Post {
            slot: 0,
            seq: 0,
            body: &body,
        });
        Template {
            // Length, kind, slot.
            seq_at: Some(HEADER + 2),
            ..Template::new(&post[..post.len() - BODY], &[])
        }
    }

    fn control(&self, data: &[u8]) -> Option<Control> {
        let len = u32::from_be_bytes(data.get(..HEADER)?.try_into().ok()?) as usize;
        let payload = data.get(HEADER..HEADER + len)?;
        let confirms = match payload {
            [kind::ACK, _, seq @ ..] => {
                let rejects = &seq[4..8];
                assert_eq!(rejects, [0; 4], "no post is refused");
                let seq = seq[..4].try_into().expect("4 bytes");
                Confirms::UpTo(u64::from(u32::from_be_bytes(seq)))
            }
            // A poster reads nothing, and is told so. To a member it would be a loss, which the
            // number of its next delivery shows.
            [kind::GAP, ..] => Confirms::Nothing,
            other => panic!("the hub says {:?}", decode(other)),
        };
        Some(Control {
            len: HEADER + len,
            confirms,
        })
    }

    fn window(&self) -> Option<usize> {
        Some(usize::from(MAX_WINDOW))
    }

    fn credit(&self, deliveries: u64) -> Vec<u8> {
        framed(&Message::Credit {
            slot: 0,
            cursor: deliveries,
            window: u16::MAX,
        })
    }

    fn credit_every(&self) -> u64 {
        u64::from(u16::MAX / 2)
    }
}

/// The payload of the next frame, which is of that kind; the hub says nothing behind it.
fn read_frame(stream: &mut TcpStream, expected: u8) -> Vec<u8> {
    let frame = read_until(stream, |held| {
        let header = held.get(..HEADER).map(|bytes| bytes.try_into().expect("4"));
        header.is_some_and(|header| held.len() >= HEADER + u32::from_be_bytes(header) as usize)
    });
    let payload = frame[HEADER..].to_vec();
    assert_eq!(payload[0], expected, "{:?}", decode(&payload));
    payload
}
