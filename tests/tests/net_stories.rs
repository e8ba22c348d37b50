//! Devices and a hub against each other in virtual time: one story for each thing that can happen.
//!
//! Every step is judged by the world's model as well: nothing lost, nothing doubled, in order.

use firmware_sim::world::{Fault, HubMemory, Limits, Net, at};
use halloo_core::chat::Hub;
use halloo_core::chat::client::{Cause, From, PostError, Store};
use halloo_core::wire::{ByeReason, Code, GapReason, Join, NoticeKind};

const JOINED: u8 = NoticeKind::Joined.to_wire();
const LEFT: u8 = NoticeKind::Left.to_wire();

/// A world, its hub, and shorthands.
struct Story<'m> {
    net: Net,
    hub: Option<Hub<'m>>,
}

/// Tells a story in which every device is connected when it begins.
#[track_caller]
fn story(limits: Limits, tell: impl FnOnce(&mut Story<'_>)) {
    let mut memory = HubMemory::new(&limits);
    let mut net = Net::new(7, limits);
    let hub = Some(net.start_hub(&mut memory, (0xa1, 1)));
    let mut story = Story { net, hub };
    story.secs(1);
    tell(&mut story);
}

impl Story<'_> {
    #[track_caller]
    fn micros(&mut self, micros: u64) {
        let until = self.net.now + micros;
        if let Err(broken) = self.net.run(&mut self.hub, until) {
            panic!("{}\n{}", broken.0, self.net.tail());
        }
    }

    #[track_caller]
    fn secs(&mut self, secs: u64) {
        self.micros(secs * 1_000_000);
    }

    /// All devices join a room from the start, as slot 0.
    #[track_caller]
    fn all_join(&mut self, room: &str) {
        for number in 0..self.net.devices.len() {
            assert_eq!(self.net.join(number, room, From::Earliest, 0), Some(0));
        }
        self.secs(1);
        for device in &mut self.net.devices {
            device.app.notices.clear();
        }
    }

    #[track_caller]
    fn post(&mut self, number: usize) {
        self.net.post(number, 0, 20).expect("the post is taken");
    }

    /// Posts, each once the one before has its verdict.
    #[track_caller]
    fn posts(&mut self, number: usize, count: usize) {
        for _ in 0..count {
            self.post(number);
            self.micros(20_000);
        }
        self.secs(1);
        assert_eq!(self.waiting(number), 0);
    }

    /// How many posts of a device in slot 0 have no verdict.
    fn waiting(&self, number: usize) -> usize {
        self.net.membership(number, 0).map_or(0, |m| m.posts.len())
    }

    /// How many entries a device's application has of slot 0.
    fn entries(&self, number: usize) -> u64 {
        self.net.membership(number, 0).map_or(0, |m| m.entries)
    }

    fn gaps(&self, number: usize) -> Vec<(u64, u64, GapReason)> {
        let membership = self.net.membership(number, 0);
        membership.map_or(Vec::new(), |m| m.gaps.clone())
    }

    /// How many entries the true log of a room has.
    fn log(&self, room: &str) -> usize {
        self.net
            .lives
            .last()
            .map_or(0, |life| life.head(room) as usize)
    }

    fn notices(&self, number: usize) -> &[(u8, u32, String)] {
        &self.net.devices[number].app.notices
    }

    fn causes(&self, number: usize) -> Vec<Cause> {
        let closed = &self.net.devices[number].app.closed;
        closed.iter().map(|(_, cause)| *cause).collect()
    }

    fn go_offline(&mut self, number: usize) {
        self.net.devices[number].is_kept_offline = true;
        self.net.cut(number);
        self.secs(2);
    }

    fn come_back(&mut self, number: usize) {
        self.net.devices[number].is_kept_offline = false;
        self.secs(5);
    }
}

fn lossless(devices: usize) -> Limits {
    Limits::usual(devices)
}

// Posts.

