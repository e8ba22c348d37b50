//! The device's machine, message by message.

use std::error::Error;

use halloo_core::chat::client::{
    self, Cause, Client, Config, Event, From, PostError, Store, outbox_bytes,
};
use halloo_core::name::NameError;
use halloo_core::time::Instant;
use halloo_core::wire::{
    self, ByeReason, Code, Entry, Gap, GapReason, Joined, Lineage, Message, Notice, NoticeKind,
    Welcome,
};

fn at(seconds: u64) -> Instant {
    Instant::from_ticks(seconds * 1_000_000)
}

type Device = Client<2, { outbox_bytes(4, 200) }>;

fn device() -> Device {
    Device::new(Config::new([1; 16], "ann").unwrap())
}

/// Everything that a device says now, by its debug text.
fn said(client: &mut Device, now: Instant) -> Vec<String> {
    let mut out = [0; 512];
    let mut all = Vec::new();
    while let Some(len) = client.poll_transmit(now, &mut out) {
        let message = wire::binary::decode(&out[..len]).unwrap().message;
        all.push(format!("{message:?}"));
    }
    all
}

fn events(client: &mut Device) -> Vec<Event> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

fn welcome(nonce: u64, store: u64) -> Welcome<'static> {
    Welcome {
        version: 1,
        suite: 0,
        flags: 0,
        nonce,
        session: 5,
        store,
        generation: 1,
        keepalive: 60,
        max_body: 1000,
        window: 32,
        proof: &[],
        lineage: Lineage::NONE,
    }
}

fn joined(slot: u8, up_seq: u32) -> Joined {
    Joined {
        slot,
        room: u32::from(slot) + 7,
        up_seq,
        rejects: 0,
        start: 0,
        head: 0,
        members: 1,
        presence: 1,
    }
}

fn hear(client: &mut Device, now: Instant, message: Message<'_>) {
    let _ = client.handle_message(now, &message);
}

/// A device in rooms `a` and `b`, with no events left.
fn serving(store: u64, now: Instant) -> Device {
    let mut client = device();
    client.join("a", From::Earliest).unwrap();
    client.join("b", From::Earliest).unwrap();
    reconnect(&mut client, store, now);
    hear(&mut client, now, Message::Joined(joined(0, 0)));
    hear(&mut client, now, Message::Joined(joined(1, 0)));
    events(&mut client);
    client
}

/// A new session up to the joins, which are sent.
fn reconnect(client: &mut Device, store: u64, now: Instant) {
    client.handle_connected(now, 3);
    said(client, now);
    hear(client, now, Message::Welcome(welcome(3, store)));
    said(client, now);
}

#[test]
fn a_device_that_slept_says_bye_before_it_goes() {
    let mut client = serving(1, at(0));
    client.bye();
    client.handle_timeout(at(30));
    let said = said(&mut client, at(30));
    assert!(said.iter().any(|m| m.starts_with("Bye")), "{said:?}");
}

#[test]
fn a_client_that_is_kept_over_a_reset_keeps_time_by_the_new_clock() {
    let mut client = serving(1, at(10 * 24 * 3600));
    // The board is reset; its memory is kept, its clock starts over.
    client.handle_connected(at(0), 4);
    let due = client.poll_timeout().unwrap();
    assert!(due <= at(10), "the handshake ends at {due:?}");
}

#[test]
fn a_device_whose_hello_is_not_answered_says_why_it_closes() {
    let mut client = device();
    client.handle_connected(at(0), 3);
    said(&mut client, at(0));
    client.handle_timeout(at(10));
    let said = said(&mut client, at(10));
    assert!(said.iter().any(|m| m.contains("Timeout")), "{said:?}");
}

#[test]
fn a_notice_for_a_room_that_was_left_is_passed_over() {
    let mut client = serving(1, at(0));
    client.leave(0);
    said(&mut client, at(0));
    events(&mut client);
    assert_eq!(client.join("other", From::Latest), Ok(0));
    let notice = Message::Notice(Notice {
        slot: 0,
        version: 9,
        kind: NoticeKind::Left,
        members: 4,
        who: "bob",
    });
    assert_eq!(client.handle_message(at(0), &notice), None);
}

