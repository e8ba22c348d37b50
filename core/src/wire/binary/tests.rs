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

#[test]
fn a_decoder_of_one_way_reads_that_way_as_the_whole_one_does_and_tells_the_other_by_its_kind() {
    for message in messages() {
        let mut out = [0; 512];
        let len = encode(&message, &mut out).unwrap();
        let (to_hub, to_device) = ways(&message);
        for cut in 1..=len {
            let frame = &out[..cut];
            let whole = decode(frame);
            let misplaced = Ok(Decoded {
                message: Message::Unknown {
                    kind: message.kind(),
                },
                skipped: 0,
            });
            let at_hub = if to_hub { whole } else { misplaced };
            let at_device = if to_device { whole } else { misplaced };
            assert_eq!(decode_from_device(frame), at_hub, "{message:?} to {cut}");
            assert_eq!(decode_from_hub(frame), at_device, "{message:?} to {cut}");
        }
        let mut again = [0; 512];
        let to_hub = encode_to_hub(&message, &mut again);
        assert_eq!(to_hub, ways(&message).0.then_some(len), "{message:?}");
        let to_device = encode_to_device(&message, &mut again);
        assert_eq!(to_device, ways(&message).1.then_some(len), "{message:?}");
    }
    let strange = [CRITICAL | 0x7f];
    assert_eq!(decode_from_hub(&strange), Err(WireError::UnknownKind(0xff)));
    assert_eq!(
        decode_from_device(&strange),
        Err(WireError::UnknownKind(0xff))
    );
}

#[test]
fn every_message_comes_back_as_it_went() {
    // [W-CANON-1]
    let all = messages();
    assert_eq!(all.len(), kind::ALL.len());
    for (message, (_, number)) in all.iter().zip(kind::ALL) {
        let frame = bytes(message);
        assert_eq!(message.kind(), *number);
        assert_eq!(frame[0], *number, "[W-KIND-1]");
        assert!(frame.len() > fixed_width(*number));
        let decoded = decode(&frame).expect("decodes");
        assert_eq!(decoded.message, *message);
        assert_eq!(decoded.skipped, 0);
    }
}

#[test]
fn numbers_are_big_endian_and_fields_stand_in_their_order() {
    // [W-NUM-1] [W-ORDER-1]
    let frame = bytes(&messages()[5]);
    assert_eq!(
        frame,
        [
            0x86, 3, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 41, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
            1, 0, 0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0, 99
        ]
    );
}

#[test]
fn kinds_differ_in_their_lower_seven_bits() {
    // [W-KIND-2]
    for (at, (name, number)) in kind::ALL.iter().enumerate() {
        assert_ne!(number & !CRITICAL, 0, "{name}");
        for (other, less) in &kind::ALL[..at] {
            assert_ne!(number & !CRITICAL, less & !CRITICAL, "{name} and {other}");
        }
    }
}

#[test]
fn every_truncation_is_told() {
    // [W-END-1]
    for message in messages() {
        let frame = bytes(&message);
        for len in 0..frame.len() {
            let cut = decode(&frame[..len]);
            // Without its extensions a Welcome is whole.
            let bare = 1 + fixed_width(kind::WELCOME);
            let ends = [bare, bare + 2 + MAX_PROOF];
            if matches!(message, Message::Welcome(_)) && ends.contains(&len) {
                assert!(cut.is_ok());
                continue;
            }
            assert_eq!(cut, Err(WireError::Truncated), "{message:?} at {len}");
        }
    }
}

#[test]
fn every_changed_byte_gives_a_message_or_an_error() {
    for message in messages() {
        let mut frame = bytes(&message);
        for at in 0..frame.len() {
            let was = frame[at];
            for byte in 0..=u8::MAX {
                frame[at] = byte;
                check_any(&frame);
            }
            frame[at] = was;
        }
    }
}

#[test]
fn every_kind_is_known_skipped_or_refused() {
    // [W-KIND-3] [W-KIND-4]
    for number in 0..=u8::MAX {
        let frame = [number, 1, 2, 3];
        let got = decode(&frame);
        if kind::ALL.iter().any(|(_, known)| *known == number) {
            assert!(!matches!(
                got,
                Err(WireError::UnknownKind(_))
                    | Ok(Decoded {
                        message: Message::Unknown { .. },
                        ..
                    })
            ));
        } else if number & CRITICAL != 0 {
            assert_eq!(got, Err(WireError::UnknownKind(number)));
        } else {
            let message = Message::Unknown { kind: number };
            assert_eq!(
                got,
                Ok(Decoded {
                    message,
                    skipped: 0
                })
            );
            assert_eq!(
                encode(&message, &mut [0; 8]),
                Err(WireError::UnknownKind(number))
            );
        }
    }
}

