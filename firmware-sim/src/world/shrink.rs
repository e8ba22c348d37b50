//! From a seed that fails to the least that still does: faults, devices and time.

use super::fault::{Fault, FaultSet};
use super::setup::{Failure, Setup};

/// So many devices are tried with each lower number.
const FEW: usize = 8;

/// The least that still fails in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// What to run; in words, the command that does.
    pub setup: Setup,
    /// How it fails, with the end of its trace in words.
    pub failure: Failure,
    /// How many runs it took to find.
    pub runs: u32,
}

struct Search {
    best: Setup,
    failure: Failure,
    runs: u32,
    most: u32,
}

/// Takes faults, devices and time away from `setup`, which fails with `failure`, for as long as it
/// fails by the same rule; in at most `most` runs.
#[must_use]
pub fn shrink(setup: &Setup, failure: &Failure, most: u32) -> Shrunk {
    let mut search = Search {
        best: setup.clone(),
        failure: failure.clone(),
        runs: 0,
        most,
    };
    search.attempt(setup.spelled_out());
    loop {
        let before = search.best.clone();
        // Without a fault everything comes at another time: less of that is left for later.
        search.drop_faults();
        search.stop_at_failure();
        search.drop_devices();
        search.shorten();
        if search.best == before || search.runs >= search.most {
            break;
        }
    }
    let failure = search.best.replay().err().unwrap_or(search.failure);
    Shrunk {
        setup: search.best,
        failure,
        runs: search.runs,
    }
}

impl Search {
    /// Keeps a smaller setup if it fails by the same rule.
    fn attempt(&mut self, setup: Setup) -> bool {
        if setup == self.best || self.runs >= self.most {
            return false;
        }
        self.runs += 1;
        let Err(failure) = setup.run() else {
            return false;
        };
        let is_same = rule(&failure) == rule(&self.failure);
        if is_same {
            self.best = setup;
            self.failure = failure;
        }
        is_same
    }

    /// No more time than it took to fail.
    fn stop_at_failure(&mut self) {
        let at = self.failure.at;
        if self.best.seconds.is_none_or(|seconds| seconds > at) {
            self.attempt(self.with_seconds(at));
        }
    }

    fn with_seconds(&self, seconds: u64) -> Setup {
        Setup {
            seconds: Some(seconds),
            ..self.best.clone()
        }
    }

    /// The least time, by halves.
    fn shorten(&mut self) {
        let mut failing = self.best.seconds.unwrap_or(self.failure.at);
        let mut passing = 0;
        while passing + 1 < failing {
            let half = passing + (failing - passing) / 2;
            match self.attempt(self.with_seconds(half)) {
                true => failing = half.min(self.failure.at.max(1)),
                false => passing = half,
            }
        }
    }

    /// The faults that are needed: without halves, quarters, and at last single ones.
    fn drop_faults(&mut self) {
        let mut size = usize::MAX;
        while size > 0 {
            let faults: Vec<Fault> = self.best.faults.unwrap_or_default().iter().collect();
            size = size.min(faults.len());
            for some in faults.chunks(size.max(1)) {
                let others = self.best.faults.unwrap_or_default();
                let gone: FaultSet = some.iter().copied().collect();
                let faults = Some(others.without(gone));
                self.attempt(Setup {
                    faults,
                    ..self.best.clone()
                });
            }
            size /= 2;
        }
    }

    /// The fewest devices: by halves, and each number where they are few.
    fn drop_devices(&mut self) {
        let with = |search: &Self, devices| Setup {
            devices: Some(devices),
            ..search.best.clone()
        };
        let now = |search: &Self| search.best.devices.unwrap_or(1);
        while now(self) > 1 && self.attempt(with(self, now(self) / 2)) {}
        if now(self) > FEW {
            while self.attempt(with(self, now(self) - 1)) {}
        }
        for devices in 1..now(self).min(FEW) {
            if self.attempt(with(self, devices)) {
                return;
            }
        }
    }
}

/// By which rule a run fails: what stands before the colon.
fn rule(failure: &Failure) -> &str {
    failure.what.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Setup};
    use super::*;

    #[test]
    fn a_seed_that_fails_shrinks_to_what_it_needs_and_its_command_replays_it() {
        let planted = |seed| Setup {
            planted: true,
            faults: Some(Fault::ALL.iter().copied().collect()),
            devices: Some(5),
            ..Setup::new(Kind::Drawn, seed)
        };
        let mut seeds = (0..50).map(planted);
        let (setup, failure) = seeds
            .find_map(|setup| Some((setup.clone(), setup.run().err()?)))
            .filter(|(_, failure)| failure.what.starts_with("PLANTED"))
            .expect("the planted fault strikes within 50 seeds");
        let shrunk = shrink(&setup, &failure, 300);
        let least = FaultSet::NONE.with(Fault::TakeOver);
        assert_eq!(shrunk.setup.faults, Some(least));
        let devices = shrunk.setup.devices.expect("it is spelled out");
        assert!((2..=5).contains(&devices));
        for fewer in 1..devices {
            let setup = Setup {
                devices: Some(fewer),
                ..shrunk.setup.clone()
            };
            assert!(setup.run().is_ok(), "{fewer} are enough");
        }
        assert!(
            shrunk
                .setup
                .seconds
                .is_some_and(|seconds| seconds <= shrunk.failure.at.max(1))
        );
        assert!(shrunk.failure.what.starts_with("PLANTED"));
        assert!(shrunk.failure.tail.contains("hub s"), "{shrunk:?}");
        // The least is the least: a second less and it does not fail.
        let shorter = Setup {
            seconds: shrunk.setup.seconds.map(|seconds| seconds - 1),
            ..shrunk.setup.clone()
        };
        assert!(shorter.run().is_ok());
        assert_eq!(
            shrunk.setup.run().map_err(|f| f.what),
            Err(shrunk.failure.what)
        );
    }
}
