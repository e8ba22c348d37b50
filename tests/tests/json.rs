//! The JSON encoding against `serde_json`, with messages and objects drawn at random.

use halloo_core::name;
use halloo_core::wire::json::{MAX_CONTROL, MAX_MEMBERS, decode, encode};
use halloo_core::wire::{
    Bye, ByeReason, Code, Decoded, Entry, Gap, GapReason, Hello, Join, Joined, Lineage,
    MAX_LINEAGE, Message, Names, Notice, NoticeKind, PeerError, Roster, Welcome,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What the fields of a message are drawn from: a message borrows from it.
#[derive(Debug, Clone)]
struct Draw {
    kind: usize,
    numbers: Vec<u64>,
    bytes: Vec<u8>,
    short: Vec<u8>,
    room: String,
    text: String,
    name: String,
    names: Vec<u8>,
}

const KINDS: usize = 21;

fn draw() -> impl Strategy<Value = Draw> {
    let number = prop_oneof![
        any::<u64>(),
        0..300_u64,
        (1 << 53) - 2..(1 << 53) + 2_u64,
        Just(u64::MAX)
    ];
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..200),
        ".{0,60}".prop_map(String::into_bytes),
        "[\\x00-\\x7f]{0,60}".prop_map(String::into_bytes)
    ];
    let short = prop_oneof![
        vec(any::<u8>(), 0..32),
        "[\\x00-\\x7f]{0,32}".prop_map(String::into_bytes)
    ];
    let text = prop_oneof!["[\\x00-\\x7f]{0,64}", ".{0,16}"];
    let names = vec(member(), 0..8).prop_map(|names| {
        let with_length = |name: String| [&[name.len() as u8], name.as_bytes()].concat();
        names.into_iter().flat_map(with_length).collect()
    });
    let name = prop_oneof![Just(String::new()), member()];
    (
        0..KINDS,
        vec(number, 10),
        bytes,
        short,
        ".{0,40}",
        text,
        name,
        names,
    )
        .prop_map(
            |(kind, numbers, bytes, short, room, text, name, names)| Draw {
                kind,
                numbers,
                bytes,
                short,
                room,
                text,
                name,
                names,
            },
        )
}

fn member() -> impl Strategy<Value = String> {
    ".{1,8}".prop_map(|text| {
        let allowed = |c: &char| name::member(c.to_string().as_bytes()).is_ok();
        let name: String = text.chars().filter(allowed).collect();
        if name.is_empty() { "a".into() } else { name }
    })
}

impl Draw {
    fn lineage(&self) -> Lineage<'_> {
        let (generations, _) = self.short.as_chunks::<4>();
        let most = generations.len().min(MAX_LINEAGE);
        Lineage::new(generations[..most].as_flattened()).unwrap()
    }

    fn message(&self) -> Message<'_> {
        let [a, b, c, d, e, f, g, h, i, j] = self.numbers[..].try_into().unwrap();
        let (slot, token, seq) = (a as u8, b as u32, c as u32);
        let id = (u128::from(a) << 64 | u128::from(b)).to_be_bytes();
        match self.kind {
            0 => Message::Hello(Hello {
                version_min: a as u8,
                version_max: b as u8,
                suite: c as u8,
                key_id: d as u32,
                flags: e as u16,
                nonce: f,
                device: id,
                max_frame: g as u32,
                credit: h as u16,
                keepalive: i as u16,
                proof: &self.short,
                cookie: None,
            }),
            1 => Message::Retry { cookie: id },
            2 => Message::Welcome(Welcome {
                version: a as u8,
                suite: b as u8,
                flags: c as u16,
                nonce: d,
                session: e,
                store: f,
                generation: g as u32,
                keepalive: h as u16,
                max_body: i as u16,
                window: j as u16,
                proof: &self.short,
                lineage: self.lineage(),
            }),
            3 => Message::Join(Join {
                slot,
                flags: b as u8,
                cursor: c,
                history: d as u32,
                room: self.room.as_bytes(),
                name: self.text.as_bytes(),
            }),
            4 => Message::Leave { slot },
            5 => Message::Joined(Joined {
                slot,
                room: b as u32,
                up_seq: c as u32,
                rejects: d as u32,
                start: e,
                head: f,
                members: g as u32,
                presence: h as u32,
            }),
            6 => Message::Post {
                slot,
                seq,
                body: &self.bytes,
            },
            7 => Message::Ack {
                slot,
                up_seq: b as u32,
                rejects: c as u32,
            },
            8 => Message::Reject {
                slot,
                seq,
                code: Code::from_wire(b as u8),
            },
            9 => Message::Entry(Entry {
                room: a as u32,
                offset: b,
                flags: c as u8,
                from: &self.name,
                body: &self.bytes,
            }),
            10 => Message::Credit {
                slot,
                cursor: b,
                window: c as u16,
            },
            11 => Message::Gap(Gap {
                slot,
                from: b,
                to: c,
                reason: GapReason::from_wire(d as u8),
            }),
            12 => Message::Notice(Notice {
                slot,
                version: b as u32,
                kind: NoticeKind::from_wire(c as u8),
                members: d as u32,
                who: &self.name,
            }),
            13 => Message::Who {
                slot,
                skip: b as u16,
            },
            14 => Message::Roster(Roster {
                slot,
                skip: b as u16,
                members: c as u32,
                names: Names::new(&self.names).unwrap(),
            }),
            15 => Message::Ping { token },
            16 => Message::Pong { token },
            17 => Message::Error(PeerError {
                code: Code::from_wire(a as u8),
                retry_after: b as u32,
                text: &self.text,
            }),
            18 => Message::Bye(Bye {
                reason: ByeReason::from_wire(a as u8),
                retry_after: b as u32,
            }),
            19 => Message::EchoRequest {
                token,
                bytes: &self.short,
            },
            _ => Message::EchoReply {
                token,
                bytes: &self.short,
            },
        }
    }
}

