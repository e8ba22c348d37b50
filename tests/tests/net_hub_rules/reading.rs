//! Who is sent which entries, and when.

use super::*;

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
fn who_only_posts_is_told_of_no_gap_until_it_has_credit() {
    // [D-GAP-5]
    let mut limits = usual();
    limits.index = 8;
    with_hub(&limits, |hub| {
        let ann = hub.member(1, "lab");
        let bob = hub.open_with(&Hello {
            credit: 0,
            ..hello(2)
        });
        hub.join(bob, &join("lab"));
        for seq in 1..=40 {
            hub.posts(ann, seq, 1);
            assert_eq!(hub.hear(bob), []);
        }
        hub.say(bob, &credit(0, 2)).unwrap();
        let said = hub.hear(bob);
        assert_eq!(gaps(&said), [(1, 32, GapReason::Retention)]);
        assert_eq!(offsets(&said), [33, 34]);
    });
}

#[test]
fn what_a_member_has_not_been_offered_in_its_pass_is_pushed_out_by_no_post() {
    let mut limits = usual();
    limits.index = 8;
    with_hub(&limits, |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.hub.begin_pass();
        hub.posts(ann, 1, 5);
        hub.hub.begin_pass();
        hub.posts(ann, 6, 3);
        assert_eq!(hub.say(ann, &post(9, b"")), Err(Busy), "1 to 8 stay");
        let said = hub.hear(bob);
        assert_eq!(offsets(&said), [1, 2, 3, 4, 5, 6, 7, 8]);
        hub.say(bob, &credit(8, 8)).unwrap();
        hub.hub.begin_pass();
        // Who missed the pass in which it was to be served misses what came before that.
        hub.posts(ann, 9, 5);
        assert_eq!(hub.say(ann, &post(14, b"")), Err(Busy), "6 to 13 stay");
        hub.hub.begin_pass();
        hub.hub.begin_pass();
        hub.posts(ann, 14, 8);
        let said = hub.hear(bob);
        assert_eq!(gaps(&said), [(9, 13, GapReason::Retention)]);
        assert_eq!(offsets(&said), [14, 15, 16, 17, 18, 19, 20, 21]);
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
