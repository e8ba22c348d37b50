//! The hub message by message: who is served, who is remembered, what is told.

use halloo_core::chat::datagram::{HEADER, Header};
use halloo_core::chat::hub::{
    self, Busy, Conn, Full, Member, NotOpened, Pending, Room, Storage, Transmit,
};
use halloo_core::chat::{Hub, SESSION_LIFETIME};
use halloo_core::time::{Instant, after, secs};
use halloo_core::wire::{self, Bye, ByeReason, Code, Hello, Join, Message, kind};

fn at(seconds: u64) -> Instant {
    Instant::from_ticks(seconds * 1_000_000)
}

struct Sizes {
    conns: usize,
    members: usize,
    rooms: usize,
}

const FEW: Sizes = Sizes {
    conns: 8,
    members: 8,
    rooms: 2,
};

fn with_hub(sizes: Sizes, test: impl FnOnce(&mut Hub<'_>)) {
    with_config(sizes, hub::Config::new(7, [8; 4], 9), test);
}

fn with_config(sizes: Sizes, config: hub::Config, test: impl FnOnce(&mut Hub<'_>)) {
    let mut conns = vec![Conn::FREE; sizes.conns];
    let mut members = vec![Member::FREE; sizes.members];
    let mut rooms = vec![Room::FREE; sizes.rooms];
    let mut bytes = vec![0; sizes.rooms * 2048];
    let mut index = vec![[0; 4]; sizes.rooms * 32];
    let mut pending = [Pending::FREE; 8];
    let storage = Storage {
        conns: &mut conns,
        members: &mut members,
        rooms: &mut rooms,
        bytes: &mut bytes,
        index: &mut index,
        pending: &mut pending,
    };
    test(&mut Hub::new(config, storage));
}

fn hello(number: u8, keepalive: u16) -> Message<'static> {
    Message::Hello(Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 1,
        device: [number; 16],
        max_frame: 4096,
        credit: 8,
        keepalive,
        proof: &[],
        cookie: None,
    })
}

fn join<'a>(slot: u8, room: &'a str, name: &'a str) -> Message<'a> {
    Message::Join(Join {
        slot,
        flags: 0,
        cursor: 0,
        history: u32::MAX,
        room: room.as_bytes(),
        name: name.as_bytes(),
    })
}

/// Takes all messages that are owed.
fn drain(hub: &mut Hub<'_>, now: Instant, id: hub::ConnId) -> Vec<String> {
    hub.commit_in_memory();
    let mut said = Vec::new();
    let mut out = [0; 4096];
    while let Transmit::Message(len) = hub.poll_transmit(now, id, &mut out) {
        let message = wire::binary::decode(&out[..len]).unwrap().message;
        said.push(format!("{message:?}"));
    }
    said
}

fn say(hub: &mut Hub<'_>, now: Instant, id: hub::ConnId, message: Message<'_>) -> Vec<String> {
    // A hub that forgets others for a join takes it after their commit.
    while hub.handle_message(now, id, &message).is_err() {
        hub.commit_in_memory();
    }
    drain(hub, now, id)
}

fn session(hub: &mut Hub<'_>, now: Instant, number: u8) -> hub::ConnId {
    let id = hub.connect(now).unwrap();
    say(hub, now, id, hello(number, 60));
    id
}

#[test]
fn a_refused_join_opens_no_room() {
    with_hub(FEW, |hub| {
        let rude = session(hub, at(0), 1);
        say(hub, at(0), rude, join(0, "a", "rude"));
        let refused = say(hub, at(0), rude, join(0, "b", "rude"));
        assert!(refused[0].contains("BadSlot"), "{refused:?}");
        assert_eq!(hub.head("b"), None, "nobody ever joined it");
        let good = session(hub, at(0), 2);
        let said = say(hub, at(0), good, join(0, "c", "good"));
        assert!(said[0].starts_with("Joined"), "{said:?}");
        // Refused since there is no room left: no member slot is lost by it either.
        for number in 3..20 {
            let late = session(hub, at(0), number);
            let refused = say(hub, at(0), late, join(0, "d", "late"));
            assert!(refused[0].contains("Full"), "{refused:?}");
            hub.handle_disconnected(at(0), late);
        }
        let said = say(hub, at(0), good, join(1, "a", "good"));
        assert!(said[0].starts_with("Joined"), "{said:?}");
    });
}

