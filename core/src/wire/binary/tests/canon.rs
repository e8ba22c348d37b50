//! What may stand in a field, both ways, and which error tells of what may not.

use super::*;

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
