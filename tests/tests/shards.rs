//! A hub of several shards: rooms are reachable from all, nothing is lost or out of order across them.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::thread;

use halloo_core::wire::{ByeReason, Join};
use halloo_std::hub::HubConfig;
use halloo_tests::hub::{Got, Peer, RunningHub, Stream, post, small};

fn sharded(shards: usize) -> HubConfig {
    HubConfig {
        shards,
        shard_block: 1,
        log_bytes: 1 << 20,
        log_entries: 16 * 1024,
        ..small()
    }
}

/// Posts `count` bodies with at most 32 on their way, and reads until the room has `total` entries:
/// what it saw of them, in order, its own as empty ones.
fn post_and_read(mut member: Peer<TcpStream>, count: u32, total: u64) -> Vec<Vec<u8>> {
    let (mut posted, mut acked) = (0, 0);
    let mut seen = Vec::new();
    while acked < count || (seen.len() as u64) < total {
        let mut out = Vec::new();
        while posted < count && posted - acked < 32 {
            posted += 1;
            out.extend(post(posted, &posted.to_be_bytes()));
        }
        member.send_raw(&out);
        match member.recv() {
            Got::Ack { up_seq } => acked = up_seq,
            Got::Entry { offset, from, body } => {
                assert_eq!(offset, seen.len() as u64 + 1);
                seen.push([from.as_bytes(), &body].concat());
            }
            Got::Own { offset } => {
                assert_eq!(offset, seen.len() as u64 + 1);
                seen.push(Vec::new());
            }
            other => panic!("{other:?}"),
        }
    }
    seen
}

#[test]
fn members_on_all_shards_see_one_log_of_each_room() {
    check_logs(sharded(3));
}

#[test]
fn members_of_a_room_on_one_shard_see_one_log_too() {
    check_logs(HubConfig {
        shard_block: 64,
        ..sharded(3)
    });
}

fn check_logs(config: HubConfig) {
    const ROOMS: usize = 4;
    const EACH: usize = 5;
    const POSTS: u32 = 500;
    let hub = RunningHub::chat(config);
    let total = EACH as u64 * u64::from(POSTS);
    let members: Vec<_> = (0..ROOMS * EACH)
        .map(|n| hub.member(n as u8 + 1, &format!("room{}", n / EACH)))
        .collect();
    let threads: Vec<_> = members
        .into_iter()
        .map(|member| thread::spawn(move || post_and_read(member, POSTS, total)))
        .collect();
    let seen: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    for room in seen.chunks(EACH) {
        for at in 0..total as usize {
            let mut whole = room.iter().map(|log| &log[at]).filter(|e| !e.is_empty());
            let first = whole.next().unwrap();
            assert_eq!(whole.clone().count(), EACH - 2, "one of them posted it");
            assert!(whole.all(|entry| entry == first), "the logs differ at {at}");
        }
        // What one posted, the others have in the order in which it did.
        let of = |name: &str, log: &[Vec<u8>]| -> Vec<Vec<u8>> {
            let is_its = |e: &&Vec<u8>| e.len() == name.len() + 4 && e.starts_with(name.as_bytes());
            log.iter().filter(is_its).cloned().collect()
        };
        let names: VecDeque<_> = room[0].iter().filter(|e| !e.is_empty()).collect();
        let name = String::from_utf8(names[0][..names[0].len() - 4].to_vec()).unwrap();
        let expected: Vec<_> = (1..=POSTS)
            .map(|n| [name.as_bytes(), &n.to_be_bytes()].concat())
            .collect();
        assert_eq!(of(&name, &room[0]), expected);
    }
    let stats = hub.stop().stats;
    assert_eq!(stats.chat.posts, total * ROOMS as u64);
    assert_eq!((stats.chat.gaps, stats.memory.buffers), (0, 0));
}

