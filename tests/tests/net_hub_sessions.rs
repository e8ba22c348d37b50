//! How a hub opens, guards and ends sessions, rule by rule, and what it tells of presence.

use firmware_sim::world::lone_hub::{ack, hello, join, offsets, post};
use firmware_sim::world::{HubMemory, Limits, LoneHub, Said};
use halloo_core::chat::hub::ConnId;
use halloo_core::wire::{
    Bye, ByeReason, Code, Hello, Join, MAX_ECHO, MAX_LINEAGE, Message, NoticeKind, PeerError,
};

const DAY: u64 = 24 * 3600;

#[track_caller]
fn with_hub(limits: &Limits, test: impl FnOnce(&mut LoneHub<'_>)) {
    let mut memory = HubMemory::new(limits);
    test(&mut LoneHub::new(limits, &mut memory));
}

const fn usual() -> Limits {
    Limits::usual(8)
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
        retry_after: match reason {
            ByeReason::Shutdown | ByeReason::Storage => 1000,
            _ => 0,
        },
    })
}

fn opened(said: &[Said]) -> halloo_core::wire::Welcome<'_> {
    match said[0].message() {
        Message::Welcome(welcome) => welcome,
        other => panic!("{other:?} is no Welcome"),
    }
}

/// The notices in what was said: version, kind, count, who.
fn notices(said: &[Said]) -> Vec<(u32, NoticeKind, u32, String)> {
    let notice = |said: &Said| match said.message() {
        Message::Notice(n) => Some((n.version, n.kind, n.members, n.who.to_owned())),
        _ => None,
    };
    said.iter().filter_map(notice).collect()
}

#[track_caller]
fn member_named(hub: &mut LoneHub<'_>, number: usize, name: &str) -> ConnId {
    let peer = hub.open(number);
    let name = name.as_bytes();
    hub.join(
        peer,
        &Join {
            name,
            ..join("lab")
        },
    );
    peer
}

// Opening and the fence.

#[test]
fn a_welcome_repeats_the_nonce_and_names_the_store() {
    // [D-STORE-1] [S-OPEN-4]
    let limits = usual();
    for (store, generation) in [(1, 1), (1, 2), (u64::MAX, u32::MAX)] {
        let mut memory = HubMemory::new(&limits);
        let mut hub = LoneHub::with(limits.config(7, store, generation), &mut memory);
        let peer = hub.connect().unwrap();
        let wish = Hello {
            nonce: 0xabc,
            version_max: 9,
            ..hello(1)
        };
        hub.say(peer, &Message::Hello(wish)).unwrap();
        let said = hub.hear(peer);
        let welcome = opened(&said);
        assert_eq!((welcome.version, welcome.suite), (1, 0));
        assert_eq!(welcome.nonce, 0xabc);
        assert_eq!((welcome.store, welcome.generation), (store, generation));
        assert_eq!(welcome.window, limits.window);
    }
}

#[test]
fn a_welcome_tells_the_newest_generations_that_the_store_had() {
    // [D-STORE-5] [W-LINEAGE-1]
    let limits = usual();
    let many: Vec<u32> = (1..=20).rev().collect();
    for known in [&[][..], &[5], &many] {
        let mut memory = HubMemory::new(&limits);
        let mut hub = LoneHub::with(limits.config(7, 1, 30), &mut memory);
        hub.hub.set_lineage(known);
        let peer = hub.connect().unwrap();
        hub.say(peer, &Message::Hello(hello(1))).unwrap();
        let said = hub.hear(peer);
        let lineage = opened(&said).lineage;
        let told: Vec<_> = known.iter().take(MAX_LINEAGE).copied().collect();
        assert!(told.iter().all(|&generation| lineage.has(generation)));
        assert_eq!(lineage.as_bytes().len(), 4 * told.len());
    }
}

