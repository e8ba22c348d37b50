//! The delivery rules, model-checked over the core's own device and hub.
//!
//! Two devices hold two rooms against one hub with a store. In every order that there is, posts are
//! made, messages arrive, connections are cut at one end and go on at the other, commits happen late,
//! the hub crashes and starts again from its store, and a device loses its memory. A state is the
//! list of what happened; it is made anew by doing it again, and two are the same if the machines and
//! what lies between them print the same. Over datagrams the network loses, doubles and delays too;
//! there, no state is the last before all is delivered, so that is always reached.

mod datagrams;
mod ledger;
mod world;

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::{Checker, HasDiscoveries, Model, Property};

/// A world that is made anew from what happened in it.
trait Setting: Copy + Debug + Send + Sync + 'static {
    type Action: Copy + Debug + PartialEq + Send + Sync + 'static;

    fn replay(self, trace: &[Self::Action]) -> Look<Self::Action>;
}

/// What is seen of a world.
struct Look<A> {
    print: String,
    next: Vec<A>,
    broken: Option<String>,
    is_settled: bool,
}

impl Setting for world::Budget {
    type Action = world::Action;

    fn replay(self, trace: &[world::Action]) -> Look<world::Action> {
        world::replay(self, trace, |world| Look {
            print: world.print(),
            next: world.actions(),
            broken: world.ledger.broken.clone(),
            is_settled: world.is_settled(),
        })
    }
}

impl Setting for datagrams::Budget {
    type Action = datagrams::Action;

    fn replay(self, trace: &[datagrams::Action]) -> Look<datagrams::Action> {
        datagrams::replay(self, trace, |world| Look {
            print: world.print(),
            next: world.actions(),
            broken: world.ledger.broken.clone(),
            is_settled: world.is_settled(),
        })
    }
}

/// One state, by what led to it.
#[derive(Debug, Clone)]
struct State<A> {
    trace: Vec<A>,
    print: u64,
    next: Vec<A>,
    broken: Option<String>,
    is_settled: bool,
}

impl<A> PartialEq for State<A> {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl<A> Hash for State<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

fn state<S: Setting>(setting: S, trace: Vec<S::Action>) -> State<S::Action> {
    let look = setting.replay(&trace);
    let mut hasher = DefaultHasher::new();
    look.print.hash(&mut hasher);
    State {
        trace,
        print: hasher.finish(),
        next: look.next,
        broken: look.broken,
        is_settled: look.is_settled,
    }
}

/// No search is longer, so that one over broken rules ends too.
const MOST: usize = 400_000;

#[derive(Debug, Clone)]
struct Rules<S>(S);

impl<S: Setting> Model for Rules<S> {
    type State = State<S::Action>;
    type Action = S::Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![state(self.0, Vec::new())]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<S::Action>) {
        if state.broken.is_none() {
            actions.extend(&state.next);
        }
    }

    fn next_state(&self, last: &Self::State, action: S::Action) -> Option<Self::State> {
        let mut trace = last.trace.clone();
        trace.push(action);
        Some(state(self.0, trace))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what must hold", |_, state: &Self::State| {
                state.broken.is_none()
            }),
            Property::sometimes(
                "all is acknowledged and delivered",
                |_, state: &Self::State| state.is_settled,
            ),
            Property::always("nothing ends before that", |_, state: &Self::State| {
                state.is_settled || !state.next.is_empty()
            }),
        ]
    }
}

fn check(name: &str, setting: impl Setting) {
    let start = std::time::Instant::now();
    let checker = Rules(setting)
        .checker()
        .threads(2)
        .target_state_count(MOST)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{name}: {} states, {} of them different, depth {}, in {:?}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        start.elapsed()
    );
    for rule in ["what must hold", "nothing ends before that"] {
        if let Some(path) = checker.discovery(rule) {
            let last = path.last_state();
            panic!(
                "{}\nafter {:#?}",
                last.broken.as_deref().unwrap_or(rule),
                last.trace
            );
        }
    }
    assert!(checker.state_count() < MOST, "the search was cut short");
    assert!(
        checker
            .discovery("all is acknowledged and delivered")
            .is_some(),
        "no state has all acknowledged and delivered"
    );
}