#[test]
fn left_is_told_after_the_verdicts() {
    let mut client = serving(1, at(0));
    client.post(0, b"last").unwrap();
    client.leave(0);
    said(&mut client, at(0));
    let ack = Message::Ack {
        slot: 0,
        up_seq: 1,
        rejects: 0,
    };
    hear(&mut client, at(0), ack);
    // As the link does: send first, then ask for events.
    said(&mut client, at(0));
    let told = events(&mut client);
    assert_eq!(
        told,
        [Event::Acked { slot: 0, seq: 1 }, Event::Left { slot: 0 }]
    );
}

#[test]
fn a_changed_store_is_told_however_late_the_application_asks() {
    let mut client = serving(1, at(0));
    for _ in 0..2 {
        reconnect(&mut client, 2, at(1));
        hear(&mut client, at(1), Message::Joined(joined(0, 0)));
    }
    let told = events(&mut client);
    assert!(told.contains(&Event::StoreChanged { slot: 0 }), "{told:?}");
}

#[test]
fn a_late_welcome_for_another_hello_is_passed_over() {
    let mut client = serving(1, at(0));
    hear(&mut client, at(0), Message::Welcome(welcome(99, 1)));
    assert!(client.is_serving());
}

#[test]
fn left_follows_leave_even_when_the_join_is_refused() {
    let mut client = device();
    client.join("a", From::Earliest).unwrap();
    reconnect(&mut client, 1, at(0));
    client.leave(0);
    let refusal = Message::Reject {
        slot: 0,
        seq: 0,
        code: Code::Full,
    };
    hear(&mut client, at(0), refusal);
    let told = events(&mut client);
    assert!(told.contains(&Event::Left { slot: 0 }), "{told:?}");
}

#[test]
fn a_refused_join_does_not_say_that_posts_already_sent_are_in_no_log() {
    let mut client = serving(1, at(0));
    client.post(0, b"sent").unwrap();
    assert!(
        said(&mut client, at(0))
            .iter()
            .any(|m| m.starts_with("Post"))
    );
    // The hub commits it; its ack is lost with the connection.
    reconnect(&mut client, 1, at(1));
    let refusal = Message::Reject {
        slot: 0,
        seq: 0,
        code: Code::Full,
    };
    hear(&mut client, at(1), refusal);
    let told = events(&mut client);
    let denied = |e: &Event| matches!(e, Event::Rejected { .. });
    assert!(!told.iter().any(denied), "{told:?}");
}

#[test]
fn a_post_without_a_verdict_ends_the_session_whatever_other_rooms_do() {
    let mut client = serving(1, at(0));
    client.post(1, b"never answered").unwrap();
    for seq in 1..=30 {
        let now = at(u64::from(seq) * 10);
        client.post(0, b"answered").unwrap();
        client.handle_timeout(now);
        said(&mut client, now);
        let ack = Message::Ack {
            slot: 0,
            up_seq: seq,
            rejects: 0,
        };
        hear(&mut client, now, ack);
        events(&mut client);
    }
    assert!(!client.is_serving(), "300 s without a verdict");
}

#[test]
fn a_hub_that_was_up_with_the_wrong_store_for_a_moment_doubles_nothing() {
    let mut client = serving(1, at(0));
    for offset in 1..=3 {
        let entry = Entry {
            room: 7,
            offset,
            flags: 0,
            from: "bob",
            body: b"seen",
        };
        hear(&mut client, at(0), Message::Entry(entry));
    }
    client.post(0, b"committed, but its ack was lost").unwrap();
    said(&mut client, at(0));
    // The hub starts without its disk, and is stopped before it answers the join.
    reconnect(&mut client, 2, at(1));
    client.handle_connected(at(2), 3);
    said(&mut client, at(2));
    hear(&mut client, at(2), Message::Welcome(welcome(3, 1)));
    let joins = said(&mut client, at(2));
    let mut back = joined(0, 1);
    (back.start, back.head) = (3, 4);
    hear(&mut client, at(2), Message::Joined(back));
    let said = said(&mut client, at(2));
    assert!(!said.iter().any(|m| m.starts_with("Post")), "{said:?}");
    assert!(joins[0].contains("cursor: 3"), "{joins:?}");
}

