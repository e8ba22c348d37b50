//! Whole runs: fleets against a hub that keeps its promise, over connections that do not, and
//! against proxies that lie, which a run has to notice.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firmware_sim::{Config, Report, run};
use support::{CutAfter, Harm, Hub, Proxy, Through};

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
    assert!(report.reconnects >= report.cuts / 2, "{report}");
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
fn connections_that_end_at_random_bytes_lose_nothing() {
    let hub = Hub::start();
    let fired = Arc::new(AtomicUsize::new(0));
    let mut rng = fastrand::Rng::with_seed(7);
    let seen = Arc::clone(&fired);
    let proxy = Proxy::start(hub.chat(), move || {
        let mut harm = |most| -> Box<dyn Harm> {
            // Bounded, so that back-off does not grow beyond what the end of a run may take.
            if seen.load(Ordering::Relaxed) >= 40 {
                return Box::new(Through);
            }
            let fired = Arc::clone(&seen);
            let left = rng.usize(1..most);
            Box::new(CutAfter { left, fired })
        };
        (harm(1500), harm(8000))
    });
    let report = run(&Config {
        hub: Some(proxy.url()),
        reconnects: 0.0,
        settle: Duration::from_secs(60),
        ..config(20, 2500)
    })
    .unwrap();
    check_good(&report);
    assert!(report.echo.is_none() && report.hub.is_none());
    assert!(fired.load(Ordering::Relaxed) >= 10, "{report}");
    assert!(report.reconnects > 0, "{report}");
}

/// Changes the counters in the stamps of one device's posts: `change` is asked for each post.
struct Forge {
    pending: Vec<u8>,
    posts: usize,
    change: fn(usize, &mut [u8]),
}

impl Harm for Forge {
    /// Whole frames go on: 4 bytes of length, then the message.
    fn pass(&mut self, bytes: &mut Vec<u8>) -> bool {
        self.pending.append(bytes);
        while let Some(length) = self.pending.first_chunk::<4>() {
            let end = 4 + u32::from_be_bytes(*length) as usize;
            if self.pending.len() < end {
                break;
            }
            let mut frame: Vec<u8> = self.pending.drain(..end).collect();
            if let Some(stamp) = frame.iter().position(|&byte| byte == b'#') {
                self.posts += 1;
                (self.change)(self.posts, &mut frame[stamp..]);
            }
            bytes.append(&mut frame);
        }
        true
    }
}

/// Where the counter stands in a stamp.
const COUNTER: std::ops::Range<usize> = 19..27;

fn forged_run(change: fn(usize, &mut [u8])) -> Report {
    let hub = Hub::start();
    let mut is_first = true;
    let proxy = Proxy::start(hub.chat(), move || {
        // The first connection only looks whether anybody is there, and the second is forged.
        let pending = Vec::new();
        let change: fn(usize, &mut [u8]) = if is_first { |_, _| {} } else { change };
        is_first = false;
        let posts = 0;
        (
            Box::new(Forge {
                pending,
                posts,
                change,
            }),
            Box::new(Through),
        )
    });
    run(&Config {
        hub: Some(proxy.url()),
        reconnects: 0.0,
        rate: 50.0,
        // Sensors only, so that every device posts.
        ..config(4, 500)
    })
    .unwrap()
}

#[test]
fn a_run_through_a_proxy_that_forges_nothing_is_good() {
    check_good(&forged_run(|_, _| {}));
}

#[test]
fn a_post_that_is_acknowledged_and_never_delivered_is_noticed() {
    let report = forged_run(|post, stamp| {
        if post == 3 {
            stamp[0] = b'x';
        }
    });
    // Each of the four devices' third post, at the three others.
    assert_eq!(
        (report.lost, report.doubled, report.out_of_order),
        (12, 0, 0),
        "\n{report}"
    );
    assert_eq!((report.foreign, report.is_good()), (12, false));
}

#[test]
fn a_post_that_is_delivered_twice_is_noticed() {
    let report = forged_run(|post, stamp| {
        if post == 3 {
            stamp[COUNTER].copy_from_slice(b"00000002");
        }
    });
    assert_eq!(
        (report.lost, report.doubled, report.out_of_order),
        (12, 12, 0),
        "\n{report}"
    );
}

#[test]
fn posts_that_change_places_are_noticed() {
    let report = forged_run(|post, stamp| match post {
        3 => stamp[COUNTER].copy_from_slice(b"00000004"),
        4 => stamp[COUNTER].copy_from_slice(b"00000003"),
        _ => {}
    });
    assert_eq!(
        (report.lost, report.doubled, report.out_of_order),
        (0, 0, 12),
        "\n{report}"
    );
}

#[test]
fn a_post_in_a_wrong_room_is_noticed() {
    let report = forged_run(|post, stamp| {
        if post == 3 {
            stamp[10..18].copy_from_slice(b"00000007");
        }
    });
    assert_eq!((report.strayed, report.lost), (12, 12), "\n{report}");
}
