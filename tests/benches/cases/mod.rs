//! What is measured, for all benches: by the clock (criterion) and in instructions (callgrind).
//!
//! A case sets itself up, then hands one round of its work to whoever measures. A round checks what
//! came out: a benchmark of the wrong answer measures nothing.
#![allow(dead_code)] // each bench measures a part of them

use criterion::{Criterion, Throughput};

pub(crate) mod broadcast;
pub(crate) mod framing;
pub(crate) mod peers;
pub(crate) mod wire;

/// Takes one round, to be run as often as the measure wants.
pub(crate) type Measure<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// One thing to measure.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// What it is compared in.
    pub(crate) group: &'static str,
    /// What does it; ours comes first in its group.
    pub(crate) name: &'static str,
    /// Whether it is ours, so that its count is kept from change to change.
    pub(crate) ours: bool,
    /// Frames, messages or posts in a round.
    pub(crate) units: u32,
    pub(crate) run: fn(Measure<'_>),
}

impl Case {
    pub(crate) const fn ours(
        group: &'static str,
        name: &'static str,
        units: u32,
        run: fn(Measure<'_>),
    ) -> Self {
        Self {
            group,
            name,
            ours: true,
            units,
            run,
        }
    }

    pub(crate) const fn peer(
        group: &'static str,
        name: &'static str,
        units: u32,
        run: fn(Measure<'_>),
    ) -> Self {
        Self {
            ours: false,
            ..Self::ours(group, name, units, run)
        }
    }

    /// Names it and no other.
    pub(crate) fn key(&self) -> String {
        format!("{}, {}", self.group, self.name)
    }
}

/// Every case, group by group.
pub(crate) fn all() -> Vec<Case> {
    [framing::CASES, wire::CASES, broadcast::CASES].concat()
}

/// Times each case; criterion says how many frames, messages or posts a second that is.
pub(crate) fn by_the_clock(criterion: &mut Criterion, cases: &[Case]) {
    for case in cases {
        let mut group = criterion.benchmark_group(case.group);
        group.throughput(Throughput::Elements(u64::from(case.units)));
        group.bench_function(case.name, |b| (case.run)(&mut |round| b.iter(&mut *round)));
        group.finish();
    }
}
