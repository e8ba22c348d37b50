use super::*;
#[cfg(feature = "datagram")]
use crate::chat::datagram::Header;
use crate::time::secs;
use crate::wire::{self, Hello, Join, Message};
use std::vec::Vec;

/// A hub over memory for a few of everything, for the length of a test.
fn with_hub(test: impl FnOnce(&mut Hub<'_>)) {
    let (mut conns, mut members) = ([Conn::FREE; 6], [const { Member::FREE }; 6]);
    let mut rooms = [const { Room::FREE }; 2];
    let (mut bytes, mut index) = ([0; 2048], [[0; 4]; 32]);
    let mut pending = [Pending::FREE; 8];
    let storage = Storage {
        conns: &mut conns,
        members: &mut members,
        rooms: &mut rooms,
        bytes: &mut bytes,
        index: &mut index,
        pending: &mut pending,
    };
    test(&mut Hub::new(Config::new(7, [8; 4], 9), storage));
}

fn greeting(nonce: u64, keepalive: u16) -> Hello<'static> {
    Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce,
        device: [1; 16],
        max_frame: 512,
        credit: 8,
        keepalive,
        proof: &[],
        cookie: None,
    }
}

/// What a connection over datagrams says, each with its header.
#[cfg(feature = "datagram")]
fn said(hub: &mut Hub<'_>, now: Instant, id: ConnId) -> Vec<(Header, std::string::String)> {
    let (mut said, mut out) = (Vec::new(), [0; 256]);
    while let Transmit::Message(len) = hub.poll_transmit(now, id, &mut out) {
        let (header, message) = Header::decode(&out[..len]).unwrap();
        let message = wire::binary::decode(message).unwrap().message;
        said.push((header, std::format!("{message:?}")));
    }
    said
}

#[cfg(feature = "datagram")]
fn header(number: u32, seen: u32) -> Header {
    Header {
        session: 0,
        number,
        seen,
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_ticks(secs(seconds).as_ticks())
}

/// A session of device `number` that has joined a room as slot 0, with all that is owed taken.
fn member(hub: &mut Hub<'_>, now: Instant, number: u8, cursor: u64) -> ConnId {
    member_of(hub, now, number, b"lab", cursor)
}

fn member_of(hub: &mut Hub<'_>, now: Instant, number: u8, room: &[u8], cursor: u64) -> ConnId {
    let id = hub.connect(now).unwrap();
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 1,
        device: [number; 16],
        max_frame: 512,
        credit: 8,
        keepalive: 0,
        proof: &[],
        cookie: None,
    };
    hub.handle_message(now, id, &Message::Hello(hello)).unwrap();
    let join = Join {
        slot: 0,
        flags: 0,
        cursor,
        history: u32::MAX,
        room,
        name: b"someone",
    };
    hub.handle_message(now, id, &Message::Join(join)).unwrap();
    drain(hub, now, id);
    id
}

/// Takes all messages that are owed; their names.
fn drain(hub: &mut Hub<'_>, now: Instant, id: ConnId) -> Vec<std::string::String> {
    let mut said = Vec::new();
    let mut out = [0; 256];
    while let Transmit::Message(len) = hub.poll_transmit(now, id, &mut out) {
        let message = wire::binary::decode(&out[..len]).unwrap().message;
        said.push(std::format!("{message:?}"));
    }
    said
}

fn post(hub: &mut Hub<'_>, id: ConnId, seq: u32) {
    let body = b"a body";
    let message = Message::Post { slot: 0, seq, body };
    hub.handle_message(at(0), id, &message).unwrap();
    hub.commit_in_memory();
}

