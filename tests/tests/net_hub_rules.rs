//! What a hub does, rule by rule, towards peers that say anything at any time.

use firmware_sim::world::lone_hub::{MAX_BODY, ack, hello, join, offsets, post};
use firmware_sim::world::model::device_id;
use firmware_sim::world::{HubMemory, Limits, LoneHub, Said};
use halloo_core::chat::hub::Verdict;
use halloo_core::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Hello, Join, Message, PeerError, binary,
};

/// Sizes in which nothing is scarce.
const fn usual() -> Limits {
    Limits::usual(8)
}

#[track_caller]
fn with_hub(limits: &Limits, test: impl FnOnce(&mut LoneHub<'_>)) {
    let mut memory = HubMemory::new(limits);
    test(&mut LoneHub::new(limits, &mut memory));
}

fn error(code: Code) -> Message<'static> {
    Message::Error(PeerError {
        code,
        retry_after: 0,
        text: "",
    })
}

fn bye(reason: ByeReason) -> Message<'static> {
    Message::Bye(Bye {
        reason,
        retry_after: 0,
    })
}

const fn refusal(slot: u8, code: Code) -> Message<'static> {
    Message::Reject { slot, seq: 0, code }
}

const fn reject(seq: u32, code: Code) -> Message<'static> {
    Message::Reject { slot: 0, seq, code }
}

const fn credit(cursor: u64, window: u16) -> Message<'static> {
    Message::Credit {
        slot: 0,
        cursor,
        window,
    }
}

/// The `Joined` in what was said: `up_seq`, `rejects`, `start`, `head`.
#[track_caller]
fn standing(said: &[Said]) -> (u32, u32, u64, u64) {
    let joined = said.iter().find_map(|said| match said.message() {
        Message::Joined(j) => Some((j.up_seq, j.rejects, j.start, j.head)),
        _ => None,
    });
    joined.unwrap_or_else(|| panic!("no Joined in {said:?}"))
}

fn gaps(said: &[Said]) -> Vec<(u64, u64, GapReason)> {
    let gap = |said: &Said| match said.message() {
        Message::Gap(Gap {
            from, to, reason, ..
        }) => Some((from, to, reason)),
        _ => None,
    };
    said.iter().filter_map(gap).collect()
}

// Posting.

#[test]
fn the_next_number_is_taken_and_any_other_only_acknowledged_again() {
    // [D-POST-3] [D-POST-4]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        hub.posts(ann, 1, 2);
        for (seq, up_seq) in [
            (4, 2),
            (1, 2),
            (2, 2),
            (0, 2),
            (u32::MAX, 2),
            (3, 3),
            (5, 3),
        ] {
            hub.say(ann, &post(seq, b"a body")).unwrap();
            let said = hub.hear(ann);
            assert_eq!(said[0], ack(up_seq, 0), "after {seq}: {said:?}");
        }
        assert_eq!(hub.hub.head("lab"), Some(3));
        assert_eq!(hub.hub.counters().posts, 3);
    });
}

#[test]
fn nothing_is_acknowledged_or_shown_before_its_commit() {
    // [D-ACK-1] [D-ENTRY-1] [D-JOIN-2]
    with_hub(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.hear(ann);
        hub.commits = false;
        hub.say(ann, &post(1, b"one")).unwrap();
        hub.say(ann, &post(2, b"two")).unwrap();
        // A repeat changes nothing of that.
        hub.say(ann, &post(1, b"one")).unwrap();
        assert_eq!(hub.hear(ann), [ack(0, 0)]);
        assert_eq!(hub.hear(bob), []);
        while hub.hub.poll_append().is_some() {}
        assert_eq!(hub.hear(bob), [], "handed out is not committed");
        let carl = hub.open(3);
        assert_eq!(standing(&hub.join(carl, &join("lab"))), (0, 0, 0, 0));
        hub.hear(bob);
        hub.hub.handle_appended(1);
        assert_eq!(hub.hear(ann)[0], ack(1, 0));
        assert_eq!(offsets(&hub.hear(bob)), [1]);
        hub.hub.handle_appended(1);
        assert_eq!(hub.hear(ann)[0], ack(2, 0));
        assert_eq!(offsets(&hub.hear(bob)), [2]);
    });
}

