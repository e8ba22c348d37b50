//! The real hub in a thread, driven over real sockets on the loopback.

use std::io::{Read, Write};
use std::net::{Shutdown as Half, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use halloo_core::wire::{ByeReason, Code, GapReason, Join, Message};
use halloo_std::hub::{HubConfig, HubError, Server, Shutdown, run};
use halloo_std::socket::{Options, SocketError};
use halloo_std::url::Endpoint;
use halloo_tests::hub::{Got, Peer, RunningHub, hello, post, shards, small};

const ROOM: &str = "lab";

#[test]
fn a_post_is_acknowledged_and_reaches_the_other_member_and_its_author_as_a_marker() {
    let hub = RunningHub::chat(small());
    let mut ann = hub.member(1, ROOM);
    let mut bob = hub.member(2, ROOM);
    ann.post(b"hello");
    let mut got = [ann.recv(), ann.recv()];
    got.sort_by_key(|g| matches!(g, Got::Own { .. }));
    assert_eq!(got, [Got::Ack { up_seq: 1 }, Got::Own { offset: 1 }]);
    let entry = Got::Entry {
        offset: 1,
        from: "dev1".into(),
        body: b"hello".into(),
    };
    assert_eq!(bob.recv(), entry);
    let summary = hub.stop();
    assert_eq!(summary.stats.chat.posts, 1);
    assert_eq!(summary.stats.chat.delivered, 2);
    assert_eq!((summary.stats.connections, summary.cut_off), (0, 0));
}

#[test]
fn every_message_of_a_session_is_answered() {
    let hub = RunningHub::chat(small());
    let mut peer = hub.peer();
    peer.send_raw(&hello(1));
    let welcome = Got::Welcome {
        max_body: 1024,
        window: 32,
    };
    assert_eq!(peer.recv(), welcome);
    peer.join(3, ROOM, "ann", 0);
    peer.send(&Message::Ping { token: 9 });
    assert_eq!(peer.recv(), Got::Pong { token: 9 });
    peer.send(&Message::Who { slot: 3, skip: 0 });
    let names = vec!["ann".into()];
    assert_eq!(peer.recv(), Got::Roster { names });
    for n in 0..5_u8 {
        let (token, bytes) = (0, &[n; 8][..]);
        peer.send(&Message::EchoRequest { token, bytes });
    }
    for n in 0..5_u8 {
        let bytes = vec![n; 8];
        assert_eq!(peer.recv(), Got::EchoReply { bytes });
    }
    let bad = Join {
        slot: 4,
        flags: 0,
        cursor: 0,
        history: 0,
        room: b"No Such",
        name: b"ann",
    };
    peer.send(&Message::Join(bad));
    let code = Code::BadRoom;
    assert_eq!(peer.recv(), Got::Reject { seq: 0, code });
    peer.send(&Message::Bye(halloo_core::wire::Bye {
        reason: ByeReason::Done,
        retry_after: 0,
    }));
    assert_eq!(peer.recv(), Got::End);
}

#[test]
fn frames_mean_the_same_in_whatever_pieces_they_come() {
    let hub = RunningHub::chat(small());
    let mut bob = hub.member(2, ROOM);
    let mut expected = 0;
    for (device, size) in (10..).zip([1, 2, 3, 5, 7, 64, 1000]) {
        let mut ann = hub.member(device, ROOM);
        let bodies: Vec<Vec<u8>> = (1..=20_u8).map(|n| vec![n; usize::from(n) * 3]).collect();
        let bytes: Vec<u8> = (1..)
            .zip(&bodies)
            .flat_map(|(seq, body)| post(seq, body))
            .collect();
        for piece in bytes.chunks(size) {
            ann.send_raw(piece);
        }
        for body in &bodies {
            expected += 1;
            assert_eq!(bob.entry(), (expected, body.clone()));
        }
    }
}

#[test]
fn a_peer_that_reads_one_byte_at_a_time_gets_everything() {
    let mut config = small();
    config.options.send_buffer = Some(1);
    config.run_bytes = 100;
    let hub = RunningHub::chat(config);
    let mut slow = hub.member(1, ROOM);
    let mut ann = hub.member(2, ROOM);
    for n in 0..60_u8 {
        ann.post_and_wait(&[n; 200]);
    }
    let mut bytes = Vec::new();
    let mut byte = [0];
    while bytes.len() < 60 * (4 + 17 + 4 + 200) {
        assert_eq!(slow.stream.read(&mut byte).unwrap(), 1);
        bytes.push(byte[0]);
    }
    for (n, frame) in (0_u8..).zip(bytes.chunks(225)) {
        assert_eq!(&frame[25..], &[n; 200]);
    }
}

#[test]
fn every_write_path_holds_under_the_smallest_send_buffer() {
    for (run_bytes, body) in [(1, 700), (64 * 1024, 10), (4096, 300), (64 * 1024, 1000)] {
        let mut config = small();
        config.options.send_buffer = Some(1);
        config.options.recv_buffer = Some(1);
        config.run_bytes = run_bytes;
        config.log_bytes = 1 << 20;
        let hub = RunningHub::chat(config);
        let mut members: Vec<_> = (0..4).map(|n| hub.member(n, ROOM)).collect();
        // Everybody posts, and nobody reads before all have posted.
        for round in 1..=30_u32 {
            for (n, member) in (0_u8..).zip(&mut members) {
                let body = vec![n ^ round as u8; body];
                member.post(&body);
            }
        }
        let logs: Vec<Vec<_>> = members
            .iter_mut()
            .map(|member| (0..120).map(|_| member.entry()).collect())
            .collect();
        for offset in 0..120 {
            let mut bodies: Vec<&Vec<u8>> = Vec::new();
            let mut markers = 0;
            for log in &logs {
                assert_eq!(log[offset].0, offset as u64 + 1);
                if log[offset].1.is_empty() {
                    markers += 1;
                } else {
                    bodies.push(&log[offset].1);
                }
            }
            assert_eq!((markers, bodies.len()), (1, 3));
            assert!(bodies.iter().all(|b| *b == bodies[0] && b.len() == body));
        }
    }
}

#[test]
fn a_peer_that_sends_garbage_is_told_once_and_closed_while_others_go_on() {
    let hub = RunningHub::chat(small());
    let mut ann = hub.member(1, ROOM);
    let mut bob = hub.member(2, ROOM);
    let cases: [(&[u8], Code); 5] = [
        (&[0xff; 5000], Code::Oversize),
        (b"GET / HTTP/1.1\r\nHost: halloo\r\n\r\n", Code::Oversize),
        (&[0, 0, 0, 0], Code::Malformed),
        (&[0, 0, 0, 2, 0xfe, 1, 0, 0], Code::UnknownCritical),
        (&[0, 0, 4, 0x49], Code::Oversize),
    ];
    for (n, (garbage, code)) in (1_u8..).zip(cases) {
        let mut peer = hub.peer();
        peer.hello(100);
        peer.send_raw(garbage);
        assert_eq!(peer.recv(), Got::Error(code));
        // More than the hub reads at a time: it must not be reset before it has heard why.
        assert_eq!(peer.recv(), Got::End);
        ann.post_and_wait(&[n]);
        assert_eq!(bob.entry(), (u64::from(n), vec![n]));
    }
    let mut peer = hub.peer();
    peer.send_raw(&post(1, b"before hello"));
    assert_eq!(peer.recv(), Got::Error(Code::Unexpected));
    assert_eq!(peer.recv(), Got::End);
    assert_eq!(hub.stop().stats.chat.violations, 6);
}

#[test]
fn a_frame_at_the_limit_is_taken_and_one_above_is_not() {
    // [F-LEN-3] [F-LEN-4]
    let hub = RunningHub::chat(small());
    let mut peer = hub.member(1, ROOM);
    peer.post_and_wait(&[1; 1024]);
    // Within the limit of a frame, but not of a body: the sender is told and goes on.
    peer.send_raw(&post(2, &[1; 1024 + 64]));
    let code = Code::TooLarge;
    assert_eq!(peer.recv(), Got::Reject { seq: 2, code });
    assert_eq!(peer.recv(), Got::Ack { up_seq: 2 });
    peer.send_raw(&post(3, &[1; 1024 + 65]));
    assert_eq!(peer.recv(), Got::Error(Code::Oversize));
}

#[test]
fn a_member_that_stops_reading_costs_little_and_then_gets_everything() {
    let mut config = small();
    config.options.send_buffer = Some(4096);
    config.log_bytes = 4 << 20;
    config.log_entries = 8192;
    let hub = RunningHub::chat(config);
    let mut slow = hub.narrow_member(1, ROOM);
    let mut ann = hub.member(2, ROOM);
    let mut bob = hub.member(3, ROOM);
    // Another shard keeps up to 64 KiB of what the system does not take.
    let most = match shards() {
        None | Some(1) => 16 * 1024,
        Some(_) => 144 * 1024,
    };
    let count = 1000_u32;
    for n in 0..count {
        ann.post_and_wait(&[n as u8; 1000]);
        assert_eq!(bob.entry().0, u64::from(n) + 1);
        let buffers = hub.stats.snapshot().memory.buffers;
        assert!(buffers <= most, "{buffers}");
    }
    for n in 0..count {
        assert_eq!(slow.entry(), (u64::from(n) + 1, vec![n as u8; 1000]));
    }
    assert_eq!(hub.stop().stats.chat.gaps, 0);
}

#[test]
fn a_burst_that_a_room_cannot_hold_waits_and_pushes_nothing_past_members_who_read() {
    const MEMBERS: u8 = 40;
    const EACH: u32 = 32;
    let config = HubConfig {
        log_bytes: 4096,
        ..small()
    };
    let hub = RunningHub::chat(config);
    let mut members: Vec<_> = (1..=MEMBERS).map(|n| hub.member(n, "lab")).collect();
    // What one member gets of it all fits into its socket, so nobody is slow.
    let burst: Vec<u8> = (1..=EACH).flat_map(|seq| post(seq, &[7; 8])).collect();
    for member in &mut members {
        member.send_raw(&burst);
    }
    let total = u64::from(MEMBERS) * u64::from(EACH);
    for member in &mut members {
        let (mut next, mut acked) = (1, 0);
        while next <= total || acked < EACH {
            match member.recv() {
                Got::Ack { up_seq } => acked = up_seq,
                Got::Entry { offset, .. } | Got::Own { offset } => {
                    assert_eq!(offset, next);
                    next += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(hub.stop().stats.chat.gaps, 0);
}

#[test]
fn a_member_that_falls_off_the_log_is_told_what_it_missed() {
    let mut config = small();
    config.options.send_buffer = Some(4096);
    config.log_bytes = 8192;
    let hub = RunningHub::chat(config);
    let mut slow = hub.narrow_member(1, ROOM);
    let mut ann = hub.member(2, ROOM);
    let count = 1000;
    for _ in 0..count {
        ann.post_and_wait(&[5; 1000]);
    }
    let mut next = 1;
    let mut gaps = 0;
    while next <= count {
        match slow.recv() {
            Got::Entry { offset, body, .. } => {
                assert_eq!((offset, body.len()), (next, 1000));
                next += 1;
            }
            Got::Gap { from, to, reason } => {
                assert_eq!((from, reason), (next, GapReason::Retention));
                next = to + 1;
                gaps += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(gaps > 0);
}

#[test]
fn a_device_that_takes_over_its_name_ends_its_old_connection() {
    let hub = RunningHub::chat(small());
    let mut old = hub.member(1, ROOM);
    old.post_and_wait(b"one");
    let mut new = hub.peer();
    new.hello(1);
    assert_eq!(old.recv(), Got::Bye(ByeReason::Replaced));
    assert_eq!(new.join(0, ROOM, "dev1", 0), (1, 1));
    // What the old one still says changes nothing.
    let _ = old.stream.write_all(&post(2, b"two"));
    assert_eq!(old.recv(), Got::End);
    new.post_and_wait(b"two again");
    assert_eq!(hub.stop().stats.chat.posts, 2);
}

#[test]
fn a_lost_connection_frees_its_place_and_its_device_resumes() {
    let mut config = small();
    config.max_connections = 2;
    let hub = RunningHub::chat(config);
    let mut ann = hub.member(1, ROOM);
    for n in 0..20_u8 {
        let mut bob = hub.peer();
        bob.hello(2);
        let (up_seq, head) = bob.join(0, ROOM, "bob", Join::LATEST);
        assert_eq!((up_seq, head), (u32::from(n), 2 * u64::from(n)));
        bob.post_and_wait(&[n]);
        drop(bob);
        ann.post_and_wait(&[n]);
    }
}

#[test]
fn connections_above_the_limit_wait_until_one_closes() {
    let mut config = small();
    config.max_connections = 2;
    let hub = RunningHub::chat(config);
    let first = hub.member(1, ROOM);
    let _second = hub.member(2, ROOM);
    let mut third = hub.peer();
    third.send_raw(&hello(3));
    third
        .stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(third.stream.read(&mut [0]).is_err(), "it was served");
    third
        .stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    drop(first);
    assert!(matches!(third.recv(), Got::Welcome { .. }));
    assert_eq!(hub.stop().stats.connections_most, 2);
}

#[test]
fn a_peer_that_ends_its_side_gets_the_answers_that_it_is_owed() {
    let hub = RunningHub::chat(small());
    let mut peer = hub.peer();
    let mut bytes = hello(1);
    bytes.extend(halloo_tests::hub::framed(&Message::Join(Join {
        slot: 0,
        flags: Join::NO_PRESENCE,
        cursor: 0,
        history: u32::MAX,
        room: ROOM.as_bytes(),
        name: b"ann",
    })));
    for seq in 1..=20 {
        bytes.extend(post(seq, b"in one go"));
    }
    bytes.extend(b"\0\0\0\x20half a frame");
    peer.send_raw(&bytes);
    peer.stream.shutdown(Half::Write).unwrap();
    assert!(matches!(peer.recv(), Got::Welcome { .. }));
    let (mut up_seq, mut offset) = (0, 0);
    loop {
        match peer.recv() {
            Got::Joined { up_seq: at, .. } | Got::Ack { up_seq: at } => up_seq = at,
            Got::Own { offset: at } => offset = at,
            Got::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((up_seq, offset), (20, 20));
}

#[test]
fn a_frame_that_is_not_completed_in_time_ends_the_connection() {
    // [T-HAND-1]
    let mut config = small();
    config.frame_timeout = Duration::from_millis(100);
    let hub = RunningHub::chat(config);
    let mut idle = hub.member(1, ROOM);
    let mut peer = hub.member(2, ROOM);
    peer.send_raw(&post(1, b"never whole")[..10]);
    assert_eq!(peer.recv(), Got::Error(Code::Timeout));
    assert_eq!(peer.recv(), Got::End);
    idle.post_and_wait(b"still here");
}

#[test]
fn a_connection_that_takes_nothing_for_too_long_is_closed() {
    // [T-WRITE-1]
    let mut config = small();
    config.options.send_buffer = Some(4096);
    config.write_timeout = Duration::from_millis(100);
    config.log_bytes = 4 << 20;
    config.log_entries = 8192;
    let hub = RunningHub::chat(config);
    let stuck = hub.narrow_member(1, ROOM);
    let mut ann = hub.member(2, ROOM);
    while hub.stats.snapshot().connections != 1 {
        ann.post_and_wait(&[1; 1000]);
    }
    drop(stuck);
    assert_eq!(hub.stop().cut_off, 1);
}

#[test]
fn a_hub_that_stops_says_so_to_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chat.sock");
    let unix = format!("chat+unix:{}", path.display());
    let hub = RunningHub::start(&["chat+tcp://127.0.0.1:0", &unix], small());
    let mut ann = hub.member(1, ROOM);
    let mut silent = hub.peer();
    let mut bob = Peer::new(UnixStream::connect(&path).unwrap());
    bob.hello(2);
    bob.join(0, ROOM, "bob", 0);
    hub.trigger();
    for got in [ann.recv(), bob.recv(), silent.recv()] {
        // A peer may connect after the hub was told.
        assert!(
            matches!(got, Got::Bye(ByeReason::Shutdown) | Got::End),
            "{got:?}"
        );
    }
    assert_eq!(ann.recv(), Got::End);
    let summary = hub.stop();
    assert_eq!((summary.stats.connections, summary.cut_off), (0, 0));
    assert!(!path.exists());
}

#[test]
fn a_hub_that_is_told_to_stop_before_it_runs_does_not_stay() {
    let endpoint = "chat+tcp://127.0.0.1:0".parse().unwrap();
    let shutdown = Shutdown::new();
    shutdown.trigger();
    let summary = run(&[endpoint], small(), &shutdown).unwrap();
    assert_eq!(summary.stats.accepted, 0);
}

#[test]
fn a_hub_stops_in_time_though_a_peer_reads_nothing() {
    let mut config = small();
    config.options.send_buffer = Some(4096);
    config.stop_timeout = Duration::from_millis(100);
    config.log_bytes = 4 << 20;
    config.max_body = 60_000;
    let hub = RunningHub::chat(config);
    let _stuck = hub.narrow_member(1, ROOM);
    let mut ann = hub.member(2, ROOM);
    // The rest of a frame that was begun is more than the system takes after the hub has stopped.
    for _ in 0..20 {
        ann.post_and_wait(&[1; 60_000]);
    }
    assert_eq!(hub.stop().cut_off, 1);
}

#[test]
fn chat_goes_over_unix_streams() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chat.sock");
    let hub = RunningHub::start(&[&format!("chat+unix:{}", path.display())], small());
    let mut members: Vec<_> = (1..=2)
        .map(|device| {
            let mut peer = Peer::new(UnixStream::connect(&path).unwrap());
            peer.hello(device);
            peer.join(0, ROOM, "x", 0);
            peer
        })
        .collect();
    for n in 0..200_u8 {
        members[0].post_and_wait(&[n; 500]);
    }
    for n in 0..200_u8 {
        assert_eq!(members[1].entry(), (u64::from(n) + 1, vec![n; 500]));
    }
    drop(hub);
    assert!(!path.exists());
}

#[test]
fn echo_gives_back_what_it_was_sent_behind_its_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("echo.sock");
    let unix = format!("echo+unix:{}", path.display());
    let urls = [
        "echo+tcp://127.0.0.1:0",
        "echo+tcp://127.0.0.1:0?prefix=Echo: ",
        "echo+udp://127.0.0.1:0",
        "echo+udp://127.0.0.1:0?prefix=Echo: ",
        &unix,
    ];
    let hub = RunningHub::start(&urls, small());
    check_echo(hub.tcp(0), b"hello", b"hello");
    check_echo(hub.tcp(1), b"hello", b"Echo: hello");
    check_echo(UnixStream::connect(&path).unwrap(), b"hello", b"hello");
    for (number, prefix) in [(2, &b""[..]), (3, b"Echo: ")] {
        let socket = hub.udp(number);
        for size in [0, 1, 100, 9000] {
            let datagram = vec![7; size];
            socket.send(&datagram).unwrap();
            let mut got = vec![0; 65_536];
            let len = socket.recv(&mut got).unwrap();
            assert_eq!(got[..len], [prefix, &datagram].concat());
        }
    }
}

#[track_caller]
fn check_echo(mut stream: impl Read + Write, sent: &[u8], expected: &[u8]) {
    for _ in 0..3 {
        stream.write_all(sent).unwrap();
        let mut got = vec![0; expected.len()];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, expected);
    }
}

#[test]
fn echo_finishes_what_it_has_read_when_the_peer_ends_its_side() {
    let mut config = small();
    config.options.send_buffer = Some(1);
    let hub = RunningHub::start(&["echo+tcp://127.0.0.1:0"], config);
    let mut stream = hub.tcp(0);
    let sent: Vec<u8> = (0..400_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let expected = sent.clone();
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Half::Write).unwrap();
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    writing.join().unwrap();
    assert!(got == expected);
}

#[test]
fn a_greeting_is_given_once_and_the_connection_ends() {
    let urls = [
        "greet+tcp://127.0.0.1:0?text=Hello, client!",
        "greet+udp://127.0.0.1:0?text=Hi",
    ];
    let hub = RunningHub::start(&urls, small());
    let mut stream = hub.tcp(0);
    // Far more than is read for one answer.
    stream.write_all(&[b'x'; 50_000]).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "Hello, client!");
    let socket = hub.udp(1);
    for _ in 0..2 {
        socket.send(b"?").unwrap();
        let mut got = [0; 10];
        let len = socket.recv(&mut got).unwrap();
        assert_eq!(&got[..len], b"Hi");
    }
}

#[test]
fn an_echo_connection_that_is_silent_is_closed() {
    let mut config = small();
    config.echo_idle = Duration::from_millis(100);
    let hub = RunningHub::start(&["echo+tcp://127.0.0.1:0"], config);
    let mut stream = hub.tcp(0);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_name_with_several_addresses_is_served_at_each() {
    let hub = RunningHub::start(&["echo+tcp://localhost:0"], small());
    assert!(!hub.endpoints.is_empty());
    for number in 0..hub.endpoints.len() {
        check_echo(hub.tcp(number), b"x", b"x");
    }
}

#[test]
fn what_cannot_be_served_is_refused_at_once() {
    let bind = |url: &str, config: HubConfig| {
        let endpoint: Endpoint = url.parse().unwrap();
        Server::bind(&[endpoint], config).unwrap_err()
    };
    for url in ["json+udp://127.0.0.1:0", "json+cobs+tcp://127.0.0.1:0"] {
        let error = bind(url, small());
        assert!(matches!(error, HubError::NotServed { .. }), "{error}");
        assert!(error.to_string().starts_with(url), "{error}");
    }
    let error = Server::bind(&[], small()).unwrap_err();
    assert!(matches!(error, HubError::NoListener));
    let mut config = small();
    config.log_bytes = 1000;
    let error = bind("chat+tcp://127.0.0.1:0", config);
    assert!(
        error.to_string().starts_with("log_bytes is 1000"),
        "{error}"
    );
    let taken = RunningHub::chat(small());
    let url = taken.endpoints[0].to_string();
    let error = bind(&url, small());
    let in_use = SocketError::AddressInUse {
        addr: String::new(),
        source: std::io::ErrorKind::AddrInUse.into(),
    };
    let HubError::Socket(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        std::mem::discriminant(&error),
        std::mem::discriminant(&in_use)
    );
}

#[test]
fn a_flood_of_one_connection_does_not_hold_up_another() {
    let hub = RunningHub::chat(small());
    let mut quiet = hub.member(1, "quiet");
    let flood = hub.member(2, "storm");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let mut reader = flood.stream.try_clone().unwrap();
    let mut writer = flood.stream;
    let reading = thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()).is_ok());
    let writing = thread::spawn(move || {
        let mut seq = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let bytes: Vec<u8> = (0..100)
                .flat_map(|_| {
                    seq += 1;
                    post(seq, &[0; 100])
                })
                .collect();
            writer.write_all(&bytes).unwrap();
        }
        writer.shutdown(Half::Write).unwrap();
    });
    for n in 0..300_u32 {
        quiet.post_and_wait(&n.to_be_bytes());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writing.join().unwrap();
    assert!(reading.join().unwrap());
}

#[test]
fn a_storm_of_connections_is_served_whole() {
    let mut config = small();
    config.max_connections = 600;
    config.options = Options::default();
    let hub = RunningHub::start(&["echo+tcp://127.0.0.1:0"], config);
    let streams: Vec<TcpStream> = (0..400).map(|_| hub.tcp(0)).collect();
    for stream in streams {
        check_echo(stream, b"x", b"x");
    }
    assert_eq!(hub.stop().stats.accepted, 400);
}
