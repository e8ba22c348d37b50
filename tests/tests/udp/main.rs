//! Chat over real UDP: the device for hosts and the hub, near and over a bad network.

mod moving;
mod proxy;
mod raw;
mod strangers;
mod wildcard;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use halloo_std::client::{Device, From, Happening, Settings};
use halloo_std::hub::{Data, HubConfig};
use halloo_tests::hub::{RunningHub, small};
use proxy::Proxy;

/// Longer than anything here takes: a test that waits so long fails.
const LONG: Duration = Duration::from_secs(60);

fn hub(config: HubConfig) -> RunningHub {
    RunningHub::start(
        &["chat+udp://127.0.0.1:0", "chat+tcp://127.0.0.1:0"],
        config,
    )
}

fn address(hub: &RunningHub) -> SocketAddr {
    let (host, port) = hub.address(0);
    format!("{host}:{port}").parse().unwrap()
}

fn device(url: &str, name: &str) -> Device {
    let settings = Settings {
        longest_wait: Duration::from_millis(5),
        ..Settings::new(name)
    };
    let mut device = Device::offline(url.parse().unwrap(), settings).unwrap();
    device.join_wait("lab", From::Earliest, LONG).unwrap();
    device
}

/// The next `count` entries, own ones included: each body that another posted.
#[track_caller]
fn read(device: &mut Device, first: u64, count: u64) -> Vec<(u64, String)> {
    let (mut expected, mut bodies) = (first, Vec::new());
    while expected < first + count {
        match device.next(LONG).unwrap().expect("something happens") {
            Happening::Entry { offset, body, .. } => {
                assert_eq!(offset, expected);
                expected += 1;
                bodies.push((offset, String::from_utf8(body).unwrap()));
            }
            Happening::Own { offset, .. } => {
                assert_eq!(offset, expected);
                expected += 1;
            }
            hole @ (Happening::Gap { .. } | Happening::StoreChanged { .. }) => panic!("{hole:?}"),
            _ => {}
        }
    }
    bodies
}

#[test]
fn devices_over_udp_and_tcp_meet_in_a_room() {
    let hub = hub(small());
    let mut ann = device(&hub.endpoints[0].to_string(), "ann");
    let mut bob = device(&hub.endpoints[1].to_string(), "bob");
    let longest = "x".repeat(1024);
    for (n, body) in ["", "hello", &longest].into_iter().enumerate() {
        let offset = 2 * n as u64 + 1;
        ann.post_wait("lab", body.as_bytes(), LONG).unwrap();
        ann.flush(LONG).unwrap();
        assert_eq!(read(&mut bob, offset, 1), [(offset, body.into())]);
        bob.post_wait("lab", body.as_bytes(), LONG).unwrap();
        bob.flush(LONG).unwrap();
        assert_eq!(read(&mut bob, offset + 1, 1), []);
        let got = read(&mut ann, offset, 2);
        assert_eq!(got, [(offset + 1, body.into())]);
    }
    ann.echo(7, b"ping");
    loop {
        if let Some(Happening::Echo { token, bytes }) = ann.next(LONG).unwrap() {
            assert_eq!((token, &bytes[..]), (7, &b"ping"[..]));
            break;
        }
    }
    ann.leave("lab");
    while !matches!(ann.next(LONG).unwrap(), Some(Happening::Left { .. })) {}
    ann.bye(LONG).unwrap();
    bob.bye(LONG).unwrap();
    while hub.stats.snapshot().connections > 0 {
        thread::yield_now();
    }
}

#[test]
fn nothing_is_lost_or_doubled_over_a_proxy_that_loses_doubles_and_reorders() {
    const POSTS: u64 = 25;
    let hub = hub(small());
    let proxy = Proxy::start(address(&hub), 5, 100);
    let devices: Vec<_> = (0..3)
        .map(|poster| {
            let url = proxy.url.clone();
            thread::spawn(move || {
                let mut device = device(&url, &format!("dev{poster}"));
                for n in 0..POSTS {
                    let body = format!("{poster} {n}");
                    device.post_wait("lab", body.as_bytes(), LONG).unwrap();
                }
                let heard = read(&mut device, 1, 3 * POSTS);
                device.flush(LONG).unwrap();
                (device.unacknowledged(), heard)
            })
        })
        .collect();
    for (reader, device) in devices.into_iter().enumerate() {
        let (waiting, heard) = device.join().unwrap();
        assert_eq!((waiting, heard.len() as u64), (0, 2 * POSTS));
        for poster in (0..3).filter(|poster| *poster != reader) {
            let mine = format!("{poster} ");
            let theirs = heard
                .iter()
                .filter_map(|(_, body)| body.strip_prefix(&mine));
            assert!(theirs.eq((0..POSTS).map(|n| n.to_string())));
        }
    }
    let counts = &proxy.counts;
    for fault in [&counts.lost, &counts.doubled, &counts.swapped] {
        assert!(fault.load(Ordering::SeqCst) > 10);
    }
    assert_eq!(hub.stop().stats.chat.posts, 3 * POSTS);
}

#[test]
fn a_session_follows_its_device_to_another_address() {
    // [F-ADDR-1]
    let hub = hub(small());
    let proxy = Proxy::start(address(&hub), 1, 0);
    let mut ann = device(&proxy.url, "ann");
    let mut bob = device(&hub.endpoints[1].to_string(), "bob");
    for n in 1..=20 {
        proxy.counts.moves.store(true, Ordering::SeqCst);
        ann.post_wait("lab", b"from anywhere", LONG).unwrap();
        ann.flush(LONG).unwrap();
        bob.post_wait("lab", b"to anywhere", LONG).unwrap();
        bob.flush(LONG).unwrap();
        assert_eq!(read(&mut ann, 2 * n - 1, 2).len(), 1);
    }
    assert_eq!(hub.stop().stats.chat.sessions, 2);
}

#[test]
fn a_device_over_udp_reads_back_what_only_the_disk_has() {
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(HubConfig {
        log_bytes: 4096,
        log_entries: 16,
        data: Some(Data::new(folder.path())),
        ..small()
    });
    let mut ann = device(&hub.endpoints[0].to_string(), "ann");
    for n in 1..=200 {
        let body = n.to_string();
        ann.post_wait("lab", body.as_bytes(), LONG).unwrap();
    }
    ann.flush(LONG).unwrap();
    assert_eq!(read(&mut ann, 1, 200), []);
    let mut bob = device(&hub.endpoints[0].to_string(), "bob");
    let bodies = read(&mut bob, 1, 200);
    assert!(
        bodies
            .iter()
            .all(|(offset, body)| offset.to_string() == *body)
    );
}

#[test]
fn a_hub_that_starts_again_tells_its_devices_that_they_have_no_session() {
    // [F-DGRAM-6] [S-FENCE-2]
    let folder = tempfile::tempdir().unwrap();
    let keeping = HubConfig {
        data: Some(Data::new(folder.path())),
        ..small()
    };
    let first = hub(keeping.clone());
    let (udp, to) = (first.endpoints[0].to_string(), address(&first));
    // The proxy keeps the hub's last words, and its absence, from the device.
    let proxy = Proxy::start(to, 1, 0);
    let mut ann = device(&proxy.url, "ann");
    ann.post_wait("lab", b"before", LONG).unwrap();
    ann.flush(LONG).unwrap();
    drop(first);
    let _second = RunningHub::start(&[&udp], keeping);
    ann.post_wait("lab", b"after", LONG).unwrap();
    ann.flush(LONG).unwrap();
    assert_eq!(read(&mut ann, 1, 2), []);
}
