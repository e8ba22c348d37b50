//! What a peer that breaks the rules gets.

use super::*;

/// Every message that goes to the device only.
fn wrong_way() -> Vec<Message<'static>> {
    vec![
        Message::Retry { cookie: [0; 16] },
        Message::Welcome(halloo_core::wire::Welcome {
            version: 1,
            suite: 0,
            flags: 0,
            nonce: 0,
            session: 0,
            store: 0,
            generation: 0,
            keepalive: 0,
            max_body: 0,
            window: 0,
            proof: &[],
            lineage: halloo_core::wire::Lineage::NONE,
        }),
        Message::Joined(firmware_sim::world::lone_device::joined(0)),
        ack(1, 0),
        refusal(0, Code::Full),
        Message::Entry(Entry {
            room: 0,
            offset: 1,
            flags: 0,
            from: "ann",
            body: b"",
        }),
        Message::Gap(Gap {
            slot: 0,
            from: 1,
            to: 1,
            reason: GapReason::Retention,
        }),
        Message::Notice(halloo_core::wire::Notice {
            slot: 0,
            version: 1,
            kind: halloo_core::wire::NoticeKind::Count,
            members: 1,
            who: "",
        }),
        Message::Roster(halloo_core::wire::Roster {
            slot: 0,
            skip: 0,
            members: 0,
            names: halloo_core::wire::Names::default(),
        }),
    ]
}

#[test]
fn a_message_out_of_place_is_told_once_and_nobody_else_notices() {
    // [E-PLACE-1] [E-CLOSE-1] [S-OPEN-5] [W-RETRY-1]
    let mut messages = wrong_way();
    messages.push(Message::Hello(hello(2)));
    for message in messages {
        with_hub(&usual(), |hub| {
            let (ann, bad) = (hub.member(1, "lab"), hub.member(2, "lab"));
            hub.hear(ann);
            hub.say(bad, &message).unwrap();
            hub.say(bad, &message).unwrap();
            hub.say_rubbish(bad, Code::Malformed);
            hub.say(bad, &post(1, b"too late")).unwrap();
            hub.posts(ann, 1, 1);
            assert_eq!(hub.hear(bad), [error(Code::Unexpected)], "{message:?}");
            assert!(hub.has_closed(bad));
            assert_eq!(hub.hear(bad), []);
            assert_eq!(hub.hub.head("lab"), Some(1));
            assert_eq!(hub.hear(ann), []);
            assert_eq!(hub.hub.counters().violations, 1);
        });
    }
}

#[test]
fn a_first_message_other_than_hello_is_out_of_place() {
    // [S-OPEN-5] [E-PLACE-1]
    let mut messages = wrong_way();
    messages.extend([
        Message::Join(join("lab")),
        Message::Leave { slot: 0 },
        post(1, b"a body"),
        credit(0, 1),
        Message::Who { slot: 0, skip: 0 },
        Message::Ping { token: 1 },
        Message::Pong { token: 1 },
        Message::EchoRequest {
            token: 1,
            bytes: b"",
        },
        Message::EchoReply {
            token: 1,
            bytes: b"",
        },
    ]);
    for message in messages {
        with_hub(&usual(), |hub| {
            let peer = hub.connect().unwrap();
            hub.say(peer, &message).unwrap();
            hub.say(peer, &Message::Hello(hello(1))).unwrap();
            assert_eq!(hub.hear(peer), [error(Code::Unexpected)], "{message:?}");
            assert!(hub.has_closed(peer));
            assert_eq!(hub.hub.counters().sessions, 0);
        });
    }
}

#[test]
fn bytes_that_are_no_message_are_told_with_their_code() {
    // [E-WIRE-1] [F-LEN-3]
    for code in [
        Code::Malformed,
        Code::UnknownCritical,
        Code::Oversize,
        Code::Timeout,
    ] {
        with_hub(&usual(), |hub| {
            let (peer, bad) = (hub.member(1, "lab"), hub.member(2, "lab"));
            hub.hear(peer);
            hub.say_rubbish(bad, code);
            hub.say_rubbish(bad, Code::Internal);
            assert_eq!(hub.hear(bad), [error(code)]);
            assert!(hub.has_closed(bad));
            assert_eq!(hub.hear(peer), [], "it may come back");
        });
    }
}

#[test]
fn an_error_or_a_bye_is_never_answered() {
    // [E-CLOSE-2] [S-BYE-1]
    for message in [error(Code::Malformed), bye(ByeReason::Done)] {
        for is_open in [false, true] {
            with_hub(&usual(), |hub| {
                let peer = match is_open {
                    true => hub.member(1, "lab"),
                    false => hub.connect().unwrap(),
                };
                hub.say(peer, &message).unwrap();
                hub.say(peer, &Message::Ping { token: 1 }).unwrap();
                hub.say_rubbish(peer, Code::Malformed);
                assert_eq!(hub.hear(peer), []);
                assert!(hub.has_closed(peer));
            });
        }
    }
}

#[test]
fn what_it_need_not_know_is_passed_over_and_counted() {
    // [W-KIND-4]
    with_hub(&usual(), |hub| {
        let peer = hub.connect().unwrap();
        hub.say(peer, &Message::Unknown { kind: 0x55 }).unwrap();
        hub.say(peer, &Message::Hello(hello(1))).unwrap();
        hub.say(peer, &Message::Unknown { kind: 0x7f }).unwrap();
        assert_eq!(hub.hear(peer).len(), 1, "the Welcome");
        assert_eq!(hub.hub.counters().skipped, 2);
        standing(&hub.join(peer, &join("lab")));
    });
}
