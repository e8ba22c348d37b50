//! How rooms are joined and left, and what of a log with another name.

use super::*;
use halloo_core::wire::{Lineage, MAX_LINEAGE};

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
fn a_member_that_finds_the_hub_full_keeps_its_posts_and_asks_again() {
    // [D-JOIN-10]
    let refusal = Message::Reject {
        slot: 0,
        seq: 0,
        code: Code::Full,
    };
    let mut device = LoneDevice::member();
    (1..=2).for_each(|offset| assert!(device.hears(&entry(5, offset)).is_some()));
    for _ in 0..2 {
        device.client.post(0, b"a body").unwrap();
    }
    assert_eq!(seqs(&device.says()), [1, 2]);
    device.lose();
    device.events();
    assert_eq!(first_join(&device.open()), (0, 2, u32::MAX));
    for round in 0..3 {
        device.hears(&refusal);
        assert_eq!(device.wait(9), [], "in round {round}");
        assert_eq!(first_join(&device.wait(2)), (0, 2, u32::MAX));
    }
    device.hears(&refusal);
    assert_eq!(device.events(), [], "nothing is given up");
    // Its next session does not wait.
    device.lose();
    assert_eq!(first_join(&device.open()), (0, 2, u32::MAX));
    let said = device.hears_joined(&Joined {
        start: 2,
        head: 2,
        ..joined(0)
    });
    assert_eq!(seqs(&said), [1, 2], "its posts under their numbers");
    device.hears(&ack(2, 0));
    let acked = |event: &&Event| matches!(event, Event::Acked { .. });
    assert_eq!(device.events().iter().filter(acked).count(), 2);
}

#[test]
fn a_hub_that_stays_full_is_asked_seven_times_and_then_the_application_is_told() {
    // [D-JOIN-10]
    let (slot, code) = (0, Code::Full);
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    device.says();
    device.client.post(0, b"not sent").unwrap();
    device.lose();
    device.events();
    device.open();
    for _ in 0..6 {
        device.hears(&Message::Reject { slot, seq: 0, code });
        assert_eq!(device.events(), []);
        assert_eq!(first_join(&device.wait(10)), (0, 0, u32::MAX));
    }
    device.hears(&Message::Reject { slot, seq: 0, code });
    let told = [
        Event::Unknown { slot, seq: 1, code },
        Event::Rejected { slot, seq: 2, code },
        Event::Refused { slot, code },
    ];
    assert_eq!(device.events(), told);
    assert_eq!(device.wait(60), []);
}

#[test]
fn one_that_leaves_a_room_that_the_hub_has_no_place_for_has_left() {
    // [D-JOIN-10]
    let mut device = LoneDevice::member();
    device.lose();
    device.open();
    device.hears(&Message::Reject {
        slot: 0,
        seq: 0,
        code: Code::Full,
    });
    device.events();
    device.client.leave(0);
    assert_eq!(device.events(), [Event::Left { slot: 0 }]);
    assert_eq!(device.wait(60), []);
    assert_eq!(device.client.join("den", From::Latest), Ok(0));
}

