//! One post to all members of a room, and the acks: what the hub machine itself costs.

use halloo_core::chat::hub::{Config, Conn, ConnId, Hub, Member, Pending, Room, Storage, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::{ENTRY_OVERHEAD, Hello, Join, MAX_CONTROL, Message};

use super::{Case, Measure};

const GROUP: &str = "a post through the hub machine";

/// Posts in a round; then every member acknowledges them.
const ROUND: u32 = 32;

pub(crate) const CASES: &[Case] = &[
    Case::ours(GROUP, "10 members", ROUND, |m| broadcast(m, 10)),
    Case::ours(GROUP, "100 members", ROUND, |m| broadcast(m, 100)),
    Case::ours(GROUP, "1,000 members", ROUND, |m| broadcast(m, 1_000)),
];

const NOW: Instant = Instant::from_ticks(1);

/// A frame of the log: header, entry, the name `member`, and a body of 64 bytes.
const FRAME: usize = 4 + ENTRY_OVERHEAD + 6 + 64;

/// What was sent: the bytes of entries, and other messages.
#[derive(Default)]
struct Sent {
    bytes: usize,
    messages: u32,
}

/// Sends all that is owed, as a socket would that takes everything.
fn drain(hub: &mut Hub<'_>) -> Sent {
    let mut out = [0; MAX_CONTROL];
    let mut all = Sent::default();
    while let Some(conn) = hub.poll_ready() {
        loop {
            match hub.poll_transmit(NOW, conn, &mut out) {
                Transmit::Idle | Transmit::Stored(_) | Transmit::Close => break,
                Transmit::Message(_) => all.messages += 1,
                Transmit::Entries(entries) => {
                    let len = entries.head.len() + entries.tail.len();
                    all.bytes += std::hint::black_box(len);
                    let sent = entries.sent;
                    let rest = hub.handle_sent(NOW, conn, sent, len);
                    assert!(rest.is_empty());
                }
            }
        }
    }
    all
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

/// A member has all up to `cursor`, and takes another two rounds.
fn acknowledge(hub: &mut Hub<'_>, conn: ConnId, cursor: u64) {
    let credit = Message::Credit {
        slot: 0,
        cursor,
        window: 2 * ROUND as u16,
    };
    hub.handle_message(NOW, conn, &credit).expect("not busy");
}

pub(crate) fn broadcast(measure: Measure<'_>, members: u32) {
    let slots = members as usize + 1;
    let mut conns = vec![Conn::FREE; slots];
    let mut devices = vec![Member::FREE; slots];
    let mut rooms = vec![Room::FREE; 1];
    // Little enough that each post soon takes the place of an old one, as in a hub that has run.
    let (mut bytes, mut index) = (vec![0; 1 << 12], vec![[0; 4]; 1 << 10]);
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
    let mut seq = 0_u32;
    measure(&mut || {
        for _ in 0..ROUND {
            seq = seq.wrapping_add(1);
            let post = Message::Post {
                slot: 0,
                seq,
                body: &[7; 64],
            };
            hub.handle_message(NOW, poster, &post).expect("not busy");
            hub.commit_in_memory();
            let sent = drain(&mut hub);
            assert_eq!(sent.bytes, members as usize * FRAME, "every member got it");
            assert!(sent.messages > 0, "the poster got its ack");
        }
        for conn in &everybody {
            acknowledge(&mut hub, *conn, u64::from(seq));
        }
    });
}
