//! Connections that are cut anywhere, under load.

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use halloo_core::wire::{Entry, Joined, Message};
use halloo_std::client::{ClientError, Device, From, Happening, PostId, Reconnect, Settings};

use crate::hub::Hub;
use crate::proxy::Proxy;
use crate::stage::{Stage, framed, read_frame, welcome};
use crate::{LONG, acked, impatient, joined, next, until};

const POSTERS: usize = 3;
const POSTS: usize = 120;

/// What a poster says; its length is another one each time.
fn body(poster: usize, number: usize) -> String {
    format!("{poster} {number} {}", "x".repeat(number * 7 % 60))
}

fn take_verdicts(device: &mut Device, verdicts: &mut Vec<PostId>) {
    while let Some(happening) = device.next(Duration::ZERO).unwrap() {
        verdicts.extend(acked(&happening));
    }
}

/// Posts all it has, over `url`, and checks that every post had its verdict once, in order.
fn post_all(url: &str, poster: usize) {
    let endpoint = url.parse().unwrap();
    let mut device = Device::offline(endpoint, impatient(&format!("poster {poster}"))).unwrap();
    device.join("lab", From::Latest).unwrap();
    let (mut posted, mut verdicts) = (Vec::new(), Vec::new());
    for number in 0..POSTS {
        let body = body(poster, number);
        posted.push(loop {
            match device.post_wait("lab", body.as_bytes(), LONG) {
                // Many connections tell much.
                Err(ClientError::Unread) => take_verdicts(&mut device, &mut verdicts),
                outcome => break outcome.unwrap(),
            }
        });
        take_verdicts(&mut device, &mut verdicts);
    }
    while device.unacknowledged() > 0 {
        verdicts.extend(acked(&next(&mut device)));
    }
    take_verdicts(&mut device, &mut verdicts);
    assert_eq!(verdicts, posted);
}

/// Reads the room until its entry `last`: whose it was and what it says, one behind the other.
fn read_all(device: &mut Device, last: u64) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    while (entries.len() as u64) < last {
        match next(device) {
            Happening::Entry {
                offset, from, body, ..
            } => {
                assert_eq!(offset, entries.len() as u64 + 1);
                entries.push((from.to_string(), String::from_utf8(body).unwrap()));
            }
            hole @ (Happening::Gap { .. } | Happening::StoreChanged { .. }) => panic!("{hole:?}"),
            _ => {}
        }
    }
    entries
}

fn run(seed: u64) {
    const ALL: u64 = (POSTERS * POSTS) as u64;
    let hub = Hub::tcp();
    let proxies: Vec<_> = (0..POSTERS as u64 + 2)
        .map(|number| Proxy::start(hub.address(), seed * 100 + number))
        .collect();
    let (from, to) = proxies.split_at(POSTERS);
    let mut readers: Vec<_> = to
        .iter()
        .map(|proxy| {
            let endpoint = proxy.url.parse().unwrap();
            let mut device = Device::offline(endpoint, impatient("reader")).unwrap();
            device.join("lab", From::Earliest).unwrap();
            until(&mut device, joined);
            device
        })
        .collect();
    let logs: Vec<_> = thread::scope(|scope| {
        for (poster, proxy) in from.iter().enumerate() {
            scope.spawn(move || post_all(&proxy.url, poster));
        }
        let reading: Vec<_> = readers
            .iter_mut()
            .map(|reader| scope.spawn(|| read_all(reader, ALL)))
            .collect();
        reading
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(logs[0], logs[1], "seed {seed}: both read one log");
    let mut by_poster: HashMap<&str, Vec<&str>> = HashMap::new();
    for (from, body) in &logs[0] {
        by_poster.entry(from).or_default().push(body);
    }
    for poster in 0..POSTERS {
        let expected: Vec<_> = (0..POSTS).map(|number| body(poster, number)).collect();
        let seen = &by_poster[&*format!("poster {poster}")];
        assert_eq!(*seen, expected, "seed {seed}, poster {poster}");
    }
    for (number, proxy) in proxies.iter().enumerate() {
        assert!(
            proxy.cuts() > 2,
            "seed {seed}: {} cuts at {number}",
            proxy.cuts()
        );
        proxy.heal();
    }
    // Nothing more comes, once all is calm.
    let mut witness = Device::connect(&hub.url, Settings::new("witness")).unwrap();
    witness.join_wait("lab", From::Latest, LONG).unwrap();
    witness.post("lab", b"last").unwrap();
    witness.flush(LONG).unwrap();
    for reader in &mut readers {
        let entry = until(reader, |happening| match happening {
            Happening::Entry { offset, body, .. } => Some((*offset, body.clone())),
            _ => None,
        });
        assert_eq!(entry, (ALL + 1, b"last".to_vec()), "seed {seed}");
    }
}

#[test]
fn every_acknowledged_post_arrives_once_and_in_order_over_connections_that_are_cut_anywhere() {
    for seed in [1, 2, 3] {
        run(seed);
    }
}

#[test]
fn what_came_before_a_connection_was_cut_is_read_though_nothing_can_be_written() {
    let (go, may_go) = mpsc::channel();
    let (closed, is_closed) = mpsc::channel();
    let stage = Stage::play(move |listener| {
        let mut stream = welcome(listener);
        may_go.recv().unwrap();
        read_frame(&mut stream);
        let joined = Message::Joined(Joined {
            slot: 0,
            room: 5,
            up_seq: 0,
            rejects: 0,
            start: 0,
            head: 3,
            members: 2,
            presence: 1,
        });
        let mut bytes = framed(&joined);
        for offset in 1..=3 {
            bytes.extend(framed(&Message::Entry(Entry {
                room: 5,
                offset,
                flags: 0,
                from: "bob",
                body: b"x",
            })));
        }
        stream.write_all(&bytes).unwrap();
        // The request after the join is unread, so that the end is a reset.
        drop(stream);
        closed.send(()).unwrap();
    });
    let settings = Settings {
        reconnect: Reconnect::Never,
        ..Settings::new("ann")
    };
    let mut device = Device::connect(&stage.url, settings).unwrap();
    device.join("lab", From::Earliest).unwrap();
    device.echo(1, b"never read");
    assert!(device.next(Duration::ZERO).unwrap().is_none());
    go.send(()).unwrap();
    is_closed.recv().unwrap();
    device.echo(2, b"never sent");
    let told: Vec<_> = (0..5).map(|_| next(&mut device)).collect();
    assert!(
        matches!(
            &*told,
            [
                Happening::Joined { .. },
                Happening::Entry { offset: 1, .. },
                Happening::Entry { offset: 2, .. },
                Happening::Entry { offset: 3, .. },
                Happening::Disconnected { .. },
            ]
        ),
        "{told:#?}"
    );
}
