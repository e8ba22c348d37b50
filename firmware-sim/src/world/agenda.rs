//! Who is to be looked at when: devices, and the hub's ends of connections.

use super::links::place;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When each of some things is due; each at one time only, the earliest that was asked for.
///
/// Of those with the same place the one with the greatest number counts.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    /// By place: what counts, and whose it is. The heap may hold times that were overtaken.
    due: Vec<(u64, u64)>,
    /// By place: the latest time that is in the heap, whether it counts or not. Who is often looked
    /// at before a far time goes back to that time without another entry.
    far: Vec<(u64, u64)>,
}

/// Nothing is in the heap.
const NOTHING: (u64, u64) = (0, 0);

/// Nobody is due there.
const NEVER: (u64, u64) = (u64::MAX, 0);

impl Agenda {
    /// `who` is due at `time` at the latest.
    pub(super) fn add(&mut self, who: u64, time: u64) {
        if time == u64::MAX {
            return;
        }
        let at = place(who);
        if self.due.len() <= at {
            self.due.resize(at + 1, NEVER);
            self.far.resize(at + 1, NOTHING);
        }
        let due = &mut self.due[at];
        // Whoever had the place before a later one is gone.
        if who > due.1 || who == due.1 && time < due.0 {
            *due = (time, who);
            let far = &mut self.far[at];
            if *far == (time, who) {
                return;
            }
            if far.1 != who || time > far.0 {
                *far = (time, who);
            }
            self.heap.push(Reverse((time, who)));
        }
    }

    fn pop(&mut self, time: u64, who: u64) {
        self.heap.pop();
        let far = &mut self.far[place(who)];
        if *far == (time, who) {
            *far = NOTHING;
        }
    }

    fn counts(&self, time: u64, who: u64) -> bool {
        self.due.get(place(who)) == Some(&(time, who))
    }

    /// Takes all that are due into `out`, in the order of their numbers.
    pub(super) fn take(&mut self, now: u64, out: &mut Vec<u64>) {
        out.clear();
        while let Some(&Reverse((time, who))) = self.heap.peek() {
            if time > now {
                break;
            }
            let counts = self.counts(time, who);
            self.pop(time, who);
            if counts {
                self.due[place(who)] = NEVER;
                out.push(who);
            }
        }
        out.sort_unstable();
    }

    /// When something is due, at the earliest.
    pub(super) fn next_time(&mut self) -> u64 {
        while let Some(&Reverse((time, who))) = self.heap.peek() {
            if self.counts(time, who) {
                return time;
            }
            self.pop(time, who);
        }
        u64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_once_at_the_earliest_time_and_a_place_belongs_to_its_last_owner() {
        let mut agenda = Agenda::default();
        let mut due = Vec::new();
        agenda.add(1, 50);
        agenda.add(1, 20);
        agenda.add(1, 30);
        agenda.add(2, 20);
        // The same place, another thing.
        agenda.add(2 | 1 << 24, 20);
        agenda.add(2, 10);
        assert_eq!(agenda.next_time(), 20);
        agenda.take(20, &mut due);
        assert_eq!(due, [1, 2 | 1 << 24]);
        assert_eq!(agenda.next_time(), u64::MAX);
    }
}
