//! How long a hub takes to serve again with a long history on disk.
//!
//! `HALLOO_POSTS=10000000 cargo bench -p halloo-tests --bench restart` builds a journal of so many
//! posts of 100 bytes by 10,000 members of 1,000 rooms, in `HALLOO_FOLDER` if that is set. It then
//! measures what a start takes, with the files in the system's cache: as a hub leaves them, and
//! without indexes, as a repair leaves them.

use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use halloo_core::wire::{Entry, Message};
use halloo_std::hub::{Data, HubConfig};
use halloo_std::journal::{Disk, Folder, Journal, Record, Settings};
use halloo_tests::hub::{Got, RunningHub, framed};

const ROOMS: u64 = 1000;

/// In each room.
const MEMBERS: u64 = 10;

/// How many posts there are in one commit.
const BATCH: u64 = 10_000;

fn device(room: u64, nth: u64) -> [u8; 16] {
    let mut device = [0; 16];
    device[..8].copy_from_slice(&room.to_be_bytes());
    device[8..].copy_from_slice(&nth.to_be_bytes());
    device
}

fn fill(folder: &Path, posts: u64) {
    let mut journal = Journal::open(Folder::take(folder).unwrap(), &Settings::default()).unwrap();
    for room in 0..ROOMS {
        journal.append(&Record::Room {
            number: room as u32,
            name: &format!("room-{room}"),
        });
    }
    for n in 0..posts {
        let (room, offset) = (n % ROOMS, n / ROOMS + 1);
        let nth = offset % MEMBERS;
        let frame = framed(&Message::Entry(Entry {
            room: room as u32,
            offset,
            flags: 0,
            from: "device",
            body: &[n as u8; 100],
        }));
        journal.append(&Record::Entry {
            time: n,
            device: device(room, nth),
            seq: (offset / MEMBERS + 1) as u32,
            room: room as u32,
            offset,
            frame: &frame,
        });
        if n % BATCH == BATCH - 1 {
            journal.commit().unwrap();
        }
    }
    journal.commit().unwrap();
}

/// From the call that starts a hub until a member has read its room's last entry.
fn start(folder: &Path, posts: u64) -> Duration {
    let config = HubConfig {
        data: Some(Data::new(folder)),
        ..HubConfig::default()
    };
    let start = Instant::now();
    let hub = RunningHub::chat(config);
    let mut peer = hub.peer();
    peer.hello(1);
    let head = posts / ROOMS;
    assert_eq!(peer.join(0, "room-7", "reader", head - 1), (0, head));
    assert!(matches!(peer.recv(), Got::Entry { offset, .. } if offset == head));
    start.elapsed()
}

fn open(folder: &Path) -> Duration {
    let start = Instant::now();
    Journal::open(Folder::take(folder).unwrap(), &Settings::default()).unwrap();
    start.elapsed()
}

fn remove_indexes(folder: &Path) {
    let mut disk = Folder::take(folder).unwrap();
    for name in disk.list().unwrap() {
        if name.ends_with(".index") {
            disk.remove(&name).unwrap();
        }
    }
}

fn main() {
    let is_test = env::args().any(|arg| arg == "--test");
    let usual = if is_test { 20_000 } else { 1_000_000 };
    let posts = env::var("HALLOO_POSTS").map_or(usual, |text| text.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let folder = env::var_os("HALLOO_FOLDER")
        .map_or(temporary.path().into(), Into::<std::path::PathBuf>::into);
    let begun = Instant::now();
    fill(&folder, posts);
    println!(
        "{posts} posts in {ROOMS} rooms, written in {:.2?}",
        begun.elapsed()
    );
    let sizes = std::fs::read_dir(&folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name(), entry.metadata().unwrap().len())
    });
    let mut sizes: Vec<_> = sizes
        .filter(|(name, _)| name.to_string_lossy().ends_with(".journal"))
        .collect();
    sizes.sort_unstable();
    let last = sizes.last().map_or(0, |(_, len)| *len);
    let all: u64 = sizes.iter().map(|(_, len)| len).sum();
    println!("{} segments, {all} bytes, {last} in the last", sizes.len());
    for _ in 0..3 {
        println!("journal open          {:>10.2?}", open(&folder));
        println!("hub serves an entry   {:>10.2?}", start(&folder, posts));
    }
    remove_indexes(&folder);
    println!("open without indexes  {:>10.2?}", open(&folder));
}