#[test]
fn unknown_extensions_that_may_be_skipped_are_counted() {
    // [W-EXT-2] [W-EXT-4]
    for message in messages() {
        let mut frame = bytes(&message);
        let known = 2 * u8::from(matches!(message, Message::Welcome(_)));
        for count in 1..=4 - known {
            frame.extend([count * 2 + 9, 2, 0xaa, 0xbb]);
            let decoded = decode(&frame).expect("decodes");
            assert_eq!((decoded.message, decoded.skipped), (message, count));
        }
        frame.extend([9, 0]);
        check_error(&frame, WireError::TooLong);
    }
}

#[test]
fn unknown_extensions_that_must_not_be_skipped_are_refused() {
    // [W-EXT-3]
    for message in messages() {
        for tag in (0..=u8::MAX).step_by(2) {
            let mut frame = bytes(&message);
            if tag == TAG_PROOF && matches!(message, Message::Hello(_) | Message::Welcome(_)) {
                continue;
            }
            if tag == TAG_COOKIE && matches!(message, Message::Hello(_)) {
                continue;
            }
            frame.extend([tag, 1, 0]);
            check_error(&frame, WireError::UnknownExtension(tag));
        }
    }
}

#[test]
fn extensions_keep_to_their_limits() {
    // [W-EXT-4] [L-EXT-1] [L-EXT-2]
    let ping = bytes(&Message::Ping { token: 1 });
    let with = |tail: &[u8]| [&ping[..], tail].concat();
    let largest = [&[1, 62][..], &[0; 62]].concat();
    assert_eq!(largest.len(), MAX_EXTENSION_BYTES);
    assert_eq!(decode(&with(&largest)).map(|d| d.skipped), Ok(1));
    check_error(
        &with(&[&[1, 63][..], &[0; 63]].concat()),
        WireError::TooLong,
    );
    assert!(decode(&with(&[1, 0].repeat(MAX_EXTENSIONS))).is_ok());
    check_error(
        &with(&[1, 0].repeat(MAX_EXTENSIONS + 1)),
        WireError::TooLong,
    );
    check_error(&with(&[1]), WireError::Truncated);
    check_error(&with(&[1, 2, 0]), WireError::Truncated);
}

#[test]
fn a_cookie_is_an_extension_of_hello_behind_the_proof() {
    // [W-COOKIE-1] [W-COOKIE-2]
    let Message::Hello(hello) = messages()[0] else {
        panic!("the first is a Hello")
    };
    let bare = bytes(&Message::Hello(Hello {
        proof: &[],
        ..hello
    }));
    let value: [u8; 16] = core::array::from_fn(|n| n as u8);
    let cookie = [&[4, 16][..], &value].concat();
    let proof = [2, 1, 7];
    let both = [&bare[..], &proof, &cookie].concat();
    let decoded = decode(&both).expect("decodes").message;
    let Message::Hello(got) = decoded else {
        panic!("it is a Hello")
    };
    assert_eq!((got.proof, got.cookie), (&[7][..], Some(&value)));
    assert_eq!(bytes(&decoded), both);
    for wrong in [
        [&bare[..], &cookie, &proof].concat(),
        [&bare[..], &cookie, &cookie].concat(),
        [&bare[..], &[4, 15], &value[1..]].concat(),
        [&bare[..], &[4, 17, 0], &value].concat(),
    ] {
        check_error(&wrong, WireError::Malformed);
    }
}