/// The object for `message`, built without the encoder.
fn object(message: &Message<'_>) -> Value {
    match *message {
        Message::Hello(m) => json!({
            "type": "hello", "version_min": m.version_min, "version_max": m.version_max,
            "suite": m.suite, "key_id": m.key_id, "flags": m.flags, "nonce": wide(m.nonce),
            "device": hex(&m.device), "max_frame": m.max_frame, "credit": m.credit,
            "keepalive": m.keepalive, "proof": hex(m.proof),
        }),
        Message::Retry { cookie } => json!({"type": "retry", "cookie": hex(&cookie)}),
        Message::Welcome(m) => json!({
            "type": "welcome", "version": m.version, "suite": m.suite, "flags": m.flags,
            "nonce": wide(m.nonce), "session": wide(m.session), "store": wide(m.store),
            "generation": m.generation, "keepalive": m.keepalive, "max_body": m.max_body,
            "window": m.window, "proof": hex(m.proof), "lineage": hex(m.lineage.as_bytes()),
        }),
        Message::Join(m) => json!({
            "type": "join", "slot": m.slot, "flags": m.flags,
            "cursor": if m.cursor == u64::MAX { json!("latest") } else { wide(m.cursor) },
            "history": m.history, "room": utf8(m.room), "name": utf8(m.name),
        }),
        Message::Leave { slot } => json!({"type": "leave", "slot": slot}),
        Message::Joined(m) => json!({
            "type": "joined", "slot": m.slot, "room": m.room, "up_seq": m.up_seq,
            "rejects": m.rejects, "start": wide(m.start), "head": wide(m.head),
            "members": m.members, "presence": m.presence,
        }),
        Message::Post { slot, seq, body } => with_bytes(
            json!({"type": "post", "slot": slot, "seq": seq}),
            "body",
            body,
        ),
        Message::Ack {
            slot,
            up_seq,
            rejects,
        } => {
            json!({"type": "ack", "slot": slot, "up_seq": up_seq, "rejects": rejects})
        }
        Message::Reject { slot, seq, code } => {
            json!({"type": "reject", "slot": slot, "seq": seq, "code": code.to_wire()})
        }
        Message::Entry(m) => with_bytes(
            json!({"type": "entry", "room": m.room, "offset": wide(m.offset), "flags": m.flags, "from": m.from}),
            "body",
            m.body,
        ),
        Message::Credit {
            slot,
            cursor,
            window,
        } => {
            json!({"type": "credit", "slot": slot, "cursor": wide(cursor), "window": window})
        }
        Message::Gap(m) => json!({
            "type": "gap", "slot": m.slot, "from": wide(m.from), "to": wide(m.to),
            "reason": m.reason.to_wire(),
        }),
        Message::Notice(m) => json!({
            "type": "notice", "slot": m.slot, "version": m.version, "kind": m.kind.to_wire(),
            "members": m.members, "who": m.who,
        }),
        Message::Who { slot, skip } => json!({"type": "who", "slot": slot, "skip": skip}),
        Message::Roster(m) => json!({
            "type": "roster", "slot": m.slot, "skip": m.skip, "members": m.members,
            "names": m.names.iter().collect::<Vec<_>>(),
        }),
        Message::Ping { token } => json!({"type": "ping", "token": token}),
        Message::Pong { token } => json!({"type": "pong", "token": token}),
        Message::Error(m) => json!({
            "type": "error", "code": m.code.to_wire(), "retry_after": m.retry_after, "text": m.text,
        }),
        Message::Bye(m) => {
            json!({"type": "bye", "reason": m.reason.to_wire(), "retry_after": m.retry_after})
        }
        Message::EchoRequest { token, bytes } => with_bytes(
            json!({"type": "echo_request", "token": token}),
            "bytes",
            bytes,
        ),
        Message::EchoReply { token, bytes } => with_bytes(
            json!({"type": "echo_reply", "token": token}),
            "bytes",
            bytes,
        ),
        _ => unreachable!("no other kind is drawn"),
    }
}

