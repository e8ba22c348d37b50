use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::name::{MAX_NAME, NameError};
use crate::wire::Decoded;
use crate::wire::kind::{self, CRITICAL, fixed_width};
use crate::wire::{
    Bye, ByeReason, Code, ENTRY_OVERHEAD, Entry, Gap, GapReason, Hello, Join, Joined, Lineage,
    MAGIC, MAX_BODY, MAX_CONTROL, MAX_ECHO, MAX_EXTENSION_BYTES, MAX_EXTENSIONS, MAX_LINEAGE,
    MAX_PROOF, MAX_TEXT, Message, Names, Notice, NoticeKind, PeerError, Roster, Welcome, WireError,
};

mod canon;
mod extensions;
mod layout;

const NAME: &str = "Zoë";
const LONGEST: &str = "a name that takes 32 bytes, so..";
const ROSTER: &[u8] = b"\x05alice\x03bob\x04Zo\xc3\xab";

/// One of each message, with a different value in every field.
fn messages() -> Vec<Message<'static>> {
    vec![
        Message::Hello(Hello {
            version_min: 1,
            version_max: 3,
            suite: 0,
            key_id: 0x0102_0304,
            flags: Hello::EPHEMERAL,
            nonce: 0x1122_3344_5566_7788,
            device: *b"a serial number!",
            max_frame: 4096,
            credit: 16,
            keepalive: 60,
            proof: b"",
            cookie: None,
        }),
        Message::Retry {
            cookie: *b"0123456789abcdef",
        },
        Message::Welcome(Welcome {
            version: 1,
            suite: 0,
            flags: 0,
            nonce: 0x1122_3344_5566_7788,
            session: 0x99aa_bbcc_ddee_ff00,
            store: 0x0123_4567_89ab_cdef,
            generation: 7,
            keepalive: 61,
            max_body: 1024,
            window: 4,
            proof: &[0xa5; MAX_PROOF],
            lineage: Lineage::new(b"\0\0\0\x02\0\0\0\x01").expect("two generations"),
        }),
        Message::Join(Join {
            slot: 1,
            flags: Join::OWN_BODIES,
            cursor: Join::LATEST,
            history: 100,
            room: b"lab",
            name: b"\xff not checked \x00",
        }),
        Message::Leave { slot: 2 },
        Message::Joined(Joined {
            slot: 3,
            room: 0x0a0b_0c0d,
            up_seq: 41,
            rejects: 5,
            start: 1 << 40,
            head: (1 << 40) + 1,
            members: 12,
            presence: 99,
        }),
        Message::Post {
            slot: 4,
            seq: 42,
            body: b"21.5 C",
        },
        Message::Ack {
            slot: 5,
            up_seq: 43,
            rejects: 0x8000_0001,
        },
        Message::Reject {
            slot: 6,
            seq: 44,
            code: Code::TooLarge,
        },
        Message::Entry(Entry {
            room: 0x0a0b_0c0d,
            offset: 1 << 33,
            flags: 0,
            from: NAME,
            body: b"hello, world",
        }),
        Message::Credit {
            slot: 7,
            cursor: 1 << 34,
            window: 8,
        },
        Message::Gap(Gap {
            slot: 8,
            from: 1,
            to: 1 << 35,
            reason: GapReason::TooLarge,
        }),
        Message::Notice(Notice {
            slot: 9,
            version: 100,
            kind: NoticeKind::Joined,
            members: 13,
            who: "bob",
        }),
        Message::Who {
            slot: 10,
            skip: 500,
        },
        Message::Roster(Roster {
            slot: 11,
            skip: 501,
            members: 504,
            names: Names::new(ROSTER).expect("valid names"),
        }),
        Message::Ping { token: 0xdead_beef },
        Message::Pong { token: 0xdead_bef0 },
        Message::Error(PeerError {
            code: Code::Other(200),
            retry_after: 30_000,
            text: "full, sorry",
        }),
        Message::Bye(Bye {
            reason: ByeReason::Shutdown,
            retry_after: 1500,
        }),
        Message::EchoRequest {
            token: 1,
            bytes: &[0x55; MAX_ECHO],
        },
        Message::EchoReply {
            token: 2,
            bytes: b"",
        },
    ]
}

#[track_caller]
fn bytes(message: &Message<'_>) -> Vec<u8> {
    let mut out = vec![0xee; MAX_BODY + 1000];
    let len = encode(message, &mut out).expect("encodes");
    assert!(out[len..].iter().all(|&b| b == 0xee), "wrote past its end");
    out.truncate(len);
    out
}

#[track_caller]
fn check_error(frame: &[u8], want: WireError) {
    assert_eq!(decode(frame), Err(want), "{frame:02x?}");
}

/// What must hold of any bytes at all. [W-CANON-1] [W-CANON-2]
#[track_caller]
fn check_any(frame: &[u8]) {
    let Ok(decoded) = decode(frame) else { return };
    if matches!(decoded.message, Message::Unknown { .. }) {
        return;
    }
    let mut again = vec![0; frame.len()];
    let len = encode(&decoded.message, &mut again).expect("what was decoded encodes");
    again.truncate(len);
    assert_eq!(decode(&again).map(|d| d.message), Ok(decoded.message));
    if decoded.skipped == 0 {
        assert_eq!(again, frame, "{:?}", decoded.message);
    }
}

/// Which of the two ways a kind goes: to the hub, to the device.
fn ways(message: &Message<'_>) -> (bool, bool) {
    match message.kind() {
        kind::HELLO | kind::JOIN | kind::LEAVE | kind::POST | kind::CREDIT | kind::WHO => {
            (true, false)
        }
        kind::PING | kind::PONG | kind::ERROR | kind::BYE => (true, true),
        kind::ECHO_REQUEST | kind::ECHO_REPLY => (true, true),
        _ => (false, true),
    }
}