#[test]
fn a_post_is_kept_once_wherever_the_connection_is_lost() {
    // [E-CLOSE-3] [D-POST-5]
    let mut open_at_the_cut = [0, 0];
    for cut_after in (0..400_000).step_by(5000) {
        let mut limits = lossless(2);
        limits.shape.delay = 100_000;
        limits.keepalive = 20;
        story(limits, |story| {
            story.all_join("lab");
            story.post(0);
            story.micros(cut_after);
            // Nobody is told: both ends notice by themselves.
            story.net.kill_link(0);
            open_at_the_cut[story.log("lab")] += story.waiting(0);
            story.secs(60);
            assert_eq!((story.waiting(0), story.log("lab")), (0, 1));
            assert_eq!((story.entries(0), story.entries(1)), (1, 1));
        });
    }
    // The post was lost in some of these, and in some only its ack.
    assert!(open_at_the_cut.iter().all(|&times| times > 10));
}

#[test]
fn what_is_posted_during_an_outage_goes_out_after_it_in_order() {
    // [D-ACK-4]
    story(lossless(2), |story| {
        story.all_join("lab");
        story.posts(0, 2);
        story.go_offline(0);
        (0..5).for_each(|_| story.post(0));
        story.secs(3600);
        assert_eq!((story.waiting(0), story.log("lab")), (5, 2));
        story.come_back(0);
        assert_eq!((story.waiting(0), story.log("lab")), (0, 7));
        assert_eq!((story.entries(0), story.entries(1)), (7, 7));
    });
}

#[test]
fn an_outbox_that_is_full_says_so_and_takes_posts_again_after_the_outage() {
    let mut limits = lossless(1);
    limits.is_outbox_tiny = true;
    story(limits, |story| {
        story.all_join("lab");
        story.go_offline(0);
        story.net.post(0, 0, 30).expect("one fits");
        let full = Err(PostError::OutboxFull);
        assert_eq!(story.net.post(0, 0, 30), full);
        story.come_back(0);
        story.net.post(0, 0, 30).expect("there is room again");
        story.secs(1);
        assert_eq!(story.log("lab"), 2);
    });
}

#[test]
fn a_device_that_lost_its_ram_is_a_new_session_and_counts_on() {
    // [D-ACK-4] [S-FENCE-1]
    story(lossless(2), |story| {
        story.all_join("lab");
        story.posts(0, 3);
        story.net.reset_device(0);
        story.net.join(0, "lab", From::Latest, 0);
        story.secs(5);
        story.post(0);
        let membership = story.net.membership(0, 0).expect("it has joined");
        assert_eq!(membership.posts[0].0, 4, "its number in the room");
        story.secs(1);
        assert_eq!((story.waiting(0), story.log("lab")), (0, 4));
        assert_eq!((story.entries(0), story.entries(1)), (1, 4));
        let counters = story.hub.as_ref().expect("it runs").counters();
        assert_eq!((counters.sessions, counters.fenced), (3, 1));
        assert_eq!(story.notices(1), [], "nobody saw it go");
    });
}

#[test]
fn late_bytes_of_a_connection_that_was_given_up_change_nothing() {
    // [S-FENCE-1]
    let mut late = 0;
    for delay in (0..30).map(|n| n * 2000) {
        let mut limits = lossless(2);
        limits.shape.delay = 20_000;
        limits.shape.jitter = 10_000;
        story(limits, |story| {
            story.net.faults.switch_on(Fault::LateBytes);
            story.all_join("lab");
            (0..3).for_each(|_| story.post(0));
            story.micros(delay);
            // It connects again with the same posts in hand, while the first bytes are on the way.
            story.net.abandon(0);
            story.secs(90);
            assert_eq!((story.waiting(0), story.log("lab")), (0, 3));
            late += story.net.faults.fired()[Fault::LateBytes as usize];
        });
    }
    assert!(late > 5, "{late}");
}