#[test]
fn one_that_comes_back_does_not_make_the_hub_forget_who_else_is_gone() {
    with_hub(|hub| {
        let watcher = member(hub, at(0), 1, 0);
        let first = member(hub, at(0), 2, 0);
        let second = member(hub, at(0), 3, 0);
        // The first is gone and told to be; then the second lingers, and the first comes back.
        hub.handle_disconnected(at(1), first);
        hub.handle_timeout(at(20));
        hub.handle_disconnected(at(20), second);
        let first = member(hub, at(21), 2, 0);
        drain(hub, at(21), watcher);
        hub.handle_timeout(at(21));
        let due = hub
            .poll_timeout()
            .expect("the second is still to be told gone");
        assert_eq!(due, at(35));
        hub.handle_timeout(due);
        let told = drain(hub, due, watcher);
        assert!(
            told.iter()
                .any(|t| t.contains("Left") && t.contains("members: 2")),
            "{told:?}"
        );
        // The first is a member as before: it gets what is posted.
        post(hub, watcher, 1);
        drain(hub, due, first);
        let mut out = [0; 256];
        let sent = hub.poll_transmit(due, first, &mut out);
        assert!(matches!(sent, Transmit::Entries(_)), "{sent:?}");
    });
}

#[test]
fn who_is_just_being_forgotten_is_told_where_it_stands_after_the_commit() {
    // [D-JOIN-2]
    with_hub(|hub| {
        let watcher = member(hub, at(0), 1, 0);
        let gone = member(hub, at(0), 2, 0);
        member_of(hub, at(0), 3, b"yard", 0);
        post(hub, gone, 1);
        hub.handle_message(at(1), gone, &Message::Leave { slot: 0 })
            .unwrap();
        let join = |slot, room| {
            Message::Join(Join {
                slot,
                flags: 0,
                cursor: 0,
                history: u32::MAX,
                room,
                name: b"someone",
            })
        };
        // For a third room somebody is forgotten, and the one who has left longest is.
        let opens = hub.handle_message(at(700), watcher, &join(1, b"roof"));
        assert_eq!(opens, Err(Busy));
        // A crash could still take that back.
        let back = hub.handle_message(at(700), gone, &join(0, b"lab"));
        assert_eq!(back, Err(Busy));
        hub.commit_in_memory();
        hub.handle_message(at(700), gone, &join(0, b"lab")).unwrap();
        let said = drain(hub, at(700), gone);
        assert!(
            said.iter().any(|said| said.contains("up_seq: 0")),
            "{said:?}"
        );
    });
}

#[test]
fn while_one_is_being_forgotten_only_those_wait_who_need_its_place() {
    // [D-JOIN-2]
    with_hub(|hub| {
        let watcher = member(hub, at(0), 1, 0);
        let gone = member(hub, at(0), 2, 0);
        let other = member_of(hub, at(0), 3, b"yard", 0);
        post(hub, gone, 1);
        hub.handle_message(at(1), gone, &Message::Leave { slot: 0 })
            .unwrap();
        let join = |room| {
            Message::Join(Join {
                slot: 1,
                flags: 0,
                cursor: 0,
                history: u32::MAX,
                room,
                name: b"someone",
            })
        };
        for (id, room) in [(watcher, b"roof"), (other, b"shed")] {
            let opens = hub.handle_message(at(700), id, &join(room));
            assert_eq!(opens, Err(Busy), "both need a third room");
        }
        // A place is free for one who is new in a room, and for the one elsewhere.
        member(hub, at(700), 4, 0);
        let elsewhere = hub.handle_message(at(700), gone, &join(b"yard"));
        assert_eq!(elsewhere, Ok(()));
    });
}

#[test]
fn what_an_old_connection_reports_late_moves_no_cursor_of_a_new_one() {
    with_hub(|hub| {
        let author = member(hub, at(0), 1, 0);
        let old = member(hub, at(0), 2, 0);
        (1..=3).for_each(|seq| post(hub, author, seq));
        drain(hub, at(0), old);
        let mut out = [0; 256];
        let Transmit::Entries(entries) = hub.poll_transmit(at(0), old, &mut out) else {
            panic!("entries are there");
        };
        let (whole, sent) = ([entries.head, entries.tail].concat(), entries.sent);
        // The device comes back before the old connection's write is reported.
        let new = member(hub, at(0), 2, 0);
        let rest = hub.handle_sent(at(0), old, sent, 10);
        assert_eq!(
            rest,
            &whole[10..whole.len() / 3],
            "the frame that was begun is finished"
        );
        let Transmit::Entries(entries) = hub.poll_transmit(at(0), new, &mut out) else {
            panic!("entries are there");
        };
        assert_eq!([entries.head, entries.tail].concat(), whole);
    });
}

