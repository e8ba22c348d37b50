//! The ledger must be able to fail: each way to break a room raises its own counter.

use super::*;

const ROOM: u32 = 3;

/// Three members; 10 posts twice, then 20 twice, at offsets 1 to 4.
struct Run {
    pages: Vec<Page>,
}

impl Run {
    fn new() -> Self {
        let members: Arc<[u32]> = [10, 20, 30].into();
        let mut pages: Vec<_> = [10, 20, 30]
            .map(|device| Page::new(device, ROOM, Arc::clone(&members)))
            .into();
        for page in &mut pages[..2] {
            for counter in [1, 2] {
                page.post();
                page.acknowledge(counter);
            }
        }
        Self { pages }
    }

    /// Hands the log to a member: each offset with its author and counter, own posts as markers.
    fn hand(&mut self, member: usize, log: &[(u64, u32, u32)]) -> &mut Self {
        let page = &mut self.pages[member];
        for &(offset, author, counter) in log {
            if author == page.device {
                page.own(offset);
            } else {
                page.entry(offset, author, ROOM, counter);
            }
        }
        self
    }

    fn totals(&self) -> Totals {
        audit(self.pages.clone())
    }
}

const LOG: [(u64, u32, u32); 4] = [(1, 10, 1), (2, 10, 2), (3, 20, 1), (4, 20, 2)];

const GOOD: Totals = Totals {
    posts: 4,
    acknowledged: 4,
    rejected: 0,
    unacknowledged: 0,
    expected: 12,
    delivered: 12,
    lost: 0,
    doubled: 0,
    out_of_order: 0,
    gaps: 0,
    missed: 0,
    strayed: 0,
    foreign: 0,
};

/// The third member is handed `log` instead of the room's.
#[track_caller]
fn check(log: &[(u64, u32, u32)], expected: Totals) {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, log);
    assert_eq!(run.totals(), expected);
}

#[test]
fn a_room_whose_members_all_saw_the_log_is_in_order() {
    check(&LOG, GOOD);
}

#[test]
fn a_missing_last_entry_is_lost() {
    let expected = Totals {
        delivered: 11,
        lost: 1,
        ..GOOD
    };
    check(&LOG[..3], expected);
}

#[test]
fn a_missing_entry_in_the_middle_is_lost_once() {
    let log = [LOG[0], LOG[2], LOG[3]];
    let expected = Totals {
        delivered: 11,
        lost: 1,
        ..GOOD
    };
    check(&log, expected);
}

#[test]
fn a_missing_entry_is_lost_though_offsets_have_no_hole() {
    let log = [(1, 10, 1), (2, 20, 1), (3, 20, 2)];
    let expected = Totals {
        delivered: 11,
        lost: 1,
        // Two members saw the posts of 20 at other offsets.
        out_of_order: 1,
        ..GOOD
    };
    check(&log, expected);
}

#[test]
fn a_missing_own_marker_is_lost() {
    let mut run = Run::new();
    run.hand(0, &LOG[..1]).hand(1, &LOG).hand(2, &LOG);
    // 10 lacks its own second marker and both entries of 20.
    assert_eq!((run.totals().delivered, run.totals().lost), (9, 3));
}

#[test]
fn an_offset_twice_is_doubled() {
    let log = [LOG[0], LOG[1], LOG[1], LOG[2], LOG[3]];
    check(&log, Totals { doubled: 1, ..GOOD });
}

#[test]
fn a_post_at_two_offsets_is_doubled() {
    let log = [LOG[0], LOG[1], LOG[2], LOG[3], (5, 20, 2)];
    check(&log, Totals { doubled: 1, ..GOOD });
}

#[test]
fn a_marker_too_many_is_doubled() {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG);
    run.hand(0, &[(5, 10, 0)]);
    assert_eq!(run.totals(), Totals { doubled: 1, ..GOOD });
}

#[test]
fn a_post_that_was_never_posted_is_doubled() {
    let log = [LOG[0], LOG[1], LOG[2], LOG[3], (5, 10, 9)];
    check(&log, Totals { doubled: 1, ..GOOD });
}

#[test]
fn posts_of_one_author_out_of_turn_are_out_of_order() {
    let log = [(1, 10, 2), (2, 10, 1), LOG[2], LOG[3]];
    let expected = Totals {
        // Once by the counter, and once since another member saw them the other way round.
        out_of_order: 2,
        ..GOOD
    };
    check(&log, expected);
}

#[test]
fn entries_that_change_places_are_out_of_order_and_not_lost() {
    for (one, other) in [(0, 1), (1, 2), (2, 3)] {
        let mut log = LOG;
        log.swap(one, other);
        check(
            &log,
            Totals {
                out_of_order: 1,
                ..GOOD
            },
        );
    }
    let mut log = LOG;
    log.reverse();
    check(
        &log,
        Totals {
            out_of_order: 3,
            ..GOOD
        },
    );
}