#[test]
fn rooms_without_members_and_entries_come_back() {
    with_hub(FEW, |hub| {
        let rude = session(hub, at(0), 1);
        for room in ["a", "b"] {
            say(hub, at(0), rude, join(0, room, "rude"));
            // A post that is refused leaves a number behind to be remembered, and no entry.
            let (seq, body) = (1, &[0; 3000][..]);
            say(hub, at(0), rude, Message::Post { slot: 0, seq, body });
            say(hub, at(0), rude, Message::Leave { slot: 0 });
            assert_eq!(hub.head(room), Some(0));
        }
        hub.handle_disconnected(at(0), rude);
        let later = after(at(100), SESSION_LIFETIME);
        hub.handle_timeout(later);
        let good = session(hub, later, 2);
        let said = say(hub, later, good, join(0, "c", "good"));
        assert!(said[0].starts_with("Joined"), "{said:?}");
        // Without a post they come back at once, under any name; with an entry never.
        for (slot, room) in (1..).zip(["d", "e", "f"]) {
            let said = say(hub, later, good, join(slot, room, "good"));
            assert!(said[0].starts_with("Joined"), "{said:?}");
            let (seq, body) = (1, &b"kept"[..]);
            if room == "f" {
                say(hub, later, good, Message::Post { slot, seq, body });
            }
            say(hub, later, good, Message::Leave { slot });
        }
        assert_eq!((hub.head("f"), hub.head("e")), (Some(1), None));
        let refused = say(hub, later, good, join(9, "g", "good"));
        assert!(refused[0].contains("Full"), "{refused:?}");
    });
}

#[test]
fn a_member_that_a_start_restored_is_forgotten_after_its_lifetime() {
    let one = Sizes { members: 1, ..FEW };
    with_hub(one, |hub| {
        hub.restore_room(0, "a", 1, 0).unwrap();
        hub.restore_member(at(0), 0, &[1; 16], 5, 0).unwrap();
        let early = session(hub, at(0), 2);
        let refused = say(hub, at(0), early, join(0, "a", "early"));
        assert!(refused[0].contains("Full"), "{refused:?}");
        let later = after(at(0), SESSION_LIFETIME);
        let late = session(hub, later, 3);
        let said = say(hub, later, late, join(0, "a", "late"));
        assert!(said[0].starts_with("Joined"), "{said:?}");
    });
}

#[test]
fn a_member_that_a_start_restored_and_that_never_comes_back_is_forgotten_at_once() {
    // [S-EPH-3]
    let one = Sizes { members: 1, ..FEW };
    with_hub(one, |hub| {
        hub.restore_room(0, "a", 1, 0).unwrap();
        let once = *b"one-time\x01\x02\x03\x04\x05\x06\x07\x08";
        hub.restore_member(at(0), 0, &once, 5, 0).unwrap();
        assert!(matches!(
            hub.poll_append(),
            Some(append) if append.verdict == hub::Verdict::Forgotten && *append.device == once
        ));
        hub.handle_appended(1);
        let early = session(hub, at(0), 2);
        let said = say(hub, at(0), early, join(0, "a", "early"));
        assert!(said[0].starts_with("Joined"), "{said:?}");
    });
}

/// The kinds of all datagrams that are owed.
fn kinds(hub: &mut Hub<'_>, now: Instant, id: hub::ConnId) -> Vec<u8> {
    let mut kinds = Vec::new();
    let mut out = [0; 2000];
    while let Transmit::Message(len) = hub.poll_transmit(now, id, &mut out) {
        kinds.extend(out[..len].get(HEADER));
    }
    kinds
}

#[test]
fn an_entry_above_a_datagram_is_a_gap_there_and_a_late_timer_sends_both_again() {
    let config = hub::Config {
        max_body: 2000,
        ..hub::Config::new(7, [8; 4], 9)
    };
    with_config(FEW, config, |hub| {
        let author = session(hub, at(0), 1);
        say(hub, at(0), author, join(0, "a", "ann"));
        let Message::Hello(hello) = hello(2, 60) else {
            panic!("a Hello");
        };
        let header = |number| Header {
            session: hello.nonce,
            number,
            seen: 0,
        };
        let id = hub.open_datagram(at(0), at(0), &header(1), &hello).unwrap();
        let taken = hub.handle_datagram(at(0), id, &header(2), &join(0, "a", "bob"));
        assert_eq!(taken, Ok(true));
        for (seq, len) in [(1, 600), (2, 1300)] {
            let body = &[0; 1300][..len];
            say(hub, at(0), author, Message::Post { slot: 0, seq, body });
        }
        let said = kinds(hub, at(0), id);
        assert!(said.ends_with(&[kind::ENTRY, kind::GAP]), "{said:?}");
        // Nothing is acknowledged, and the hub is looked after later than it asked for.
        hub.handle_timeout(at(3));
        let said = kinds(hub, at(3), id);
        assert!(said.ends_with(&[kind::ENTRY, kind::GAP]), "{said:?}");
        assert_eq!(hub.counters().resent, 1);
    });
}

