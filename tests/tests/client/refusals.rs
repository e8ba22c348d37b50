//! Hubs that are not there, do not answer, or do not want this device: told apart, and in words.

use std::io::{Read, Write};
use std::net;
use std::time::Duration;

use halloo_core::wire::{Bye, ByeReason, Code, Joined, Message, PeerError};
use halloo_std::client::{ClientError, Device, Ended, From, Happening, Reconnect, Settings};
use halloo_std::socket::{Options, SocketError, TcpListener};

use crate::hub::Hub;
use crate::stage::{Stage, framed, read_frame, welcome};
use crate::{LONG, impatient, joined, next, until};

#[test]
fn a_listener_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0", &Options::default()).unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let settings = Settings {
        handshake_timeout: Duration::from_millis(50),
        ..Settings::new("ann")
    };
    let error = Device::connect(&url, settings).unwrap_err();
    assert!(
        matches!(error, ClientError::Ended(Ended::NoWelcome)),
        "{error:?}"
    );
}

#[test]
fn a_listener_that_takes_no_connection_is_given_up() {
    // Linux drops further attempts once the queue of a listener is full.
    let options = Options {
        backlog: 0,
        ..Options::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0", &options).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue never fills");
    }
    let settings = Settings {
        connect_timeout: Duration::from_millis(50),
        ..Settings::new("ann")
    };
    let error = Device::connect(&format!("tcp://{address}"), settings).unwrap_err();
    let ClientError::Ended(Ended::Socket(cause)) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**cause, SocketError::TimedOut { .. }), "{cause:?}");
}

#[test]
fn attempts_end_when_as_many_have_failed_as_the_settings_allow() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settings = Settings {
        reconnect: Reconnect::AtMost(3),
        ..impatient("ann")
    };
    let endpoint = format!("chat+tcp://{address}").parse().unwrap();
    let mut device = Device::offline(endpoint, settings).unwrap();
    let waits: Vec<bool> = (0..3)
        .map(|_| match next(&mut device) {
            Happening::NotConnected { retry_in, .. } => retry_in.is_some(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(waits, [true, true, false]);
    let error = device.next(LONG).unwrap_err();
    let ClientError::Ended(Ended::Socket(cause)) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**cause, SocketError::Refused { .. }), "{cause:?}");
}