#[test]
fn a_commit_that_takes_longer_than_a_device_waits_costs_a_connection_and_no_post() {
    // [T-ACK-1] [D-JOIN-2]
    story(lossless(1), |story| {
        story.all_join("lab");
        story.net.commit_delay = 100_000_000;
        story.post(0);
        story.secs(1);
        story.net.commit_delay = 0;
        story.secs(240);
        assert_eq!((story.waiting(0), story.log("lab")), (0, 1));
        assert!(story.causes(0).contains(&Cause::Timeout));
    });
}

#[test]
fn a_post_that_is_too_large_for_the_log_is_rejected_and_the_next_one_kept() {
    // [D-POST-6]
    let mut limits = lossless(2);
    limits.log_bytes = 100;
    story(limits, |story| {
        story.all_join("lab");
        story.net.post(0, 0, 90).expect("the device takes it");
        story.net.post(0, 0, 20).expect("the device takes it");
        story.secs(1);
        let verdicts = &story.net.membership(0, 0).expect("it is in").verdicts;
        let kept: Vec<bool> = verdicts.iter().map(|(_, is_kept)| *is_kept).collect();
        assert_eq!(kept, [false, true]);
        assert_eq!((story.log("lab"), story.entries(1)), (1, 1));
    });
}

// Reading.

#[test]
fn a_reader_that_stops_harms_nobody_and_gets_everything_when_it_wakes() {
    // [D-CREDIT-4]
    let mut limits = lossless(3);
    limits.credit = 4;
    limits.keepalive = 0;
    story(limits, |story| {
        story.all_join("lab");
        let until = story.net.now + 3600 * 1_000_000;
        story.net.devices[1].stop_reading(until);
        story.posts(0, 200);
        assert_eq!(
            (story.entries(0), story.entries(1), story.entries(2)),
            (200, 0, 200)
        );
        story.secs(3600);
        assert_eq!((story.entries(1), story.gaps(1)), (200, vec![]));
        assert_eq!(story.causes(1), [], "it was never thrown out");
    });
}

#[test]
fn a_reader_whose_link_takes_nothing_is_dropped_and_resumes() {
    let mut limits = lossless(2);
    limits.keepalive = 0;
    limits.shape.capacity = 40;
    story(limits, |story| {
        story.all_join("lab");
        let until = story.net.now + 100 * 1_000_000;
        story.net.devices[1].stop_reading(until);
        story.posts(0, 20);
        story.secs(60);
        assert_eq!(story.notices(0), [(LEFT, 1, "dev-1".to_owned())]);
        story.secs(100);
        assert_eq!((story.entries(1), story.gaps(1)), (20, vec![]));
    });
}

#[test]
fn a_gap_is_told_to_who_was_overtaken_by_retention_and_to_nobody_else() {
    // [D-GAP-1]
    let mut limits = lossless(3);
    limits.index = 64;
    story(limits, |story| {
        story.all_join("lab");
        story.go_offline(1);
        story.posts(0, 64);
        story.come_back(1);
        assert_eq!(
            (story.entries(1), story.gaps(1)),
            (64, vec![]),
            "all is kept"
        );
        story.go_offline(1);
        story.posts(0, 65);
        story.come_back(1);
        // One has fallen off: 66 to 129 are kept.
        let missed = vec![(65, 65, GapReason::Retention)];
        assert_eq!((story.entries(1), story.gaps(1)), (128, missed));
        assert_eq!((story.entries(2), story.gaps(2)), (129, vec![]));
    });
}

const NO_STORE: Store = Store {
    id: 0,
    generation: 0,
};