#[test]
fn a_lineage_is_an_extension_of_welcome_behind_the_proof() {
    // [W-LINEAGE-1] [W-LINEAGE-2]
    let Message::Welcome(welcome) = messages()[2] else {
        panic!("the third is a Welcome")
    };
    let proof = &[7][..];
    let bare = bytes(&Message::Welcome(Welcome {
        proof,
        lineage: Lineage::NONE,
        ..welcome
    }));
    let generations = [9, 0x0102_0304];
    let lineage = [3, 8, 0, 0, 0, 9, 1, 2, 3, 4];
    let frame = [&bare[..], &lineage].concat();
    let decoded = decode(&frame).expect("decodes");
    let Message::Welcome(got) = decoded.message else {
        panic!("it is a Welcome")
    };
    assert_eq!((got.proof, decoded.skipped), (proof, 0));
    assert_eq!(
        got.lineage,
        Lineage::write(&generations, &mut [0; 4 * MAX_LINEAGE])
    );
    assert!(generations.iter().all(|&one| got.lineage.has(one)));
    assert!(!got.lineage.has(8) && !got.lineage.has(0x0000_0901));
    assert_eq!(bytes(&decoded.message), frame);
    let twice = lineage.repeat(2);
    let before_the_proof = [&lineage[..], &[2, 1, 7]].concat();
    for wrong in [&twice[..], &[3, 3, 0, 0, 9], &[3, 0]] {
        check_error(&[&bare, wrong].concat(), WireError::Malformed);
    }
    let naked = &bare[..bare.len() - 3];
    check_error(&[naked, &before_the_proof].concat(), WireError::Malformed);
    let long = [&bare[..], &[3, 32], &[0; 32]].concat();
    check_error(&long, WireError::TooLong);
    // In any other message it is an extension like another.
    let ping = bytes(&Message::Ping { token: 1 });
    let decoded = decode(&[&ping[..], &lineage].concat()).map(|d| d.skipped);
    assert_eq!(decoded, Ok(1));
}

#[test]
fn a_lineage_has_as_many_generations_as_fit_beside_the_longest_proof() {
    // [W-LINEAGE-1]
    let Message::Welcome(welcome) = messages()[2] else {
        panic!("the third is a Welcome")
    };
    assert_eq!(welcome.proof.len(), MAX_PROOF);
    let many: Vec<u32> = (0..20).collect();
    let mut place = [0; 4 * MAX_LINEAGE];
    let lineage = Lineage::write(&many, &mut place);
    assert_eq!(lineage.as_bytes().len(), 4 * MAX_LINEAGE);
    assert!(lineage.has(6) && !lineage.has(7), "the newest");
    let message = Message::Welcome(Welcome { lineage, ..welcome });
    check_any(&bytes(&message));
    assert_eq!(decode(&bytes(&message)).map(|d| d.message), Ok(message));
    for (len, is_one) in [(0, true), (3, false), (4, true), (28, true), (32, false)] {
        assert_eq!(Lineage::new(&[0; 32][..len]).is_some(), is_one, "{len}");
    }
    assert_eq!(
        Lineage::write(&[], &mut [0; 4 * MAX_LINEAGE]),
        Lineage::NONE
    );
}

#[test]
fn a_proof_is_an_extension_of_hello_and_welcome() {
    // [W-PROOF-1] [W-PROOF-2]
    let Message::Hello(hello) = messages()[0] else {
        panic!("the first is a Hello")
    };
    let bare = bytes(&Message::Hello(hello));
    let proof = &[7; MAX_PROOF];
    let proven = Message::Hello(Hello { proof, ..hello });
    let frame = bytes(&proven);
    assert_eq!(frame, [&bare[..], &[2, 32], proof].concat());
    // After an extension that is skipped, too.
    let other = [&bare[..], &[1, 1, 0, 2, 32], proof].concat();
    let decoded = decode(&other).expect("decodes");
    assert_eq!((decoded.message, decoded.skipped), (proven, 1));

    check_error(&[&bare[..], &[2, 0]].concat(), WireError::Malformed);
    check_error(
        &[&bare[..], &[2, 1, 7, 2, 1, 7]].concat(),
        WireError::Malformed,
    );
    check_error(
        &[&bare[..], &[2, 33], &[7; 33]].concat(),
        WireError::TooLong,
    );
    let long = Message::Hello(Hello {
        proof: &[7; MAX_PROOF + 1],
        cookie: None,
        ..hello
    });
    assert_eq!(encode(&long, &mut [0; 200]), Err(WireError::TooLong));
}

#[test]
fn a_hello_starts_with_the_magic() {
    // [W-HELLO-1]
    let mut frame = bytes(&messages()[0]);
    assert_eq!(frame[1..5], MAGIC);
    frame[4] ^= 1;
    check_error(&frame, WireError::Malformed);
}