#[test]
fn what_cannot_be_served_is_refused_with_its_code() {
    // [S-OPEN-4] [L-FRAME-1]
    let cases = [
        (2, 9, 0, 512, Code::Version),
        (0, 0, 0, 512, Code::Version),
        (1, 1, 1, 512, Code::Version),
        (1, 1, 0, 159, Code::Oversize),
    ];
    for (version_min, version_max, suite, max_frame, code) in cases {
        with_hub(&usual(), |hub| {
            let ann = hub.member(1, "lab");
            let peer = hub.connect().unwrap();
            let wish = Hello {
                version_min,
                version_max,
                suite,
                max_frame,
                ..hello(1)
            };
            hub.say(peer, &Message::Hello(wish)).unwrap();
            assert_eq!(hub.hear(peer), [error(code)], "{wish:?}");
            assert!(hub.has_closed(peer));
            // What opens no session fences none.
            hub.posts(ann, 1, 1);
        });
    }
    with_hub(&usual(), |hub| {
        let least = Hello {
            max_frame: 160,
            ..hello(1)
        };
        hub.open_with(&least);
    });
}

#[test]
fn a_newer_session_ends_the_older_one_and_late_bytes_of_it_change_nothing() {
    // [S-FENCE-1] [S-FENCE-3]
    with_hub(&usual(), |hub| {
        let (bob, old) = (hub.member(2, "lab"), hub.member(1, "lab"));
        hub.posts(old, 1, 1);
        hub.hear(bob);
        let new = hub.open(1);
        // Late bytes of the old one, before and after it was told and closed.
        for is_told in [false, true] {
            if is_told {
                assert_eq!(hub.hear(old), [bye(ByeReason::Replaced)]);
                assert!(hub.has_closed(old));
            }
            for message in [
                post(2, b"late"),
                Message::Join(join("den")),
                Message::Leave { slot: 0 },
                Message::Credit {
                    slot: 0,
                    cursor: 9,
                    window: 9,
                },
                bye(ByeReason::Done),
                Message::Hello(hello(1)),
            ] {
                hub.say(old, &message).unwrap();
            }
            hub.say_rubbish(old, Code::Malformed);
        }
        assert_eq!(hub.hub.head("lab"), Some(1));
        assert_eq!(hub.hub.head("den"), None);
        assert_eq!(hub.hub.counters().fenced, 1);
        // The new one goes on where the old one was, and nobody saw it go or come.
        let said = hub.join(new, &join("lab"));
        assert!(matches!(said[0].message(), Message::Joined(j) if j.up_seq == 1));
        assert_eq!(hub.hear(bob), []);
        hub.posts(new, 2, 1);
    });
}

#[test]
fn bytes_of_a_connection_that_is_gone_never_count_for_its_successor() {
    // [S-FENCE-1]
    let mut limits = usual();
    limits.conns = 1;
    with_hub(&limits, |hub| {
        let old = hub.member(1, "lab");
        hub.lose(old);
        let new = hub.member(2, "lab");
        assert_eq!(old.index(), new.index(), "the same place");
        hub.say(old, &post(1, b"late")).unwrap();
        hub.say(old, &bye(ByeReason::Done)).unwrap();
        hub.say_rubbish(old, Code::Malformed);
        hub.lose(old);
        assert_eq!(hub.hear(old), []);
        assert_eq!(hub.hub.head("lab"), Some(0));
        hub.posts(new, 1, 1);
    });
}

#[test]
fn no_session_number_comes_twice_in_a_hub_or_in_the_next() {
    // [S-FENCE-4]
    let limits = usual();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut memory = HubMemory::new(&limits);
        let mut hub = LoneHub::with(limits.config(seed, 1, 1), &mut memory);
        for _ in 0..200 {
            let peer = hub.connect().unwrap();
            hub.say(peer, &Message::Hello(hello(1))).unwrap();
            let said = hub.hear(peer);
            assert!(seen.insert(opened(&said).session));
            hub.lose(peer);
        }
    }
}

