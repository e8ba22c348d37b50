//! What a device does, rule by rule, towards a hub that says anything at any time.

use firmware_sim::world::lone_device::joined;
use firmware_sim::world::lone_hub::{ack, hello, join, post};
use firmware_sim::world::{LoneDevice, Said};
use halloo_core::chat::Backoff;
use halloo_core::chat::client::{Cause, Delivery, Event, From, PostError};
use halloo_core::time::{millis, secs};
use halloo_core::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Hello, Join, Joined, MAX_ECHO, Message, Names,
    Notice, NoticeKind, PeerError, Roster, Welcome, binary,
};

const ERROR: Message<'static> = error(Code::Unexpected);
const DONE: Message<'static> = Message::Bye(Bye {
    reason: ByeReason::Done,
    retry_after: 0,
});

const fn error(code: Code) -> Message<'static> {
    Message::Error(PeerError {
        code,
        retry_after: 0,
        text: "",
    })
}

const fn entry(room: u32, offset: u64) -> Message<'static> {
    Message::Entry(Entry {
        room,
        offset,
        flags: 0,
        from: "ann",
        body: b"a body",
    })
}

const fn gap(slot: u8, from: u64, to: u64) -> Message<'static> {
    Message::Gap(Gap {
        slot,
        from,
        to,
        reason: GapReason::Retention,
    })
}

const fn notice(slot: u8) -> Message<'static> {
    Message::Notice(Notice {
        slot,
        version: 2,
        kind: NoticeKind::Joined,
        members: 2,
        who: "ann",
    })
}

fn roster(slot: u8) -> Message<'static> {
    Message::Roster(Roster {
        slot,
        skip: 0,
        members: 2,
        names: Names::new(b"\x03ann").expect("a name"),
    })
}

const fn closed(cause: Cause) -> Event {
    Event::Closed { cause }
}

/// The numbers of the posts in what was said.
fn seqs(said: &[Said]) -> Vec<u32> {
    let seq = |said: &Said| match said.message() {
        Message::Post { seq, .. } => Some(seq),
        _ => None,
    };
    said.iter().filter_map(seq).collect()
}

fn first_join(said: &[Said]) -> (u8, u64, u32) {
    match said.first().map(Said::message) {
        Some(Message::Join(Join {
            slot,
            cursor,
            history,
            ..
        })) => (slot, cursor, history),
        other => panic!("{other:?} is no Join"),
    }
}

// Opening.