#[test]
fn a_device_that_never_posted_is_not_remembered_instead_of_one_that_is_here() {
    with_hub(FEW, |hub| {
        for number in 0..8 {
            let reader = session(hub, at(0), number);
            say(hub, at(0), reader, join(0, "a", "reader"));
            let bye = Message::Bye(Bye {
                reason: ByeReason::Done,
                retry_after: 0,
            });
            say(hub, at(0), reader, bye);
            hub.handle_disconnected(at(0), reader);
        }
        let now = after(at(0), secs(29 * 24 * 3600));
        hub.handle_timeout(now);
        let good = session(hub, now, 99);
        let said = say(hub, now, good, join(0, "a", "good"));
        assert!(said[0].starts_with("Joined"), "{said:?}");
    });
}

/// The finaliser of `SplitMix64` undone.
fn unmix(word: u64) -> u64 {
    let unshift = |word: u64, by: u32| (0..3).fold(word, |w, _| word ^ (w >> by));
    let invert = |odd: u64| {
        (0..6).fold(1_u64, |x, _| {
            x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x)))
        })
    };
    let word = unshift(word, 31).wrapping_mul(invert(0x94d0_49bb_1331_11eb));
    let word = unshift(word, 27).wrapping_mul(invert(0xbf58_476d_1ce4_e5b9));
    unshift(word, 30).wrapping_sub(0x9e37_79b9_7f4a_7c15)
}

fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The numbers of the first two sessions of a hub with these secrets.
fn first_sessions(table_secret: u64, session_secret: [u32; 4]) -> [u64; 2] {
    let config = hub::Config::new(table_secret, session_secret, 9);
    let mut numbers = [0; 2];
    with_config(FEW, config, |hub| {
        for (device, number) in (1..).zip(&mut numbers) {
            let id = hub.connect(at(0)).unwrap();
            hub.handle_message(at(0), id, &hello(device, 60)).unwrap();
            let mut out = [0; 256];
            let Transmit::Message(len) = hub.poll_transmit(at(0), id, &mut out) else {
                panic!("a Welcome is owed");
            };
            let message = wire::binary::decode(&out[..len]).unwrap().message;
            let Message::Welcome(welcome) = message else {
                panic!("a Welcome comes first");
            };
            *number = welcome.session;
        }
    });
    numbers
}

#[test]
fn session_numbers_tell_no_secret_of_the_hub() {
    let (first, second) = ([1, 2, 3, 4], [1, 2, 3, 5]);
    let numbers = first_sessions(7, first);
    assert_eq!(
        numbers,
        first_sessions(8, first),
        "the tables' secret shows"
    );
    for (a, b) in numbers.iter().zip(first_sessions(7, second)) {
        assert_ne!(*a, b);
    }
    // Were they a counter that is only mixed, both would give the same secret.
    let [a, b] = numbers;
    assert_ne!(unmix(a) ^ mix(1), unmix(b) ^ mix(2));
    assert_ne!(unmix(a) ^ 1, unmix(b) ^ 2);
}

#[test]
fn devices_whose_links_broke_unseen_come_back_through_the_connection_to_spare() {
    let three = Sizes { conns: 3, ..FEW };
    with_hub(three, |hub| {
        let mut old = [1, 2].map(|number| {
            let id = hub.connect(at(0)).unwrap();
            say(hub, at(0), id, hello(number, 0));
            id
        });
        let year = at(365 * 24 * 3600);
        hub.handle_timeout(year);
        for (number, old) in (1..).zip(&mut old) {
            let back = hub.connect(year).unwrap();
            assert_eq!(hub.connect(year), Err(Full));
            let said = say(hub, year, back, hello(number, 0));
            assert!(said[0].starts_with("Welcome"), "{said:?}");
            let said = drain(hub, year, *old);
            assert!(said[0].contains("Replaced"), "{said:?}");
            hub.handle_disconnected(year, *old);
            *old = back;
        }
        assert!(hub.connect(year).is_ok());
    });
}