#[test]
fn a_frame_that_was_begun_and_then_evicted_closes_its_connection() {
    with_hub(|hub| {
        let author = member(hub, at(0), 1, 0);
        let reader = member(hub, at(0), 2, 0);
        post(hub, author, 1);
        drain(hub, at(0), reader);
        let mut out = [0; 256];
        let Transmit::Entries(entries) = hub.poll_transmit(at(0), reader, &mut out) else {
            panic!("entries are there");
        };
        let sent = entries.sent;
        (2..=40).for_each(|seq| post(hub, author, seq));
        assert!(hub.handle_sent(at(0), reader, sent, 10).is_empty());
        assert_eq!(hub.poll_transmit(at(0), reader, &mut out), Transmit::Close);
    });
}

#[test]
fn entries_that_were_evicted_after_they_were_written_close_nothing() {
    with_hub(|hub| {
        let author = member(hub, at(0), 1, 0);
        let reader = member(hub, at(0), 2, 0);
        post(hub, author, 1);
        drain(hub, at(0), reader);
        let mut out = [0; 256];
        let Transmit::Entries(entries) = hub.poll_transmit(at(0), reader, &mut out) else {
            panic!("entries are there");
        };
        let (sent, len) = (entries.sent, entries.head.len() + entries.tail.len());
        (2..=40).for_each(|seq| post(hub, author, seq));
        assert!(hub.handle_sent(at(0), reader, sent, len).is_empty());
        let next = hub.poll_transmit(at(0), reader, &mut out);
        assert_ne!(next, Transmit::Close);
    });
}

#[test]
fn a_connection_that_took_a_part_has_the_rest_to_send() {
    with_hub(|hub| {
        let author = member(hub, at(0), 1, 0);
        let reader = member(hub, at(0), 2, 0);
        (1..=2).for_each(|seq| post(hub, author, seq));
        drain(hub, at(0), reader);
        while hub.poll_ready().is_some() {}
        let mut out = [0; 256];
        let Transmit::Entries(entries) = hub.poll_transmit(at(0), reader, &mut out) else {
            panic!("entries are there");
        };
        let sent = entries.sent;
        assert!(!hub.handle_sent(at(0), reader, sent, 1).is_empty());
        assert_eq!(hub.poll_ready(), Some(reader));
    });
}

#[test]
fn what_the_former_owner_of_a_slot_posted_is_no_post_of_the_next_one() {
    with_hub(|hub| {
        for number in 1..6 {
            member(hub, at(0), number, 0);
        }
        let gone = member(hub, at(0), 6, 0);
        post(hub, gone, 1);
        let leave = Message::Leave { slot: 0 };
        hub.handle_message(at(1), gone, &leave).unwrap();
        hub.handle_disconnected(at(1), gone);
        let next = hub.connect(at(700)).unwrap();
        let hello = Hello {
            device: [7; 16],
            ..greeting(1, 0)
        };
        let hello = Message::Hello(hello);
        hub.handle_message(at(700), next, &hello).unwrap();
        let join = Message::Join(Join {
            slot: 0,
            flags: 0,
            cursor: 0,
            history: u32::MAX,
            room: b"lab",
            name: b"someone",
        });
        assert_eq!(hub.handle_message(at(700), next, &join), Err(Busy));
        hub.commit_in_memory();
        hub.handle_message(at(700), next, &join).unwrap();
        post(hub, next, 1);
        let said = drain(hub, at(700), next);
        assert!(!said.iter().any(|m| m.contains("Entry")), "{said:?}");
        let mut out = [0; 256];
        let sent = hub.poll_transmit(at(700), next, &mut out);
        assert!(matches!(sent, Transmit::Entries(_)), "{sent:?}");
    });
}

