//! Whole runs: fleets against a hub that keeps its promise, over connections that do not.

mod support;

use std::time::Duration;

use firmware_sim::{Config, Report, Watch, run, run_watched};
use halloo_core::wire::Message;
use support::frames::{Frames, message};
use support::{CutAfter, Fired, Harm, Hub, Proxy, Through};

const GOOD: &str = "nothing lost, nothing doubled, all in order";

fn config(devices: u32, millis: u64) -> Config {
    Config {
        devices,
        time: Duration::from_millis(millis),
        ..Config::default()
    }
}

#[track_caller]
fn check_good(report: &Report) {
    assert_eq!(report.verdict(), GOOD, "\n{report}");
    assert!(report.posts > 0);
    assert_eq!(report.acknowledged, report.posts);
    assert!(report.expected > report.posts);
    assert_eq!(report.delivered, report.expected);
}

#[test]
fn a_fleet_loses_nothing_though_every_connection_is_cut() {
    let report = run(&Config {
        reconnects: 1.5,
        threads: 2,
        ..config(40, 1500)
    })
    .unwrap();
    check_good(&report);
    assert!(report.cuts >= 20, "{report}");
    assert!(report.reconnects > 0, "{report}");
    let (echo, hub) = (report.echo.unwrap(), report.hub.unwrap());
    assert!(echo.stream.received > 0 && echo.datagram.received > 0);
    assert!(hub.connections >= 36 && hub.memory_per_connection > 0);
    assert_eq!(report.rtt_us.count, report.acknowledged);
    let others = report.expected - report.acknowledged;
    assert_eq!(report.delivery_us.count, others);
}

#[test]
fn a_fleet_of_one_has_its_room_to_itself() {
    let report = run(&config(1, 300)).unwrap();
    assert_eq!(report.verdict(), GOOD);
    assert_eq!(report.expected, report.posts);
}

#[test]
fn outboxes_that_are_full_hold_posts_back_and_lose_none() {
    let report = run(&Config {
        rate: 20_000.0,
        ..config(4, 300)
    })
    .unwrap();
    check_good(&report);
    assert!(report.held_back > 0);
}

#[test]
fn a_fleet_without_a_rate_stays_idle_and_claims_nothing() {
    let report = run(&Config {
        rate: 0.0,
        ..config(20, 100)
    })
    .unwrap();
    assert!(report.is_good(), "{report}");
    assert_eq!((report.posts, report.not_joined), (0, 0));
    assert_eq!(report.verdict(), "nothing was posted, so nothing was shown");
    assert!(report.hub.unwrap().memory_per_connection > 0);
}

/// A run over a proxy; it asks `harm` for both ways of each connection until 25 were harmed, and
/// posts as long.
///
/// Bounded, so that back-off does not grow beyond what the end of a run may take.
fn harmed_run<H>(harm: H) -> Report
where
    H: Fn(&mut fastrand::Rng, &Fired) -> [Box<dyn Harm>; 2] + Send + 'static,
{
    let hub = Hub::start();
    let watch = Watch::new();
    let fired = Fired::new(25, &watch);
    let mut rng = fastrand::Rng::with_seed(7);
    let seen = fired.clone();
    let proxy = Proxy::start(hub.chat(), move || {
        if seen.is_enough() {
            return (Box::new(Through), Box::new(Through));
        }
        let [there, back] = harm(&mut rng, &seen);
        (there, back)
    });
    let config = Config {
        hub: Some(proxy.url()),
        reconnects: 0.0,
        settle: Duration::from_secs(60),
        ..config(20, 60_000)
    };
    let report = run_watched(&config, &watch).unwrap();
    assert!(fired.is_enough(), "{report}");
    report
}

#[test]
fn connections_that_end_at_random_bytes_lose_nothing() {
    let report = harmed_run(|rng, fired| {
        let mut cut = |most| -> Box<dyn Harm> {
            Box::new(CutAfter {
                left: rng.usize(1..most),
                fired: fired.clone(),
            })
        };
        [cut(1500), cut(8000)]
    });
    check_good(&report);
    assert!(report.echo.is_none() && report.hub.is_none());
    assert!(report.reconnects > 0, "{report}");
}

/// Does `harm` to one frame of a connection that `is_meant`, the `at`th.
fn once(
    at: usize,
    fired: &Fired,
    is_meant: fn(&Message<'_>) -> bool,
    harm: fn(&mut Vec<u8>),
) -> Box<dyn Harm> {
    let (mut frames, fired) = (0, fired.clone());
    Box::new(Frames::new(move |frame| {
        frames += usize::from(is_meant(&message(frame)));
        if frames == at {
            frames += 1;
            fired.add();
            harm(frame);
        }
        true
    }))
}

#[test]
fn links_that_garble_a_frame_are_given_up_and_lose_nothing() {
    let report = harmed_run(|rng, fired| {
        // A length that no frame has, or a kind that nobody knows.
        let garble: fn(&mut Vec<u8>) = if rng.bool() {
            |frame| frame[0] = 0xff
        } else {
            |frame| frame[4] = 0xff
        };
        let [there, back] = [rng.usize(2..20), rng.usize(2..40)];
        [
            once(there, fired, |_| true, garble),
            once(back, fired, |_| true, garble),
        ]
    });
    check_good(&report);
    assert!(report.reconnects > 0, "{report}");
}

#[test]
fn posts_and_entries_that_come_twice_over_a_link_are_delivered_once() {
    let report = harmed_run(|rng, fired| {
        let double = |frame: &mut Vec<u8>| frame.extend_from_within(..);
        let is_post = |message: &Message<'_>| matches!(message, Message::Post { .. });
        let is_entry = |message: &Message<'_>| matches!(message, Message::Entry(_));
        let [there, back] = [rng.usize(1..10), rng.usize(1..40)];
        [
            once(there, fired, is_post, double),
            once(back, fired, is_entry, double),
        ]
    });
    check_good(&report);
}
