//! A device from its first connection to its bye.

use std::io::{Read, Write};
use std::time::Duration;

use halloo_core::wire::{ByeReason, Message};
use halloo_std::client::{
    ClientError, Device, Ended, From, Happening, JoinError, MAX_BODY, PostError, Settings,
};

use crate::hub::Hub;
use crate::stage::{Stage, framed, welcome};
use crate::{LONG, acked, entries, impatient, next, until};

#[test]
fn a_restarted_hub_gets_the_open_posts_and_the_application_is_told_of_the_new_log() {
    let first = Hub::tcp();
    let url = first.url.clone();
    let mut device = Device::connect(&url, impatient("ann")).unwrap();
    device.join_wait("lab", From::Latest, LONG).unwrap();
    for body in [b"1", b"2", b"3"] {
        device.post("lab", body).unwrap();
    }
    device.flush(LONG).unwrap();
    drop(first);
    let lost = until(&mut device, |happening| match happening {
        Happening::Disconnected { cause, retry_in } => Some((cause.clone(), *retry_in)),
        _ => None,
    });
    assert!(
        matches!(lost, (Ended::Bye(ByeReason::Shutdown), Some(_))),
        "{lost:?}"
    );
    assert!(!device.is_connected());
    let open = [
        device.post("lab", b"4").unwrap(),
        device.post("lab", b"5").unwrap(),
    ];

    let second = Hub::start(&url);
    until(&mut device, |happening| {
        matches!(happening, Happening::Reconnected).then_some(())
    });
    until(&mut device, |happening| match happening {
        Happening::StoreChanged { room } => {
            assert_eq!(room, "lab");
            Some(())
        }
        Happening::Acked { .. } | Happening::Joined { .. } => panic!("{happening:?} came first"),
        _ => None,
    });
    let verdicts = [until(&mut device, acked), until(&mut device, acked)];
    assert_eq!(verdicts, open);
    let mut witness = Device::connect(&second.url, Settings::new("bob")).unwrap();
    witness.join("lab", From::Earliest).unwrap();
    assert_eq!(entries(&mut witness, 2, 1), [b"4".to_vec(), b"5".to_vec()]);
    device.bye(LONG).unwrap();
}

#[test]
fn what_is_posted_comes_to_the_others_whole_and_to_the_poster_as_a_marker() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::start(&format!(
        "chat+unix:{}",
        dir.path().join("hub.sock").display()
    ));
    let mut ann = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    let mut bob = Device::connect(&hub.url, Settings::new("bob")).unwrap();
    ann.join_wait("lab", From::Latest, LONG).unwrap();
    bob.join_wait("lab", From::Latest, LONG).unwrap();
    let post = ann.post("lab", b"hello").unwrap();
    let (mut is_acked, mut is_own) = (false, false);
    while !is_acked || !is_own {
        match next(&mut ann) {
            Happening::Acked { post: id, .. } => is_acked = id == post,
            Happening::Own { offset, .. } => is_own = offset == 1,
            _ => {}
        }
    }
    let entry = until(&mut bob, |happening| match happening {
        Happening::Entry { from, body, .. } => Some((from.to_string(), body.clone())),
        _ => None,
    });
    assert_eq!(entry, ("ann".into(), b"hello".to_vec()));
    bob.who("lab", 0);
    let names = until(&mut bob, |happening| match happening {
        Happening::Roster { names, members, .. } => Some((names.len(), *members)),
        _ => None,
    });
    assert_eq!(names, (2, 2));
    ann.bye(LONG).unwrap();
    until(&mut bob, |happening| {
        matches!(happening, Happening::Notice { who, members: 1, .. } if who == "ann").then_some(())
    });
    bob.echo(7, b"still there?");
    until(&mut bob, |happening| {
        matches!(happening, Happening::Echo { token: 7, bytes } if bytes == b"still there?")
            .then_some(())
    });
}

#[test]
fn a_post_that_cannot_be_taken_is_an_error_at_once() {
    let hub = Hub::tcp();
    let mut device = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    assert_eq!(device.post("lab", b"x"), Err(PostError::NotJoined));
    device.join_wait("lab", From::Latest, LONG).unwrap();
    assert_eq!(
        device.post("lab", &[0; MAX_BODY + 1]),
        Err(PostError::TooLarge)
    );
    assert_eq!(device.post("lab", &[0; 1025]), Err(PostError::TooLarge));
    let full = (0..100).find_map(|_| device.post("lab", &[0; 1024]).err());
    assert_eq!(full, Some(PostError::OutboxFull));
    device.post_wait("lab", &[0; 1024], LONG).unwrap();
    let again = device.join("lab", From::Latest);
    assert!(
        matches!(
            again,
            Err(ClientError::Join {
                source: JoinError::Again,
                ..
            })
        ),
        "{again:?}"
    );
    device.flush(LONG).unwrap();
}

#[test]
fn a_caller_that_polls_is_told_to_come_back_for_what_it_asked_for() {
    let hub = Hub::tcp();
    let mut device = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    device.join_wait("lab", From::Latest, LONG).unwrap();
    while device.next(Duration::ZERO).unwrap().is_some() {}
    assert_ne!(device.poll_timeout(), Some(Duration::ZERO));
    assert!(device.poll_fd().is_some());
    device.post("lab", b"x").unwrap();
    assert_eq!(device.poll_timeout(), Some(Duration::ZERO));
}