#[test]
fn a_member_slot_that_is_another_s_by_now_is_not_moved_by_what_is_reported_late() {
    with_hub(|hub| {
        let author = member(hub, at(0), 1, 0);
        (1..=3).for_each(|seq| post(hub, author, seq));
        let reader = member(hub, at(0), 2, 0);
        let mut out = [0; 256];
        let Transmit::Entries(entries) = hub.poll_transmit(at(0), reader, &mut out) else {
            panic!("entries are there");
        };
        let (whole, sent) = ([entries.head, entries.tail].concat(), entries.sent);
        // It posted nothing, so its slot is free once it left, and the only one.
        for number in 3..=6 {
            member(hub, at(0), number, 0);
        }
        let leave = Message::Leave { slot: 0 };
        hub.handle_message(at(0), reader, &leave).unwrap();
        let join = Join {
            slot: 1,
            flags: 0,
            cursor: 0,
            history: u32::MAX,
            room: b"other",
            name: b"someone",
        };
        hub.handle_message(at(0), reader, &Message::Join(join))
            .unwrap();
        let rest = hub.handle_sent(at(0), reader, sent, 10);
        assert_eq!(rest, &whole[10..whole.len() / 3]);
    });
}

#[test]
fn presence_in_large_rooms_is_told_a_room_at_a_time() {
    let mut conns = std::vec![Conn::FREE; 72];
    let mut members = std::vec![Member::FREE; 72];
    let mut rooms = [const { Room::FREE }; 2];
    let storage = Storage {
        conns: &mut conns,
        members: &mut members,
        rooms: &mut rooms,
        bytes: &mut [0; 2048],
        index: &mut [[0; 4]; 32],
        pending: &mut [Pending::FREE; 8],
    };
    let hub = &mut Hub::new(Config::new(7, [8; 4], 9), storage);
    let ids = Vec::from_iter((0..70).map(|number| {
        let room = [&b"a"[..], b"b"][usize::from(number % 2)];
        member_of(hub, at(0), number, room, 0)
    }));
    while hub.poll_timeout() == Some(at(0)) {
        hub.handle_timeout(at(0));
    }
    assert_eq!(hub.poll_timeout(), Some(at(1)), "not before its pace");
    let drain_all = |hub: &mut Hub<'_>| {
        let told = ids.iter().map(|&id| drain(hub, at(1), id));
        Vec::from_iter(told.map(|told| told.iter().any(|m| m.contains("Notice"))))
    };
    // They are told what is owed from when the rooms were small; then the rooms change again.
    drain_all(hub);
    member_of(hub, at(0), 70, b"a", 0);
    member_of(hub, at(0), 71, b"b", 0);
    let due = hub.poll_timeout().unwrap();
    assert_eq!(due, at(1));
    hub.handle_timeout(due);
    assert_eq!(
        hub.poll_timeout(),
        Some(due),
        "the second room is due still"
    );
    let first = drain_all(hub);
    hub.handle_timeout(due);
    let second = drain_all(hub);
    for (number, (first, second)) in first.iter().zip(&second).enumerate() {
        assert_eq!([*first, *second], [number % 2 == 0, number % 2 == 1]);
    }
    assert_eq!(hub.poll_timeout(), None);
}

#[test]
fn a_large_room_that_empties_is_another_room_while_its_presence_is_still_to_be_told() {
    let mut conns = std::vec![Conn::FREE; 40];
    let mut members = std::vec![Member::FREE; 40];
    let storage = Storage {
        conns: &mut conns,
        members: &mut members,
        rooms: &mut [Room::FREE],
        bytes: &mut [0; 2048],
        index: &mut [[0; 4]; 32],
        pending: &mut [Pending::FREE; 8],
    };
    let hub = &mut Hub::new(Config::new(7, [8; 4], 9), storage);
    let ids = Vec::from_iter((0..40).map(|number| member_of(hub, at(0), number, b"a", 0)));
    for &id in &ids {
        let leave = Message::Leave { slot: 0 };
        hub.handle_message(at(0), id, &leave).unwrap();
    }
    assert_eq!(hub.head("a"), None);
    for &id in &ids {
        hub.handle_disconnected(at(0), id);
    }
    let ids = Vec::from_iter((0..40).map(|number| member_of(hub, at(0), number, b"b", 0)));
    while let Some(due) = hub.poll_timeout() {
        hub.handle_timeout(due);
    }
    let first = ids.first().copied().unwrap();
    let told = drain(hub, at(1), first);
    assert!(told.iter().any(|m| m.contains("members: 40")), "{told:?}");
}

