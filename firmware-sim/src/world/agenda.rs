//! Who is to be looked at when: devices, and the hub's ends of connections.
//!
//! A wheel of short spans, each with a list of those that are due in it, and one list of those that
//! are due beyond the wheel, which are put onto it in time. Invariant: who is due is in one list.

use super::links::place;

/// The bits of a time below a span of the wheel: about a millisecond.
const SPAN: u32 = 10;

/// The spans of the wheel: about 17 s.
const SPANS: u64 = 1 << 14;

/// The list of those that are due beyond the wheel.
const FAR: u32 = SPANS as u32;

/// No place, and in no list.
const NONE: u32 = u32::MAX;

/// When each of some things is due; each at one time only, the earliest that was asked for.
///
/// Of those with the same place the one with the greatest number counts.
#[derive(Debug)]
pub(super) struct Agenda {
    /// By place.
    entries: Vec<Entry>,
    /// The first place of each list, and of [`FAR`].
    lists: Vec<u32>,
    /// A bit for each list of the wheel that is not empty.
    busy: Vec<u64>,
    /// The span that the wheel begins with.
    start: u64,
    /// At which span those beyond the wheel are looked at; none of them is due before it.
    look_at: u64,
    /// None of those beyond the wheel is due before this time.
    far_from: u64,
}

/// What counts at a place.
#[derive(Debug, Clone, Copy)]
struct Entry {
    time: u64,
    who: u64,
    list: u32,
    next: u32,
    before: u32,
}

/// Nobody is due there.
const NEVER: Entry = Entry {
    time: u64::MAX,
    who: 0,
    list: NONE,
    next: NONE,
    before: NONE,
};

impl Default for Agenda {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            lists: vec![NONE; SPANS as usize + 1],
            busy: vec![0; SPANS as usize / 64],
            start: 0,
            look_at: SPANS / 2,
            far_from: u64::MAX,
        }
    }
}

impl Agenda {
    /// `who` is due at `time` at the latest.
    pub(super) fn add(&mut self, who: u64, time: u64) {
        if time == u64::MAX {
            return;
        }
        let at = place(who);
        if self.entries.len() <= at {
            // Not to twice its size: there may be ten thousand places, and not one more.
            let more = at + 1 - self.entries.len();
            self.entries.reserve_exact(more.max(self.entries.len() / 8));
            self.entries.resize(at + 1, NEVER);
        }
        let due = &self.entries[at];
        // Whoever had the place before a later one is gone.
        if who > due.who || who == due.who && time < due.time {
            self.unlink(at);
            let due = &mut self.entries[at];
            (due.time, due.who) = (time, who);
            self.link(at);
        }
    }

    /// Puts a place into the list that its time belongs to.
    fn link(&mut self, at: usize) {
        let time = self.entries[at].time;
        let span = (time >> SPAN).max(self.start);
        let list = match span - self.start < SPANS {
            true => (span % SPANS) as u32,
            false => FAR,
        };
        match self.busy.get_mut(list as usize / 64) {
            Some(word) => *word |= 1 << (list % 64),
            None => self.far_from = self.far_from.min(time),
        }
        let first = std::mem::replace(&mut self.lists[list as usize], at as u32);
        if let Some(first) = self.entries.get_mut(first as usize) {
            first.before = at as u32;
        }
        let entry = &mut self.entries[at];
        (entry.list, entry.next, entry.before) = (list, first, NONE);
    }