#[test]
fn a_join_waits_for_the_commit_of_what_its_device_left_behind() {
    // [D-JOIN-2]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        hub.commits = false;
        hub.say(ann, &post(1, b"one")).unwrap();
        hub.lose(ann);
        let ann = hub.open(1);
        assert_eq!(hub.join(ann, &join("lab")), []);
        // Another room of the same device has nothing to wait for.
        let other = Join {
            slot: 1,
            ..join("den")
        };
        assert_eq!(standing(&hub.join(ann, &other)), (0, 0, 0, 0));
        hub.hub.commit_in_memory();
        assert_eq!(standing(&hub.hear(ann)), (1, 0, 0, 1));
    });
}

#[test]
fn a_refused_post_uses_its_number_up_and_its_verdict_stays() {
    // [D-POST-5] [D-POST-6] [D-ACK-3]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        let long = [0; MAX_BODY as usize + 1];
        hub.commits = false;
        hub.say(ann, &post(1, &long)).unwrap();
        assert_eq!(hub.hear(ann), [], "a reject is committed like an entry");
        hub.commits = true;
        assert_eq!(hub.hear(ann), [reject(1, Code::TooLarge), ack(1, 0b1)]);
        hub.posts(ann, 2, 1);
        // The first one comes again, short enough this time.
        hub.say(ann, &post(1, b"short")).unwrap();
        assert_eq!(hub.hear(ann), [ack(2, 0b10)]);
        hub.say(ann, &post(3, &long)).unwrap();
        assert_eq!(hub.hear(ann), [reject(3, Code::TooLarge), ack(3, 0b101)]);
        hub.lose(ann);
        let ann = hub.open(1);
        let said = hub.join(ann, &join("lab"));
        assert_eq!(standing(&said), (3, 0b101, 0, 1));
    });
}

#[test]
fn an_ack_tells_of_no_reject_that_is_not_committed() {
    // [D-ACK-1] [D-ACK-3]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        hub.posts(ann, 1, 1);
        hub.commits = false;
        let long = [0; MAX_BODY as usize + 1];
        hub.say(ann, &post(2, &long)).unwrap();
        hub.say(ann, &post(3, b"short")).unwrap();
        hub.say(ann, &post(1, b"a repeat")).unwrap();
        assert_eq!(hub.hear(ann), [ack(1, 0)]);
        while hub.hub.poll_append().is_some() {}
        hub.hub.handle_appended(1);
        assert_eq!(hub.hear(ann), [reject(2, Code::TooLarge), ack(2, 0b1)]);
        hub.hub.handle_appended(1);
        assert_eq!(hub.hear(ann)[0], ack(3, 0b10));
    });
}

#[test]
fn two_rejects_in_a_row_are_told_with_their_codes() {
    // [D-POST-6]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        let long = [0; MAX_BODY as usize + 1];
        hub.say(ann, &post(1, &long)).unwrap();
        // There is one place for a code: the second has to wait until the first is told.
        assert!(hub.say(ann, &post(2, &long)).is_err());
        assert_eq!(hub.hear(ann), [reject(1, Code::TooLarge), ack(1, 0b1)]);
        hub.say(ann, &post(2, &long)).unwrap();
        assert_eq!(hub.hear(ann), [reject(2, Code::TooLarge), ack(2, 0b11)]);
    });
}

#[test]
fn what_is_handed_out_for_a_commit_is_the_whole_transaction() {
    // [D-POST-7]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        hub.say(ann, &post(1, b"one")).unwrap();
        hub.say(ann, &post(2, &[0; MAX_BODY as usize + 1])).unwrap();
        let append = hub.hub.poll_append().expect("a post to commit");
        assert_eq!((append.room, append.device), ("lab", &device_id(1)));
        assert_eq!(
            (append.seq, append.verdict),
            (1, Verdict::Kept { offset: 1 })
        );
        let entry = binary::decode(&append.frame[4..]).unwrap().message;
        let expected = Entry {
            room: 0,
            offset: 1,
            flags: 0,
            from: "someone",
            body: b"one",
        };
        assert_eq!(entry, Message::Entry(expected));
        let append = hub.hub.poll_append().expect("a reject to commit");
        let code = Code::TooLarge;
        assert_eq!(
            (append.seq, append.verdict),
            (2, Verdict::Rejected { code })
        );
        assert!(append.frame.is_empty() && hub.hub.poll_append().is_none());
    });
}