#[test]
fn a_member_reads_from_where_it_said() {
    // [D-JOIN-6] [D-JOIN-7]
    let history = |to| vec![(1, to, GapReason::History)];
    let cases = [
        (From::Earliest, 6, vec![]),
        // The store is asked for when there is one.
        (
            From::After {
                cursor: 4,
                store: NO_STORE,
            },
            2,
            vec![],
        ),
        (From::Last(2), 2, history(4)),
        (From::Last(0), 0, history(6)),
        (From::Last(9), 6, vec![]),
        (From::Latest, 0, vec![]),
    ];
    for (mut from, entries, gaps) in cases {
        story(lossless(2), |story| {
            story.net.join(0, "lab", From::Earliest, 0);
            story.secs(1);
            story.posts(0, 6);
            if let From::After { store, .. } = &mut from {
                *store = story.net.devices[0].client.store(0).unwrap();
            }
            story.net.join(1, "lab", from, 0);
            story.secs(1);
            assert_eq!(
                (story.entries(1), story.gaps(1)),
                (entries, gaps),
                "{from:?}"
            );
            // From there on it reads like all others, over a lost connection too.
            story.posts(0, 1);
            story.go_offline(1);
            story.posts(0, 1);
            story.come_back(1);
            assert_eq!(story.entries(1), entries + 2, "{from:?}");
        });
    }
}

#[test]
fn a_member_that_asked_for_its_own_posts_gets_them_whole() {
    // [D-ENTRY-4]
    story(lossless(1), |story| {
        story.net.join(0, "lab", From::Latest, Join::OWN_BODIES);
        story.secs(1);
        story.posts(0, 3);
        // The model has looked at each body, and would not have taken one without the flag.
        assert_eq!(story.entries(0), 3);
    });
}

// Rooms.

#[test]
fn the_rooms_of_a_device_do_not_wait_for_each_other() {
    let mut limits = lossless(2);
    limits.credit = 2;
    story(limits, |story| {
        for room in ["a", "b", "c"] {
            story.net.join(0, room, From::Earliest, 0);
            story.net.join(1, room, From::Earliest, 0);
        }
        story.secs(1);
        for number in [0, 1] {
            for slot in [2, 0, 1, 2, 2, 0] {
                story.net.post(number, slot, 20).expect("it is taken");
            }
            story.secs(1);
        }
        assert_eq!([story.log("a"), story.log("b"), story.log("c")], [4, 2, 6]);
        story.net.cut(0);
        story.net.leave(0, 1);
        story.secs(5);
        for slot in [0, 2] {
            story.net.post(0, slot, 20).expect("it is taken");
        }
        assert_eq!(story.net.post(0, 1, 20), Err(PostError::NotJoined));
        story.secs(5);
        assert_eq!([story.log("a"), story.log("b"), story.log("c")], [5, 2, 7]);
        for (slot, entries) in [(0, 5), (2, 7)] {
            for number in [0, 1] {
                let membership = story.net.membership(number, slot).expect("it is in");
                assert_eq!(membership.entries, entries);
            }
        }
    });
}

#[test]
fn who_leaves_a_room_may_come_back_as_who_it_was() {
    // [D-JOIN-8]
    story(lossless(2), |story| {
        story.all_join("lab");
        story.posts(0, 2);
        story.posts(1, 2);
        story.net.leave(0, 0);
        story.secs(1);
        story.posts(1, 3);
        assert_eq!(story.entries(0), 4, "it hears nothing more");
        assert_eq!(story.net.join(0, "lab", From::Latest, 0), Some(0));
        story.secs(1);
        story.post(0);
        let membership = story.net.membership(0, 0).expect("it is in");
        assert_eq!(membership.posts[0].0, 3, "its numbers count on");
        story.secs(1);
        assert_eq!((story.log("lab"), story.entries(0)), (8, 1));
        assert_eq!(story.entries(1), 8);
    });
}

#[test]
fn a_room_is_left_only_when_its_posts_have_their_verdicts() {
    story(lossless(2), |story| {
        story.all_join("lab");
        story.go_offline(0);
        (0..3).for_each(|_| story.post(0));
        story.net.leave(0, 0);
        story.secs(60);
        assert!(!story.net.membership(0, 0).expect("it is in").is_over);
        story.come_back(0);
        assert!(story.net.membership(0, 0).expect("it was in").is_over);
        assert_eq!((story.waiting(0), story.log("lab")), (0, 3));
    });
}

