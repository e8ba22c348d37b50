//! Runs through a proxy that lies about posts to the hub, which a run has to notice: here the hub
//! keeps its promise, and what it keeps is not what was posted.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firmware_sim::{Config, Report, Watch, run_watched};
use support::frames::{Frames, forge, post_body};
use support::{Hub, Proxy, Through};

/// Where the room and the counter stand in a stamp.
const ROOM: usize = 10;
const COUNTER: usize = 19;

const DEVICES: u32 = 4;

/// How many posts of each device are waited for.
const POSTS: usize = 8;

/// A run of four sensors in one room; `change` is asked for each post of a device, by its number.
fn forged_run(change: fn(usize, &mut [u8])) -> Report {
    let hub = Hub::start();
    let watch = Watch::new();
    let stop = watch.clone();
    let left = Arc::new(AtomicUsize::new(DEVICES as usize));
    let proxy = Proxy::start(hub.chat(), move || {
        let (stop, left) = (stop.clone(), Arc::clone(&left));
        let mut posts = 0;
        let forge = move |frame: &mut Vec<u8>| {
            if let Some(body) = post_body(frame) {
                posts += 1;
                change(posts, body);
                if posts == POSTS && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    stop.stop();
                }
            }
            true
        };
        (Box::new(Frames::new(forge)), Box::new(Through))
    });
    let config = Config {
        devices: DEVICES,
        time: Duration::from_secs(60),
        hub: Some(proxy.url()),
        reconnects: 0.0,
        rate: 50.0,
        ..Config::default()
    };
    let report = run_watched(&config, &watch).unwrap();
    // Whatever was forged, the hub has acknowledged it.
    assert_eq!(report.acknowledged, report.posts);
    assert_eq!(report.expected, u64::from(DEVICES) * report.posts);
    report
}

/// What is lost, doubled and out of order: of each of the four devices at the three others.
#[track_caller]
fn check(report: &Report, faults: [u64; 3]) {
    let found = [report.lost, report.doubled, report.out_of_order];
    assert_eq!(found, faults, "\n{report}");
    assert!(!report.is_good());
    assert_eq!(report.delivered, report.expected - report.lost);
}

#[test]
fn a_run_through_a_proxy_that_forges_nothing_is_good() {
    let report = forged_run(|_, body| forge(body, COUNTER, ""));
    assert!(report.is_good(), "\n{report}");
}

#[test]
fn a_post_that_is_acknowledged_and_never_delivered_is_noticed() {
    let report = forged_run(|post, body| {
        if post == 3 {
            body.fill(b'x');
        }
    });
    check(&report, [12, 0, 0]);
    assert_eq!(report.foreign, 12);
}

#[test]
fn a_post_whose_text_changes_on_the_way_is_not_delivered() {
    let report = forged_run(|post, body| {
        if post == 3 {
            body[4] ^= 1;
        }
    });
    check(&report, [12, 0, 0]);
}

#[test]
fn a_post_that_is_delivered_twice_is_noticed() {
    let report = forged_run(|post, body| {
        if post == 3 {
            forge(body, COUNTER, "00000002");
        }
    });
    // The third is not delivered, and the second comes again in its place.
    check(&report, [12, 12, 0]);
}

#[test]
fn posts_that_change_places_are_noticed() {
    let report = forged_run(|post, body| match post {
        3 => forge(body, COUNTER, "00000004"),
        4 => forge(body, COUNTER, "00000003"),
        _ => {}
    });
    check(&report, [0, 0, 12]);
}

#[test]
fn a_post_in_a_wrong_room_is_noticed() {
    let report = forged_run(|post, body| {
        if post == 3 {
            forge(body, ROOM, "00000007");
        }
    });
    check(&report, [12, 0, 0]);
    assert_eq!(report.strayed, 12);
}