// Reading.

#[test]
fn entries_flow_up_to_a_limit_that_never_falls() {
    // [D-CREDIT-1] [D-CREDIT-2] [D-ENTRY-2]
    with_hub(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.open(2));
        hub.posts(ann, 1, 30);
        assert_eq!(
            offsets(&hub.join(bob, &join("lab"))),
            [1, 2, 3, 4, 5, 6, 7, 8]
        );
        let mut grant = |cursor, window, expected: &[u64]| {
            hub.say(bob, &credit(cursor, window)).unwrap();
            assert_eq!(offsets(&hub.hear(bob)), expected, "{cursor} + {window}");
        };
        grant(8, 2, &[9, 10]);
        grant(8, 1, &[]);
        grant(0, 0, &[]);
        grant(10, 0, &[]);
        // A cursor above the last entry sent counts as that one.
        grant(25, 2, &[11, 12]);
        grant(u64::MAX, 1, &[13]);
        grant(5, 9, &[14]);
        grant(u64::MAX, u16::MAX, &(15..=30).collect::<Vec<_>>());
        // What was granted beyond the head stays granted.
        grant(30, 0, &[]);
        hub.posts(ann, 31, 2);
        assert_eq!(offsets(&hub.hear(bob)), [31, 32]);
    });
}

#[test]
fn a_device_that_grants_nothing_gets_nothing() {
    // [D-CREDIT-1] [D-CREDIT-4]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        let bob = hub.open_with(&Hello {
            credit: 0,
            ..hello(2)
        });
        hub.join(bob, &join("lab"));
        hub.posts(ann, 1, 40);
        hub.wait(3600);
        assert_eq!(hub.hear(bob), []);
        hub.say(bob, &credit(0, 1)).unwrap();
        assert_eq!(offsets(&hub.hear(bob)), [1]);
    });
}

#[test]
fn who_is_overtaken_by_retention_is_told_what_it_missed_and_pays_nothing_for_it() {
    // [D-GAP-1] [D-GAP-2]
    let mut limits = usual();
    limits.index = 8;
    with_hub(&limits, |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.posts(ann, 1, 5);
        assert_eq!(offsets(&hub.hear(bob)), [1, 2, 3, 4, 5]);
        hub.posts(ann, 6, 15);
        // 13 to 20 are kept. Of the 8 that it may get, 3 are left.
        let said = hub.hear(bob);
        assert_eq!(gaps(&said), [(6, 12, GapReason::Retention)]);
        assert_eq!(offsets(&said), [13, 14, 15]);
        assert!(matches!(said[0].message(), Message::Gap(_)), "in its place");
        hub.say(bob, &credit(15, 8)).unwrap();
        assert_eq!(offsets(&hub.hear(bob)), [16, 17, 18, 19, 20]);
    });
}

#[test]
fn who_keeps_up_is_told_of_no_gap() {
    // [D-GAP-1]
    let mut limits = usual();
    limits.index = 1;
    with_hub(&limits, |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        for seq in 1..=40 {
            hub.posts(ann, seq, 1);
            let said = hub.hear(bob);
            assert_eq!((offsets(&said), gaps(&said)), (vec![seq.into()], vec![]));
            hub.say(bob, &credit(seq.into(), 8)).unwrap();
        }
    });
}