#[test]
fn who_says_no_hello_in_time_is_told_so_and_closed() {
    // [T-HAND-1]
    with_hub(&usual(), |hub| {
        let peer = hub.connect().unwrap();
        hub.wait_micros(9_999_999);
        assert_eq!(hub.hear(peer), []);
        hub.wait_micros(1);
        assert_eq!(hub.hear(peer), [error(Code::Timeout)]);
        assert!(hub.has_closed(peer));
    });
}

#[test]
fn who_takes_not_even_the_last_word_is_closed_all_the_same() {
    with_hub(&usual(), |hub| {
        let peer = hub.connect().unwrap();
        hub.say(peer, &Message::Ping { token: 1 }).unwrap();
        let due = hub.hub.poll_timeout().expect("nothing waits for ever");
        hub.wait_micros(due.as_ticks() - hub.now);
        assert_eq!(hub.hear(peer), []);
        assert!(hub.has_closed(peer));
        assert_eq!(hub.hub.poll_timeout(), None);
    });
}

// Keepalive and echo.

#[test]
fn the_interval_is_the_wish_of_the_device_within_limits() {
    // [T-KEEP-1]
    let limits = usual();
    for (wish, interval) in [(0, 0), (1, 20), (20, 20), (60, 60), (300, 300), (301, 300)] {
        let mut memory = HubMemory::new(&limits);
        let mut config = limits.config(7, 1, 1);
        (config.keepalive_min, config.keepalive_max) = (20, 300);
        let mut hub = LoneHub::with(config, &mut memory);
        let peer = hub.connect().unwrap();
        let keepalive = wish;
        let hello = Hello {
            keepalive,
            ..hello(1)
        };
        hub.say(peer, &Message::Hello(hello)).unwrap();
        let said = hub.hear(peer);
        assert_eq!(opened(&said).keepalive, interval, "for {wish}");
    }
}

#[test]
fn a_silent_device_is_asked_once_and_then_taken_for_dead() {
    // [T-KEEP-2] [T-KEEP-4]
    with_hub(&usual(), |hub| {
        let wish = Hello {
            keepalive: 20,
            ..hello(1)
        };
        let peer = hub.open_with(&wish);
        // Every message counts as a sign of life, also one that is passed over.
        for message in [
            Message::Unknown { kind: 0x55 },
            Message::Pong { token: 3 },
            Message::Leave { slot: 7 },
        ] {
            hub.wait_micros(24_999_999);
            assert_eq!(hub.hear(peer).len(), 0);
            hub.wait_micros(1);
            assert_eq!(hub.hear(peer), [Message::Ping { token: 0 }]);
            hub.wait_micros(4_999_999);
            hub.say(peer, &message).unwrap();
            hub.wait_micros(1);
            assert_eq!(hub.hear(peer), []);
            hub.say(peer, &Message::Ping { token: 1 }).unwrap();
            assert_eq!(hub.hear(peer), [Message::Pong { token: 1 }]);
        }
        hub.wait(25);
        hub.hear(peer);
        hub.wait_micros(4_999_999);
        assert_eq!(hub.hear(peer), []);
        hub.wait_micros(1);
        assert_eq!(hub.hear(peer), [bye(ByeReason::Silent)]);
        assert!(hub.has_closed(peer));
    });
}

#[test]
fn a_device_that_wants_no_keepalive_may_be_silent_for_a_day() {
    // [T-KEEP-1]
    with_hub(&usual(), |hub| {
        let peer = hub.member(1, "lab");
        hub.wait(DAY);
        assert_eq!(hub.hear(peer), []);
        hub.posts(peer, 1, 1);
    });
}