#[test]
fn presence_is_told_at_once_in_good_order_and_after_a_grace_otherwise() {
    // [P-MEMBER-1] [P-NOTICE-1] [S-BYE-2]
    let who = |kind, members| (kind, members, "dev-1".to_owned());
    story(lossless(2), |story| {
        story.net.join(0, "lab", From::Latest, 0);
        story.secs(1);
        story.net.join(1, "lab", From::Latest, 0);
        story.secs(1);
        assert_eq!(story.notices(0), [who(JOINED, 2)]);
        assert_eq!(story.notices(1), [], "nobody is told of itself");
        // Back within the grace.
        story.net.cut(1);
        story.secs(60);
        assert_eq!(story.notices(0).len(), 1);
        story.go_offline(1);
        story.secs(10);
        assert_eq!(story.notices(0).len(), 1);
        story.secs(10);
        assert_eq!(story.notices(0)[1..], [who(LEFT, 1)]);
        story.come_back(1);
        assert_eq!(story.notices(0)[2..], [who(JOINED, 2)]);
        story.net.leave(1, 0);
        story.secs(1);
        assert_eq!(story.notices(0)[3..], [who(LEFT, 1)]);
        story.net.join(1, "lab", From::Latest, 0);
        story.secs(1);
        story.net.devices[1].is_kept_offline = true;
        story.net.bye(1);
        story.secs(1);
        assert_eq!(story.notices(0)[4..], [who(JOINED, 2), who(LEFT, 1)]);
        assert_eq!(story.causes(1).last(), Some(&Cause::Done));
    });
}

// Sessions.

#[test]
fn a_dead_link_is_noticed_by_both_ends_within_one_and_a_half_intervals() {
    // [T-KEEP-4]
    let mut limits = lossless(2);
    limits.keepalive = 20;
    story(limits, |story| {
        story.all_join("lab");
        story.secs(100);
        assert!(story.causes(0).is_empty() && story.causes(1).is_empty());
        story.net.devices[1].is_kept_offline = true;
        let killed_at = story.net.now;
        story.net.kill_link(1);
        story.secs(31);
        let (closed_at, cause) = story.net.devices[1].app.closed[0];
        assert_eq!(cause, Cause::Timeout);
        assert!(closed_at <= killed_at + 30_010_000);
        // The hub has noticed too; the grace of presence is still to come.
        assert_eq!(story.notices(0), []);
        story.secs(15);
        assert_eq!(story.notices(0), [(LEFT, 1, "dev-1".to_owned())]);
        assert_eq!(story.causes(0), []);
    });
}

#[test]
fn a_second_connection_of_a_device_replaces_the_first() {
    // [S-FENCE-3]
    story(lossless(2), |story| {
        story.all_join("lab");
        story.posts(0, 1);
        story.net.abandon(0);
        story.secs(2);
        story.posts(0, 1);
        let counters = story.hub.as_ref().expect("it runs").counters();
        assert_eq!((counters.sessions, counters.fenced), (3, 1));
        assert_eq!((story.log("lab"), story.entries(1)), (2, 2));
        assert_eq!(story.notices(1), []);
    });
}

#[test]
fn a_hub_that_stops_says_so_and_the_next_one_is_found() {
    // [S-BYE-1] [D-STORE-2]
    let limits = lossless(2);
    let (mut first, mut second) = (HubMemory::new(&limits), HubMemory::new(&limits));
    let mut net = Net::new(7, limits);
    let hub = Some(net.start_hub(&mut first, (0xa1, 1)));
    let mut story = Story { net, hub };
    story.secs(1);
    story.all_join("lab");
    story.posts(0, 3);
    let now = at(story.net.now);
    story
        .hub
        .as_mut()
        .expect("it runs")
        .shut_down(now, ByeReason::Shutdown);
    story.micros(50_000);
    for number in [0, 1] {
        assert_eq!(story.causes(number), [Cause::Bye(ByeReason::Shutdown)]);
    }
    story.hub = None;
    story.net.stop_hub();
    story.post(0);
    story.secs(30);
    // Its log was in memory: the next hub has another one, and says so.
    let mut net = story.net;
    let hub = Some(net.start_hub(&mut second, (0xb2, 1)));
    let mut story = Story { net, hub };
    story.secs(120);
    for number in [0, 1] {
        let membership = story.net.membership(number, 0).expect("it is in");
        assert_eq!(membership.changes, 1);
    }
    assert_eq!((story.waiting(0), story.log("lab")), (0, 1));
    assert_eq!((story.entries(0), story.entries(1)), (4, 4));
}

