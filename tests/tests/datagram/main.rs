//! Chat over datagrams: the machines against a network that loses, doubles, delays and repeats.

mod device;
mod hub;
mod stories;
mod world;

use halloo_core::chat::client::From;
use halloo_core::chat::hub::RoomPattern;
use halloo_core::time::{millis, secs};
use world::{Faults, ROOMS, Rng, Slots, World};

/// The kinds of no messages.
const NOTHING: [u8; 0] = [];

/// A while of faults and of devices that do anything, then none: all must end well.
fn check_seed(seed: u64, latest: &[RoomPattern<'_>]) -> [u64; 4] {
    let mut rng = Rng(seed ^ 0x00da_7a67);
    let entries = [4, 16, 64][rng.below(3) as usize];
    let (mut slots, mut spare) = (Slots::new(entries), Slots::new(entries));
    // Half of the hubs start again, once.
    let mut spare = Some(&mut spare).filter(|_| rng.chance(500));
    let mut world = World::new(&mut slots, seed, 3);
    world.hub.set_latest(latest);
    world.faults = Faults {
        loss: rng.below(501),
        double: rng.below(300),
        replay: rng.below(50),
        delay: [0, 20, 400][rng.below(3) as usize],
    };
    for _ in 0..rng.below(250) {
        let at = rng.below(3) as usize;
        let slot = rng.below(2) as u8;
        if rng.chance(10)
            && let Some(slots) = spare.take()
        {
            world.restart(slots);
            world.hub.set_latest(latest);
        }
        match rng.below(20) {
            0 => world.cut(at),
            1 => world.leave(at, slot),
            2..=4 => {
                let from = [From::Latest, From::Earliest, From::Last(3)][rng.below(3) as usize];
                world.join(at, ROOMS[rng.below(3) as usize], from);
            }
            _ => world.post(at, slot),
        }
        world.run_for(millis(rng.below(400)));
    }
    world.faults = Faults::NONE;
    for _ in 0..300 {
        world.run_for(secs(1));
        if world.is_settled() {
            break;
        }
    }
    assert!(world.is_settled(), "faults are over and it did not settle");
    // At rest there is nothing but keepalives.
    world.run_for(secs(200));
    let before = world.datagrams;
    world.run_for(secs(250));
    let idle = world.datagrams - before;
    assert!(idle <= 3 * 2 * 11, "{idle} datagrams in 250 s of rest");
    assert!(world.is_settled());
    let posts = world.hub.counters().posts;
    [world.handed, world.gaps, posts, world.changes]
}

fn check_seeds(seeds: std::ops::Range<u64>, latest: &[RoomPattern<'_>]) -> u64 {
    let mut sum = [0; 4];
    for seed in seeds {
        let seen = std::panic::catch_unwind(|| check_seed(seed, latest));
        match seen {
            Ok(seen) => (0..4).for_each(|n| sum[n] += seen[n]),
            Err(cause) => {
                println!("seed {seed}");
                std::panic::resume_unwind(cause)
            }
        }
    }
    let [handed, gaps, posts, changes] = sum;
    println!("{posts} posts kept, {handed} entries handed on, {gaps} gaps, {changes} new stores");
    assert!(sum.iter().all(|count| *count > 0), "{sum:?}");
    gaps
}

#[test]
fn over_any_network_what_is_acknowledged_is_kept_once_and_read_in_one_run() {
    let seeds = std::env::var("HALLOO_SEEDS").ok();
    let seeds = seeds.map_or(1000, |n| n.parse().expect("a number"));
    let _ = check_seeds(0..seeds, &[]);
}

#[test]
fn over_any_network_who_gets_the_latest_is_told_all_that_it_does_not_get() {
    // [D-LATEST-1] [D-LATEST-2] [F-CURSOR-4]
    let all = [RoomPattern::new("*").unwrap()];
    let (gaps, usual) = (check_seeds(0..150, &all), check_seeds(0..150, &[]));
    assert!(gaps > usual, "{gaps} gaps, and {usual} where all is sent");
}
