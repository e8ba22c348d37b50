//! What becomes of a post.

use super::*;

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