#[test]
fn a_device_that_a_full_hub_refuses_gets_in_when_there_is_room() {
    // [T-WAIT-1]
    let mut limits = lossless(2);
    limits.conns = 1;
    story(limits, |story| {
        story.net.join(0, "lab", From::Latest, 0);
        story.net.join(1, "lab", From::Latest, 0);
        story.secs(300);
        let serving = |story: &Story<'_>, number: usize| {
            let device: &firmware_sim::world::Device = &story.net.devices[number];
            device.client.is_serving()
        };
        let inside = usize::from(serving(story, 1));
        let outside = 1 - inside;
        assert!(serving(story, inside) && !serving(story, outside));
        // Its attempts are bounded: at most one in half the ceiling, on average, once that is 60 s.
        let refused = story.net.refused;
        assert!((5..40).contains(&refused), "{refused}");
        story.posts(inside, 3);
        story.go_offline(inside);
        story.secs(120);
        assert!(serving(story, outside));
        story.posts(outside, 1);
        assert_eq!(story.log("lab"), 4);
    });
}

#[test]
fn a_room_without_a_place_is_refused_and_the_others_stay() {
    // [D-JOIN-3]
    let mut limits = lossless(2);
    (limits.rooms, limits.members) = (1, 1);
    story(limits, |story| {
        story.net.join(0, "lab", From::Latest, 0);
        story.secs(1);
        story.net.join(1, "lab", From::Latest, 0);
        story.net.join(0, "den", From::Latest, 0);
        story.secs(1);
        for number in [0, 1] {
            assert_eq!(story.net.devices[number].app.refused, [Code::Full]);
            assert_eq!(story.causes(number), [], "the session goes on");
        }
        story.posts(0, 2);
    });
}

#[test]
fn a_device_that_breaks_the_protocol_is_closed_alone_and_comes_back() {
    // [E-CLOSE-1] [E-CLOSE-3] [E-WIRE-1]
    story(lossless(2), |story| {
        story.all_join("lab");
        (0..3).for_each(|_| story.post(0));
        story.micros(10_000);
        assert!(story.net.devices[0].say_rubbish());
        story.post(0);
        story.secs(10);
        let cause = Cause::Refused(Code::UnknownCritical);
        assert_eq!(story.causes(0), [cause]);
        assert_eq!((story.waiting(0), story.log("lab")), (0, 4));
        assert_eq!((story.causes(1), story.notices(1).len()), (vec![], 0));
        assert_eq!(story.entries(1), 4);
        let counters = story.hub.as_ref().expect("it runs").counters();
        assert_eq!(counters.violations, 1);
    });
}

#[test]
fn an_idle_world_is_silent_but_for_keepalives() {
    // [T-KEEP-2]
    let mut limits = lossless(3);
    limits.keepalive = 20;
    story(limits, |story| {
        story.all_join("lab");
        story.posts(0, 5);
        story.secs(20);
        let (idle, busy) = (story.net.idle_messages, story.net.busy_messages);
        story.secs(200);
        assert_eq!(story.net.busy_messages, busy);
        // A ping and its pong for each device and interval, and none by the hub.
        assert_eq!(story.net.idle_messages - idle, 3 * 10 * 2);
    });
}