#[test]
fn a_device_says_hello_and_nothing_else_before_it_is_welcome() {
    // [S-OPEN-1] [W-HELLO-2]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    device.client.echo(1, b"too early");
    let said = device.connect();
    assert_eq!(said.len(), 1);
    let Message::Hello(hello) = said[0].message() else {
        panic!("{said:?}");
    };
    assert_eq!(
        (hello.version_min, hello.version_max, hello.suite),
        (1, 1, 0)
    );
    let mut bytes = [0; 160];
    binary::encode(&Message::Hello(hello), &mut bytes).unwrap();
    assert_eq!(bytes[..7], *b"\x81HALO\x01\x01");
    assert_eq!(device.wait(5).len(), 0);
    let welcome = device.welcome();
    let said = device.open_with(&welcome);
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn only_the_welcome_to_its_newest_hello_opens_a_session() {
    // [S-OPEN-3]
    let mut device = LoneDevice::default();
    device.connect();
    let old = device.welcome();
    for is_reset in [false, true] {
        if is_reset {
            // All its RAM is gone, and what was on the way to it is not.
            device.client = LoneDevice::default().client;
        }
        device.lose();
        device.connect();
        let skipped = device.client.skipped();
        device.hears(&Message::Welcome(old));
        assert!(!device.client.is_serving());
        assert_eq!(
            (device.events().len(), device.client.skipped()),
            (0, skipped + 1)
        );
    }
    let new = device.welcome();
    device.open_with(&new);
    assert!(device.client.is_serving());
}

#[test]
fn what_is_left_of_an_older_session_is_passed_over_before_welcome() {
    // [S-OPEN-6]
    let mut device = LoneDevice::member();
    device.lose();
    device.connect();
    let rest = [
        entry(5, 1),
        ack(1, 0),
        gap(0, 1, 3),
        notice(0),
        roster(0),
        Message::Joined(joined(0)),
        Message::Ping { token: 1 },
        Message::Retry { cookie: [0; 16] },
        Message::Unknown { kind: 0x55 },
    ];
    for message in &rest {
        assert_eq!(device.hears(message), None);
    }
    assert_eq!(device.client.skipped() as usize, rest.len());
    assert!(device.says().is_empty() && device.events().is_empty());
    assert_eq!(device.client.cursor(0), Some(0));
}

#[test]
fn a_welcome_that_it_cannot_speak_is_refused() {
    // [S-OPEN-4]
    for (version, suite) in [(0, 0), (2, 0), (1, 1)] {
        let mut device = LoneDevice::default();
        device.connect();
        let welcome = Welcome {
            version,
            suite,
            ..device.welcome()
        };
        device.hears(&Message::Welcome(welcome));
        assert_eq!(device.says(), [error(Code::Version)]);
        let cause = Cause::Violation(Code::Version);
        assert_eq!(device.events(), [closed(cause)]);
    }
}

#[test]
fn a_hub_that_does_not_answer_is_given_up_in_ten_seconds() {
    // [T-HAND-1]
    let mut device = LoneDevice::default();
    device.connect();
    device.wait(9);
    assert_eq!(device.events(), []);
    assert_eq!(device.wait(1), [error(Code::Timeout)]);
    assert_eq!(device.events(), [closed(Cause::Timeout)]);
    assert_eq!(device.client.poll_timeout(), None);
}

// Posting.

#[test]
fn posts_are_numbered_from_one_and_sent_within_the_window() {
    // [D-POST-1] [D-POST-2] [L-WINDOW-1]
    for (window, at_once) in [(0, 1), (1, 1), (4, 4), (32, 32), (33, 32), (u16::MAX, 32)] {
        let mut device = LoneDevice::default();
        device.client.join("lab", From::Latest).unwrap();
        device.connect();
        let welcome = Welcome {
            window,
            ..device.welcome()
        };
        device.open_with(&welcome);
        device.hears_joined(&joined(0));
        let mut posted = 0;
        while device.client.post(0, b"a body").is_ok() {
            posted += 1;
        }
        assert_eq!(posted, 32, "whatever the hub lets pass");
        assert_eq!(seqs(&device.says()), (1..=at_once).collect::<Vec<_>>());
        device.hears(&ack(1, 0));
        let next: Vec<_> = (at_once + 1..=32).take(1).collect();
        assert_eq!(seqs(&device.says()), next, "window {window}");
        assert_eq!(device.client.unacknowledged(), 31);
    }
}

#[test]
fn a_full_outbox_is_an_error_at_once_and_a_verdict_makes_room() {
    // [D-POST-2]
    let mut device = LoneDevice::member();
    assert_eq!(device.client.post(1, b""), Err(PostError::NotJoined));
    assert_eq!(device.client.post(0, &[0; 257]), Err(PostError::TooLarge));
    while device.client.post(0, &[0; 200]).is_ok() {}
    let full = Err(PostError::OutboxFull);
    assert_eq!(device.client.post(0, &[0; 200]), full);
    device.says();
    device.hears(&ack(1, 0));
    assert_eq!(
        device.client.post(0, &[0; 200]),
        full,
        "the verdict is untold"
    );
    assert_eq!(device.events(), [Event::Acked { slot: 0, seq: 1 }]);
    assert!(device.client.post(0, &[0; 200]).is_ok());
}

#[test]
fn an_ack_settles_all_up_to_it_and_tells_which_were_rejected() {
    // [D-ACK-2]
    let mut device = LoneDevice::member();
    (0..5).for_each(|_| assert!(device.client.post(0, b"a body").is_ok()));
    device.says();
    let code = Code::TooLarge;
    let rejected = Message::Reject {
        slot: 0,
        seq: 2,
        code,
    };
    device.hears(&rejected);
    assert_eq!(device.events(), [], "the ack makes it final");
    device.hears(&ack(4, 0b0101));
    let told = device.events();
    let slot = 0;
    let untold = Code::Other(0);
    let expected = [
        Event::Acked { slot, seq: 1 },
        Event::Rejected { slot, seq: 2, code },
        Event::Acked { slot, seq: 3 },
        Event::Rejected {
            slot,
            seq: 4,
            code: untold,
        },
    ];
    assert_eq!(told, expected);
    device.hears(&ack(4, 0b0101));
    device.hears(&ack(2, 0b01));
    assert_eq!(device.events(), [], "each verdict once");
    assert_eq!(device.client.unacknowledged(), 1);
}

#[test]
fn a_verdict_on_a_post_that_was_never_sent_is_a_fault_of_the_hub() {
    // [E-PLACE-1]
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    device.hears(&ack(1, 0));
    assert_eq!(device.says(), [ERROR]);
    assert_eq!(device.client.unacknowledged(), 1);
}

#[test]
fn after_a_reconnect_the_rest_is_sent_again_in_order_with_its_numbers() {
    // [D-ACK-4]
    let mut device = LoneDevice::member();
    (0..4).for_each(|_| assert!(device.client.post(0, b"a body").is_ok()));
    assert_eq!(seqs(&device.says()), [1, 2, 3, 4]);
    device.lose();
    // Posted in between, it goes out last.
    assert_eq!(device.client.post(0, b"a body"), Ok(5));
    device.open();
    let stand = Joined {
        up_seq: 2,
        rejects: 0b10,
        ..joined(0)
    };
    device.hears(&Message::Joined(stand));
    assert_eq!(seqs(&device.says()), [3, 4, 5]);
    let told: Vec<_> = device.events();
    let (slot, code) = (0, Code::Other(0));
    let rejected = Event::Rejected { slot, seq: 1, code };
    assert_eq!(told[..2], [rejected, Event::Acked { slot, seq: 2 }]);
    device.hears(&ack(5, 0));
    assert_eq!(device.events().len(), 3);
    assert_eq!(device.client.post(0, b"a body"), Ok(6));
}

#[test]
fn a_device_that_lost_its_ram_counts_on_where_the_hub_stands() {
    // [D-ACK-4]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    device.open();
    let stand = Joined {
        up_seq: 41,
        ..joined(0)
    };
    device.hears_joined(&stand);
    assert_eq!(device.client.post(0, b"a body"), Ok(42));
    assert_eq!(seqs(&device.says()), [42]);
}

#[test]
fn no_post_goes_out_twice_on_one_connection_and_an_overdue_ack_ends_it() {
    // [D-ACK-5] [T-ACK-1]
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    assert_eq!(seqs(&device.says()), [1]);
    assert_eq!(device.wait(29).len(), 0);
    assert_eq!(device.events(), []);
    // An ack for another post is a sign of progress; the wait starts anew.
    device.client.post(0, b"a body").unwrap();
    assert_eq!(seqs(&device.says()), [2]);
    device.hears(&ack(1, 0));
    assert_eq!(device.wait(29).len(), 0);
    assert_eq!(device.events().len(), 1);
    assert_eq!(device.wait(1).len(), 0);
    assert_eq!(device.events(), [closed(Cause::Timeout)]);
    device.lose();
    device.open();
    device.hears_joined(&Joined {
        up_seq: 1,
        ..joined(0)
    });
    assert_eq!(device.client.unacknowledged(), 1);
}

#[test]
fn numbers_go_on_behind_the_largest_one() {
    // [L-SEQ-1]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    device.open();
    let stand = Joined {
        up_seq: u32::MAX - 1,
        ..joined(0)
    };
    device.hears_joined(&stand);
    for _ in 0..3 {
        device.client.post(0, b"a body").unwrap();
    }
    assert_eq!(seqs(&device.says()), [u32::MAX, 0, 1]);
    device.hears(&ack(0, 0));
    assert_eq!(device.events().len(), 2);
}

// Reading.

#[test]
fn only_the_entry_after_the_cursor_is_handed_on() {
    // [D-ENTRY-3] [D-ENTRY-5]
    let mut device = LoneDevice::member();
    let (slot, from, body) = (0, "ann", &b"a body"[..]);
    for offset in 1..=3 {
        let expected = Delivery::Entry {
            slot,
            offset,
            from,
            body,
        };
        assert_eq!(device.hears(&entry(5, offset)), Some(expected));
    }
    for (room, offset) in [(5, 3), (5, 1), (5, 0), (6, 4), (0, 4), (u32::MAX, 9)] {
        assert_eq!(device.hears(&entry(room, offset)), None);
    }
    assert_eq!(
        (device.client.skipped(), device.client.cursor(0)),
        (6, Some(3))
    );
    let own = Message::Entry(Entry {
        room: 5,
        offset: 4,
        flags: Entry::OWN,
        from: "",
        body: b"",
    });
    let offset = 4;
    assert_eq!(device.hears(&own), Some(Delivery::Own { slot, offset }));
    device.says();
    assert_eq!(device.hears(&entry(5, 6)), None);
    assert_eq!(device.client.cursor(0), Some(4));
    assert_eq!(
        device.says(),
        [ERROR],
        "on a stream it is a fault of the hub"
    );
}

#[test]
fn a_gap_moves_the_cursor_and_never_back() {
    // [D-GAP-1] [D-GAP-3]
    let mut device = LoneDevice::member();
    let told = |from, to| {
        Some(Delivery::Gap {
            slot: 0,
            from,
            to,
            reason: GapReason::Retention,
        })
    };
    assert_eq!(device.hears(&gap(0, 1, 3)), told(1, 3));
    assert_eq!(device.hears(&gap(0, 1, 3)), None);
    assert_eq!(device.hears(&gap(0, 2, 2)), None);
    assert_eq!(device.hears(&gap(0, 9, 0)), None);
    assert_eq!(device.hears(&gap(1, 1, 9)), None, "no such room");
    assert_eq!(
        device.hears(&gap(0, 2, 5)),
        told(4, 5),
        "what of it is news"
    );
    assert_eq!(device.client.cursor(0), Some(5));
    device.says();
    assert_eq!(device.hears(&gap(0, 7, 8)), None);
    assert_eq!(device.client.cursor(0), Some(5));
    assert_eq!(device.says(), [ERROR]);
}

#[test]
fn credit_is_granted_when_half_of_it_is_used_up() {
    // [D-CREDIT-3]
    let mut device = LoneDevice::member();
    for offset in 1..=20 {
        device.hears(&entry(5, offset));
        let (slot, window) = (0, 4);
        let grant = Message::Credit {
            slot,
            cursor: offset,
            window,
        };
        match offset % 2 {
            0 => assert_eq!(device.says(), [grant]),
            _ => assert!(device.says().is_empty()),
        }
    }
}

// Rooms.

#[test]
fn until_the_join_is_answered_all_else_for_the_slot_is_passed_over() {
    // [D-JOIN-1]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Earliest).unwrap();
    assert_eq!(device.open().len(), 1);
    let reject = Message::Reject {
        slot: 0,
        seq: 3,
        code: Code::TooLarge,
    };
    let others = [
        ack(3, 0),
        reject,
        entry(5, 1),
        gap(0, 1, 3),
        notice(0),
        roster(0),
    ];
    for message in &others {
        assert_eq!(device.hears(message), None, "{message:?}");
    }
    assert_eq!(device.client.skipped() as usize, others.len());
    // It leaves, but says so only after the answer.
    device.client.leave(0);
    assert!(device.says().is_empty() && device.events().is_empty());
    device.hears(&Message::Joined(joined(0)));
    assert_eq!(device.says(), [Message::Leave { slot: 0 }]);
}

#[test]
fn what_was_on_the_way_for_a_room_that_it_left_is_passed_over() {
    // [D-JOIN-8]
    let mut device = LoneDevice::member();
    device.client.who(0, 0);
    device.says();
    device.client.leave(0);
    assert_eq!(device.says(), [Message::Leave { slot: 0 }]);
    assert_eq!(device.events(), [Event::Left { slot: 0 }]);
    // The slot may have another room by then.
    for is_taken in [false, true] {
        if is_taken {
            assert_eq!(device.client.join("den", From::Latest), Ok(0));
            device.says();
        }
        let skipped = device.client.skipped();
        let late = [entry(5, 1), gap(0, 1, 3), ack(0, 0), notice(0), roster(0)];
        for message in &late {
            assert_eq!(device.hears(message), None, "{message:?}");
        }
        assert_eq!(
            device.client.skipped() as usize,
            skipped as usize + late.len()
        );
        assert_eq!(device.events(), []);
    }
}

#[test]
fn notices_and_rosters_of_a_joined_room_are_handed_on() {
    let mut device = LoneDevice::member();
    assert!(matches!(
        device.hears(&notice(0)),
        Some(Delivery::Notice(_))
    ));
    assert!(matches!(
        device.hears(&roster(0)),
        Some(Delivery::Roster(_))
    ));
    assert_eq!(device.hears(&notice(1)), None);
    assert_eq!(device.hears(&roster(2)), None, "it has no such slot");
}

#[test]
fn a_refused_join_frees_the_slot_and_its_posts_are_rejected() {
    // [D-JOIN-3]
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    device.lose();
    device.open();
    let (slot, code) = (0, Code::NotAllowed);
    device.hears(&Message::Reject { slot, seq: 0, code });
    let expected = [
        Event::Rejected { slot, seq: 1, code },
        Event::Refused { slot, code },
    ];
    assert_eq!(device.events(), expected);
    assert_eq!(device.client.join("den", From::Latest), Ok(0));
}

#[test]
fn a_log_with_another_name_is_told_and_read_anew() {
    // [D-STORE-2]
    let names = [(8, 1), (9, 2)];
    for (store, generation) in names {
        let mut device = LoneDevice::member();
        (1..=3).for_each(|offset| assert!(device.hears(&entry(5, offset)).is_some()));
        for _ in 0..3 {
            device.client.post(0, b"a body").unwrap();
        }
        device.says();
        device.hears(&ack(1, 0));
        device.lose();
        device.connect();
        let welcome = Welcome {
            store,
            generation,
            ..device.welcome()
        };
        let said = device.open_with(&welcome);
        assert_eq!(first_join(&said), (0, 0, u32::MAX));
        // The new log knows nothing of the device; the old one of its first post.
        device.hears(&Message::Joined(joined(0)));
        let (slot, head, members) = (0, 0, 1);
        let told = [
            Event::StoreChanged { slot },
            Event::Joined {
                slot,
                head,
                members,
            },
        ];
        assert_eq!(device.events(), told);
        assert_eq!(seqs(&device.says()), [1, 2], "numbered anew");
        device.hears(&ack(2, 0));
        let told = [2, 3].map(|seq| Event::Acked { slot, seq });
        assert_eq!(
            device.events(),
            told,
            "under the numbers that the application knows"
        );
    }
}

#[test]
fn a_hub_that_stands_behind_what_it_acknowledged_has_lost_its_store() {
    // [D-STORE-2] [D-STORE-4]
    let mut device = LoneDevice::member();
    for _ in 0..3 {
        device.client.post(0, b"a body").unwrap();
    }
    device.says();
    device.hears(&ack(2, 0));
    device.lose();
    device.open();
    device.hears(&Message::Joined(Joined {
        up_seq: 1,
        ..joined(0)
    }));
    assert_eq!(device.events()[0], Event::StoreChanged { slot: 0 });
    assert_eq!(seqs(&device.says()), [2], "the third is the second there");
}

// A hub that is out of order, and the end.

#[test]
fn a_message_that_goes_the_wrong_way_is_told_once() {
    // [E-PLACE-1] [E-CLOSE-1] [W-RETRY-1]
    let messages = [
        Message::Hello(hello(1)),
        Message::Retry { cookie: [0; 16] },
        Message::Join(join("lab")),
        Message::Leave { slot: 0 },
        post(1, b"a body"),
        Message::Credit {
            slot: 0,
            cursor: 0,
            window: 1,
        },
        Message::Who { slot: 0, skip: 0 },
    ];
    for message in messages {
        let mut device = LoneDevice::member();
        device.client.post(0, b"a body").unwrap();
        assert_eq!(device.hears(&message), None);
        // What comes after its fault has no effect, and there is one Error.
        device.hears(&message);
        device.hears(&entry(5, 1));
        device.hears(&Message::Ping { token: 1 });
        assert_eq!(device.says(), [ERROR], "{message:?}");
        let cause = Cause::Violation(Code::Unexpected);
        assert_eq!(device.events(), [closed(cause)]);
        device.hears(&entry(5, 1));
        assert_eq!((device.client.cursor(0), device.says().len()), (Some(0), 0));
    }
}

#[test]
fn bytes_that_are_no_message_end_the_session_with_their_code() {
    // [E-WIRE-1] [F-LEN-3]
    for code in [Code::Malformed, Code::UnknownCritical, Code::Oversize] {
        let mut device = LoneDevice::member();
        let now = firmware_sim::world::at(device.now);
        device.client.handle_bad_frame(now, code);
        device.client.handle_bad_frame(now, Code::Internal);
        assert_eq!(device.says(), [error(code)]);
        assert_eq!(device.events(), [closed(Cause::Violation(code))]);
    }
}

#[test]
fn an_error_or_a_bye_of_the_hub_is_not_answered_and_tells_how_long_to_wait() {
    // [E-CLOSE-2] [S-BYE-1] [S-BYE-3]
    let retry_after = 5000;
    let reason = ByeReason::Shutdown;
    let bye = Message::Bye(Bye {
        reason,
        retry_after,
    });
    let full = Message::Error(PeerError {
        code: Code::Full,
        retry_after,
        text: "later",
    });
    let cases = [
        (bye, Cause::Bye(reason)),
        (full, Cause::Refused(Code::Full)),
    ];
    for (message, cause) in cases {
        for is_open in [false, true] {
            let mut device = LoneDevice::default();
            match is_open {
                true => drop(device.open()),
                false => drop(device.connect()),
            }
            device.hears(&message);
            device.hears(&Message::Ping { token: 1 });
            assert!(device.says().is_empty());
            assert_eq!(device.events(), [closed(cause)]);
            device.lose();
            let asked = device.client.retry_after();
            assert_eq!(asked, secs(5));
            for random in [0, u32::MAX] {
                let wait = Backoff::new().next_wait(random, asked);
                assert!((secs(5)..=millis(5500)).contains(&wait), "{wait}");
            }
            // Nobody asks for a wait any more.
            device.open();
            device.lose();
            assert_eq!(device.client.retry_after(), secs(0));
        }
    }
}

#[test]
fn a_device_that_is_done_says_so_and_nothing_after_it() {
    // [S-BYE-1]
    let mut device = LoneDevice::member();
    device.client.bye();
    device.hears(&Message::Ping { token: 1 });
    device.hears(&entry(5, 1));
    assert_eq!(device.says(), [DONE]);
    assert_eq!(device.events(), [closed(Cause::Done)]);
    assert_eq!(device.client.cursor(0), Some(0));
}

// Keepalive and echo.

#[test]
fn a_device_that_has_nothing_to_say_pings_and_gives_a_silent_hub_up() {
    // [T-KEEP-2] [T-KEEP-4]
    let mut device = LoneDevice::new(20);
    device.connect();
    let welcome = Welcome {
        keepalive: 20,
        ..device.welcome()
    };
    device.open_with(&welcome);
    let ping = [Message::Ping { token: 0 }];
    for message in [
        Message::Pong { token: 0 },
        Message::Unknown { kind: 0x55 },
        entry(5, 1),
    ] {
        assert!(device.wait(19).is_empty());
        assert_eq!(device.wait(1), ping);
        device.wait(9);
        device.hears(&message);
        // What it says itself is as good as a ping.
        device.client.echo(1, b"");
        device.says();
    }
    assert!(device.wait(19).is_empty());
    assert_eq!(device.wait(1), ping);
    device.wait(9);
    assert_eq!(device.events(), []);
    device.wait(1);
    assert_eq!(device.events(), [closed(Cause::Timeout)]);
}

#[test]
fn a_hub_without_keepalive_may_be_silent_for_a_day() {
    // [T-KEEP-1]
    let mut device = LoneDevice::new(20);
    device.open();
    assert!(device.wait(24 * 3600).is_empty());
    assert!(device.client.is_serving());
}

#[test]
fn pings_and_echoes_are_answered_and_answers_are_not() {
    // [T-KEEP-3] [T-ECHO-1]
    let mut device = LoneDevice::member();
    for token in [0, 9, u32::MAX] {
        device.hears(&Message::Ping { token });
        assert_eq!(device.says(), [Message::Pong { token }]);
        for bytes in [&b""[..], b"\x00\xff", &[9; MAX_ECHO]] {
            device.hears(&Message::EchoRequest { token, bytes });
            assert_eq!(device.says(), [Message::EchoReply { token, bytes }]);
            let reply = device.hears(&Message::EchoReply { token, bytes });
            assert_eq!(reply, Some(Delivery::Echo { token, bytes }));
        }
        device.hears(&Message::Pong { token });
        assert!(device.says().is_empty());
    }
}

#[test]
fn what_it_need_not_know_is_passed_over_and_counted() {
    // [W-KIND-4] [E-CODE-1]
    let mut device = LoneDevice::member();
    assert_eq!(device.hears(&Message::Unknown { kind: 0x55 }), None);
    assert_eq!(device.client.skipped(), 1);
    // Numbers of a later version mean "something else".
    let later = Message::Bye(Bye {
        reason: ByeReason::Other(99),
        retry_after: 0,
    });
    let gap = Message::Gap(Gap {
        slot: 0,
        from: 1,
        to: 1,
        reason: GapReason::Other(99),
    });
    assert!(matches!(
        device.hears(&gap),
        Some(Delivery::Gap { to: 1, .. })
    ));
    device.says();
    device.hears(&later);
    let cause = Cause::Bye(ByeReason::Other(99));
    assert_eq!(device.events(), [closed(cause)]);
}

#[test]
fn a_hello_names_the_limits_of_the_device() {
    let mut device = LoneDevice::new(60);
    let said = device.connect();
    let Message::Hello(said) = said[0].message() else {
        panic!("{said:?}");
    };
    let expected = Hello {
        nonce: device.welcome().nonce,
        device: *b"a device alone..",
        credit: 4,
        keepalive: 60,
        ..hello(0)
    };
    assert_eq!(said, expected);
}