#[test]
fn no_frame_is_larger_than_the_device_takes() {
    // [D-GAP-4] [L-FRAME-2]
    let mut limits = usual();
    limits.log_bytes = 4096;
    let mut memory = HubMemory::new(&limits);
    let mut config = limits.config(7, 0xa1, 1);
    config.max_body = 400;
    let hub = &mut LoneHub::with(config, &mut memory);
    let ann = hub.member(1, "lab");
    let small = Hello {
        max_frame: 160,
        ..hello(2)
    };
    let bob = hub.open_with(&small);
    hub.join(bob, &join("lab"));
    let fits = 160 - 17 - "someone".len();
    for (seq, len) in (1..).zip([3, fits, fits + 1, 400, 300, 0]) {
        hub.say(ann, &post(seq, &vec![7; len])).unwrap();
        hub.hear(ann);
    }
    for number in 3..8 {
        let name = &[b'a'; 32];
        let peer = hub.open(number);
        hub.join(
            peer,
            &Join {
                name,
                ..join("lab")
            },
        );
    }
    hub.say(bob, &Message::Who { slot: 0, skip: 0 }).unwrap();
    let said = hub.hear(bob);
    assert_eq!(offsets(&said), [1, 2, 6]);
    let too_large = GapReason::TooLarge;
    let expected = [(3, 3, too_large), (4, 4, too_large), (5, 5, too_large)];
    assert_eq!(gaps(&said), expected);
    assert!(said.iter().all(|said| said.len() <= 160), "{said:?}");
}

#[test]
fn own_posts_come_in_their_place_as_markers_or_whole() {
    // [D-ENTRY-4] [W-ENTRY-2]
    for flags in [0, Join::OWN_BODIES] {
        with_hub(&usual(), |hub| {
            let (ann, bob) = (hub.open(1), hub.member(2, "lab"));
            hub.join(
                ann,
                &Join {
                    flags,
                    ..join("lab")
                },
            );
            for (peer, seq) in [(ann, 1), (bob, 1), (ann, 2), (ann, 3), (bob, 2)] {
                hub.say(peer, &post(seq, b"a body")).unwrap();
            }
            let said = hub.hear(ann);
            let entry = |said: &Said| match said.message() {
                Message::Entry(e) => Some((e.offset, e.flags, e.from.len(), e.body.len())),
                _ => None,
            };
            let entries: Vec<_> = said.iter().filter_map(entry).collect();
            let whole = |offset| (offset, 0, "someone".len(), "a body".len());
            let own = |offset| match flags {
                0 => (offset, Entry::OWN, 0, 0),
                _ => whole(offset),
            };
            assert_eq!(entries, [own(1), whole(2), own(3), own(4), whole(5)]);
        });
    }
}

#[test]
fn own_posts_are_known_again_in_the_next_session() {
    // [D-ENTRY-4]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        hub.posts(ann, 1, 1);
        hub.lose(ann);
        let ann = hub.open(1);
        let said = hub.join(ann, &join("lab"));
        let marker = Entry {
            room: 0,
            offset: 1,
            flags: Entry::OWN,
            from: "",
            body: b"",
        };
        assert_eq!(said[1..], [Message::Entry(marker)]);
    });
}

// Joining.

#[test]
fn a_join_is_refused_alone_and_with_the_code_for_what_is_wrong() {
    // [D-JOIN-1] [D-JOIN-3]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        let long = "a".repeat(33);
        let of_slot = |slot, room| Join { slot, ..join(room) };
        let named = |name| Join {
            slot: 1,
            name,
            ..join("den")
        };
        let cases = [
            (of_slot(1, ""), Code::BadRoom),
            (of_slot(1, &long), Code::BadRoom),
            (of_slot(1, "Den"), Code::BadRoom),
            (named(b""), Code::BadName),
            (named(long.as_bytes()), Code::BadName),
            (named(b"a\tb"), Code::BadName),
            (named(b"\xff"), Code::BadName),
            (named("a\u{202e}b".as_bytes()), Code::BadName),
            (of_slot(32, "den"), Code::BadSlot),
            (of_slot(255, "den"), Code::BadSlot),
            (of_slot(0, "den"), Code::BadSlot),
            (of_slot(1, "lab"), Code::Unexpected),
        ];
        for (wish, code) in cases {
            let said = hub.join(ann, &wish);
            assert_eq!(said, [refusal(wish.slot, code)], "{wish:?}");
        }
        // The session goes on, and so does the room that was joined.
        hub.posts(ann, 1, 1);
        let said = hub.join(ann, &of_slot(31, "den"));
        assert_eq!(standing(&said), (0, 0, 0, 0));
    });
}