fn wide(number: u64) -> Value {
    if number <= 1 << 53 {
        json!(number)
    } else {
        json!(number.to_string())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn with_bytes(mut object: Value, key: &str, bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => object[key] = json!(text),
        Err(_) => object["hex"] = json!(hex(bytes)),
    }
    object
}

/// A value for a member that nobody knows, nested as deep as is allowed.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((".{0,6}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The object with `extra` members, in the order that `ranks` gives, as a peer might write it.
fn shuffled(object: &Value, extra: &Map<String, Value>, ranks: &[u64], style: Style) -> String {
    let members = object.as_object().unwrap().iter().chain(extra);
    let mut members: Vec<_> = members.zip(ranks).collect();
    members.sort_by_key(|(_, rank)| **rank);
    let (open, colon, comma, close) = match style {
        Style::Compact => ("{", ":", ",", "}"),
        Style::Python => ("{", ": ", ", ", "}"),
        Style::Pretty => ("\n{\r\n\t", " :\n", "\t,\n  ", "\n}\n"),
    };
    let members: Vec<_> = members
        .into_iter()
        .map(|((key, value), _)| {
            let value = match style {
                Style::Compact => serde_json::to_string(value).unwrap(),
                Style::Python => ascii(&serde_json::to_string(value).unwrap()),
                Style::Pretty => serde_json::to_string_pretty(value).unwrap(),
            };
            format!("{}{colon}{value}", json!(key))
        })
        .collect();
    format!("{open}{}{close}", members.join(comma))
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Compact,
    Python,
    Pretty,
}

/// Escapes all that is not ASCII, as Python's `json.dumps` does.
fn ascii(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out += &format!("\\u{unit:04x}");
            }
        }
    }
    out
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = vec![0; 4 * MAX_CONTROL];
    let len = encode(message, &mut out).unwrap();
    out.truncate(len);
    out
}

proptest! {
    #[test]
    fn a_message_comes_back_and_is_written_the_same_again(draw in draw()) {
        let message = draw.message();
        let form = encoded(&message);
        let mut frame = form.clone();
        let decoded = decode(&mut frame).unwrap();
        prop_assert_eq!(decoded, Decoded { message, skipped: 0 });
        prop_assert_eq!(encoded(&decoded.message), form);
    }

    #[test]
    fn serde_json_reads_what_is_written(draw in draw()) {
        let message = draw.message();
        let parsed: Value = serde_json::from_slice(&encoded(&message)).unwrap();
        prop_assert_eq!(parsed, object(&message));
    }

    #[test]
    fn any_order_and_white_space_and_unknown_members_give_the_same_message(
        draw in draw(),
        extra in vec(("x.{0,6}", any_value()), 0..8),
        ranks in vec(any::<u64>(), MAX_MEMBERS),
        style in prop_oneof![Just(Style::Compact), Just(Style::Python), Just(Style::Pretty)],
    ) {
        let message = draw.message();
        let extra: Map<_, _> = extra.into_iter().collect();
        let text = shuffled(&object(&message), &extra, &ranks, style);
        let mut frame = text.clone().into_bytes();
        let expected = Decoded { message, skipped: extra.len() as u8 };
        prop_assert_eq!(decode(&mut frame), Ok(expected), "{}", text);
    }

    #[test]
    fn what_is_taken_is_json(
        draw in draw(),
        at in any::<prop::sample::Index>(),
        new in vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'{'), Just(b','), Just(b' ')], 0..3),
        gone in 0..3_usize,
    ) {
        let mut form = encoded(&draw.message());
        let at = at.index(form.len());
        form.splice(at..form.len().min(at + gone), new);
        let mut frame = form.clone();
        if decode(&mut frame).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(&form).is_ok(), "{}", String::from_utf8_lossy(&form));
        }
    }

    #[test]
    fn a_string_is_taken_if_serde_json_takes_it(
        text in "([a-z]|\\\\|\"|\\\\u[dD][89a-fA-F][0-9a-f]{2}|\\\\u[0-9a-f]{4}|\\\\[\"/bfnrtux]|\u{1f}|é){0,8}",
    ) {
        let text = format!("{{\"type\":\"post\",\"slot\":1,\"seq\":1,\"body\":\"{text}\"}}");
        let mut frame = text.clone().into_bytes();
        let ours = match decode(&mut frame) {
            Ok(Decoded { message: Message::Post { body, .. }, .. }) => Some(body),
            _ => None,
        };
        let theirs = serde_json::from_str::<Value>(&text).ok();
        let theirs = theirs.as_ref().map(|it| it["body"].as_str().unwrap().as_bytes());
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn arbitrary_bytes_give_a_message_or_an_error(mut bytes in vec(any::<u8>(), 0..100)) {
        let _ = decode(&mut bytes);
    }

    #[test]
    fn arbitrary_punctuation_gives_a_message_or_an_error(
        text in "([\\[\\]{},:\"\\\\]|1|u|\"type\":\"roster\"|\"names\":\\[|\"a\"|-|e|[.]| ){0,30}",
    ) {
        let mut frame = format!("{{{text}").into_bytes();
        let taken = decode(&mut frame).is_ok();
        if taken {
            prop_assert!(serde_json::from_str::<Value>(&format!("{{{text}")).is_ok(), "{}", text);
        }
    }
}