#[test]
fn a_notice_about_the_former_owner_of_a_slot_names_nobody_else() {
    with_hub(|hub| {
        let watcher = member(hub, at(0), 1, 0);
        for number in 2..6 {
            member(hub, at(0), number, 0);
        }
        drain(hub, at(0), watcher);
        // It takes the last slot, leaves it, and takes it again under another name.
        let last = member(hub, at(0), 6, 0);
        let leave = Message::Leave { slot: 0 };
        hub.handle_message(at(0), last, &leave).unwrap();
        let join = Message::Join(Join {
            slot: 0,
            flags: 0,
            cursor: 0,
            history: u32::MAX,
            room: b"lab",
            name: b"other",
        });
        hub.handle_message(at(0), last, &join).unwrap();
        let mut told = drain(hub, at(0), watcher);
        assert_eq!(told.len(), 3, "{told:?}");
        told.retain(|notice| notice.contains("other"));
        assert!(
            matches!(&told[..], [one] if one.contains("Joined")),
            "{told:?}"
        );
    });
}

#[cfg(feature = "datagram")]
#[test]
fn what_a_welcome_over_datagrams_grants_is_what_datagrams_carry() {
    // [F-DGRAM-2] [F-DGRAM-3] [F-POST-1] [F-HELLO-4] [F-HELLO-6]
    with_hub(|hub| {
        hub.config.max_body = 5000;
        let hello = greeting(7, 0);
        let id = hub.open_datagram(at(1), at(0), &header(2, 0), &hello);
        let id = id.unwrap();
        let session = hub.session(id).unwrap();
        let all = said(hub, at(1), id);
        let [(front, welcome)] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!((front.session, front.number, front.seen), (7, 1, 2));
        for granted in ["max_body: 1200,", "window: 4,", "keepalive: 300,"] {
            assert!(welcome.contains(granted), "{welcome}");
        }
        assert_eq!(
            hub.open_datagram(at(2), at(0), &header(3, 0), &hello),
            Ok(id)
        );
        let again = said(hub, at(2), id);
        assert_eq!((again[0].0.number, &again[0].1), (2, welcome));
        assert_eq!(hub.session(id), Some(session));
        // A stream's session is fenced like any other, and fences a Hello that is older.
        let stream = hub.connect(at(3)).unwrap();
        let newer = Message::Hello(greeting(8, 0));
        hub.handle_message(at(3), stream, &newer).unwrap();
        let late = hub.open_datagram(at(4), at(2), &header(4, 0), &greeting(9, 0));
        assert_eq!(late, Err(NotOpened::Stale));
        let fresh = hub.open_datagram(at(4), at(4), &header(4, 0), &greeting(9, 0));
        assert!(fresh.is_ok());
        assert_eq!(hub.counters().fenced, 2);
    });
}

#[cfg(feature = "datagram")]
#[test]
fn over_datagrams_an_ack_waits_for_the_commit_of_all_that_came() {
    // [F-POST-2]
    with_hub(|hub| {
        let id = hub.open_datagram(at(0), at(0), &header(1, 0), &greeting(7, 25));
        let id = id.unwrap();
        let join = Join {
            slot: 0,
            flags: 0,
            cursor: 0,
            history: u32::MAX,
            room: b"lab",
            name: b"someone",
        };
        let mut number = 1;
        let mut hand = |hub: &mut Hub<'_>, message: &Message<'_>| {
            number += 1;
            hub.handle_datagram(at(0), id, &header(number, 0), message)
        };
        let post = |seq| Message::Post {
            slot: 0,
            seq,
            body: b"a body",
        };
        assert_eq!(hand(hub, &Message::Join(join)), Ok(true));
        said(hub, at(0), id);
        assert_eq!(hand(hub, &post(1)), Ok(true));
        hub.commit_in_memory();
        said(hub, at(0), id);
        assert_eq!(hand(hub, &post(2)), Ok(true));
        assert_eq!(hand(hub, &post(1)), Ok(true));
        assert_eq!(said(hub, at(0), id), []);
        hub.commit_in_memory();
        let all = said(hub, at(0), id);
        assert!(all[0].1.contains("up_seq: 2"), "{all:?}");
    });
}
