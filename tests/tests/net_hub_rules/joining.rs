//! How rooms are joined and left.

use super::*;

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
