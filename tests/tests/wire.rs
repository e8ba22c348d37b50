//! The binary layout under arbitrary messages, arbitrary bytes and mutations of good ones.

use std::ops::Range;

use halloo_core::wire::{
    Bye, ByeReason, Code, DeviceId, Entry, Gap, GapReason, Hello, Join, Joined, Lineage, MAX_ECHO,
    MAX_EXTENSION_BYTES, MAX_LINEAGE, MAX_PROOF, MAX_TEXT, Message, Names, Notice, NoticeKind,
    PeerError, Roster, Welcome, binary, kind,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a message of any kind can be filled from.
#[derive(Debug, Clone)]
struct Fill {
    bytes: [u8; 3],
    shorts: [u16; 4],
    words: [u32; 6],
    longs: [u64; 3],
    sixteen: DeviceId,
    name: String,
    names: Vec<String>,
    text: String,
    body: Vec<u8>,
}

fn fill() -> impl Strategy<Value = Fill> {
    let name = "[a-zA-Z0-9 éß漢🌡._-]{1,8}";
    (
        any::<([u8; 3], [u16; 4], [u32; 6], [u64; 3], DeviceId)>(),
        prop_oneof![Just(String::new()), name.boxed()],
        vec(name, 0..6),
        ".{0,16}",
        vec(any::<u8>(), 0..300),
    )
        .prop_map(
            |((bytes, shorts, words, longs, sixteen), name, names, text, body)| Fill {
                bytes,
                shorts,
                words,
                longs,
                sixteen,
                name,
                names,
                text,
                body,
            },
        )
}

/// Calls `check` with the message of kind number `which` that `fill` makes.
fn with_message(which: usize, fill: &Fill, check: impl FnOnce(&Message<'_>)) {
    let Fill {
        bytes: [slot, b1, b2],
        shorts: [s0, s1, s2, s3],
        words: [w0, w1, w2, w3, w4, _],
        longs: [l0, l1, l2],
        sixteen,
        ref name,
        ref names,
        ref text,
        ref body,
    } = *fill;
    let part = |range: Range<usize>| {
        body.get(range.start..range.end.min(body.len()))
            .unwrap_or(&[])
    };
    let mut list = Vec::new();
    for name in names {
        list.push(u8::try_from(name.len()).expect("a short name"));
        list.extend(name.as_bytes());
    }
    assert!(text.len() <= MAX_TEXT);
    let message = match kind::ALL[which].1 {
        kind::HELLO => Message::Hello(Hello {
            version_min: slot,
            version_max: b1,
            suite: b2,
            key_id: w0,
            flags: s0,
            nonce: l0,
            device: sixteen,
            max_frame: w1,
            credit: s1,
            keepalive: s2,
            proof: part(0..MAX_PROOF),
            cookie: None,
        }),
        kind::RETRY => Message::Retry { cookie: sixteen },
        kind::WELCOME => Message::Welcome(Welcome {
            version: slot,
            suite: b1,
            flags: s0,
            nonce: l0,
            session: l1,
            store: l2,
            generation: w0,
            keepalive: s1,
            max_body: s2,
            window: s3,
            proof: part(0..MAX_PROOF),
            lineage: {
                let (generations, _) = part(40..40 + 4 * MAX_LINEAGE).as_chunks::<4>();
                Lineage::new(generations.as_flattened()).expect("whole generations")
            },
        }),
        kind::JOIN => Message::Join(Join {
            slot,
            flags: b1,
            cursor: l0,
            history: w0,
            room: part(0..255),
            name: part(200..300),
        }),
        kind::LEAVE => Message::Leave { slot },
        kind::JOINED => Message::Joined(Joined {
            slot,
            room: w0,
            up_seq: w1,
            rejects: w2,
            start: l0,
            head: l1,
            members: w3,
            presence: w4,
        }),
        kind::POST => Message::Post {
            slot,
            seq: w0,
            body,
        },
        kind::ACK => Message::Ack {
            slot,
            up_seq: w0,
            rejects: w1,
        },
        kind::REJECT => Message::Reject {
            slot,
            seq: w0,
            code: Code::from_wire(b1),
        },
        kind::ENTRY => Message::Entry(Entry {
            room: w0,
            offset: l0,
            flags: b1,
            from: name,
            body,
        }),
        kind::CREDIT => Message::Credit {
            slot,
            cursor: l0,
            window: s0,
        },
        kind::GAP => Message::Gap(Gap {
            slot,
            from: l0,
            to: l1,
            reason: GapReason::from_wire(b1),
        }),
        kind::NOTICE => Message::Notice(Notice {
            slot,
            version: w0,
            kind: NoticeKind::from_wire(b1),
            members: w1,
            who: name,
        }),
        kind::WHO => Message::Who { slot, skip: s0 },
        kind::ROSTER => Message::Roster(Roster {
            slot,
            skip: s0,
            members: w0,
            names: Names::new(&list).expect("valid names"),
        }),
        kind::PING => Message::Ping { token: w0 },
        kind::PONG => Message::Pong { token: w0 },
        kind::ERROR => Message::Error(PeerError {
            code: Code::from_wire(b1),
            retry_after: w0,
            text,
        }),
        kind::BYE => Message::Bye(Bye {
            reason: ByeReason::from_wire(b1),
            retry_after: w0,
        }),
        kind::ECHO_REQUEST => Message::EchoRequest {
            token: w0,
            bytes: part(0..MAX_ECHO),
        },
        kind::ECHO_REPLY => Message::EchoReply {
            token: w0,
            bytes: part(0..MAX_ECHO),
        },
        other => panic!("kind {other:#04x} has no arbitrary message"),
    };
    check(&message);
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = vec![0; 1024];
    let len = binary::encode(message, &mut out).expect("it fits");
    out.truncate(len);
    out
}

/// Decoding does not panic, and what it accepts whole encodes to the same bytes. [W-CANON-2]
fn check_any(frame: &[u8]) {
    let Ok(decoded) = binary::decode(frame) else {
        return;
    };
    if matches!(decoded.message, Message::Unknown { .. }) {
        return;
    }
    let mut out = vec![0; frame.len()];
    let len = binary::encode(&decoded.message, &mut out).expect("what was decoded encodes");
    if decoded.skipped == 0 {
        assert_eq!(&out[..len], frame);
    } else {
        assert!(len < frame.len());
        let again = binary::decode(&out[..len]).map(|d| (d.message, d.skipped));
        assert_eq!(again, Ok((decoded.message, 0)));
    }
}

proptest! {
    #[test]
    fn any_message_comes_back_as_it_went(which in 0..kind::ALL.len(), fill in fill()) {
        // [W-CANON-1]
        with_message(which, &fill, |message| {
            let frame = encoded(message);
            assert_eq!(frame[0], message.kind());
            let decoded = binary::decode(&frame).expect("what was encoded decodes");
            assert_eq!((decoded.message, decoded.skipped), (*message, 0));
            check_any(&frame);
        });
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        which in 0..kind::ALL.len(),
        mut frame in vec(any::<u8>(), 0..200),
    ) {
        check_any(&frame);
        // Random bytes seldom get past the kind.
        if let Some(first) = frame.first_mut() {
            *first = kind::ALL[which].1;
        }
        check_any(&frame);
    }

    #[test]
    fn mutations_of_good_messages_are_a_message_or_an_error(
        which in 0..kind::ALL.len(),
        fill in fill(),
        edits in vec((0..3u8, any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        with_message(which, &fill, |message| {
            let mut frame = encoded(message);
            for (edit, at, byte) in edits {
                if frame.is_empty() {
                    break;
                }
                let at = at.index(frame.len());
                match edit {
                    0 => frame[at] = byte,
                    1 => frame.insert(at, byte),
                    _ => frame.truncate(at),
                }
                check_any(&frame);
            }
        });
    }

    #[test]
    fn extensions_behind_any_message_are_counted(
        which in 0..kind::ALL.len(),
        fill in fill(),
        tag in any::<u8>(),
        value in vec(any::<u8>(), 0..20),
    ) {
        // [W-EXT-2]
        with_message(which, &fill, |message| {
            let is_full = matches!(message, Message::Welcome(w)
                if w.proof.len() + w.lineage.as_bytes().len() + value.len() + 6 > MAX_EXTENSION_BYTES);
            if is_full || tag | 1 == binary::TAG_LINEAGE {
                return;
            }
            let mut frame = encoded(message);
            frame.extend([tag | 1, u8::try_from(value.len()).expect("short")]);
            frame.extend(&value);
            let decoded = binary::decode(&frame).expect("it may be skipped");
            assert_eq!((decoded.message, decoded.skipped), (*message, 1));
        });
    }
}