    /// Takes a place out of its list, if it is in one.
    fn unlink(&mut self, at: usize) {
        let Entry {
            list, next, before, ..
        } = self.entries[at];
        if list == NONE {
            return;
        }
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.before = before;
        }
        if let Some(before) = self.entries.get_mut(before as usize) {
            before.next = next;
        } else {
            self.lists[list as usize] = next;
            if next == NONE && list != FAR {
                self.busy[list as usize / 64] &= !(1 << (list % 64));
            }
        }
        self.entries[at].list = NONE;
    }

    /// Takes all that are due into `out`, in the order of their numbers.
    pub(super) fn take(&mut self, now: u64, out: &mut Vec<u64>) {
        out.clear();
        let span = now >> SPAN;
        let last = span.min(self.start + SPANS - 1);
        let mut next = self.next_busy(self.start, last);
        while let Some(busy) = next {
            self.take_list((busy % SPANS) as u32, now, out);
            next = self.next_busy(busy + 1, last);
        }
        self.start = self.start.max(span);
        if self.start >= self.look_at {
            self.look_at = self.start + SPANS / 2;
            self.far_from = u64::MAX;
            self.take_list(FAR, now, out);
        }
        out.sort_unstable();
    }

    /// Takes those of a list that are due, and puts the others where they belong.
    fn take_list(&mut self, list: u32, now: u64, out: &mut Vec<u64>) {
        let mut next = self.lists[list as usize];
        while let Some(entry) = self.entries.get(next as usize) {
            let (at, time, who) = (next as usize, entry.time, entry.who);
            next = entry.next;
            if time <= now {
                self.unlink(at);
                self.entries[at] = NEVER;
                out.push(who);
            } else if list == FAR {
                self.unlink(at);
                self.link(at);
            }
        }
    }

    /// The first span from `from` to `last` whose list is not empty.
    fn next_busy(&self, from: u64, last: u64) -> Option<u64> {
        let mut span = from;
        while span <= last {
            let word = self.busy[(span % SPANS / 64) as usize] >> (span % 64);
            if word != 0 {
                let found = span + u64::from(word.trailing_zeros());
                return (found <= last).then_some(found);
            }
            span = (span / 64 + 1) * 64;
        }
        None
    }

    /// When something is due at the earliest, or any such time that is not after `enough`.
    pub(super) fn next_time(&mut self, enough: u64) -> u64 {
        let last = self.start + SPANS - 1;
        let near = match self.next_busy(self.start, last) {
            Some(span) => self.earliest((span % SPANS) as u32, enough),
            None => u64::MAX,
        };
        if near <= self.far_from {
            return near;
        }
        self.far_from = self.earliest(FAR, 0);
        near.min(self.far_from)
    }

    fn earliest(&self, list: u32, enough: u64) -> u64 {
        let mut earliest = u64::MAX;
        let mut next = self.lists[list as usize];
        while let Some(entry) = self.entries.get(next as usize)
            && earliest > enough
        {
            earliest = earliest.min(entry.time);
            next = entry.next;
        }
        earliest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::rng::Rng;
    use std::collections::BTreeMap;

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
        assert_eq!(agenda.next_time(0), 20);
        agenda.take(20, &mut due);
        assert_eq!(due, [1, 2 | 1 << 24]);
        assert_eq!(agenda.next_time(0), u64::MAX);
    }

    #[test]
    fn times_near_and_far_come_in_their_order_as_in_a_sorted_table() {
        for seed in 0..40 {
            let mut rng = Rng::new(seed);
            let mut agenda = Agenda::default();
            let mut model: BTreeMap<u64, u64> = BTreeMap::new();
            let mut now = 0;
            let mut out = Vec::new();
            for _ in 0..3000 {
                for _ in 0..rng.below(4) {
                    let ahead = rng.pick(&[1, 1000, 40_000, 17_000_000, 40_000_000, 1 << 40]);
                    let (who, time) = (rng.below(30), now + rng.below(ahead));
                    agenda.add(who, time);
                    let due = model.entry(who).or_insert(time);
                    *due = time.min(*due);
                }
                let earliest = model.values().min().copied().unwrap_or(u64::MAX);
                assert_eq!(agenda.next_time(0), earliest, "seed {seed} at {now}");
                let any = agenda.next_time(now + 1000);
                assert!(any == earliest || earliest <= any && any <= now + 1000);
                // To the next time, a little or far beyond it, or not yet there.
                let ahead = rng.pick(&[0, 1, 900, 30_000, 9_000_000, 60_000_000]);
                now = match rng.chance(600) && earliest != u64::MAX {
                    true => now.max(earliest) + ahead * rng.below(2),
                    false => now + ahead,
                };
                agenda.take(now, &mut out);
                let wanted: Vec<u64> = model
                    .extract_if(.., |_, due| *due <= now)
                    .map(|(who, _)| who)
                    .collect();
                assert_eq!(out, wanted, "seed {seed} at {now}");
            }
        }
    }
}