#[test]
fn a_wait_that_the_hub_asks_for_is_kept() {
    const ASKED: Duration = Duration::from_secs(3600);
    let stage = Stage::play(|listener| {
        let mut stream = welcome(listener);
        let bye = Message::Bye(Bye {
            reason: ByeReason::Shutdown,
            retry_after: ASKED.as_millis() as u32,
        });
        stream.write_all(&framed(&bye)).unwrap();
        // Until the device has closed.
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let mut device = Device::connect(&stage.url, impatient("ann")).unwrap();
    let Happening::Disconnected {
        retry_in: Some(wait),
        ..
    } = next(&mut device)
    else {
        panic!("no end that is told");
    };
    assert!(wait >= ASKED, "{wait:?}");
    // The wait is the device's, not the caller's.
    assert!(device.next(Duration::from_millis(1)).unwrap().is_none());
    assert!(device.poll_fd().is_none());
}

#[test]
fn a_hub_that_refuses_is_quoted() {
    let stage = Stage::play(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        read_frame(&mut stream);
        let error = Message::Error(PeerError {
            code: Code::NotAllowed,
            retry_after: 0,
            text: "not you",
        });
        stream.write_all(&framed(&error)).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let error = Device::connect(&stage.url, Settings::new("ann")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the hub closed the session: not allowed: not you"
    );
}

#[test]
fn what_speaks_something_else_is_no_hub() {
    let stage = Stage::play(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let error = Device::connect(&stage.url, Settings::new("ann")).unwrap_err();
    assert!(
        matches!(error, ClientError::Ended(Ended::Violation(_))),
        "{error:?}"
    );
}

#[test]
fn a_flush_ends_in_time_though_the_hub_acknowledges_nothing() {
    let stage = Stage::play(|listener| {
        let mut stream = welcome(listener);
        read_frame(&mut stream);
        let joined = Message::Joined(Joined {
            slot: 0,
            room: 0,
            up_seq: 0,
            rejects: 0,
            start: 0,
            head: 0,
            members: 1,
            presence: 1,
        });
        stream.write_all(&framed(&joined)).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let mut device = Device::connect(&stage.url, Settings::new("ann")).unwrap();
    device.join_wait("lab", From::Latest, LONG).unwrap();
    device.post("lab", b"x").unwrap();
    let outcome = device.flush(Duration::from_millis(20));
    assert!(matches!(outcome, Err(ClientError::TimedOut)), "{outcome:?}");
    assert_eq!(device.unacknowledged(), 1);
}

#[test]
fn an_address_or_a_name_that_cannot_be_is_an_error_before_anything_is_sent() {
    let connect = |url: &str, name: &str| Device::connect(url, Settings::new(name)).unwrap_err();
    for url in ["json+tcp://127.0.0.1:1", "echo+udp://127.0.0.1:1"] {
        let error = connect(url, "ann");
        assert!(matches!(error, ClientError::NotChat(_)), "{error:?}");
    }
    let error = connect("tcp//127.0.0.1", "ann");
    assert!(matches!(error, ClientError::Url(_)), "{error:?}");
    let error = connect("tcp://127.0.0.1:1", "a\nb");
    assert!(matches!(error, ClientError::Name { .. }), "{error:?}");
    let error = connect("tcp://no-such-host.invalid:1", "ann");
    let ClientError::Ended(Ended::Socket(cause)) = &error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(**cause, SocketError::Unresolved { .. }),
        "{cause:?}"
    );
}

/// Answers the next greeting with a refusal.
fn refuse(listener: &net::TcpListener, code: Code, retry_after: u32) {
    let (mut stream, _) = listener.accept().unwrap();
    read_frame(&mut stream);
    let error = Message::Error(PeerError {
        code,
        retry_after,
        text: "so it is",
    });
    stream.write_all(&framed(&error)).unwrap();
    stream.read_to_end(&mut Vec::new()).ok();
}

#[test]
fn a_refusal_that_would_come_again_ends_the_device_and_another_does_not() {
    for (code, is_final) in [
        (Code::Version, true),
        (Code::NotAllowed, true),
        (Code::BadName, true),
        (Code::Full, false),
        (Code::Internal, false),
    ] {
        let stage = Stage::play(move |listener| {
            // In service at first, so that the device would come again.
            drop(welcome(listener));
            refuse(listener, code, 3_600_000);
        });
        let mut device = Device::connect(&stage.url, impatient("ann")).unwrap();
        let (cause, retry_in) = until(&mut device, |happening| match happening {
            Happening::NotConnected { cause, retry_in } => Some((cause.clone(), *retry_in)),
            _ => None,
        });
        let Ended::Refused { code: told, text } = &cause else {
            panic!("{code}: {cause:?}");
        };
        assert_eq!((*told, &**text), (code, "so it is"));
        assert_eq!(cause.is_final(), is_final, "{code}");
        let wait = Duration::from_secs(3600);
        assert_eq!(retry_in.is_none(), is_final, "{code}");
        assert!(retry_in.is_none_or(|asked| asked >= wait), "{retry_in:?}");
        let next = device.next(Duration::ZERO);
        assert_eq!(next.is_err(), is_final, "{code}: {next:?}");
    }
}

#[test]
fn a_room_that_the_hub_has_no_place_for_is_refused_and_the_others_go_on() {
    let hub = Hub::tcp();
    let mut device = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    let mut other = Device::connect(&hub.url, Settings::new("bob")).unwrap();
    for room in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        device.join_wait(room, From::Latest, LONG).unwrap();
    }
    let refused = other.join_wait("one-too-many", From::Latest, LONG);
    let Err(ClientError::Refused { room, code }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((&*room, code), ("one-too-many", Code::Full));
    other.join("a", From::Latest).unwrap();
    until(&mut other, joined);
}

#[test]
fn the_waits_between_attempts_are_spread_below_the_limit() {
    const LIMIT: Duration = Duration::from_millis(4);
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settings = Settings {
        longest_wait: LIMIT,
        ..Settings::new("ann")
    };
    let endpoint = format!("chat+tcp://{address}").parse().unwrap();
    let mut device = Device::offline(endpoint, settings).unwrap();
    let mut waits: Vec<_> = (0..40)
        .map(|_| match next(&mut device) {
            Happening::NotConnected { retry_in, .. } => retry_in.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    waits.sort();
    assert!(waits[39] <= LIMIT, "{waits:?}");
    // A fleet whose hub comes back must not come at the same moment.
    waits.dedup();
    assert!(waits.len() > 20, "{waits:?}");
}