#[test]
fn posts_go_out_as_new_ones_when_the_hub_counts_further_than_the_device() {
    let mut client = serving(1, at(0));
    client.post(0, b"one").unwrap();
    reconnect(&mut client, 1, at(1));
    hear(&mut client, at(1), Message::Joined(joined(0, 5)));
    let said = said(&mut client, at(1));
    // The hub took five posts of somebody with this identity; this one was not among them.
    assert!(said[0].starts_with("Post { slot: 0, seq: 6"), "{said:?}");
    assert_eq!(events(&mut client)[1], Event::StoreChanged { slot: 0 });
    let ack = Message::Ack {
        slot: 0,
        up_seq: 6,
        rejects: 0,
    };
    hear(&mut client, at(1), ack);
    assert_eq!(events(&mut client), [Event::Acked { slot: 0, seq: 1 }]);
}

/// The first join of a device that kept a cursor and the store that it is of.
fn joined_after(kept: u64, store: u64) -> (Device, Vec<String>) {
    let mut client = device();
    let (cursor, store) = (
        kept,
        Store {
            id: store,
            generation: 1,
        },
    );
    client.join("a", From::After { cursor, store }).unwrap();
    client.handle_connected(at(0), 3);
    said(&mut client, at(0));
    hear(&mut client, at(0), Message::Welcome(welcome(3, 1)));
    let joins = said(&mut client, at(0));
    (client, joins)
}

#[test]
fn a_device_that_kept_its_cursor_reads_on_in_the_same_store_and_starts_over_in_another() {
    let (mut client, joins) = joined_after(3, 1);
    assert!(joins[0].contains("cursor: 3"), "{joins:?}");
    let mut same = joined(0, 0);
    (same.start, same.head) = (3, 4);
    hear(&mut client, at(0), Message::Joined(same));
    assert!(!events(&mut client).contains(&Event::StoreChanged { slot: 0 }));
    assert_eq!(client.cursor(0), Some(3));

    let (mut client, joins) = joined_after(3, 2);
    assert!(joins[0].contains("cursor: 0"), "{joins:?}");
    let mut other = joined(0, 0);
    other.head = 4;
    hear(&mut client, at(0), Message::Joined(other));
    assert!(events(&mut client).contains(&Event::StoreChanged { slot: 0 }));
    assert_eq!(client.cursor(0), Some(0));
    let (id, generation) = (1, 1);
    assert_eq!(client.store(0), Some(Store { id, generation }));
}

#[test]
fn no_post_above_the_max_body_of_this_session_is_sent() {
    // [D-POST-8]
    let mut client = serving(1, at(0));
    client.post(0, &[7; 200]).unwrap();
    client.handle_disconnected(at(1));
    client.handle_connected(at(1), 4);
    said(&mut client, at(1));
    let mut small = welcome(4, 1);
    small.max_body = 10;
    hear(&mut client, at(1), Message::Welcome(small));
    said(&mut client, at(1));
    hear(&mut client, at(1), Message::Joined(joined(0, 0)));
    let said = said(&mut client, at(1));
    assert!(!said.iter().any(|m| m.starts_with("Post")), "{said:?}");
}

