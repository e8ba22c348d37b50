//! What the hub allocates once it runs: nothing for a message, and little for a connection.
//!
//! A binary of its own, since it counts every allocation of the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::TcpStream;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use halloo_core::wire::Message;
use halloo_tests::hub::{Peer, RunningHub, framed, shards, small};

/// Allocations, and bytes held, of threads that count.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

impl Counting {
    fn note(bytes: i64, allocations: u64) {
        if COUNTS.try_with(Cell::get).unwrap_or(false) {
            ALLOCATIONS.fetch_add(allocations, Ordering::Relaxed);
            HELD.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(size(layout.size()), 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(size(layout.size()), 1);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::note(-size(layout.size()), 0);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::note(size(new_size) - size(layout.size()), 1);
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Both counters are of the whole process, so there is one test.
#[test]
fn the_hub_allocates_nothing_for_a_message_and_little_for_a_connection() {
    let mut config = small();
    config.max_connections = 600;
    config.members = 1024;
    let hub = RunningHub::start_with(&["chat+tcp://127.0.0.1:0"], config, || {
        COUNTS.with(|counts| counts.set(true));
    });
    let mut members: Vec<_> = (1..=8).map(|n| hub.member(n, "lab")).collect();
    for round in 0..200_u32 {
        exchange(&mut members, round);
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(before > 0, "the hub's thread is not counted");
    for round in 200..2200_u32 {
        exchange(&mut members, round);
    }
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // What is handed over to other shards goes through a queue that grows a block at a time.
    let most = match shards() {
        None | Some(1) => 0,
        Some(_) => 2000,
    };
    assert!(allocated <= most, "{allocated} in 2,000 posts to 8 members");

    let held = HELD.load(Ordering::Relaxed);
    let more: Vec<_> = (0..500).map(|_| hub.peer()).collect();
    while hub.stats.snapshot().connections != 508 {
        std::thread::yield_now();
    }
    let each = (HELD.load(Ordering::Relaxed) - held) / 500;
    assert!(each <= 512, "{each} bytes for a connection");
    drop(more);
    drop(members);
    assert_eq!(hub.stop().stats.memory.buffers, 0);
}

/// One member posts, in pieces that cut its frame, and everybody reads.
fn exchange(members: &mut [Peer<TcpStream>], round: u32) {
    let author = round as usize % members.len();
    let seq = round / u32::try_from(members.len()).unwrap() + 1;
    let body = [round as u8; 100];
    let frame = framed(&Message::Post {
        slot: 0,
        seq,
        body: &body,
    });
    let (first, second) = frame.split_at(round as usize % frame.len());
    members[author].send_raw(first);
    members[author].send_raw(second);
    for member in members.iter_mut() {
        assert_eq!(member.entry().0, u64::from(round) + 1);
    }
}