#[test]
fn each_ping_is_answered() {
    with_hub(FEW, |hub| {
        let id = session(hub, at(0), 1);
        hub.handle_message(at(0), id, &Message::Ping { token: 1 })
            .unwrap();
        let second = Message::Ping { token: 2 };
        assert_eq!(hub.handle_message(at(0), id, &second), Err(Busy));
        assert_eq!(drain(hub, at(0), id), ["Pong { token: 1 }"]);
        hub.handle_message(at(0), id, &second).unwrap();
        assert_eq!(drain(hub, at(0), id), ["Pong { token: 2 }"]);
    });
}

#[test]
fn a_notice_tells_the_count_after_its_change() {
    with_hub(FEW, |hub| {
        let watcher = session(hub, at(0), 1);
        say(hub, at(0), watcher, join(0, "a", "watcher"));
        let [first, _] = [2, 3].map(|number| {
            let id = session(hub, at(0), number);
            say(hub, at(0), id, join(0, "a", "guest"));
            id
        });
        say(hub, at(0), first, Message::Leave { slot: 0 });
        let told = drain(hub, at(0), watcher);
        let counts = [
            "Joined, members: 2",
            "Joined, members: 3",
            "Left, members: 2",
        ];
        for (told, count) in told.iter().zip(counts) {
            assert!(told.contains(count), "{told:?}");
        }
        assert_eq!(told.len(), 3);
    });
}

#[test]
fn a_keepalive_that_is_wished_for_is_never_0() {
    for (most, wish, interval) in [(0, 60, 1), (0, 0, 0), (300, 60, 60), (30, 60, 30)] {
        let mut config = hub::Config::new(7, [8; 4], 9);
        config.keepalive_max = most;
        with_config(FEW, config, |hub| {
            let id = hub.connect(at(0)).unwrap();
            let said = say(hub, at(0), id, hello(1, wish));
            let interval = format!("keepalive: {interval},");
            assert!(said[0].contains(&interval), "{said:?}");
        });
    }
}

#[test]
fn only_a_device_that_is_done_is_told_to_be_gone_at_once() {
    for (reason, gone_at_once) in [(ByeReason::Done, true), (ByeReason::Silent, false)] {
        with_hub(FEW, |hub| {
            let [watcher, guest] = [1, 2].map(|number| {
                let id = session(hub, at(0), number);
                say(hub, at(0), id, join(0, "a", "someone"));
                id
            });
            drain(hub, at(0), watcher);
            let retry_after = 0;
            let bye = Bye {
                reason,
                retry_after,
            };
            say(hub, at(0), guest, Message::Bye(bye));
            let is_told = |hub: &mut Hub<'_>, now| {
                hub.handle_timeout(now);
                drain(hub, now, watcher).iter().any(|m| m.contains("Left"))
            };
            assert_eq!(is_told(hub, at(14)), gone_at_once);
            assert_eq!(is_told(hub, at(15)), !gone_at_once);
        });
    }
}

/// The names that `Roster` messages hold, in order.
fn names(hub: &mut Hub<'_>, id: hub::ConnId, skip: u16, room: usize) -> Vec<String> {
    let who = Message::Who { slot: 0, skip };
    hub.handle_message(at(0), id, &who).unwrap();
    let mut out = vec![0; room];
    let Transmit::Message(len) = hub.poll_transmit(at(0), id, &mut out) else {
        panic!("a Roster is owed");
    };
    let message = wire::binary::decode(&out[..len]).unwrap().message;
    let Message::Roster(roster) = message else {
        panic!("no Roster: {message:?}");
    };
    assert_eq!(roster.skip, skip);
    roster.names.iter().map(str::to_owned).collect()
}

#[test]
fn a_roster_has_as_many_names_as_fit() {
    with_hub(FEW, |hub| {
        let name = |number| format!("a name of exactly 32 bytes, so.{number}");
        let mut last = None;
        for number in 0..8 {
            let id = session(hub, at(0), number);
            say(hub, at(0), id, join(0, "a", &name(number)));
            last = Some(id);
        }
        let last = last.unwrap();
        drain(hub, at(0), last);
        let all: Vec<_> = (0..8).map(name).collect();
        assert_eq!(names(hub, last, 0, 4096), all);
        // The least that a hub may be lent: ten bytes and four times 33, and again from there.
        assert_eq!(names(hub, last, 0, 160), all[..4]);
        assert_eq!(names(hub, last, 4, 160), all[4..]);
        assert_eq!(names(hub, last, 8, 160), all[8..]);
        // In any order, and when the one to go on from has left.
        assert_eq!(names(hub, last, 7, 160), all[7..]);
        assert_eq!(names(hub, last, 9, 160), all[8..]);
        assert_eq!(names(hub, last, 1, 160), all[1..5]);
    });
}

