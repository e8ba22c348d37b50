//! The hub with a data folder: what it acknowledged outlives it, and history is read back from disk.

use std::path::Path;

use halloo_core::wire::binary::decode;
use halloo_core::wire::{GapReason, Join, Message};
use halloo_std::hub::{Data, HubConfig};
use halloo_std::journal::{Folder, JournalError, Retention, renew};
use halloo_tests::hub::{Got, RunningHub, hello, small};

const ROOM: &str = "lab";

/// A hub whose memory holds a handful of posts and whose segments are short.
fn keeping(folder: &Path) -> HubConfig {
    HubConfig {
        log_bytes: 4096,
        log_entries: 16,
        data: Some(Data {
            segment_bytes: 16 * 1024,
            ..Data::new(folder)
        }),
        ..small()
    }
}

fn body(n: u32) -> Vec<u8> {
    (0..100).map(|at| (n as usize * 7 + at) as u8).collect()
}

#[test]
fn a_hub_that_starts_again_knows_every_post_and_where_each_device_stands() {
    let folder = tempfile::tempdir().unwrap();
    let mut next = 1;
    for round in 1..=4_u32 {
        let hub = RunningHub::chat(keeping(folder.path()));
        let mut ann = hub.peer();
        ann.hello(1);
        let stands = ann.join(0, ROOM, "ann", Join::LATEST);
        assert_eq!(stands, (next - 1, u64::from(next - 1)));
        for _ in 0..100 {
            ann.post_and_wait(&body(next));
            next += 1;
        }
        assert_eq!(hub.stop().stats.chat.posts, 100, "in round {round}");
    }
    // Whoever comes last reads all of it, nearly all from the disk.
    let hub = RunningHub::chat(keeping(folder.path()));
    let mut bob = hub.peer();
    bob.hello(2);
    bob.join(0, ROOM, "bob", 0);
    for n in 1..next {
        assert_eq!(bob.entry(), (n.into(), body(n)));
    }
    // Its author gets its own posts as markers, from the disk as from the memory.
    let mut ann = hub.peer();
    ann.hello(1);
    ann.join(0, ROOM, "ann", 0);
    for n in 1..next {
        assert_eq!(ann.recv(), Got::Own { offset: n.into() });
    }
}

#[test]
fn a_member_that_sleeps_through_the_memory_of_its_room_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hub = RunningHub::chat(keeping(folder.path()));
    let mut sleeper = hub.narrow_member(2, ROOM);
    let mut ann = hub.member(1, ROOM);
    for n in 1..=2000 {
        ann.post_and_wait(&body(n));
    }
    for n in 1..=2000 {
        assert_eq!(sleeper.entry(), (n.into(), body(n)));
    }
    assert_eq!(hub.stats.snapshot().chat.gaps, 0);
}

#[test]
fn what_is_read_back_for_a_member_that_takes_little_at_a_time_is_about_what_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = keeping(folder.path());
    config.options.send_buffer = Some(4096);
    let hub = RunningHub::chat(config);
    // The entries of another room lie between.
    let mut others = hub.member(3, "hall");
    let mut ann = hub.member(1, ROOM);
    const POSTS: u32 = 2000;
    for n in 1..=POSTS {
        ann.post_and_wait(&body(n));
        if n > POSTS / 2 {
            others.post_and_wait(&body(n));
        }
    }
    let mut slow = hub.narrow_member(2, "yard");
    slow.join(1, ROOM, "slow", 0);
    for n in 1..=POSTS {
        assert_eq!(slow.entry(), (n.into(), body(n)));
    }
    let sent = u64::from(POSTS) * (4 + 17 + 4 + 100);
    let read = hub.stop().stats.read_back;
    println!(
        "{read} bytes read for {sent}: {:.2}",
        read as f64 / sent as f64
    );
    assert!(
        read > sent,
        "most of it came from the disk: {read} of {sent}"
    );
    assert!(read < 6 * sent, "{read} bytes read for {sent}");
}

#[test]
fn who_lags_behind_retention_is_told_the_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = keeping(folder.path());
    if let Some(data) = &mut config.data {
        data.retention = Retention {
            entries: Some(100),
            ..Retention::default()
        };
    }
    let hub = RunningHub::chat(config.clone());
    let mut ann = hub.member(1, ROOM);
    for n in 1..=1000 {
        ann.post_and_wait(&body(n));
    }
    check_gap(&hub);
    drop(hub);
    check_gap(&RunningHub::chat(config));
}