#[test]
fn pings_and_echoes_come_back_and_their_answers_are_not_answered() {
    // [T-KEEP-3] [T-ECHO-1]
    with_hub(&usual(), |hub| {
        let peer = hub.open(1);
        for token in [0, 7, u32::MAX] {
            hub.say(peer, &Message::Ping { token }).unwrap();
            assert_eq!(hub.hear(peer), [Message::Pong { token }]);
            for bytes in [&b""[..], b"\x00\xff", &[9; MAX_ECHO]] {
                hub.say(peer, &Message::EchoRequest { token, bytes })
                    .unwrap();
                assert_eq!(hub.hear(peer), [Message::EchoReply { token, bytes }]);
                hub.say(peer, &Message::EchoReply { token, bytes }).unwrap();
            }
            hub.say(peer, &Message::Pong { token }).unwrap();
            assert_eq!(hub.hear(peer), []);
        }
    });
}

// The end, and what is remembered.

#[test]
fn a_hub_that_stops_says_why_to_all_and_takes_nobody_more() {
    // [S-BYE-4] [S-BYE-5]
    for reason in [ByeReason::Shutdown, ByeReason::Storage] {
        with_hub(&usual(), |hub| {
            let (ann, greeting) = (hub.member(1, "lab"), hub.connect().unwrap());
            hub.commits = false;
            hub.say(ann, &post(1, b"a body")).unwrap();
            assert!(hub.hub.poll_append().is_some());
            let now = firmware_sim::world::at(hub.now);
            hub.hub.shut_down(now, reason);
            hub.hub.handle_appended(1);
            for peer in [ann, greeting] {
                assert_eq!(hub.hear(peer), [bye(reason)], "and no ack");
                assert!(hub.has_closed(peer));
            }
            assert!(hub.connect().is_err());
            // Where it says that itself, to who has no connection yet.
            let told = [Code::Full, Code::Storage, Code::Malformed, Code::NoSession];
            let told = told.map(|code| hub.hub.retry_after(code));
            assert_eq!(told, [1000, 1000, 0, 0]);
        });
    }
}

#[test]
fn what_a_device_posted_is_remembered_for_its_lifetime_and_no_longer_than_needed() {
    // [S-LIFE-1] [S-EPH-1]
    let lost = |hub: &mut LoneHub<'_>, peer| hub.lose(peer);
    let done = |hub: &mut LoneHub<'_>, peer| {
        hub.say(peer, &bye(ByeReason::Done)).unwrap();
        hub.hear(peer);
    };
    let leave = |hub: &mut LoneHub<'_>, peer| {
        hub.say(peer, &Message::Leave { slot: 0 }).unwrap();
    };
    type End = fn(&mut LoneHub<'_>, ConnId);
    let cases: [(u16, End, u64); 5] = [
        (0, lost, 30 * DAY),
        (0, done, 30 * DAY),
        (0, leave, 600),
        (Hello::EPHEMERAL, lost, 600),
        (Hello::EPHEMERAL, done, 600),
    ];
    let mut limits = usual();
    limits.members = 1;
    for (flags, end, lifetime) in cases {
        with_hub(&limits, |hub| {
            let ann = hub.open_with(&Hello { flags, ..hello(1) });
            hub.join(ann, &join("lab"));
            hub.posts(ann, 1, 1);
            end(hub, ann);
            hub.wait(lifetime - 1);
            // The one place of a member is taken for as long as it has to be.
            let bob = hub.open(2);
            let full = Message::Reject {
                slot: 0,
                seq: 0,
                code: Code::Full,
            };
            assert_eq!(hub.join(bob, &join("lab")), [full]);
            let ann = hub.open_with(&Hello { flags, ..hello(1) });
            let said = hub.join(ann, &join("lab"));
            assert!(matches!(said[0].message(), Message::Joined(j) if j.up_seq == 1));
            end(hub, ann);
            hub.wait(lifetime + 16);
            let said = hub.join(bob, &join("lab"));
            assert!(matches!(said[0].message(), Message::Joined(_)), "{said:?}");
            // What the forgotten one posted is nobody's own, whoever has its place now.
            assert!(matches!(said[1].message(), Message::Entry(e) if e.flags == 0));
        });
    }
}