#[test]
fn a_first_join_that_is_refused_since_the_hub_is_full_is_told() {
    // [D-JOIN-3]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Earliest).unwrap();
    device.open();
    device.events();
    let (slot, code) = (0, Code::Full);
    device.hears(&Message::Reject { slot, seq: 0, code });
    assert_eq!(device.events(), [Event::Refused { slot, code }]);
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

/// A device that knows the log (9, 1) and has the posts 2 to 4 on the way in it, and meets another.
fn meets_another_log(store: u64, generation: u32, lineage: &[u32]) -> LoneDevice {
    let mut device = LoneDevice::member();
    for _ in 0..4 {
        device.client.post(0, b"a body").unwrap();
    }
    device.says();
    device.hears(&ack(1, 0));
    device.lose();
    device.connect();
    let mut place = [0; 4 * MAX_LINEAGE];
    let welcome = Welcome {
        store,
        generation,
        lineage: Lineage::write(lineage, &mut place),
        ..device.welcome()
    };
    device.open_with(&welcome);
    device
}

/// The third of its posts was rejected there, or one of another device's life was.
const STANDS: Joined = Joined {
    up_seq: 3,
    rejects: 1,
    ..joined(0)
};

#[test]
fn a_log_that_goes_on_from_the_one_it_knows_tells_which_posts_have_their_verdict() {
    // [D-STORE-4] [D-STORE-5]
    let lineages = [&[1][..], &[7, 1], &[7, 6, 5, 4, 3, 2, 1]];
    for lineage in lineages {
        let mut device = meets_another_log(9, 8, lineage);
        device.hears(&Message::Joined(STANDS));
        let (slot, code) = (0, Code::Other(0));
        let told = device.events();
        let verdicts = [
            Event::Acked { slot, seq: 2 },
            Event::Rejected { slot, seq: 3, code },
            Event::StoreChanged { slot },
        ];
        assert_eq!(told[..3], verdicts, "{lineage:?}");
        assert_eq!(seqs(&device.says()), [4]);
    }
}

#[test]
fn a_log_of_another_branch_acknowledges_nothing_and_gets_every_post() {
    // [D-STORE-4] [D-STORE-6]
    let others = [
        (9, &[][..]),
        (9, &[7, 6]),
        (8, &[1]),
        (9, &[7, 0x0100_0000]),
    ];
    for (store, lineage) in others {
        let mut device = meets_another_log(store, 8, lineage);
        device.hears(&Message::Joined(STANDS));
        let slot = 0;
        assert_eq!(device.events()[0], Event::StoreChanged { slot });
        assert_eq!(seqs(&device.says()), [4, 5, 6], "{store} {lineage:?}");
        device.hears(&ack(6, 0));
        let told = [2, 3, 4].map(|seq| Event::Acked { slot, seq });
        assert_eq!(device.events(), told, "its own numbers stay");
    }
}

#[test]
fn a_log_of_another_branch_that_takes_no_join_changes_nothing() {
    // [D-STORE-2]
    let mut device = meets_another_log(9, 8, &[7]);
    device.lose();
    device.open();
    device.hears(&Message::Joined(STANDS));
    let (slot, code) = (0, Code::Other(0));
    let told = device.events();
    let verdicts = [
        Event::Acked { slot, seq: 2 },
        Event::Rejected { slot, seq: 3, code },
    ];
    assert_eq!(told[..2], verdicts);
    assert!(!told.contains(&Event::StoreChanged { slot }), "{told:?}");
    assert_eq!(seqs(&device.says()), [4]);
}

#[test]
fn a_slot_has_a_cursor_once_it_is_known_where_its_room_stands() {
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    let cursors = |device: &LoneDevice| [0, 1].map(|slot| device.client.cursor(slot));
    assert_eq!(cursors(&device), [None, None]);
    device.open();
    device.hears_joined(&joined(0));
    assert_eq!(cursors(&device), [Some(0), None]);
}

#[test]
fn a_slot_is_free_while_another_s_posts_wait() {
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    assert_eq!(device.client.join("yard", From::Latest), Ok(1));
}

#[test]
fn who_is_there_is_asked_once_for_each_question_of_the_application() {
    let mut device = LoneDevice::member();
    device.client.who(0, 3);
    device.client.who(9, 0);
    let said = device.says();
    let asked: Vec<_> = said.iter().map(Said::message).collect();
    assert_eq!(asked, [Message::Who { slot: 0, skip: 3 }]);
    assert_eq!(device.says(), []);
}

#[test]
fn a_log_that_ends_before_the_cursor_is_told_and_read_from_where_the_hub_says() {
    // [D-STORE-2]
    for (start, is_changed) in [(1, true), (2, false)] {
        let mut device = LoneDevice::member();
        (1..=2).for_each(|offset| assert!(device.hears(&entry(5, offset)).is_some()));
        device.lose();
        device.open();
        device.hears(&Message::Joined(Joined {
            start,
            head: start,
            ..joined(0)
        }));
        let changed = Event::StoreChanged { slot: 0 };
        assert_eq!(device.events().contains(&changed), is_changed, "at {start}");
        assert_eq!(device.client.cursor(0), Some(start));
    }
}

#[test]
fn where_the_latest_is_was_never_another_log() {
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    device.open();
    let (slot, head, members) = (0, 7, 1);
    device.hears(&Message::Joined(Joined {
        start: head,
        head,
        ..joined(0)
    }));
    let told = Event::Joined {
        slot,
        head,
        members,
    };
    assert_eq!(device.events(), [told]);
    assert_eq!(device.client.cursor(0), Some(7));
}

#[test]
fn a_limit_on_history_holds_until_a_join_that_it_cuts_nothing_off() {
    // What the room has, and what the next join asks for while nothing was read.
    for (head, asked) in [(4, u32::MAX), (5, u32::MAX), (6, 5)] {
        let mut device = LoneDevice::default();
        device.client.join("lab", From::Last(5)).unwrap();
        assert_eq!(first_join(&device.open()), (0, 0, 5));
        device.hears_joined(&Joined { head, ..joined(0) });
        device.lose();
        assert_eq!(first_join(&device.open()), (0, 0, asked), "of {head}");
    }
}

#[test]
fn a_room_is_joined_once_until_it_is_left() {
    let mut device = LoneDevice::default();
    assert_eq!(device.client.join("lab", From::Latest), Ok(0));
    let again = Err(JoinError::Again);
    assert_eq!(device.client.join("lab", From::Latest), again);
    device.client.leave(0);
    assert_eq!(device.events(), [Event::Left { slot: 0 }]);
    assert_eq!(device.client.join("lab", From::Latest), Ok(0));
}

#[test]
fn a_join_says_what_the_application_asks_for() {
    for flags in [0, Join::OWN_BODIES, Join::OWN_BODIES | Join::NO_PRESENCE] {
        let mut device = LoneDevice::default();
        let joined = device.client.join_with("lab", From::Latest, flags);
        assert_eq!(joined, Ok(0));
        let said = device.open();
        let asked = |said: &Said| matches!(said.message(), Message::Join(j) if j.flags == flags);
        assert!(said.iter().any(asked), "{flags}: {said:?}");
    }
}

#[test]
fn a_slot_is_free_once_the_verdicts_of_its_posts_are_told() {
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    device.lose();
    device.open();
    let (slot, code) = (0, Code::NotAllowed);
    device.hears(&Message::Reject { slot, seq: 0, code });
    assert_eq!(device.client.join("den", From::Latest), Ok(1), "0 is owed");
    assert!(matches!(
        device.client.poll_event(),
        Some(Event::Rejected { slot: 0, .. })
    ));
    let none = Err(JoinError::NoSlot);
    assert_eq!(device.client.join("yard", From::Latest), none);
    assert_eq!(device.events(), [Event::Refused { slot, code }]);
    assert_eq!(device.client.join("yard", From::Latest), Ok(0));
}

#[test]
fn a_slot_is_free_though_its_told_posts_lie_behind_another_s() {
    let mut device = LoneDevice::member();
    device.client.join("den", From::Latest).unwrap();
    device.says();
    device.hears_joined(&Joined {
        room: 6,
        ..joined(1)
    });
    device.client.post(1, b"waits").unwrap();
    device.client.post(0, b"is kept").unwrap();
    device.says();
    device.hears(&ack(1, 0));
    device.client.leave(0);
    device.says();
    let (slot, seq) = (0, 1);
    let told = [Event::Acked { slot, seq }, Event::Left { slot }];
    assert_eq!(device.events(), told);
    assert_eq!(device.client.join("yard", From::Latest), Ok(0));
}
