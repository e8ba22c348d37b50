//! The device for hosts against the real hub: over cut connections, restarts, and peers that are
//! silent, refuse, or talk nonsense.

mod cuts;
mod hub;
mod life;
mod proxy;
mod refusals;
mod stage;

use std::time::Duration;

use halloo_std::client::{Device, Happening, PostId, Settings};

/// Longer than anything here takes: a test that waits so long fails.
const LONG: Duration = Duration::from_secs(60);

fn impatient(name: &str) -> Settings {
    Settings {
        longest_wait: Duration::from_millis(5),
        ..Settings::new(name)
    }
}

/// What happens next, within a time that is never over in a run that goes well.
#[track_caller]
fn next(device: &mut Device) -> Happening {
    device
        .next(LONG)
        .expect("the device goes on")
        .expect("something happens")
}

#[track_caller]
fn until<T>(device: &mut Device, wanted: impl Fn(&Happening) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(&next(device)) {
            return found;
        }
    }
}

fn joined(happening: &Happening) -> Option<()> {
    matches!(happening, Happening::Joined { .. }).then_some(())
}

fn acked(happening: &Happening) -> Option<PostId> {
    match happening {
        Happening::Acked { post, .. } => Some(*post),
        _ => None,
    }
}

/// The next `count` entries by others, which stand one behind the other.
#[track_caller]
fn entries(device: &mut Device, count: usize, first: u64) -> Vec<Vec<u8>> {
    let mut expected = first;
    let mut bodies = Vec::new();
    while bodies.len() < count {
        match next(device) {
            Happening::Entry { offset, body, .. } => {
                assert_eq!(offset, expected);
                expected += 1;
                bodies.push(body);
            }
            gap @ Happening::Gap { .. } => panic!("{gap:?}"),
            _ => {}
        }
    }
    bodies
}