/// A member that joins from the start is told a gap, and gets every entry after it.
fn check_gap(hub: &RunningHub) {
    let mut bob = hub.peer();
    bob.hello(2);
    bob.join(0, ROOM, "bob", 0);
    let got = bob.recv();
    let Got::Gap {
        from: 1,
        to,
        reason: GapReason::Retention,
    } = got
    else {
        panic!("{got:?}");
    };
    assert!((500..=900).contains(&to), "{to}");
    for n in to + 1..=1000 {
        assert_eq!(bob.entry(), (n, body(n as u32)));
    }
}

#[test]
fn in_a_room_served_as_latest_who_stops_reading_jumps_to_the_newest_and_others_get_all() {
    // [D-LATEST-1] [D-LATEST-2]
    let folder = tempfile::tempdir().unwrap();
    for data in [None, keeping(folder.path()).data] {
        let mut config = HubConfig {
            latest: vec!["la*".into()],
            data,
            log_bytes: 64 * 1024,
            log_entries: 256,
            ..small()
        };
        config.options.send_buffer = Some(4096);
        let hub = RunningHub::chat(config);
        let mut sleeper = hub.narrow_member(2, ROOM);
        let (mut reader, mut ann) = (hub.member(3, ROOM), hub.member(1, ROOM));
        // More than the sockets between hold and the room is sized for.
        const POSTS: u32 = 2000;
        for n in 1..=POSTS {
            ann.post_and_wait(&body(n));
            assert_eq!(reader.entry(), (n.into(), body(n)));
        }
        // What it gets and what it is told to be missing is the whole log, in order.
        let (mut next, mut passed_over) = (1, 0);
        while next <= u64::from(POSTS) {
            match sleeper.recv() {
                Got::Entry {
                    offset, body: b, ..
                } => {
                    assert_eq!((offset, b), (next, body(next as u32)));
                    next += 1;
                }
                Got::Gap { from, to, reason } => {
                    assert_eq!((from, reason), (next, GapReason::Latest));
                    passed_over += to - from + 1;
                    next = to + 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(passed_over > u64::from(POSTS) / 4, "{passed_over}");
        assert_eq!(hub.stop().stats.chat.posts, u64::from(POSTS));
    }
}

#[test]
fn what_names_no_rooms_is_refused_before_the_hub_starts() {
    let endpoints = ["chat+tcp://127.0.0.1:0".parse().unwrap()];
    for pattern in ["", "Lab", "a b", "a*b", "**", "*.roof"] {
        let config = HubConfig {
            latest: vec!["lab".into(), pattern.into()],
            ..small()
        };
        let refused = halloo_std::hub::Server::bind(&endpoints, config).unwrap_err();
        assert!(
            matches!(&refused, halloo_std::hub::HubError::Rooms { pattern: p, .. } if p == pattern),
            "{refused}"
        );
    }
}

#[test]
fn a_hub_over_a_backup_tells_the_generations_that_its_store_had() {
    // [D-STORE-5]
    let folder = tempfile::tempdir().unwrap();
    let told = || {
        let hub = RunningHub::chat(keeping(folder.path()));
        let mut peer = hub.peer();
        peer.send_raw(&hello(1));
        let frame = peer.recv_frame().unwrap();
        let Message::Welcome(welcome) = decode(frame).unwrap().message else {
            panic!("no welcome")
        };
        (welcome.generation, welcome.lineage.as_bytes().to_vec())
    };
    let (first, lineage) = told();
    assert_eq!((first, &lineage[..]), (1, &[][..]));
    let renewed = || {
        let mut folder = Folder::take(folder.path()).unwrap();
        renew(&mut folder, 7 << 40).unwrap().generation.unwrap()
    };
    let (second, third) = (renewed(), renewed());
    let (newest, lineage) = told();
    assert_eq!((newest, second > first), (third, true));
    assert_eq!(
        lineage,
        [second, first].map(u32::to_be_bytes).as_flattened()
    );
}

#[test]
fn a_data_folder_serves_one_hub() {
    let folder = tempfile::tempdir().unwrap();
    let _hub = RunningHub::chat(keeping(folder.path()));
    let endpoints = ["chat+tcp://127.0.0.1:0".parse().unwrap()];
    let second = halloo_std::hub::Server::bind(&endpoints, keeping(folder.path()));
    assert!(matches!(
        second,
        Err(halloo_std::hub::HubError::Journal(JournalError::InUse))
    ));
}
