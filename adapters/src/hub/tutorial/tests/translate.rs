use halloo_core::chat::hub::Busy;
use halloo_core::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Join, Joined, Lineage, Message, Notice,
    NoticeKind, PeerError, VERSION, Welcome, binary,
};

use super::super::translate::*;

const MAX_BODY: u16 = 40;

/// A client, what its device said, and what it was told.
struct Client {
    translator: Translator,
    said: Vec<Vec<u8>>,
    told: Vec<u8>,
    is_busy: bool,
}

impl Client {
    fn new() -> Self {
        let mut client = Self {
            translator: Translator::new(),
            said: Vec::new(),
            told: Vec::new(),
            is_busy: false,
        };
        client.hear(&Message::Welcome(Welcome {
            version: VERSION,
            suite: 0,
            flags: 0,
            nonce: 1,
            session: 2,
            store: 3,
            generation: 1,
            keepalive: 0,
            max_body: MAX_BODY,
            window: 32,
            proof: &[],
            lineage: Lineage::NONE,
        }));
        client.told(&[r#"{"type":"welcome","message":"Welcome to halloo! Join a room to chat."}"#]);
        client
    }

    fn in_lab() -> Self {
        let mut client = Self::new();
        client.ask(r#"{"type":"join","room":"lab","username":"ann"}"#);
        client.said(&[join("lab", "ann")]);
        client.joined(7, 100);
        client.told(&[r#"{"type":"notification","message":"ann joined lab"}"#]);
        client
    }

    fn offer(&mut self, object: &str) -> Result<(), Busy> {
        let (said, is_busy) = (&mut self.said, self.is_busy);
        let mut say = |message: &Message<'_>| {
            // The first message of an object is taken all the same.
            let is_first = matches!(message, Message::Leave { .. });
            if is_busy && !is_first {
                return Err(Busy);
            }
            said.push(encoded(message));
            Ok(())
        };
        self.translator
            .handle_object(object.as_bytes(), &mut say, &mut self.told)
    }

    #[track_caller]
    fn ask(&mut self, object: &str) {
        assert_eq!(self.offer(object), Ok(()), "{object}");
    }

    fn hear(&mut self, message: &Message<'_>) {
        self.translator.handle_message(message, &mut self.told);
    }

    fn joined(&mut self, up_seq: u32, start: u64) {
        self.hear(&Message::Joined(Joined {
            slot: SLOT,
            room: 5,
            up_seq,
            rejects: 0,
            start,
            head: start,
            members: 1,
            presence: 1,
        }));
    }

    fn entry(&mut self, offset: u64, flags: u8, from: &str, body: &[u8]) {
        self.hear(&Message::Entry(Entry {
            room: 5,
            offset,
            flags,
            from,
            body,
        }));
    }

    fn notice(&mut self, kind: NoticeKind, who: &str, members: u32) {
        self.hear(&Message::Notice(Notice {
            slot: SLOT,
            version: 2,
            kind,
            members,
            who,
        }));
    }

    #[track_caller]
    fn said(&mut self, messages: &[Message<'_>]) {
        let expected: Vec<_> = messages.iter().map(encoded).collect();
        assert_eq!(std::mem::take(&mut self.said), expected);
    }

    #[track_caller]
    fn told(&mut self, objects: &[&str]) {
        let told = String::from_utf8(std::mem::take(&mut self.told)).unwrap();
        let expected: String = objects.iter().map(|object| format!("{object}\n")).collect();
        assert_eq!(told, expected);
    }

    #[track_caller]
    fn refused(&mut self, text: &str) {
        self.said(&[]);
        self.told(&[&format!(r#"{{"type":"error","message":"{text}"}}"#)]);
    }
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    let len = binary::encode(message, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

fn join<'a>(room: &'a str, name: &'a str) -> Message<'a> {
    Message::Join(Join {
        slot: SLOT,
        flags: 0,
        cursor: Join::LATEST,
        history: u32::MAX,
        room: room.as_bytes(),
        name: name.as_bytes(),
    })
}

fn post(seq: u32, body: &str) -> Message<'_> {
    let body = body.as_bytes();
    Message::Post {
        slot: SLOT,
        seq,
        body,
    }
}

#[test]
fn what_is_wrong_with_an_object_is_told_in_words() {
    let long = "x".repeat(33);
    let join = |room: &str, name: &str| {
        format!(r#"{{"type":"join","room":"{room}","username":"{name}"}}"#)
    };
    let (room, name) = (
        "Room not allowed: 1 to 32 of A-Z a-z 0-9 . _ -",
        "Username not allowed: 1 to 32 bytes of UTF-8, no control or invisible characters",
    );
    for (object, text) in [
        ("{bad}", "Invalid JSON"),
        (r#"{"type":"chat",}"#, "Invalid JSON"),
        // The last one counts, as in Python.
        (r#"{"type":"join","type":"chat"}"#, "Message required"),
        (
            r#"{"type":"chat","message":"hi","message":null}"#,
            "Message required",
        ),
        (
            r#"{"type":"join","room":1,"room":"","room":"lab","username":"ann","username":"a\nb"}"#,
            name,
        ),
        (
            r#"{"x":1,"type":"shout","x":[],"type":"leave"}"#,
            "Join a room first",
        ),
        (r#"{"type":"chat","type":bad}"#, "Invalid JSON"),
        (r#"{"type":"chat","message":"\ud83d"}"#, "Invalid JSON"),
        (r#"{"type":"chat","message":"\q"}"#, "Invalid JSON"),
        ("{\"type\":\"chat\",\"message\":\"a\tb\"}", "Invalid JSON"),
        ("{}", "Type must be join, chat or leave"),
        (r#"{"type":"shout"}"#, "Type must be join, chat or leave"),
        (r#"{"type":7}"#, "Type must be join, chat or leave"),
        (r#"{"type":"join"}"#, "Room and username required"),
        (
            r#"{"type":"join","room":"lab"}"#,
            "Room and username required",
        ),
        (
            r#"{"type":"join","room":1,"username":"ann"}"#,
            "Room and username required",
        ),
        (
            r#"{"type":"join","room":null,"username":"ann"}"#,
            "Room and username required",
        ),
        (&join("", "ann"), "Room and username required"),
        (&join("lab", ""), "Room and username required"),
        (&join("läb", "ann"), room),
        (&join("a b", "ann"), room),
        (&join(&long, "ann"), room),
        (&join("lab", &long), name),
        (&join("lab", r"a\nb"), name),
        (&join("lab", r"a\u202eb"), name),
        (r#"{"type":"chat"}"#, "Message required"),
        (r#"{"type":"chat","message":["a"]}"#, "Message required"),
        (r#"{"type":"chat","message":"hi"}"#, "Join a room first"),
        (r#"{"type":"leave"}"#, "Join a room first"),
    ] {
        let mut client = Client::new();
        client.ask(object);
        client.refused(text);
        assert!(client.translator.is_ready(), "{object}");
    }
    let mut client = Client::new();
    client
        .offer("{\"type\":\"chat\",\"message\":\"\u{fffd}\"}")
        .unwrap();
    client.refused("Join a room first");
}

#[test]
fn bytes_that_are_no_utf8_are_no_json() {
    let mut client = Client::new();
    let object = b"{\"type\":\"chat\",\"message\":\"\xff\"}";
    let taken = client
        .translator
        .handle_object(object, &mut |_| Ok(()), &mut client.told);
    assert_eq!(taken, Ok(()));
    client.refused("Invalid JSON");
}

#[test]
fn a_message_becomes_a_post_whatever_its_escapes_and_what_stands_around_it() {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let mut client = Client::in_lab();
    for (at, (object, body)) in [
        (r#"{"type":"chat","message":"hi"}"#.into(), "hi"),
        (r#" { "message" : "hi" , "type" : "chat" } "#.into(), "hi"),
        (r#"{"\u0074ype":"ch\u0061t","message":""}"#.into(), ""),
        (
            r#"{"type":"chat","message":"\"}{\\\n\u0000\/"}"#.into(),
            "\"}{\\\n\0/",
        ),
        (
            r#"{"type":"chat","message":"\ud83d\ude00 \u00e9"}"#.into(),
            "😀 é",
        ),
        (r#"{"type":"chat","message":"😀 é"}"#.into(), "😀 é"),
        (
            format!(r#"{{"type":"chat","message":"deep","x":{deep}}}"#),
            "deep",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let object: String = object;
        client.ask(&object);
        client.said(&[post(8 + at as u32, body)]);
    }
    client.told(&[]);
}

#[test]
fn a_message_has_as_many_bytes_as_the_hub_takes_and_not_one_more() {
    let mut client = Client::in_lab();
    let longest = "é".repeat(usize::from(MAX_BODY) / 2);
    let chat = |message: &str| format!(r#"{{"type":"chat","message":"{message}"}}"#);
    client.ask(&chat(&r"\u00e9".repeat(usize::from(MAX_BODY) / 2)));
    client.said(&[post(8, &longest)]);
    client.ask(&chat(&format!("{longest}x")));
    client.refused("Message too long: at most 40 bytes of UTF-8");
    client.ask(&chat("on"));
    client.said(&[post(9, "on")]);
}

#[test]
fn a_second_join_leaves_the_first_room_and_tells_one_thing_at_once() {
    let mut client = Client::in_lab();
    client.ask(r#"{"type":"join","room":"den","username":"zoë"}"#);
    client.said(&[Message::Leave { slot: SLOT }, join("den", "zoë")]);
    client.told(&[]);
    client.joined(0, 0);
    client.told(&[r#"{"type":"notification","message":"zo\u00eb joined den"}"#]);
    client.ask(r#"{"type":"leave"}"#);
    client.said(&[Message::Leave { slot: SLOT }]);
    client.told(&[r#"{"type":"notification","message":"zo\u00eb left den"}"#]);
    client.ask(r#"{"type":"leave"}"#);
    client.refused("Join a room first");
}

#[test]
fn a_room_in_capitals_is_the_one_without_and_is_told_as_the_client_spells_it() {
    let mut client = Client::new();
    client.ask(r#"{"type":"join","room":"Lab","username":"Ann"}"#);
    client.said(&[join("lab", "Ann")]);
    client.joined(0, 0);
    client.told(&[r#"{"type":"notification","message":"Ann joined Lab"}"#]);
    client.entry(1, 0, "bob", b"hi");
    client.told(&[r#"{"type":"chat","username":"bob","room":"Lab","message":"hi"}"#]);
}

#[test]
fn a_join_that_cannot_be_leaves_a_client_where_it_is() {
    let mut client = Client::in_lab();
    client.ask(r#"{"type":"join","room":"n o","username":"ann"}"#);
    client.refused("Room not allowed: 1 to 32 of A-Z a-z 0-9 . _ -");
    client.ask(r#"{"type":"chat","message":"still here"}"#);
    client.said(&[post(8, "still here")]);
}

#[test]
fn what_the_machine_does_not_take_is_handed_in_again_and_done_once() {
    let mut client = Client::in_lab();
    client.is_busy = true;
    let chat = r#"{"type":"chat","message":"hi"}"#;
    assert_eq!(client.offer(chat), Err(Busy));
    client.is_busy = false;
    client.ask(chat);
    client.said(&[post(8, "hi")]);
    client.is_busy = true;
    let second = r#"{"type":"join","room":"den","username":"ann"}"#;
    assert_eq!(client.offer(second), Err(Busy));
    client.said(&[Message::Leave { slot: SLOT }]);
    client.is_busy = false;
    client.ask(second);
    client.said(&[join("den", "ann")]);
    client.told(&[]);
    assert_eq!(client.offer(chat), Err(Busy), "before the join is answered");
    client.joined(0, 0);
    client.ask(chat);
    client.said(&[post(1, "hi")]);
}

#[test]
fn who_is_refused_a_second_room_is_told_to_have_left_the_first() {
    let mut client = Client::in_lab();
    client.ask(r#"{"type":"join","room":"den","username":"ann"}"#);
    client.said(&[Message::Leave { slot: SLOT }, join("den", "ann")]);
    client.hear(&Message::Reject {
        slot: SLOT,
        seq: 0,
        code: Code::Full,
    });
    client.told(&[
        r#"{"type":"notification","message":"ann left lab"}"#,
        r#"{"type":"error","message":"Refused: the hub is full"}"#,
    ]);
}

#[test]
fn a_refused_join_leaves_a_client_outside() {
    let mut client = Client::new();
    client.ask(r#"{"type":"join","room":"lab","username":"ann"}"#);
    client.said(&[join("lab", "ann")]);
    client.hear(&Message::Reject {
        slot: SLOT,
        seq: 0,
        code: Code::Full,
    });
    client.refused("Refused: the hub is full");
    client.ask(r#"{"type":"chat","message":"hi"}"#);
    client.refused("Join a room first");
}

#[test]
fn what_the_room_says_is_told_in_objects_of_ascii() {
    let mut client = Client::in_lab();
    client.entry(101, 0, "bob", b"plain");
    client.entry(102, 0, "zoë", "😀\n\"\u{7f}\\".as_bytes());
    client.entry(103, 0, "raw", b"a\xffb");
    client.entry(104, Entry::OWN, "", b"");
    client.told(&[
        r#"{"type":"chat","username":"bob","room":"lab","message":"plain"}"#,
        "{\"type\":\"chat\",\"username\":\"zo\\u00eb\",\"room\":\"lab\",\"message\":\"\\ud83d\\ude00\\n\\\"\u{7f}\\\\\"}",
        r#"{"type":"chat","username":"raw","room":"lab","message":"a\ufffdb"}"#,
    ]);
    client.notice(NoticeKind::Joined, "bob", 2);
    client.notice(NoticeKind::Left, "bob", 1);
    client.notice(NoticeKind::Count, "", 40);
    client.hear(&Message::Gap(Gap {
        slot: SLOT,
        from: 105,
        to: 109,
        reason: GapReason::Retention,
    }));
    client.told(&[
        r#"{"type":"notification","message":"bob joined lab"}"#,
        r#"{"type":"notification","message":"bob left lab"}"#,
        r#"{"type":"notification","message":"40 are in lab"}"#,
        r#"{"type":"notification","message":"5 messages of lab were missed"}"#,
    ]);
    client.hear(&Message::Bye(Bye {
        reason: ByeReason::Shutdown,
        retry_after: 1000,
    }));
    client.hear(&Message::Error(PeerError {
        code: Code::Timeout,
        retry_after: 0,
        text: "",
    }));
    client.told(&[
        r#"{"type":"notification","message":"Goodbye: the hub stops"}"#,
        r#"{"type":"error","message":"Refused: took too long"}"#,
    ]);
}

#[test]
fn credit_is_given_again_once_half_of_it_is_used() {
    let mut client = Client::in_lab();
    let half = u64::from(CREDIT) / 2;
    for offset in 101..100 + half {
        client.entry(offset, 0, "bob", b"");
        assert_eq!(client.translator.poll_credit(), None, "{offset}");
    }
    let cursor = 100 + half;
    client.entry(cursor, Entry::OWN, "", b"");
    let credit = Message::Credit {
        slot: SLOT,
        cursor,
        window: CREDIT,
    };
    assert_eq!(client.translator.poll_credit(), Some(credit));
    assert_eq!(client.translator.poll_credit(), None);
    // A gap uses nothing up.
    client.hear(&Message::Gap(Gap {
        slot: SLOT,
        from: cursor + 1,
        to: cursor + 5000,
        reason: GapReason::Retention,
    }));
    assert_eq!(client.translator.poll_credit(), None);
}

#[test]
fn after_sixteen_bad_objects_a_client_is_over_and_what_it_may_not_have_does_not_count() {
    let mut client = Client::in_lab();
    for _ in 0..50 {
        client.ask(&format!(
            r#"{{"type":"chat","message":"{}"}}"#,
            "x".repeat(41)
        ));
    }
    for bad in 0..16 {
        assert!(!client.translator.is_over(), "{bad}");
        client.told.clear();
        client.ask("{bad}");
        client.refused("Invalid JSON");
    }
    assert!(client.translator.is_over());
    assert_eq!(client.offer("{}"), Err(Busy));
}