#[test]
fn names_of_members_are_checked_where_they_have_to_be_valid() {
    // [W-NAME-1] [W-ENTRY-1] [W-NOTICE-1]
    let entry = |from: &[u8]| {
        let mut frame = vec![kind::ENTRY];
        frame.extend([0; 13]);
        frame.push(u8::try_from(from.len()).expect("short"));
        frame.extend(from);
        frame.extend([0, 0]);
        frame
    };
    assert!(decode(&entry(b"")).is_ok());
    assert!(decode(&entry(LONGEST.as_bytes())).is_ok());
    check_error(&entry(&[b'a'; 33]), WireError::Name(NameError::TooLong));
    check_error(&entry(b"\xff"), WireError::Name(NameError::NotUtf8));
    check_error(&entry(b"a\nb"), WireError::Name(NameError::Forbidden));
    let notice = |who: &[u8]| [&[kind::NOTICE][..], &[0; 10], &[1], who].concat();
    assert!(decode(&notice(b"a")).is_ok());
    check_error(&notice(b"\x7f"), WireError::Name(NameError::Forbidden));
    // [W-ROSTER-1]
    let roster = |names: &[u8]| [&[kind::ROSTER][..], &[0; 8], &[2], names].concat();
    assert!(decode(&roster(b"\x01a")).is_ok());
    check_error(&roster(b"\x02a"), WireError::Malformed);
    check_error(&roster(b"\x00\x00"), WireError::Malformed);
    check_error(&roster(b"\x01\x07"), WireError::Malformed);
}

#[test]
fn a_join_takes_any_bytes_for_its_names() {
    // [W-JOIN-1]
    let mut frame = vec![kind::JOIN];
    frame.extend([0; 14]);
    for _ in 0..2 {
        frame.push(255);
        frame.extend([0xff; 255]);
    }
    check_any(&frame);
    let Ok(Message::Join(join)) = decode(&frame).map(|d| d.message) else {
        panic!("no join")
    };
    assert_eq!((join.room, join.name), (&[0xff; 255][..], &[0xff; 255][..]));
    let long = Message::Join(Join {
        room: &[b'a'; 256],
        ..join
    });
    assert_eq!(encode(&long, &mut [0; 1000]), Err(WireError::TooLong));
}

#[test]
fn fields_above_their_limit_are_refused_both_ways() {
    // [L-ECHO-1] [L-TEXT-1] [L-BODY-1]
    let text = format!("{:64}", "x");
    let error = |text| {
        Message::Error(PeerError {
            code: Code::Full,
            retry_after: 0,
            text,
        })
    };
    assert_eq!(text.len(), MAX_TEXT);
    assert_eq!(bytes(&error(&text)).len(), 71);
    let long = format!("{text}x");
    assert_eq!(
        encode(&error(&long), &mut [0; 200]),
        Err(WireError::TooLong)
    );
    let mut frame = [&[kind::ERROR, 1, 0, 0, 0, 0, 65][..], long.as_bytes()].concat();
    check_error(&frame, WireError::TooLong);
    frame.truncate(6);
    frame.extend([1, 0xff]);
    check_error(&frame, WireError::Malformed);

    for number in [kind::ECHO_REQUEST, kind::ECHO_REPLY] {
        let most = [&[number, 0, 0, 0, 0, 32][..], &[0; 32]].concat();
        assert!(decode(&most).is_ok());
        let more = [&[number, 0, 0, 0, 0, 33][..], &[0; 33]].concat();
        check_error(&more, WireError::TooLong);
    }
    let echo = Message::EchoRequest {
        token: 0,
        bytes: &[0; MAX_ECHO + 1],
    };
    assert_eq!(encode(&echo, &mut [0; 200]), Err(WireError::TooLong));

    let body = vec![1; MAX_BODY + 1];
    let post = |body| Message::Post {
        slot: 0,
        seq: 1,
        body,
    };
    check_any(&bytes(&post(&body[..MAX_BODY])));
    assert_eq!(
        encode(&post(&body), &mut vec![0; MAX_BODY + 100]),
        Err(WireError::TooLong)
    );
    let entry = Message::Entry(Entry {
        room: 0,
        offset: 1,
        flags: 0,
        from: "a name of more than thirty-two bytes",
        body: b"",
    });
    assert_eq!(encode(&entry, &mut [0; 200]), Err(WireError::TooLong));
}

#[test]
fn each_error_has_the_code_that_tells_the_peer() {
    // [E-WIRE-1] [F-LEN-2] [W-ERROR-1] [W-EXT-1]
    #[track_caller]
    fn check(frame: &[u8], want: Code) {
        assert_eq!(decode(frame).map_err(WireError::code), Err(want));
    }
    check(&[], Code::Malformed);
    check(&[kind::PING, 0], Code::Malformed);
    check(&[kind::ERROR, 1, 0, 0, 0, 0, 1, 0xff], Code::Malformed);
    check(&[kind::LEAVE, 0, 1], Code::Malformed);
    check(&[0xff], Code::UnknownCritical);
    check(&[kind::LEAVE, 0, 6, 0], Code::UnknownCritical);
    check(&[kind::ERROR, 1, 0, 0, 0, 0, 65], Code::Oversize);
    let notice = [&[kind::NOTICE][..], &[0; 10], &[1, 0x7f]].concat();
    check(&notice, Code::BadName);
}