#[test]
fn a_room_has_one_of_39_letters_in_each_place() {
    // [W-NAME-2]
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789._-";
    let mut limits = usual();
    limits.rooms = 64;
    limits.members = 64;
    with_hub(&limits, |hub| {
        let ann = hub.open(1);
        for letter in 0..=255 {
            let room = &[letter];
            let said = hub.join(ann, &Join { room, ..join("") });
            if letters.contains(&letter) {
                assert_eq!(standing(&said), (0, 0, 0, 0), "{letter}");
                hub.say(ann, &Message::Leave { slot: 0 }).unwrap();
            } else {
                assert_eq!(said, [refusal(0, Code::BadRoom)], "{letter}");
            }
        }
    });
}

#[test]
fn two_members_of_one_name_are_two_members() {
    // [W-NAME-3]
    with_hub(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.hear(ann);
        hub.posts(ann, 1, 1);
        hub.posts(bob, 1, 1);
        hub.say(bob, &Message::Who { slot: 0, skip: 0 }).unwrap();
        let said = hub.hear(bob);
        let Message::Roster(roster) = said[0].message() else {
            panic!("{said:?}");
        };
        assert_eq!(roster.members, 2);
        assert_eq!(roster.names.iter().collect::<Vec<_>>(), ["someone"; 2]);
        assert_eq!(hub.hub.head("lab"), Some(2));
        // Byte for byte: a composed and a decomposed letter are two names, and both are taken.
        for (number, name) in [(3, "\u{e9}"), (4, "e\u{301}")] {
            let peer = hub.open(number);
            let name = name.as_bytes();
            standing(&hub.join(
                peer,
                &Join {
                    name,
                    ..join("lab")
                },
            ));
        }
    });
}

#[test]
fn a_hub_without_room_for_a_member_or_a_room_refuses_the_join() {
    // [D-JOIN-3]
    let mut limits = usual();
    (limits.rooms, limits.members) = (2, 3);
    with_hub(&limits, |hub| {
        let (ann, bob) = (hub.member(1, "a"), hub.member(2, "b"));
        let in_slot_1 = |room| Join {
            slot: 1,
            ..join(room)
        };
        let full = [refusal(1, Code::Full)];
        assert_eq!(hub.join(ann, &in_slot_1("c")), full, "no room is free");
        standing(&hub.join(ann, &in_slot_1("b")));
        hub.hear(bob);
        assert_eq!(hub.join(bob, &in_slot_1("a")), full, "no member is free");
        // Those who are in go on, and come back.
        hub.posts(bob, 1, 1);
        hub.lose(bob);
        let bob = hub.open(2);
        assert_eq!(standing(&hub.join(bob, &join("b"))), (1, 0, 0, 1));
    });
}

#[test]
fn a_hub_without_a_free_connection_takes_none_and_harms_nobody() {
    let mut limits = usual();
    limits.conns = 2;
    with_hub(&limits, |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        assert!(hub.connect().is_err());
        hub.posts(ann, 1, 1);
        hub.lose(bob);
        let carl = hub.member(3, "lab");
        assert!(hub.connect().is_err());
        hub.posts(carl, 1, 1);
    });
}

#[test]
fn a_join_for_a_room_that_the_slot_has_sets_the_membership_anew() {
    // [D-JOIN-4]
    with_hub(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.hear(ann);
        hub.posts(ann, 1, 4);
        assert_eq!(offsets(&hub.hear(bob)), [1, 2, 3, 4]);
        let anew = Join {
            cursor: 1,
            history: 2,
            name: b"bob",
            flags: Join::NO_PRESENCE,
            ..join("lab")
        };
        let said = hub.join(bob, &anew);
        assert_eq!(standing(&said), (0, 0, 1, 4));
        assert_eq!(gaps(&said), [(2, 2, GapReason::History)]);
        assert_eq!(offsets(&said), [3, 4]);
        // It never went away, so nobody is told; its new name stands in what it posts.
        assert_eq!(hub.hear(ann), []);
        hub.posts(bob, 1, 1);
        let said = hub.hear(ann);
        assert!(matches!(said[0].message(), Message::Entry(e) if e.from == "bob"));
        hub.member(3, "lab");
        assert_eq!(hub.hear(bob), [], "it wants no notices any more");
    });
}