#[test]
fn nothing_is_lost_or_doubled_while_a_connection_is_cut() {
    let budget = world::Budget {
        posts: [2, 1],
        cuts: [1, 0],
        ..world::Budget::default()
    };
    check("cut", budget);
}

#[test]
fn nothing_is_lost_or_doubled_while_a_connection_is_cut_again_and_again() {
    let budget = world::Budget {
        posts: [2, 0],
        cuts: [2, 0],
        ..world::Budget::default()
    };
    check("cuts", budget);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_crash_of_the_hub() {
    let budget = world::Budget {
        posts: [2, 0],
        crashes: 1,
        ..world::Budget::default()
    };
    check("crash", budget);
}

#[test]
fn nothing_is_lost_or_doubled_when_a_device_forgets() {
    let budget = world::Budget {
        posts: [2, 1],
        resets: 1,
        ..world::Budget::default()
    };
    check("reset", budget);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_crash_and_a_cut() {
    let budget = world::Budget {
        posts: [1, 0],
        cuts: [1, 0],
        crashes: 1,
        rooms: 1,
        ..world::Budget::default()
    };
    check("crash and cut", budget);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_crash_when_a_device_forgets() {
    let budget = world::Budget {
        posts: [1, 0],
        crashes: 1,
        resets: 1,
        rooms: 1,
        ..world::Budget::default()
    };
    check("crash and reset", budget);
}

#[test]
fn over_datagrams_nothing_is_lost_or_doubled_by_a_bad_network() {
    let budget = datagrams::Budget {
        posts: [2, 0],
        losses: 1,
        delays: 1,
        doubles: 1,
        ..datagrams::Budget::default()
    };
    check("datagrams", budget);
}

#[test]
fn over_datagrams_nothing_is_lost_or_doubled_by_two_losses() {
    let budget = datagrams::Budget {
        posts: [2, 0],
        losses: 2,
        delays: 1,
        ..datagrams::Budget::default()
    };
    check("losses", budget);
}

#[test]
fn over_datagrams_nothing_is_lost_or_doubled_over_a_crash_of_the_hub() {
    let budget = datagrams::Budget {
        posts: [2, 0],
        losses: 1,
        delays: 1,
        crashes: 1,
        ..datagrams::Budget::default()
    };
    check("datagrams and crash", budget);
}

#[test]
fn over_datagrams_nothing_is_lost_or_doubled_when_a_device_forgets() {
    let budget = datagrams::Budget {
        posts: [2, 0],
        delays: 1,
        resets: 1,
        ..datagrams::Budget::default()
    };
    check("datagrams and reset", budget);
}

#[test]
fn over_datagrams_nothing_is_lost_or_doubled_over_a_crash_when_a_device_forgets() {
    let budget = datagrams::Budget {
        posts: [2, 0],
        delays: 1,
        crashes: 1,
        resets: 1,
        ..datagrams::Budget::default()
    };
    check("datagrams, crash and reset", budget);
}

#[test]
fn over_datagrams_a_session_opens_whatever_becomes_of_the_first_words() {
    let budget = datagrams::Budget {
        posts: [1, 0],
        delays: 1,
        doubles: 1,
        losses: 1,
        from_the_start: true,
        ..datagrams::Budget::default()
    };
    check("opening", budget);
}

#[test]
fn over_datagrams_two_devices_read_one_log() {
    let budget = datagrams::Budget {
        devices: 2,
        posts: [1, 1],
        losses: 1,
        delays: 1,
        ..datagrams::Budget::default()
    };
    check("datagrams of two", budget);
}

#[test]
fn over_datagrams_two_devices_read_one_log_over_a_crash_of_the_hub() {
    let budget = datagrams::Budget {
        devices: 2,
        posts: [1, 0],
        delays: 1,
        crashes: 1,
        ..datagrams::Budget::default()
    };
    check("datagrams of two, and crash", budget);
}

#[test]
fn over_datagrams_two_rooms_are_read_beside_each_other() {
    let budget = datagrams::Budget {
        rooms: 2,
        posts: [2, 0],
        losses: 1,
        delays: 1,
        ..datagrams::Budget::default()
    };
    check("datagrams of two rooms", budget);
}
