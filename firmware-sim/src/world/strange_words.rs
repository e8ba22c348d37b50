//! What strangers say: valid messages without sense.

use super::model::{PostId, device_id};
use super::rng::Rng;
use halloo_core::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Hello, Join, Joined, Lineage, Message, PeerError,
    Welcome, binary,
};

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = [0; 512];
    let len = binary::encode(message, &mut out).unwrap_or(0);
    out[..len].to_vec()
}

/// The `Hello` of a stranger.
pub(super) fn hello(rng: &mut Rng, number: u32) -> Vec<u8> {
    encoded(&Message::Hello(Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: Hello::EPHEMERAL,
        nonce: rng.next(),
        device: device_id(number),
        max_frame: 512,
        credit: 8,
        keepalive: 10,
        proof: &[],
        cookie: None,
    }))
}

/// A message that devices say, with a post if there is one to make.
pub(super) fn any_message(rng: &mut Rng, post: Option<PostId>) -> Vec<u8> {
    let slot = rng.pick(&[0, 0, 0, 1, 31, 32, 255]);
    let number = post.map_or(0, |id| id.device);
    let name = format!("dev-{number}");
    let body = post.map(|id| id.body(16)).unwrap_or_default();
    let text = "no";
    encoded(&match (rng.below(13), post) {
        (0..3, _) => Message::Join(Join {
            slot,
            flags: rng.below(4) as u8,
            cursor: rng.pick(&[0, 3, Join::LATEST]),
            history: rng.pick(&[0, 1, u32::MAX]),
            room: rng.pick(&["a", "a", "a", "No Such"]).as_bytes(),
            name: name.as_bytes(),
        }),
        (3..6, Some(_)) => Message::Post {
            slot,
            seq: rng.within(1, 4) as u32,
            body: &body,
        },
        (6, _) => Message::Leave { slot },
        (7, _) => Message::Credit {
            slot,
            cursor: rng.pick(&[0, 1, u64::MAX]),
            window: rng.pick(&[0, 1, u16::MAX]),
        },
        (8, _) => Message::Who { slot, skip: 0 },
        (9, _) => Message::Pong { token: 7 },
        (10, _) => Message::EchoRequest {
            token: 7,
            bytes: &[7; 32],
        },
        (11, _) if rng.chance(300) => Message::Error(PeerError {
            code: Code::Internal,
            retry_after: 0,
            text,
        }),
        (12, _) if rng.chance(300) => Message::Bye(Bye {
            reason: ByeReason::Shutdown,
            retry_after: 0,
        }),
        _ => Message::Ping { token: 3 },
    })
}

/// A `Join` of the room that most devices are in.
pub(super) fn join(number: u32) -> Vec<u8> {
    encoded(&Message::Join(Join {
        slot: 0,
        flags: 0,
        cursor: Join::LATEST,
        history: u32::MAX,
        room: b"a",
        name: format!("dev-{number}").as_bytes(),
    }))
}

pub(super) fn post(seq: u32, id: PostId) -> Vec<u8> {
    let body = &id.body(16);
    let slot = 0;
    encoded(&Message::Post { slot, seq, body })
}

pub(super) fn leave() -> Vec<u8> {
    encoded(&Message::Leave { slot: 0 })
}

/// A message that only a hub says.
pub(super) fn wrong_way(rng: &mut Rng) -> Vec<u8> {
    encoded(&match rng.below(6) {
        0 => Message::Welcome(Welcome {
            version: 1,
            suite: 0,
            flags: 0,
            nonce: 1,
            session: 2,
            store: 3,
            generation: 4,
            keepalive: 5,
            max_body: 6,
            window: 7,
            proof: &[],
            lineage: Lineage::NONE,
        }),
        1 => Message::Joined(Joined {
            slot: 0,
            room: 0,
            up_seq: 1,
            rejects: 0,
            start: 0,
            head: 1,
            members: 1,
            presence: 1,
        }),
        2 => Message::Ack {
            slot: 0,
            up_seq: 9,
            rejects: 0,
        },
        3 => Message::Entry(Entry {
            room: 0,
            offset: 1,
            flags: 0,
            from: "dev-0",
            body: b"never posted",
        }),
        4 => Message::Gap(Gap {
            slot: 0,
            from: 1,
            to: u64::MAX,
            reason: GapReason::Retention,
        }),
        _ => Message::Retry { cookie: [7; 16] },
    })
}