#[test]
fn rooms_have_numbers_that_stay_for_the_session() {
    // [D-JOIN-5]
    with_hub(&usual(), |hub| {
        let ann = hub.open(1);
        let mut number = |slot, room| {
            let said = hub.join(ann, &Join { slot, ..join(room) });
            let Message::Joined(joined) = said[0].message() else {
                panic!("{said:?}");
            };
            let seq = joined.up_seq + 1;
            let body = b"a body";
            hub.say(ann, &Message::Post { slot, seq, body }).unwrap();
            hub.say(ann, &Message::Leave { slot }).unwrap();
            joined.room
        };
        let (a, b, c) = (number(0, "a"), number(0, "b"), number(1, "c"));
        assert!(a != b && b != c && a != c, "{a} {b} {c}");
        let again = (number(3, "a"), number(2, "b"), number(0, "c"));
        assert_eq!(again, (a, b, c));
    });
}

#[test]
fn a_member_starts_where_its_join_says() {
    // [D-JOIN-6] [D-JOIN-7]
    with_hub(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        hub.posts(ann, 1, 6);
        let all = u32::MAX;
        let told = |from, to| vec![(from, to, GapReason::History)];
        let cases: [(u64, u32, u64, Vec<_>, &[u64]); 10] = [
            (0, all, 0, vec![], &[1, 2, 3, 4, 5, 6]),
            (4, all, 4, vec![], &[5, 6]),
            (6, all, 6, vec![], &[]),
            (7, all, 6, vec![], &[]),
            (Join::LATEST, all, 6, vec![], &[]),
            (Join::LATEST, 0, 6, vec![], &[]),
            (0, 6, 0, vec![], &[1, 2, 3, 4, 5, 6]),
            (0, 2, 0, told(1, 4), &[5, 6]),
            (3, 2, 3, told(4, 4), &[5, 6]),
            (0, 0, 0, told(1, 6), &[]),
        ];
        for (cursor, history, start, missed, expected) in cases {
            let bob = hub.open(2);
            let wish = Join {
                cursor,
                history,
                ..join("lab")
            };
            let said = hub.join(bob, &wish);
            assert_eq!(standing(&said), (0, 0, start, 6), "{wish:?}");
            assert_eq!(
                (gaps(&said), &offsets(&said)[..]),
                (missed, expected),
                "{wish:?}"
            );
            hub.hear(ann);
            hub.posts(ann, 1, 0);
            hub.say(bob, &bye(ByeReason::Done)).unwrap();
            hub.hear(bob);
        }
    });
}

#[test]
fn whoever_leaves_hears_no_more_of_the_room() {
    // [D-JOIN-8] [D-JOIN-9]
    with_hub(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.say(bob, &Message::Leave { slot: 0 }).unwrap();
        hub.posts(ann, 1, 2);
        hub.member(3, "lab");
        assert_eq!(hub.hear(bob), []);
        hub.say(bob, &Message::Leave { slot: 0 }).unwrap();
        hub.say(bob, &Message::Leave { slot: 200 }).unwrap();
        assert_eq!(hub.hear(bob), [], "to leave what is not joined is nothing");
        // It comes back as who it was.
        let latest = Join {
            cursor: Join::LATEST,
            ..join("lab")
        };
        assert_eq!(standing(&hub.join(bob, &latest)), (0, 0, 2, 2));
        hub.posts(bob, 1, 1);
    });
}

#[test]
fn a_message_for_a_slot_that_is_not_joined_ends_the_connection() {
    // [D-JOIN-9]
    for slot in [1, 32, 255] {
        let cases = [
            Message::Post {
                slot,
                seq: 1,
                body: b"",
            },
            Message::Credit {
                slot,
                cursor: 0,
                window: 1,
            },
            Message::Who { slot, skip: 0 },
        ];
        for message in cases {
            with_hub(&usual(), |hub| {
                let ann = hub.member(1, "lab");
                hub.say(ann, &message).unwrap();
                assert_eq!(hub.hear(ann), [error(Code::BadSlot)]);
                assert!(hub.has_closed(ann));
            });
        }
    }
}

// Peers out of order.

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
