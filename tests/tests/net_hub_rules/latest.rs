//! Rooms whose members get the latest: who lags, and what it is told.

use halloo_core::chat::hub::RoomPattern;

use super::*;

/// A hub whose rooms that begin with `lab` are served as latest.
#[track_caller]
fn with_latest(limits: &Limits, test: impl FnOnce(&mut LoneHub<'_>)) {
    let latest = [RoomPattern::new("lab*").unwrap()];
    let mut memory = HubMemory::new(limits);
    let mut hub = LoneHub::new(limits, &mut memory);
    hub.hub.set_latest(&latest);
    test(&mut hub);
}

/// What a member with `credit` is told after so many posts: gaps, and offsets.
type Told = (Vec<(u64, u64, GapReason)>, Vec<u64>);

fn told(said: &[Said]) -> Told {
    (gaps(said), offsets(said))
}

fn latest(from: u64, to: u64) -> Vec<(u64, u64, GapReason)> {
    vec![(from, to, GapReason::Latest)]
}

#[test]
fn a_member_that_lags_jumps_to_the_newest_and_pays_for_that_one_alone() {
    // [D-LATEST-1] [D-LATEST-2] [D-GAP-1] [D-GAP-2]
    with_latest(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.posts(ann, 1, 30);
        let said = hub.hear(bob);
        assert_eq!(told(&said), (latest(1, 29), vec![30]));
        assert!(matches!(said[0].message(), Message::Gap(_)), "in its place");
        // Of its credit for 8, 7 are left: it gets every entry for which there is some.
        hub.posts(ann, 31, 8);
        assert_eq!(told(&hub.hear(bob)), (vec![], (31..=37).collect()));
        assert_eq!(told(&hub.hear(bob)), (vec![], vec![]));
        hub.say(bob, &credit(37, 8)).unwrap();
        assert_eq!(told(&hub.hear(bob)), (vec![], vec![38]));
    });
}

#[test]
fn one_lags_that_more_entries_wait_for_than_it_said_it_takes() {
    // [D-LATEST-1]
    let all = |last| (vec![], (1..=last).collect::<Vec<u64>>());
    let jump = |head| (latest(1, head - 1), vec![head]);
    for (takes, posts, expected) in [
        (8, 8, all(8)),
        (8, 9, jump(9)),
        (3, 3, all(3)),
        (3, 4, jump(4)),
        (1, 1, all(1)),
        (1, 2, jump(2)),
    ] {
        with_latest(&usual(), |hub| {
            let ann = hub.member(1, "lab");
            hub.posts(ann, 1, posts);
            let hello = Hello {
                credit: takes,
                ..hello(2)
            };
            let bob = hub.open_with(&hello);
            let said = hub.join(bob, &join("lab"));
            assert_eq!(told(&said), expected, "{posts} posts, {takes} taken");
        });
    }
}

#[test]
fn one_lags_that_takes_more_than_the_room_is_sized_for() {
    // [D-LATEST-1]
    let mut limits = usual();
    limits.index = 16;
    for (posts, expected) in [
        (16, (vec![], (1..=16).collect())),
        (17, (latest(1, 16), vec![17])),
        (40, (latest(1, 39), vec![40])),
    ] {
        with_latest(&limits, |hub| {
            let ann = hub.member(1, "lab");
            hub.posts(ann, 1, posts);
            let hello = Hello {
                credit: u16::MAX,
                ..hello(2)
            };
            let bob = hub.open_with(&hello);
            assert_eq!(told(&hub.join(bob, &join("lab"))), expected, "{posts}");
        });
    }
}

#[test]
fn one_lags_whose_next_entry_is_kept_no_longer() {
    // [D-LATEST-1]
    let mut limits = usual();
    limits.log_bytes = 200;
    with_latest(&limits, |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        for seq in 1..=6 {
            hub.say(ann, &post(seq, &[7; 50])).unwrap();
            hub.hear(ann);
        }
        assert_eq!(told(&hub.hear(bob)), (latest(1, 5), vec![6]));
    });
}