#[test]
fn an_entry_that_comes_late_and_twice_is_both() {
    let log = [LOG[0], LOG[2], LOG[1], LOG[1], LOG[3]];
    let expected = Totals {
        doubled: 1,
        out_of_order: 1,
        ..GOOD
    };
    check(&log, expected);
}

#[test]
fn an_entry_out_of_an_announced_gap_is_doubled() {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG[..1]);
    run.pages[2].gap(2, 3);
    run.hand(2, &[LOG[3], LOG[1]]);
    let totals = run.totals();
    assert_eq!(
        (totals.missed, totals.doubled, totals.out_of_order),
        (2, 1, 0)
    );
}

#[test]
fn two_members_who_saw_two_logs_are_out_of_order() {
    let log = [(1, 20, 1), (2, 20, 2), (3, 10, 1), (4, 10, 2)];
    let expected = Totals {
        out_of_order: 2,
        ..GOOD
    };
    check(&log, expected);
}

#[test]
fn an_announced_gap_is_no_loss_but_is_told() {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG[..1]);
    run.pages[2].gap(2, 3);
    run.hand(2, &LOG[3..]);
    let expected = Totals {
        delivered: 10,
        gaps: 1,
        missed: 2,
        ..GOOD
    };
    assert_eq!(run.totals(), expected);
}

#[test]
fn a_gap_that_begins_too_late_leaves_a_hole() {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG[..1]);
    run.pages[2].gap(3, 4);
    assert_eq!((run.totals().missed, run.totals().lost), (2, 1));
}

#[test]
fn an_entry_of_another_room_has_strayed() {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG);
    run.pages[2].entry(5, 10, ROOM + 1, 1);
    run.pages[2].entry(6, 99, ROOM, 1);
    assert_eq!(run.totals(), Totals { strayed: 2, ..GOOD });
}

#[test]
fn what_others_post_is_foreign_and_no_fault() {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG);
    run.pages[2].foreign(5);
    assert_eq!(run.totals(), Totals { foreign: 1, ..GOOD });
}

#[test]
fn a_post_without_verdict_may_be_delivered_or_not() {
    let mut run = Run::new();
    run.pages[1].post();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG);
    run.hand(2, &[(5, 20, 3)]).hand(1, &[(5, 20, 3)]);
    let expected = Totals {
        posts: 5,
        unacknowledged: 1,
        ..GOOD
    };
    assert_eq!(run.totals(), expected);
    assert!(!run.pages[1].is_settled());
}

#[test]
fn a_delivered_post_without_verdict_does_not_make_up_for_a_lost_one() {
    let mut run = Run::new();
    run.pages[1].post();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG[..3]);
    run.pages[2].entry(5, 20, ROOM, 3);
    assert_eq!((run.totals().delivered, run.totals().lost), (11, 1));
}

#[test]
fn a_rejected_post_is_expected_nowhere() {
    let mut run = Run::new();
    run.pages[0].post();
    run.pages[0].reject();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG);
    let expected = Totals {
        posts: 5,
        rejected: 1,
        ..GOOD
    };
    assert_eq!(run.totals(), expected);
    assert!(run.pages[0].is_settled());
    // But it is a fault when it comes all the same.
    run.pages[2].entry(5, 10, ROOM, 3);
    assert_eq!(run.totals().doubled, 1);
}

#[test]
fn a_duplicate_from_far_back_is_doubled() {
    let members: Arc<[u32]> = [1, 2].into();
    let mut page = Page::new(2, ROOM, members);
    for counter in 1..=200_u32 {
        page.entry(u64::from(counter), 1, ROOM, counter);
    }
    assert_eq!(page.faults, Faults::default());
    page.entry(201, 1, ROOM, 7);
    page.entry(202, 1, ROOM, 199);
    assert_eq!(page.faults.doubled, 2);
}

#[test]
fn rooms_are_held_apart() {
    let mut run = Run::new();
    run.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG);
    let mut other = Run::new();
    other.hand(0, &LOG).hand(1, &LOG).hand(2, &LOG[..3]);
    for page in &mut other.pages {
        page.room += 1;
    }
    let pages = [other.pages[..].to_vec(), run.pages].concat();
    let expected = Totals {
        posts: 8,
        acknowledged: 8,
        expected: 24,
        // 12 and, since the entries came with the number of the first room before, 11.
        delivered: 23,
        lost: 1,
        ..GOOD
    };
    assert_eq!(audit(pages), expected);
}
