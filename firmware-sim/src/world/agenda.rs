//! Who is to be looked at when: devices, and the hub's ends of connections.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// When each of some things is due; each at one time only, the earliest that was asked for.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    /// What counts; the heap may hold times that were overtaken.
    due: BTreeMap<u64, u64>,
}

impl Agenda {
    /// `who` is due at `time` at the latest.
    pub(super) fn add(&mut self, who: u64, time: u64) {
        if time == u64::MAX {
            return;
        }
        let due = self.due.entry(who).or_insert(u64::MAX);
        if time < *due {
            *due = time;
            self.heap.push(Reverse((time, who)));
        }
    }

    /// Takes all that are due into `out`, in the order of their numbers.
    pub(super) fn take(&mut self, now: u64, out: &mut Vec<u64>) {
        out.clear();
        while let Some(&Reverse((time, who))) = self.heap.peek() {
            if time > now {
                break;
            }
            self.heap.pop();
            if self.due.get(&who) == Some(&time) {
                self.due.remove(&who);
                out.push(who);
            }
        }
        out.sort_unstable();
    }

    /// When something is due, at the earliest.
    pub(super) fn next_time(&mut self) -> u64 {
        while let Some(&Reverse((time, who))) = self.heap.peek() {
            if self.due.get(&who) == Some(&time) {
                return time;
            }
            self.heap.pop();
        }
        u64::MAX
    }
}
