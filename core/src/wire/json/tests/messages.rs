//! A table of every message that can be written.

use std::vec;
use std::vec::Vec;

use crate::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Hello, Join, Joined, Lineage, MAX_ECHO, Message,
    Names, Notice, NoticeKind, PeerError, Roster, Welcome,
};

pub(super) const ID: [u8; 16] = [
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
];

/// Every kind once or more, and the form in which it is written.
pub(super) fn messages() -> Vec<(Message<'static>, &'static str)> {
    vec![
        (
            Message::Hello(Hello {
                version_min: 1,
                version_max: 2,
                suite: 3,
                key_id: u32::MAX,
                flags: Hello::EPHEMERAL,
                nonce: 1 << 53,
                device: ID,
                max_frame: 65_536,
                credit: 32,
                keepalive: 60,
                proof: b"\x00\xfe",
                cookie: None,
            }),
            r#"{"type":"hello","version_min":1,"version_max":2,"suite":3,"key_id":4294967295,"flags":1,"nonce":9007199254740992,"device":"00112233445566778899aabbccddeeff","max_frame":65536,"credit":32,"keepalive":60,"proof":"00fe"}"#,
        ),
        (
            Message::Retry { cookie: ID },
            r#"{"type":"retry","cookie":"00112233445566778899aabbccddeeff"}"#,
        ),
        (
            Message::Welcome(Welcome {
                version: 1,
                suite: 0,
                flags: 0,
                nonce: (1 << 53) + 1,
                session: u64::MAX,
                store: 0,
                generation: 7,
                keepalive: 60,
                max_body: 1024,
                window: 4,
                proof: b"",
                lineage: Lineage::new(b"\0\0\0\x02\0\0\0\x01").unwrap(),
            }),
            r#"{"type":"welcome","version":1,"suite":0,"flags":0,"nonce":"9007199254740993","session":"18446744073709551615","store":0,"generation":7,"keepalive":60,"max_body":1024,"window":4,"proof":"","lineage":"0000000200000001"}"#,
        ),
        (
            Message::Join(Join {
                slot: 1,
                flags: Join::OWN_BODIES,
                cursor: Join::LATEST,
                history: u32::MAX,
                room: b"lab",
                name: "Zoë".as_bytes(),
            }),
            r#"{"type":"join","slot":1,"flags":1,"cursor":"latest","history":4294967295,"room":"lab","name":"Zoë"}"#,
        ),
        (
            Message::Join(Join {
                slot: 0,
                flags: 0,
                cursor: u64::MAX - 1,
                history: 0,
                room: b"",
                name: b"tab\there",
            }),
            r#"{"type":"join","slot":0,"flags":0,"cursor":"18446744073709551614","history":0,"room":"","name":"tab\there"}"#,
        ),
        (
            Message::Leave { slot: 255 },
            r#"{"type":"leave","slot":255}"#,
        ),
        (
            Message::Joined(Joined {
                slot: 1,
                room: 2,
                up_seq: 3,
                rejects: 4,
                start: 5,
                head: 6,
                members: 7,
                presence: 8,
            }),
            r#"{"type":"joined","slot":1,"room":2,"up_seq":3,"rejects":4,"start":5,"head":6,"members":7,"presence":8}"#,
        ),
        (
            Message::Post {
                slot: 1,
                seq: 2,
                body: "a\"b\\c/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}é€😀".as_bytes(),
            },
            "{\"type\":\"post\",\"slot\":1,\"seq\":2,\"body\":\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}é€😀\"}",
        ),
        (
            Message::Post {
                slot: 1,
                seq: 2,
                body: b"\xff\x00a",
            },
            r#"{"type":"post","slot":1,"seq":2,"hex":"ff0061"}"#,
        ),
        (
            Message::Ack {
                slot: 1,
                up_seq: 2,
                rejects: 3,
            },
            r#"{"type":"ack","slot":1,"up_seq":2,"rejects":3}"#,
        ),
        (
            Message::Reject {
                slot: 1,
                seq: 2,
                code: Code::Other(200),
            },
            r#"{"type":"reject","slot":1,"seq":2,"code":200}"#,
        ),
        (
            Message::Entry(Entry {
                room: 9,
                offset: 10,
                flags: 0,
                from: "Zoë",
                body: b"hi",
            }),
            r#"{"type":"entry","room":9,"offset":10,"flags":0,"from":"Zoë","body":"hi"}"#,
        ),
        (
            Message::Entry(Entry {
                room: 9,
                offset: 11,
                flags: Entry::OWN,
                from: "",
                body: b"",
            }),
            r#"{"type":"entry","room":9,"offset":11,"flags":1,"from":"","body":""}"#,
        ),
        (
            Message::Credit {
                slot: 1,
                cursor: 10,
                window: 32,
            },
            r#"{"type":"credit","slot":1,"cursor":10,"window":32}"#,
        ),
        (
            Message::Gap(Gap {
                slot: 1,
                from: 1,
                to: 9,
                reason: GapReason::Retention,
            }),
            r#"{"type":"gap","slot":1,"from":1,"to":9,"reason":1}"#,
        ),
        (
            Message::Notice(Notice {
                slot: 1,
                version: 2,
                kind: NoticeKind::Joined,
                members: 3,
                who: "a\"b",
            }),
            r#"{"type":"notice","slot":1,"version":2,"kind":1,"members":3,"who":"a\"b"}"#,
        ),
        (
            Message::Who { slot: 1, skip: 2 },
            r#"{"type":"who","slot":1,"skip":2}"#,
        ),
        (
            Message::Roster(Roster {
                slot: 1,
                skip: 0,
                members: 3,
                names: Names::new(b"\x01a\x04Zo\xc3\xab\x02\\\"").unwrap(),
            }),
            r#"{"type":"roster","slot":1,"skip":0,"members":3,"names":["a","Zoë","\\\""]}"#,
        ),
        (
            Message::Roster(Roster {
                slot: 1,
                skip: 3,
                members: 3,
                names: Names::default(),
            }),
            r#"{"type":"roster","slot":1,"skip":3,"members":3,"names":[]}"#,
        ),
        (
            Message::Ping { token: u32::MAX },
            r#"{"type":"ping","token":4294967295}"#,
        ),
        (Message::Pong { token: 0 }, r#"{"type":"pong","token":0}"#),
        (
            Message::Error(PeerError {
                code: Code::Full,
                retry_after: 5000,
                text: "später",
            }),
            r#"{"type":"error","code":7,"retry_after":5000,"text":"später"}"#,
        ),
        (
            Message::Bye(Bye {
                reason: ByeReason::Shutdown,
                retry_after: 1,
            }),
            r#"{"type":"bye","reason":2,"retry_after":1}"#,
        ),
        (
            Message::EchoRequest {
                token: 1,
                bytes: b"ping",
            },
            r#"{"type":"echo_request","token":1,"bytes":"ping"}"#,
        ),
        (
            Message::EchoReply {
                token: 1,
                bytes: &[0x80; MAX_ECHO],
            },
            r#"{"type":"echo_reply","token":1,"hex":"8080808080808080808080808080808080808080808080808080808080808080"}"#,
        ),
    ]
}