#[test]
fn a_member_without_credit_is_told_once_it_has_some() {
    // [D-LATEST-2] [D-GAP-5]
    let mut limits = usual();
    limits.index = 8;
    with_latest(&limits, |hub| {
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
        assert_eq!(told(&hub.hear(bob)), (latest(1, 39), vec![40]));
    });
}

#[test]
fn one_that_lags_is_acknowledged_all_that_it_posts() {
    // [D-LATEST-2] [D-ACK-2]
    with_latest(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
        hub.posts(ann, 1, 20);
        for seq in 1..=20 {
            hub.say(bob, &post(seq, b"mine")).unwrap();
        }
        let said = hub.hear(bob);
        assert!(said.iter().any(|said| *said == ack(20, 0)), "{said:?}");
        // Its own posts are passed over as those of others are; the newest comes as a marker.
        assert_eq!(told(&said), (latest(1, 39), vec![40]));
        assert_eq!(hub.hub.head("lab"), Some(40));
    });
}

#[test]
fn history_that_was_not_asked_for_is_told_as_such() {
    // [D-GAP-5] [D-JOIN-7]
    with_latest(&usual(), |hub| {
        let ann = hub.member(1, "lab");
        hub.posts(ann, 1, 30);
        let bob = hub.open(2);
        let few = Join {
            history: 5,
            ..join("lab")
        };
        let history = vec![(1, 25, GapReason::History)];
        let expected = (history, vec![26, 27, 28, 29, 30]);
        assert_eq!(told(&hub.join(bob, &few)), expected);
    });
}

#[test]
fn other_rooms_are_served_as_ever_and_who_keeps_up_gets_all() {
    // [D-LATEST-1]
    with_latest(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "yard"), hub.open(2));
        hub.posts(ann, 1, 30);
        let said = hub.join(bob, &join("yard"));
        assert_eq!(told(&said), (vec![], (1..=8).collect()));
    });
    with_latest(&usual(), |hub| {
        let (ann, bob) = (hub.member(1, "lab-7"), hub.member(2, "lab-7"));
        for seq in 1..=40 {
            hub.posts(ann, seq, 1);
            assert_eq!(told(&hub.hear(bob)), (vec![], vec![seq.into()]));
            hub.say(bob, &credit(seq.into(), 8)).unwrap();
        }
    });
}

#[test]
fn what_is_set_holds_for_rooms_that_there_are() {
    let (none, all) = ([], [RoomPattern::new("*").unwrap()]);
    let limits = usual();
    let mut memory = HubMemory::new(&limits);
    let hub = &mut LoneHub::new(&limits, &mut memory);
    let (ann, bob) = (hub.member(1, "lab"), hub.member(2, "lab"));
    hub.hub.set_latest(&all);
    hub.posts(ann, 1, 30);
    assert_eq!(told(&hub.hear(bob)), (latest(1, 29), vec![30]));
    hub.hub.set_latest(&none);
    hub.say(bob, &credit(30, 8)).unwrap();
    hub.posts(ann, 31, 30);
    assert_eq!(told(&hub.hear(bob)), (vec![], (31..=38).collect()));
}

#[test]
fn a_pattern_without_a_star_means_one_room() {
    let one = RoomPattern::new("roof").unwrap();
    let names = ["roof", "roo", "roofs", "cellar"];
    assert_eq!(
        names.map(|room| one.matches(room)),
        [true, false, false, false]
    );
}

#[test]
fn what_is_set_holds_for_rooms_that_a_start_restores() {
    // [D-LATEST-1]
    with_latest(&usual(), |lone| {
        lone.hub.restore_room(0, "lab", 1, 3).unwrap();
        let peer = lone.open_with(&Hello {
            credit: 2,
            ..hello(1)
        });
        let said = lone.join(peer, &join("lab"));
        assert_eq!(gaps(&said), latest(1, 2));
    });
}
