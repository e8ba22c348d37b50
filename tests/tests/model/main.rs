//! The delivery rules, model-checked over the core's own device and hub.
//!
//! Two devices hold two rooms against one hub with a store. In every order that there is, posts are
//! made, messages arrive, connections are cut at one end and go on at the other, commits happen late,
//! the hub crashes and starts again from its store, and a device loses its memory. A state is the
//! list of what happened; it is made anew by doing it again, and two are the same if the machines and
//! what lies between them print the same.

mod world;

use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::{Checker, HasDiscoveries, Model, Property};
use world::{Action, Budget, World, replay};

/// One state, by what led to it.
#[derive(Debug, Clone)]
struct State {
    trace: Vec<Action>,
    print: u64,
    next: Vec<Action>,
    broken: Option<String>,
    is_settled: bool,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

fn state(budget: Budget, trace: Vec<Action>) -> State {
    replay(budget, &trace, |world: &mut World<'_>| {
        let mut hasher = DefaultHasher::new();
        world.print().hash(&mut hasher);
        State {
            trace: trace.clone(),
            print: hasher.finish(),
            next: world.actions(),
            broken: world.broken.clone(),
            is_settled: world.is_settled(),
        }
    })
}

/// No search is longer, so that one over broken rules ends too.
const MOST: usize = 400_000;

#[derive(Debug, Clone)]
struct Rules(Budget);

impl Model for Rules {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![state(self.0, Vec::new())]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_none() {
            actions.extend(&state.next);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut trace = last.trace.clone();
        trace.push(action);
        Some(state(self.0, trace))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what must hold", |_, state: &State| state.broken.is_none()),
            Property::sometimes("all is acknowledged and delivered", |_, state: &State| {
                state.is_settled
            }),
        ]
    }
}

fn check(name: &str, budget: Budget) {
    let start = std::time::Instant::now();
    let checker = Rules(budget)
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
    if let Some(path) = checker.discovery("what must hold") {
        let last = path.last_state();
        panic!(
            "{}\nafter {:#?}",
            last.broken.as_deref().unwrap_or("?"),
            last.trace
        );
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
    let budget = Budget {
        posts: [2, 1],
        cuts: [1, 0],
        ..Budget::default()
    };
    check("cut", budget);
}

#[test]
fn nothing_is_lost_or_doubled_while_a_connection_is_cut_again_and_again() {
    let budget = Budget {
        posts: [2, 0],
        cuts: [2, 0],
        ..Budget::default()
    };
    check("cuts", budget);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_crash_of_the_hub() {
    let budget = Budget {
        posts: [2, 0],
        crashes: 1,
        ..Budget::default()
    };
    check("crash", budget);
}

#[test]
fn nothing_is_lost_or_doubled_when_a_device_forgets() {
    let budget = Budget {
        posts: [2, 1],
        resets: 1,
        ..Budget::default()
    };
    check("reset", budget);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_crash_and_a_cut() {
    let budget = Budget {
        posts: [1, 0],
        cuts: [1, 0],
        crashes: 1,
        rooms: 1,
        ..Budget::default()
    };
    check("crash and cut", budget);
}

#[test]
fn nothing_is_lost_or_doubled_over_a_crash_when_a_device_forgets() {
    let budget = Budget {
        posts: [1, 0],
        crashes: 1,
        resets: 1,
        rooms: 1,
        ..Budget::default()
    };
    check("crash and reset", budget);
}