#[test]
fn a_post_that_a_session_does_not_carry_is_rejected_and_those_around_it_keep_their_verdicts() {
    let mut client = serving(1, at(0));
    for body in [&[1_u8; 5][..], &[2; 100], &[3; 100], &[4; 5]] {
        client.post(0, body).unwrap();
    }
    client.handle_disconnected(at(1));
    client.set_link_limits(256, 50);
    assert_eq!(client.post(0, &[5; 51]), Err(PostError::TooLarge));
    reconnect(&mut client, 1, at(1));
    hear(&mut client, at(1), Message::Joined(joined(0, 0)));
    // Nothing is closed up while the first one is on its way.
    assert_eq!(said(&mut client, at(1)).len(), 1);
    let ack = |up_seq| Message::Ack {
        slot: 0,
        up_seq,
        rejects: 0,
    };
    hear(&mut client, at(1), ack(1));
    let posts = said(&mut client, at(1));
    assert!(posts[0].starts_with("Post { slot: 0, seq: 2"), "{posts:?}");
    assert_eq!(posts.len(), 1);
    // The hub repeats what it said: nobody's verdict changes.
    hear(&mut client, at(1), ack(1));
    assert_eq!(client.unacknowledged(), 1);
    reconnect(&mut client, 1, at(2));
    hear(&mut client, at(2), Message::Joined(joined(0, 2)));
    let told: Vec<_> = events(&mut client)
        .into_iter()
        .filter(|e| matches!(e, Event::Acked { .. } | Event::Rejected { .. }))
        .collect();
    let (slot, code) = (0, Code::TooLarge);
    let expected = [
        Event::Acked { slot, seq: 1 },
        Event::Rejected { slot, seq: 2, code },
        Event::Rejected { slot, seq: 3, code },
        Event::Acked { slot, seq: 4 },
    ];
    assert_eq!(told, expected);
    assert!(
        !said(&mut client, at(2))
            .iter()
            .any(|m| m.starts_with("Post"))
    );
}

#[test]
fn numbers_of_posts_pass_the_wrap_and_zero_is_one_of_them() {
    let mut client = device();
    client.join("a", From::Earliest).unwrap();
    reconnect(&mut client, 1, at(0));
    let mut up_seq = u32::MAX - 3;
    hear(&mut client, at(0), Message::Joined(joined(0, up_seq)));
    events(&mut client);
    for turn in 0..8 {
        let seq = client.post(0, b"again").unwrap();
        assert_eq!(seq, up_seq.wrapping_add(1));
        if turn % 2 == 0 {
            // Its ack is lost, and it is not sent twice.
            said(&mut client, at(turn));
            reconnect(&mut client, 1, at(turn));
            hear(&mut client, at(turn), Message::Joined(joined(0, seq)));
            assert_eq!(said(&mut client, at(turn)), Vec::<String>::new());
        } else {
            // It is rejected: a number of 0 means the post, since the join has its answer.
            said(&mut client, at(turn));
            let (slot, code) = (0, Code::NotAllowed);
            hear(&mut client, at(turn), Message::Reject { slot, seq, code });
            let (up_seq, rejects) = (seq, 1);
            let ack = Message::Ack {
                slot,
                up_seq,
                rejects,
            };
            hear(&mut client, at(turn), ack);
        }
        up_seq = seq;
        let told = events(&mut client);
        let verdict = match turn % 2 {
            0 => Event::Acked { slot: 0, seq },
            _ => Event::Rejected {
                slot: 0,
                seq,
                code: Code::NotAllowed,
            },
        };
        assert!(told.contains(&verdict), "{told:?}");
        assert!(!told.contains(&Event::StoreChanged { slot: 0 }), "{told:?}");
    }
    assert_eq!(up_seq, 4);
}

#[test]
fn no_gap_and_no_entry_takes_a_cursor_to_where_offsets_end() {
    // [D-GAP-3]
    let last = u64::MAX - 1;
    for offsets in [vec![u64::MAX], vec![last], vec![last, u64::MAX]] {
        let mut client = serving(1, at(0));
        for to in &offsets {
            let gap = Gap {
                slot: 0,
                from: 1,
                to: *to,
                reason: GapReason::Retention,
            };
            hear(&mut client, at(0), Message::Gap(gap));
        }
        let entry = Entry {
            room: 7,
            offset: u64::MAX,
            flags: 0,
            from: "bob",
            body: b"",
        };
        hear(&mut client, at(0), Message::Entry(entry));
        let cursor = if offsets[0] == last { last } else { 0 };
        assert_eq!(client.cursor(0), Some(cursor));
        assert!(said(&mut client, at(0)).iter().any(|m| m.contains("Error")));
    }
}