#[test]
fn a_member_that_stops_reading_costs_a_bound_and_then_gets_everything() {
    let mut config = sharded(2);
    config.options.send_buffer = Some(4096);
    config.log_bytes = 4 << 20;
    let hub = RunningHub::chat(config);
    // Each is on a shard of its own.
    let mut slow = hub.narrow_member(1, "lab");
    let mut ann = hub.member(2, "lab");
    let count = 1000_u32;
    for n in 0..count {
        ann.post_and_wait(&[n as u8; 1000]);
    }
    let kept = hub.stats.snapshot().memory.buffers;
    assert!(kept <= 144 * 1024, "{kept}");
    for n in 0..count {
        assert_eq!(slow.entry(), (u64::from(n) + 1, vec![n as u8; 1000]));
    }
}

#[test]
fn who_ends_its_side_still_gets_all_that_it_is_owed() {
    let mut config = sharded(4);
    config.options.send_buffer = Some(4096);
    let hub = RunningHub::chat(config);
    for device in 1..=4 {
        let mut peer = hub.narrow_member(device, "lab");
        let mut all = Vec::new();
        for n in 0..100 {
            all.extend(halloo_tests::hub::framed(
                &halloo_core::wire::Message::EchoRequest {
                    token: n,
                    bytes: &[n as u8; 8],
                },
            ));
        }
        peer.send_raw(&all);
        peer.stream.end_writing();
        for n in 0..100 {
            let bytes = vec![n; 8];
            assert_eq!(peer.recv(), Got::EchoReply { bytes });
        }
        assert_eq!(peer.recv(), Got::End);
    }
}

#[test]
fn connections_that_are_lost_leave_nothing_behind_on_any_shard() {
    let hub = RunningHub::chat(sharded(3));
    let mut stays = hub.member(1, "lab");
    for round in 0..20_u32 {
        let lost: Vec<_> = (2..14).map(|n| hub.member(n, "lab")).collect();
        stays.post_and_wait(&[round as u8; 500]);
        // With entries that it never read: the system resets these.
        drop(lost);
        while hub.stats.snapshot().connections != 1 {
            thread::yield_now();
        }
    }
    assert_eq!(hub.stats.snapshot().memory.buffers, 0);
    let mut back = hub.peer();
    back.hello(2);
    assert_eq!(back.join(0, "lab", "dev2", Join::LATEST), (0, 20));
}

#[test]
fn a_hub_that_stops_leaves_nothing_unsaid_to_who_reads_slowly() {
    let mut config = sharded(4);
    config.options.send_buffer = Some(4096);
    config.stop_timeout = std::time::Duration::from_millis(200);
    let hub = RunningHub::chat(config);
    let mut slow: Vec<_> = (1..=3).map(|n| hub.narrow_member(n, "lab")).collect();
    let mut ann = hub.member(4, "lab");
    for n in 0..20 {
        ann.post_and_wait(&[n; 1000]);
    }
    while hub.stats.snapshot().chat.delivered != 80 {
        thread::yield_now();
    }
    // More than the system's buffers take, less than a shard keeps.
    let reading = thread::spawn(move || {
        for member in &mut slow {
            for n in 0..20_u8 {
                assert_eq!(member.entry(), (u64::from(n) + 1, vec![n; 1000]));
            }
            assert_eq!(member.recv(), Got::Bye(ByeReason::Shutdown));
        }
    });
    hub.trigger();
    hub.stop();
    reading.join().unwrap();
}

#[test]
fn a_hub_that_stops_tells_everybody_on_every_shard() {
    let hub = RunningHub::chat(sharded(3));
    let mut members: Vec<_> = (1..=9).map(|n| hub.member(n, "lab")).collect();
    hub.trigger();
    for member in &mut members {
        assert_eq!(member.recv(), Got::Bye(ByeReason::Shutdown));
        assert_eq!(member.recv(), Got::End);
    }
    drop(members);
    assert_eq!(hub.stop().cut_off, 0);
}
