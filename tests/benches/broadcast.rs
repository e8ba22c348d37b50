//! One post to all members of a room: what the hub machine itself costs, without sockets.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use halloo_core::chat::hub::{Config, Conn, ConnId, Hub, Member, Pending, Room, Storage, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::{ENTRY_OVERHEAD, Hello, Join, MAX_CONTROL, Message};

const NOW: Instant = Instant::from_ticks(1);

/// A frame of the log: header, entry, the name `member`, and a body of 64 bytes.
const FRAME: usize = 4 + ENTRY_OVERHEAD + 6 + 64;

/// Sends all that is owed as a socket would that takes everything; the bytes of entries.
fn drain(hub: &mut Hub<'_>) -> usize {
    let mut out = [0; MAX_CONTROL];
    let mut bytes = 0;
    while let Some(conn) = hub.poll_ready() {
        loop {
            match hub.poll_transmit(NOW, conn, &mut out) {
                Transmit::Idle | Transmit::Stored(_) | Transmit::Close => break,
                Transmit::Message(_) => {}
                Transmit::Entries(entries) => {
                    let len = entries.head.len() + entries.tail.len();
                    bytes += std::hint::black_box(len);
                    let sent = entries.sent;
                    let rest = hub.handle_sent(NOW, conn, sent, len);
                    assert!(rest.is_empty());
                }
            }
        }
    }
    bytes
}

fn join(hub: &mut Hub<'_>, device: u32) -> ConnId {
    let conn = hub.connect(NOW).expect("a slot");
    let mut id = [0; 16];
    id[..4].copy_from_slice(&device.to_be_bytes());
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 1,
        device: id,
        max_frame: 4096,
        credit: u16::MAX,
        keepalive: 0,
        proof: &[],
        cookie: None,
    };
    let join = Join {
        slot: 0,
        flags: Join::NO_PRESENCE,
        cursor: Join::LATEST,
        history: u32::MAX,
        room: b"bench",
        name: b"member",
    };
    for message in [Message::Hello(hello), Message::Join(join)] {
        hub.handle_message(NOW, conn, &message).expect("not busy");
    }
    conn
}

/// Credit for more posts than come before the next.
fn grant(hub: &mut Hub<'_>, everybody: &[ConnId], cursor: u64) {
    for conn in everybody {
        let credit = Message::Credit {
            slot: 0,
            cursor,
            window: u16::MAX,
        };
        hub.handle_message(NOW, *conn, &credit).expect("not busy");
    }
}

fn broadcast(c: &mut Criterion) {
    let mut group = c.benchmark_group("broadcast");
    for members in [10_u32, 100, 1_000] {
        let slots = members as usize + 1;
        let mut conns = vec![Conn::FREE; slots];
        let mut devices = vec![Member::FREE; slots];
        let mut rooms = vec![Room::FREE; 1];
        let (mut bytes, mut index) = (vec![0; 1 << 20], vec![[0; 4]; 1 << 13]);
        let mut pending = vec![Pending::FREE; 64];
        let storage = Storage {
            conns: &mut conns,
            members: &mut devices,
            rooms: &mut rooms,
            bytes: &mut bytes,
            index: &mut index,
            pending: &mut pending,
        };
        let mut hub = Hub::new(Config::new(1, [1; 4], 1), storage);
        let everybody: Vec<ConnId> = (0..=members).map(|n| join(&mut hub, n)).collect();
        let poster = everybody[0];
        drain(&mut hub);
        let (mut seq, mut offset) = (0_u32, 0_u64);
        group.throughput(Throughput::Elements(u64::from(members)));
        group.bench_function(BenchmarkId::from_parameter(members), |b| {
            b.iter(|| {
                if offset.is_multiple_of(30_000) {
                    grant(&mut hub, &everybody, offset);
                }
                seq = seq.wrapping_add(1);
                offset += 1;
                let post = Message::Post {
                    slot: 0,
                    seq,
                    body: &[7; 64],
                };
                hub.handle_message(NOW, poster, &post).expect("not busy");
                hub.commit_in_memory();
                let sent = drain(&mut hub);
                assert_eq!(sent, members as usize * FRAME, "every member got it");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, broadcast);
criterion_main!(benches);