#[test]
fn the_numbers_without_a_told_verdict_are_those_of_the_room_that_is_asked_for() {
    let mut client = serving(1, at(0));
    for slot in [0, 0, 1] {
        client.post(slot, b"x").unwrap();
    }
    let unsettled = |client: &Device, slot| client.unsettled(slot).collect::<Vec<_>>();
    assert_eq!(unsettled(&client, 0), [1, 2]);
    assert_eq!(unsettled(&client, 1), [1]);
    said(&mut client, at(0));
    let (up_seq, rejects) = (1, 0);
    let ack = |slot| Message::Ack {
        slot,
        up_seq,
        rejects,
    };
    hear(&mut client, at(0), ack(0));
    assert_eq!(
        unsettled(&client, 0),
        [1, 2],
        "the application knows of none"
    );
    assert_eq!(events(&mut client), [Event::Acked { slot: 0, seq: 1 }]);
    assert_eq!(unsettled(&client, 0), [2]);
    hear(&mut client, at(0), ack(1));
    events(&mut client);
    assert_eq!(unsettled(&client, 1), []);
}

#[test]
fn a_body_that_not_even_an_empty_outbox_holds_is_too_large() {
    let mut client =
        Client::<1, { outbox_bytes(1, 50) }>::new(Config::new([1; 16], "ann").unwrap());
    client.join("a", From::Earliest).unwrap();
    client.handle_connected(at(0), 3);
    client.poll_transmit(at(0), &mut [0; 512]);
    let _ = client.handle_message(at(0), &Message::Welcome(welcome(3, 1)));
    client.poll_transmit(at(0), &mut [0; 512]);
    let _ = client.handle_message(at(0), &Message::Joined(joined(0, 0)));
    // The hub takes 1,000 bytes.
    assert_eq!(client.post(0, &[7; 51]), Err(PostError::TooLarge));
    assert_eq!(client.post(0, &[7; 50]), Ok(1));
    assert_eq!(client.post(0, b""), Err(PostError::OutboxFull));
}

#[test]
fn what_the_device_refuses_is_said_in_words() {
    let too_long = client::JoinError::Name(NameError::TooLong);
    let joins = [
        (too_long, "not valid"),
        (client::JoinError::NoSlot, "leave a room first"),
        (client::JoinError::Again, "joined already"),
    ];
    for (error, text) in joins {
        assert!(error.to_string().contains(text), "{error}");
        let cause = error.source().map(ToString::to_string);
        let is_name = error == too_long;
        assert_eq!(cause, is_name.then(|| NameError::TooLong.to_string()));
    }
    let posts = [
        (PostError::OutboxFull, "is full"),
        (PostError::NotJoined, "not joined"),
        (PostError::TooLarge, "longer than"),
    ];
    for (error, text) in posts {
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn the_last_of_all_entries_is_handed_on() {
    // [D-GAP-3]
    let mut client = serving(1, at(0));
    let gap = Gap {
        slot: 0,
        from: 1,
        to: u64::MAX - 2,
        reason: GapReason::Retention,
    };
    hear(&mut client, at(0), Message::Gap(gap));
    let entry = Entry {
        room: 7,
        offset: u64::MAX - 1,
        flags: 0,
        from: "bob",
        body: b"",
    };
    let delivered = client.handle_message(at(0), &Message::Entry(entry));
    assert!(delivered.is_some());
    assert_eq!(client.cursor(0), Some(u64::MAX - 1));
}

#[test]
fn a_device_stays_away_where_another_attempt_would_end_the_same_way() {
    // [S-BYE-6]
    let codes = Code::ALL
        .iter()
        .filter(|code| Cause::Refused(**code).is_final());
    let numbers: Vec<_> = codes.map(|code| code.to_wire()).collect();
    assert_eq!(numbers, [4, 8, 12]);
    let reasons = ByeReason::ALL.iter().filter(|r| Cause::Bye(**r).is_final());
    let numbers: Vec<_> = reasons.map(|reason| reason.to_wire()).collect();
    assert_eq!(numbers, [3]);
    assert!(!Cause::Lost.is_final() && !Cause::Timeout.is_final());
}