#[test]
fn a_device_that_takes_over_a_name_ends_the_older_one_for_good() {
    let hub = Hub::tcp();
    let settings = || Settings {
        device: Some(*b"gateway no 00042"),
        ..impatient("gateway")
    };
    let mut older = Device::connect(&hub.url, settings()).unwrap();
    let newer = Device::connect(&hub.url, settings()).unwrap();
    let end = until(&mut older, |happening| match happening {
        Happening::Disconnected { cause, retry_in } => Some((cause.clone(), *retry_in)),
        _ => None,
    });
    assert!(
        matches!(end, (Ended::Bye(ByeReason::Replaced), None)),
        "{end:?}"
    );
    for _ in 0..2 {
        let error = older.next(LONG);
        assert!(
            matches!(
                error,
                Err(ClientError::Ended(Ended::Bye(ByeReason::Replaced)))
            ),
            "{error:?}"
        );
    }
    newer.bye(LONG).unwrap();
}

#[test]
fn frames_that_wait_in_the_buffer_are_not_slept_upon() {
    let stage = Stage::play(|listener| {
        let mut stream = welcome(listener);
        let mut bytes = framed(&Message::Pong { token: 0 }).repeat(100);
        let echo = Message::EchoReply {
            token: 1,
            bytes: b"news",
        };
        bytes.extend(framed(&echo));
        stream.write_all(&bytes).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let settings = Settings {
        keepalive: Duration::ZERO,
        ..Settings::new("ann")
    };
    let mut device = Device::connect(&stage.url, settings).unwrap();
    let happening = next(&mut device);
    assert!(
        matches!(happening, Happening::Echo { token: 1, .. }),
        "{happening:?}"
    );
}

#[test]
fn an_outbox_that_is_full_while_the_hub_is_away_says_so_and_drains_when_it_is_back() {
    let first = Hub::tcp();
    let url = first.url.clone();
    let mut device = Device::connect(&url, impatient("ann")).unwrap();
    device.join_wait("lab", From::Latest, LONG).unwrap();
    drop(first);
    until(&mut device, |happening| {
        matches!(happening, Happening::Disconnected { .. }).then_some(())
    });
    let mut taken = Vec::new();
    let full = loop {
        match device.post("lab", taken.len().to_string().as_bytes()) {
            Ok(post) => taken.push(post),
            Err(error) => break error,
        }
    };
    assert_eq!(full, PostError::OutboxFull);
    // As many as may be without verdict in a room.
    assert_eq!((taken.len(), device.unacknowledged()), (32, 32));
    let late = device.post_wait("lab", b"late", Duration::from_millis(20));
    assert!(matches!(late, Err(ClientError::TimedOut)), "{late:?}");

    let second = Hub::start(&url);
    taken.push(device.post_wait("lab", b"32", LONG).unwrap());
    device.flush(LONG).unwrap();
    let verdicts: Vec<_> = taken.iter().map(|_| until(&mut device, acked)).collect();
    assert_eq!(verdicts, taken);
    let mut witness = Device::connect(&second.url, Settings::new("bob")).unwrap();
    witness.join("lab", From::Earliest).unwrap();
    let expected: Vec<_> = (0..33).map(|n: u32| n.to_string().into_bytes()).collect();
    assert_eq!(entries(&mut witness, 33, 1), expected);
}

#[test]
fn a_gateway_that_starts_again_reads_on_behind_what_it_has() {
    let hub = Hub::tcp();
    let settings = || Settings {
        device: Some(*b"gateway no 00042"),
        ..impatient("gateway")
    };
    let mut poster = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    poster.join_wait("lab", From::Latest, LONG).unwrap();
    let mut gateway = Device::connect(&hub.url, settings()).unwrap();
    gateway.join_wait("lab", From::Earliest, LONG).unwrap();
    poster.post("lab", b"one").unwrap();
    poster.flush(LONG).unwrap();
    assert_eq!(entries(&mut gateway, 1, 1), [b"one".to_vec()]);
    let cursor = gateway.cursor("lab").unwrap();
    let store = gateway.store("lab").unwrap();
    gateway.post("lab", b"two").unwrap();
    gateway.flush(LONG).unwrap();
    drop(gateway);
    poster.post("lab", b"three").unwrap();
    poster.flush(LONG).unwrap();

    let mut gateway = Device::connect(&hub.url, settings()).unwrap();
    gateway.join("lab", From::After { cursor, store }).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match next(&mut gateway) {
            Happening::Own { offset, .. } => seen.push((offset, Vec::new())),
            Happening::Entry { offset, body, .. } => seen.push((offset, body)),
            _ => {}
        }
    }
    assert_eq!(seen, [(2, Vec::new()), (3, b"three".to_vec())]);
    // Its posts are numbered on from where the hub has them.
    gateway.post("lab", b"four").unwrap();
    gateway.flush(LONG).unwrap();
    assert_eq!(entries(&mut poster, 1, 2), [b"two".to_vec()]);
}
