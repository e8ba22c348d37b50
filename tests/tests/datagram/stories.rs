//! One loss at a time: what makes it good, and that it does so before a timer where it can.

use halloo_core::chat::client::From;
use halloo_core::time::{millis, secs};
use halloo_core::wire::kind;

use crate::world::{Slots, World};

const TO_HUB: bool = true;
const TO_DEVICE: bool = false;

/// Two devices in one room, at rest.
fn with_two(entries: usize, test: impl FnOnce(&mut World<'_>)) {
    let mut slots = Slots::new(entries);
    let mut world = World::new(&mut slots, 1, 2);
    for at in 0..2 {
        world.join(at, "lab", From::Earliest);
    }
    world.run_for(secs(3));
    assert!(world.is_settled());
    test(&mut world);
}

/// Runs until all is well; how many milliseconds that took.
#[track_caller]
fn settle(world: &mut World<'_>) -> u64 {
    for step in 0..10_000 {
        if world.is_settled() {
            return step * 10;
        }
        world.run_for(millis(10));
    }
    panic!("it does not settle");
}

#[test]
fn a_lost_welcome_is_said_again_for_the_same_session() {
    // [F-HELLO-4] [F-TIMER-3]
    let mut slots = Slots::new(16);
    let mut world = World::new(&mut slots, 1, 1);
    world.lose = vec![(TO_DEVICE, kind::WELCOME); 2];
    world.join(0, "lab", From::Earliest);
    let _ = settle(&mut world);
    assert_eq!(world.sent[&(TO_DEVICE, kind::WELCOME)], 3);
    assert_eq!(world.hub.counters().sessions, 1);
}

#[test]
fn a_lost_retry_or_hello_is_said_again() {
    // [F-TIMER-3]
    let mut slots = Slots::new(16);
    let mut world = World::new(&mut slots, 1, 1);
    world.lose = vec![(TO_DEVICE, kind::RETRY), (TO_HUB, kind::HELLO)];
    let took = settle(&mut world);
    assert!((2000..4000).contains(&took), "{took}");
}

#[test]
fn a_lost_join_or_joined_makes_one_membership() {
    // [F-JOIN-1] [F-TIMER-3]
    with_two(16, |world| {
        world.lose = vec![(TO_HUB, kind::JOIN), (TO_DEVICE, kind::JOINED)];
        world.post(0, 0);
        world.join(1, "yard", From::Earliest);
        let _ = settle(world);
        world.run_for(secs(1));
        world.post(1, 1);
        let _ = settle(world);
        assert_eq!(world.sent[&(TO_HUB, kind::JOIN)], 2 + 3);
        assert_eq!(world.log("yard").len(), 1);
    });
}

#[test]
fn a_lost_leave_or_its_answer_frees_the_slot_in_the_end() {
    // [F-JOIN-2] [F-TIMER-3]
    with_two(16, |world| {
        world.lose = vec![(TO_HUB, kind::LEAVE), (TO_DEVICE, kind::REJECT)];
        world.leave(1, 0);
        world.run_for(secs(10));
        assert_eq!(world.sides[1].client.room(0), None);
        assert_eq!(world.sent[&(TO_HUB, kind::LEAVE)], 3);
        world.join(1, "yard", From::Earliest);
        world.post(0, 0);
        let _ = settle(world);
        world.post(1, 0);
        let _ = settle(world);
        assert_eq!((world.log("lab").len(), world.log("yard").len()), (1, 1));
    });
}

#[test]
fn a_lost_ack_comes_with_the_answer_to_the_post_again() {
    // [F-TIMER-3]
    with_two(16, |world| {
        world.lose = vec![(TO_DEVICE, kind::ACK)];
        world.post(0, 0);
        let _ = settle(world);
        assert_eq!(world.hub.counters().repeated, 1);
        assert_eq!(world.log("lab").len(), 1);
    });
}

#[test]
fn a_lost_post_is_sent_again_as_soon_as_an_ack_does_not_cover_it() {
    // [F-POST-2]
    with_two(16, |world| {
        world.lose = vec![(TO_HUB, kind::POST)];
        (0..3).for_each(|_| world.post(0, 0));
        let took = settle(world);
        assert!(took < 200, "{took} ms, as a timer would take");
        // The first alone was lost; those behind it were out of order.
        assert_eq!(world.sent[&(TO_HUB, kind::POST)], 6);
    });
}

#[test]
fn no_more_posts_are_on_the_way_than_the_window_lets() {
    // [F-POST-1]
    with_two(16, |world| {
        world.mute = Some(0);
        (0..6).for_each(|_| world.post(0, 0));
        world.run_for(millis(100));
        assert_eq!(world.sent[&(TO_HUB, kind::POST)], 4);
    });
}

#[test]
fn a_lost_entry_is_sent_again_as_soon_as_the_device_tells_what_it_has() {
    // [F-CURSOR-2] [F-CURSOR-3] [D-ENTRY-3]
    with_two(16, |world| {
        world.lose = vec![(TO_DEVICE, kind::ENTRY)];
        (0..3).for_each(|_| world.post(0, 0));
        let took = settle(world);
        assert!(took < 200, "{took} ms, as a timer would take");
        assert_eq!(world.hub.counters().resent, 0);
    });
}

#[test]
fn a_lost_last_entry_is_sent_again_by_the_timer() {
    // [F-CURSOR-3]
    with_two(16, |world| {
        world.post(0, 0);
        let _ = settle(world);
        world.run_for(secs(1));
        // The marker for its author, and the entry for the other.
        world.lose = vec![(TO_DEVICE, kind::ENTRY); 2];
        world.post(0, 0);
        let _ = settle(world);
        assert_eq!(world.hub.counters().resent, 2);
    });
}

#[test]
fn one_credit_answers_many_entries() {
    // [F-CURSOR-2]
    with_two(64, |world| {
        (0..3).for_each(|_| world.post(0, 0));
        let _ = settle(world);
        world.run_for(secs(1));
        assert_eq!(world.sent[&(TO_HUB, kind::CREDIT)], 2);
    });
}

#[test]
fn a_lost_gap_is_told_again() {
    // [F-CURSOR-4]
    let mut slots = Slots::new(4);
    let mut world = World::new(&mut slots, 1, 2);
    world.join(0, "lab", From::Earliest);
    world.run_for(secs(1));
    for _ in 0..20 {
        world.post(0, 0);
        let _ = settle(&mut world);
    }
    world.run_for(secs(1));
    world.lose = vec![(TO_DEVICE, kind::GAP); 2];
    world.join(1, "lab", From::Earliest);
    let _ = settle(&mut world);
    assert_eq!(world.gaps, 1);
    assert_eq!(world.sent[&(TO_DEVICE, kind::GAP)], 3);
}

#[test]
fn a_device_that_acknowledges_nothing_is_sent_no_more_than_a_window() {
    // [F-CURSOR-1]
    with_two(64, |world| {
        world.post(0, 0);
        let _ = settle(world);
        world.run_for(secs(1));
        let before = world.sent[&(TO_DEVICE, kind::ENTRY)];
        world.mute = Some(1);
        for _ in 0..20 {
            world.post(0, 0);
            world.run_for(millis(30));
        }
        // As many markers for the author; for the other eight, and those again by the timer.
        let to_other = world.sent[&(TO_DEVICE, kind::ENTRY)] - before - 20;
        let rounds = world.hub.counters().resent as u32 + 1;
        assert!(
            (8..=8 * rounds).contains(&to_other),
            "{to_other} in {rounds}"
        );
        world.mute = None;
        let _ = settle(world);
    });
}

#[test]
fn a_late_hello_of_an_older_session_fences_nothing() {
    // [F-HELLO-5]
    with_two(16, |world| {
        world.cut(1);
        let _ = settle(world);
        let old = world.last_hello.clone();
        world.cut(1);
        world.run_for(secs(4));
        let _ = settle(world);
        let before = world.hub.counters();
        world.replay(1, old);
        world.run_for(secs(1));
        let after = world.hub.counters();
        assert_eq!(
            (after.sessions, after.fenced),
            (before.sessions, before.fenced)
        );
        assert!(world.is_settled());
    });
}

#[test]
fn a_lost_join_is_sent_again_while_another_room_is_busy() {
    // [F-TIMER-5]
    with_two(64, |world| {
        world.lose = vec![(TO_HUB, kind::JOIN)];
        world.join(1, "yard", From::Earliest);
        for _ in 0..50 {
            world.post(1, 0);
            world.run_for(millis(100));
        }
        assert_eq!(world.sent[&(TO_HUB, kind::JOIN)], 2 + 2);
    });
}

#[test]
fn a_lost_last_entry_is_sent_again_while_another_room_is_busy() {
    // [F-TIMER-5] [F-CURSOR-3]
    with_two(64, |world| {
        (0..2).for_each(|at| world.join(at, "yard", From::Earliest));
        world.run_for(secs(1));
        world.lose = vec![(TO_DEVICE, kind::ENTRY); 2];
        world.post(0, 1);
        for _ in 0..50 {
            world.post(0, 0);
            world.run_for(millis(100));
        }
        let read = (0..2).map(|at| world.sides[at].client.cursor(1));
        assert!(read.eq([Some(1); 2]));
    });
}

#[test]
fn what_never_arrives_is_not_sent_ever_faster() {
    // [F-POST-2] [F-CURSOR-3]
    with_two(64, |world| {
        const FAT: &[u8] = b"too large for the way";
        let before = world.datagrams;
        world.swallow = Some(FAT);
        world.post_body(0, 0, FAT);
        (0..3).for_each(|_| world.post(0, 0));
        world.run_for(secs(10));
        let up = world.datagrams - before;
        assert!(up < 120, "{up} datagrams for a post that gets lost");
        // The post comes through; to the other, its entry does not.
        world.swallow = None;
        let _ = settle(world);
        world.swallow = Some(FAT);
        world.cut(1);
        world.leave(1, 0);
        world.join(1, "lab", From::Earliest);
        let before = world.datagrams;
        world.run_for(secs(13));
        let down = world.datagrams - before;
        assert!(down < 120, "{down} datagrams for an entry that gets lost");
        world.swallow = None;
        let _ = settle(world);
    });
}

#[test]
fn a_pong_that_is_lost_ends_no_session() {
    // [F-KEEP-1]
    with_two(16, |world| {
        for _ in 0..10 {
            world.lose = vec![(TO_DEVICE, kind::PONG); 2];
            world.run_for(secs(60));
            world.lose = vec![(TO_HUB, kind::PING); 2];
            world.run_for(secs(60));
        }
        assert_eq!(world.hub.counters().sessions, 2);
    });
}

#[test]
fn a_hello_that_comes_twice_is_answered_once() {
    // [F-HELLO-4] [F-DGRAM-4]
    let mut slots = Slots::new(16);
    let mut world = World::new(&mut slots, 1, 1);
    world.run_for(secs(1));
    assert_eq!(world.sent[&(TO_DEVICE, kind::WELCOME)], 1);
    world.replay(0, world.last_hello.clone());
    world.run_for(secs(1));
    assert_eq!(world.sent[&(TO_DEVICE, kind::WELCOME)], 1);
}