#[test]
fn a_roster_goes_on_though_the_member_to_go_on_from_has_left() {
    with_hub(FEW, |hub| {
        let name = |number| format!("a name of exactly 32 bytes, so.{number}");
        let ids = [0, 1, 2, 3, 4, 5].map(|number| {
            let id = session(hub, at(0), number);
            say(hub, at(0), id, join(0, "a", &name(number)));
            id
        });
        drain(hub, at(0), ids[0]);
        assert_eq!(names(hub, ids[0], 0, 160).len(), 4);
        say(hub, at(0), ids[4], Message::Leave { slot: 0 });
        drain(hub, at(0), ids[0]);
        assert_eq!(names(hub, ids[0], 4, 160), [name(5)]);
        // A roster that is owed goes with the membership.
        let who = Message::Who { slot: 0, skip: 0 };
        hub.handle_message(at(0), ids[0], &who).unwrap();
        let said = say(hub, at(0), ids[0], Message::Leave { slot: 0 });
        assert_eq!(said, [""; 0]);
    });
}

#[test]
fn a_large_room_is_told_name_by_name_and_no_skip_walks_all_of_it() {
    // [P-WHO-3]
    let sizes = Sizes {
        conns: 1501,
        members: 1501,
        rooms: 1,
    };
    with_hub(sizes, |hub| {
        let mut last = None;
        for number in 0..1501_u16 {
            let id = hub.connect(at(0)).unwrap();
            let Message::Hello(mut hello) = hello(0, 60) else {
                unreachable!();
            };
            hello.device[..2].copy_from_slice(&number.to_be_bytes());
            say(hub, at(0), id, Message::Hello(hello));
            let mut wish = Join {
                slot: 0,
                flags: Join::NO_PRESENCE,
                cursor: 0,
                history: 0,
                room: b"a",
                name: b"x",
            };
            let name = format!("n{number}");
            wish.name = name.as_bytes();
            say(hub, at(0), id, Message::Join(wish));
            last = Some(id);
        }
        let last = last.unwrap();
        let mut told = Vec::new();
        loop {
            let skip = u16::try_from(told.len()).unwrap();
            let more = names(hub, last, skip, 160);
            if more.is_empty() {
                break;
            }
            told.extend(more);
        }
        assert_eq!(told, Vec::from_iter((0..1501).map(|n| format!("n{n}"))));
        assert_eq!(names(hub, last, 1024, 160)[0], "n1024");
        assert_eq!(names(hub, last, 1025, 160), [""; 0]);
    });
}

#[test]
fn a_device_that_was_just_welcomed_is_not_asked_whether_it_is_there() {
    with_hub(FEW, |hub| {
        let id = hub.connect(at(1000)).unwrap();
        hub.handle_message(at(1000), id, &hello(1, 60)).unwrap();
        // Its pipe takes nothing yet, and the hub is called before that is seen.
        hub.handle_timeout(at(1000));
        let said = drain(hub, at(1000), id);
        assert!(said.iter().all(|m| m.starts_with("Welcome")), "{said:?}");
    });
}

#[test]
fn what_a_hub_refuses_is_said_in_words() {
    assert_eq!(Full.to_string(), "the hub takes no more connections");
    assert!(Busy.to_string().contains("before it has committed"));
    let refused = NotOpened::Refused(Code::Version);
    assert!(refused.to_string().ends_with(&Code::Version.to_string()));
    assert!(NotOpened::Stale.to_string().contains("newer session"));
}

#[test]
fn a_start_restores_each_room_that_there_is_a_place_for_under_its_number() {
    let sizes = Sizes { rooms: 32, ..FEW };
    with_hub(sizes, |hub| {
        let name = |number: u32| format!("room-{number}");
        for number in (0..32).filter(|number| *number != 1) {
            let restored = hub.restore_room(number, &name(number), 1, 5);
            assert_eq!(restored, Ok(()), "room {number}");
        }
        // Out of order, and more than there are.
        assert_eq!(hub.restore_room(1, &name(1), 1, 5), Err(Full));
        assert_eq!(hub.restore_room(32, &name(32), 1, 5), Err(Full));
        for number in 0..33 {
            let head = (number != 1 && number < 32).then_some(5);
            assert_eq!(hub.head(&name(number)), head, "room {number}");
        }
    });
}