#[test]
fn what_is_wrong_first_is_what_is_told() {
    // [E-WIRE-2]
    let name_then_cut = [&[kind::ENTRY][..], &[0; 13], &[1, 0x7f]].concat();
    check_error(&name_then_cut, WireError::Name(NameError::Forbidden));
    let mut magic_then_tag = bytes(&messages()[0]);
    magic_then_tag[1] = 0;
    magic_then_tag.extend([6, 0]);
    check_error(&magic_then_tag, WireError::Malformed);
    check_error(
        &[kind::LEAVE, 0, 6, 0, 8, 0],
        WireError::UnknownExtension(6),
    );
    // A tag that is unknown is wrong before the length behind it, one that may be skipped is not.
    check_error(&[kind::LEAVE, 0, 6, 9], WireError::UnknownExtension(6));
    check_error(&[kind::LEAVE, 0, 7, 9], WireError::Truncated);
    let fifth = [kind::LEAVE, 0, 7, 0, 7, 0, 7, 0, 7, 0, 6];
    check_error(&fifth, WireError::TooLong);
    check_error(
        &[&[kind::LEAVE, 0][..], &[6; 65]].concat(),
        WireError::TooLong,
    );
    let proof = |then: &[u8]| [&bytes(&messages()[0])[..], then].concat();
    check_error(&proof(&[TAG_PROOF, 33]), WireError::TooLong);
    check_error(&proof(&[TAG_PROOF, 0, 6]), WireError::Malformed);
    check_error(&proof(&[TAG_PROOF, 1, 9, TAG_PROOF]), WireError::Malformed);
}

#[test]
fn numbers_and_flags_of_later_versions_are_kept() {
    // [E-CODE-1] [W-FLAG-1]
    for number in 0..=u8::MAX {
        let frame = [kind::REJECT, 0, 0, 0, 0, 0, number];
        check_any(&frame);
        let reject = Message::Reject {
            slot: 0,
            seq: 0,
            code: Code::from_wire(number),
        };
        assert_eq!(decode(&frame).map(|d| d.message), Ok(reject));
        assert_eq!(Code::from_wire(number).to_wire(), number);
    }
    let flags = [&[kind::JOIN, 0, 0xff][..], &[0; 14]].concat();
    assert!(matches!(
        decode(&flags).map(|d| d.message),
        Ok(Message::Join(Join { flags: 0xff, .. }))
    ));
}

#[test]
fn a_buffer_that_is_too_small_is_told() {
    for message in messages() {
        let whole = bytes(&message);
        for len in 0..whole.len() {
            let mut out = vec![0; len];
            assert_eq!(encode(&message, &mut out), Err(WireError::NoRoom));
        }
        let mut out = vec![0; whole.len()];
        assert_eq!(encode(&message, &mut out), Ok(whole.len()));
        assert_eq!(out, whole);
    }
}

#[test]
fn the_published_sizes_hold() {
    // [L-ENTRY-1] [L-CONTROL-1]
    let entry = Message::Entry(Entry {
        room: 0,
        offset: 1,
        flags: 0,
        from: LONGEST,
        body: &[0; 100],
    });
    assert_eq!(bytes(&entry).len(), ENTRY_OVERHEAD + MAX_NAME + 100);

    let longest_of = |message: &Message<'static>| match *message {
        Message::Post { .. } | Message::Entry(_) | Message::Roster(_) => None,
        Message::Join(join) => Some(Message::Join(Join {
            room: LONGEST.as_bytes(),
            name: LONGEST.as_bytes(),
            ..join
        })),
        Message::Notice(notice) => Some(Message::Notice(Notice {
            who: LONGEST,
            ..notice
        })),
        Message::Error(error) => Some(Message::Error(PeerError {
            text: "sixty-four bytes of text, which is as much as an error may carry",
            ..error
        })),
        Message::Hello(hello) => Some(Message::Hello(Hello {
            proof: &[],
            cookie: None,
            ..hello
        })),
        Message::Welcome(welcome) => Some(Message::Welcome(Welcome {
            proof: &[],
            lineage: Lineage::NONE,
            ..welcome
        })),
        other => Some(other),
    };
    let most = messages()
        .iter()
        .filter_map(longest_of)
        .map(|m| bytes(&m).len())
        .max();
    assert_eq!(most, Some(81), "the longest Join");
    const { assert!(81 + MAX_EXTENSION_BYTES <= MAX_CONTROL) }
}