#[test]
fn nothing_is_remembered_of_a_device_that_never_comes_back_once_its_posts_are_kept() {
    // [S-EPH-2] [S-EPH-3]
    let mut device = hello(1).device;
    device[..8].copy_from_slice(b"one-time");
    let mut limits = usual();
    limits.members = 1;
    type End = fn(&mut LoneHub<'_>, ConnId);
    let ends: [End; 3] = [
        |hub, peer| hub.lose(peer),
        |hub, peer| hub.say(peer, &bye(ByeReason::Done)).unwrap(),
        |hub, peer| hub.say(peer, &Message::Leave { slot: 0 }).unwrap(),
    ];
    for end in ends {
        with_hub(&limits, |hub| {
            let bob = hub.open(2);
            let once = hub.open_with(&Hello { device, ..hello(1) });
            hub.join(once, &join("lab"));
            hub.posts(once, 1, 1);
            hub.commits = false;
            hub.say(once, &post(2, b"on its way")).unwrap();
            end(hub, once);
            // Its post is not durable, and then that it is forgotten is not.
            for _ in 0..2 {
                assert!(hub.say(bob, &Message::Join(join("lab"))).is_err());
                while hub.hub.poll_append().is_some() {}
                hub.hub.handle_appended(1);
            }
            assert_eq!(hub.say(bob, &Message::Join(join("lab"))), Ok(()));
            let said = hub.hear(bob);
            assert!(matches!(said[0].message(), Message::Joined(_)), "{said:?}");
            assert_eq!(hub.hub.head("lab"), Some(2));
        });
    }
}

// Presence.

#[test]
fn a_lost_connection_is_told_after_its_grace_and_a_bye_at_once() {
    // [P-MEMBER-1] [S-BYE-2]
    with_hub(&usual(), |hub| {
        let watcher = member_named(hub, 1, "watcher");
        let bob = member_named(hub, 2, "bob");
        let told = |kind, version, members| vec![(version, kind, members, "bob".to_owned())];
        let (came, went) = (NoticeKind::Joined, NoticeKind::Left);
        assert_eq!(notices(&hub.hear(watcher)), told(came, 2, 2));
        // Back in time: nobody notices.
        hub.lose(bob);
        hub.wait_micros(14_999_999);
        let bob = member_named(hub, 2, "bob");
        hub.wait(60);
        assert_eq!(hub.hear(watcher), []);
        // Not back in time.
        hub.lose(bob);
        hub.wait_micros(14_999_999);
        assert_eq!(hub.hear(watcher), []);
        hub.wait_micros(1);
        assert_eq!(notices(&hub.hear(watcher)), told(went, 3, 1));
        // In good order.
        let bob = member_named(hub, 2, "bob");
        assert_eq!(notices(&hub.hear(watcher)), told(came, 4, 2));
        hub.say(bob, &bye(ByeReason::Done)).unwrap();
        assert_eq!(notices(&hub.hear(watcher)), told(went, 5, 1));
        let bob = member_named(hub, 2, "bob");
        hub.hear(watcher);
        hub.say(bob, &Message::Leave { slot: 0 }).unwrap();
        assert_eq!(notices(&hub.hear(watcher)), told(went, 7, 1));
    });
}

#[test]
fn each_change_is_told_with_the_count_after_it_to_all_who_want_it() {
    // [P-NOTICE-1]
    with_hub(&usual(), |hub| {
        let watcher = member_named(hub, 1, "watcher");
        let deaf = hub.open(2);
        let flags = Join::NO_PRESENCE;
        let name = &b"deaf"[..];
        hub.join(
            deaf,
            &Join {
                flags,
                name,
                ..join("lab")
            },
        );
        let bob = hub.open(3);
        let name = &b"bob"[..];
        let said = hub.join(
            bob,
            &Join {
                name,
                ..join("lab")
            },
        );
        let own = matches!(said[..], [ref j] if matches!(j.message(), Message::Joined(j)
            if (j.members, j.presence) == (3, 3)));
        assert!(own, "nobody is told of itself: {said:?}");
        hub.say(bob, &Message::Leave { slot: 0 }).unwrap();
        let expected = [
            (2, NoticeKind::Joined, 2, "deaf".to_owned()),
            (3, NoticeKind::Joined, 3, "bob".to_owned()),
            (4, NoticeKind::Left, 2, "bob".to_owned()),
        ];
        assert_eq!(notices(&hub.hear(watcher)), expected);
        assert_eq!(hub.hear(deaf), []);
        assert_eq!(hub.hear(bob), []);
    });
}

#[test]
fn many_changes_are_told_as_one_count() {
    // [P-NOTICE-2]
    with_hub(&usual(), |hub| {
        let watcher = member_named(hub, 1, "watcher");
        for _ in 0..10 {
            let bob = member_named(hub, 2, "bob");
            hub.say(bob, &bye(ByeReason::Done)).unwrap();
            hub.hear(bob);
        }
        let told = notices(&hub.hear(watcher));
        assert_eq!(told, [(21, NoticeKind::Count, 1, String::new())]);
    });
}

#[test]
fn in_a_large_room_counts_are_told_once_a_second() {
    // [P-NOTICE-2]
    with_hub(&Limits::usual(60), |hub| {
        let watcher = member_named(hub, 1, "watcher");
        for number in 2..=40 {
            member_named(hub, number, &format!("m{number}"));
            hub.hear(watcher);
        }
        hub.wait(1);
        hub.hear(watcher);
        for number in 41..=60 {
            member_named(hub, number, &format!("m{number}"));
            assert_eq!(hub.hear(watcher), []);
        }
        hub.wait(1);
        let told = notices(&hub.hear(watcher));
        assert_eq!(told, [(60, NoticeKind::Count, 60, String::new())]);
        assert_eq!(hub.hub.poll_timeout(), None);
    });
}

#[test]
fn notices_and_rosters_wait_behind_nothing_and_hold_up_nothing() {
    // [P-NOTICE-3]
    with_hub(&usual(), |hub| {
        let none = Hello {
            credit: 0,
            ..hello(1)
        };
        let slow = hub.open_with(&none);
        hub.join(slow, &join("lab"));
        let bob = hub.member(2, "lab");
        hub.posts(bob, 1, 3);
        // No entry may go to it, and yet it hears of the rest.
        hub.say(slow, &post(1, b"a body")).unwrap();
        hub.say(slow, &Message::Who { slot: 0, skip: 0 }).unwrap();
        let said = hub.hear(slow);
        assert_eq!(said[0], ack(1, 0));
        assert_eq!(notices(&said).len(), 1);
        assert!(matches!(said[2].message(), Message::Roster(_)), "{said:?}");
        assert_eq!((offsets(&said), said.len()), (vec![], 3));
    });
}

#[test]
fn all_names_of_a_room_are_told_in_as_many_answers_as_it_takes() {
    // [P-WHO-1]
    with_hub(&Limits::usual(60), |hub| {
        let name = |number: usize| format!("{number:0>32}");
        for number in 1..=40 {
            member_named(hub, number, &name(number));
        }
        let least = Hello {
            max_frame: 160,
            ..hello(50)
        };
        let asker = hub.open_with(&least);
        hub.join(
            asker,
            &Join {
                name: b"asker",
                ..join("lab")
            },
        );
        let (mut names, mut skip) = (Vec::new(), 0);
        loop {
            hub.say(asker, &Message::Who { slot: 0, skip }).unwrap();
            let said = hub.hear(asker);
            assert!(said.iter().all(|said| said.len() <= 160));
            let Message::Roster(roster) = said[0].message() else {
                panic!("{said:?}");
            };
            assert_eq!((roster.skip, roster.members), (skip, 41));
            let before = names.len();
            names.extend(roster.names.iter().map(str::to_owned));
            if names.len() == before {
                break;
            }
            skip = names.len() as u16;
        }
        names.sort();
        let mut expected: Vec<_> = (1..=40).map(name).collect();
        expected.push("asker".to_owned());
        assert_eq!(names, expected);
    });
}
