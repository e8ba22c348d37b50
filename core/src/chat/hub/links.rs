//! Lists and hash chains that run through the slots themselves, so that nothing is allocated.
//!
//! Knows indices. A slot carries a [`Links`] for each list that it can be in, and a [`Chain`] for
//! the one table that it is in.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// A slot or none, laid down so that none is zero: slots that are not used are then memory of zeros,
/// and an image has no copy of them in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct At(u32);

impl At {
    pub(super) const NONE: Self = Self(0);

    /// Of a slot's number, or of [`NONE`].
    #[inline]
    pub(super) const fn of(slot: u32) -> Self {
        Self(slot.wrapping_add(1))
    }

    /// The slot's number, or [`NONE`].
    #[inline]
    pub(super) const fn get(self) -> u32 {
        self.0.wrapping_sub(1)
    }

    #[inline]
    pub(super) const fn some(self) -> Option<u32> {
        self.0.checked_sub(1)
    }
}

/// A slot's place in one list: 0 in no list, else the number of each neighbour plus 2, or 1 at an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    pub(super) const OUT: Self = Self { prev: 0, next: 0 };

    const fn neighbour(slot: u32) -> u32 {
        slot.wrapping_add(2)
    }

    pub(super) const fn is_linked(&self) -> bool {
        self.prev != 0
    }

    /// The slot after this one.
    pub(super) const fn next(&self) -> Option<u32> {
        self.next.checked_sub(2)
    }
}

/// A doubly linked list of slots, first in, first out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct List {
    head: At,
    tail: At,
}

/// Which of a slot's links a list uses.
pub(super) type Pick<T> = fn(&mut T) -> &mut Links;

impl List {
    pub(super) const EMPTY: Self = Self {
        head: At::NONE,
        tail: At::NONE,
    };

    pub(super) const fn first(&self) -> Option<u32> {
        self.head.some()
    }

    /// Puts slot `at` last; does nothing when it is in a list already.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn push<T>(&mut self, slots: &mut [T], at: u32, pick: Pick<T>) {
        let Some(slot) = slots.get_mut(at as usize) else {
            return;
        };
        let links = pick(slot);
        if links.is_linked() {
            return;
        }
        let tail = core::mem::replace(&mut self.tail, At::of(at)).get();
        *links = Links {
            prev: Links::neighbour(tail),
            next: Links::neighbour(NONE),
        };
        match slots.get_mut(tail as usize) {
            Some(last) => pick(last).next = Links::neighbour(at),
            None => self.head = At::of(at),
        }
    }

    /// Takes slot `at` out; does nothing when it is in no list.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn remove<T>(&mut self, slots: &mut [T], at: u32, pick: Pick<T>) {
        let Some(slot) = slots.get_mut(at as usize) else {
            return;
        };
        let Links { prev, next } = core::mem::replace(pick(slot), Links::OUT);
        if prev == 0 {
            return;
        }
        let (before, behind) = (prev.wrapping_sub(2), next.wrapping_sub(2));
        match slots.get_mut(before as usize) {
            Some(slot) => pick(slot).next = next,
            None => self.head = At::of(behind),
        }
        match slots.get_mut(behind as usize) {
            Some(slot) => pick(slot).prev = prev,
            None => self.tail = At::of(before),
        }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn pop<T>(&mut self, slots: &mut [T], pick: Pick<T>) -> Option<u32> {
        let first = self.first()?;
        self.remove(slots, first, pick);
        Some(first)
    }
}

/// A slot's part in a hash table: the head of one bucket, and the link to the next slot in its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Chain {
    bucket: At,
    next: At,
}

impl Chain {
    pub(super) const OUT: Self = Self {
        bucket: At::NONE,
        next: At::NONE,
    };
}

/// A slot that can be looked up: as many buckets as slots.
pub(super) trait Keyed {
    fn chain(&self) -> &Chain;
    fn chain_mut(&mut self) -> &mut Chain;
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn bucket_of<T>(slots: &[T], hash: u64) -> usize {
    // The high half of a product spreads the hash over any number of buckets without a division.
    let spread = (hash >> 32).saturating_mul(slots.len() as u64) >> 32;
    spread as usize
}

/// The slot in the bucket of `hash` for which `is_it` holds.
pub(super) fn find<T: Keyed>(slots: &[T], hash: u64, is_it: impl Fn(&T) -> bool) -> Option<u32> {
    let mut at = slots.get(bucket_of(slots, hash))?.chain().bucket.get();
    // Bounded even if a chain were broken: no chain has more slots than there are.
    for _ in slots {
        let slot = slots.get(at as usize)?;
        if is_it(slot) {
            return Some(at);
        }
        at = slot.chain().next.get();
    }
    None
}

/// Puts slot `at` into the bucket of `hash`.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn insert<T: Keyed>(slots: &mut [T], hash: u64, at: u32) {
    let bucket = bucket_of(slots, hash);
    let Some(head) = slots.get_mut(bucket) else {
        return;
    };
    let next = core::mem::replace(&mut head.chain_mut().bucket, At::of(at));
    if let Some(slot) = slots.get_mut(at as usize) {
        slot.chain_mut().next = next;
    }
}

/// Takes slot `at` out of the bucket of `hash`.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn take_out<T: Keyed>(slots: &mut [T], hash: u64, at: u32) {
    let Some(slot) = slots.get(at as usize) else {
        return;
    };
    let behind = slot.chain().next;
    let bucket = bucket_of(slots, hash);
    let Some(head) = slots.get_mut(bucket) else {
        return;
    };
    let mut before = head.chain().bucket.get();
    if before == at {
        head.chain_mut().bucket = behind;
        return;
    }
    for _ in 0..slots.len() {
        let Some(slot) = slots.get_mut(before as usize) else {
            return;
        };
        if slot.chain().next == At::of(at) {
            slot.chain_mut().next = behind;
            return;
        }
        before = slot.chain().next.get();
    }
}

/// A keyed hash of a few bytes: peers choose the bytes, so the key is the hub's secret.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn hash(key: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(key, |state, chunk| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        mix(state ^ u64::from_le_bytes(word))
    })
}

/// A bijection of 64 bits that spreads every bit over all (the finaliser of `SplitMix64`).
pub(super) const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[derive(Clone, Copy)]
    struct Slot {
        links: Links,
        chain: Chain,
        key: u64,
    }

    impl Keyed for Slot {
        fn chain(&self) -> &Chain {
            &self.chain
        }
        fn chain_mut(&mut self) -> &mut Chain {
            &mut self.chain
        }
    }

    const FREE: Slot = Slot {
        links: Links::OUT,
        chain: Chain::OUT,
        key: 0,
    };

    fn walk(list: &List, slots: &[Slot]) -> Vec<u32> {
        let mut seen = Vec::new();
        let mut at = list.first();
        while let Some(i) = at {
            seen.push(i);
            at = slots[i as usize].links.next();
        }
        seen
    }

    #[test]
    fn a_list_equals_a_vector_under_any_pushes_and_removes() {
        let mut slots = [FREE; 8];
        let (mut list, mut model) = (List::EMPTY, Vec::new());
        let mut random = 1;
        for _ in 0..10_000 {
            random = mix(random);
            let at = (random % 8) as u32;
            if random & 0x100 == 0 {
                list.push(&mut slots, at, |s| &mut s.links);
                if !model.contains(&at) {
                    model.push(at);
                }
            } else {
                list.remove(&mut slots, at, |s| &mut s.links);
                model.retain(|&m| m != at);
            }
            assert_eq!(walk(&list, &slots), model);
        }
    }

    #[test]
    fn a_table_finds_what_is_in_it_and_nothing_else() {
        let mut slots = [FREE; 16];
        let mut model = [None; 16];
        let mut random = 7;
        for _ in 0..10_000 {
            random = mix(random);
            let at = (random % 16) as u32;
            let hash = |key| mix(key);
            match model[at as usize].take() {
                Some(key) => take_out(&mut slots, hash(key), at),
                None => {
                    slots[at as usize].key = random;
                    insert(&mut slots, hash(random), at);
                    model[at as usize] = Some(random);
                }
            }
            for (i, key) in model.iter().enumerate() {
                if let Some(key) = key {
                    assert_eq!(find(&slots, hash(*key), |s| s.key == *key), Some(i as u32));
                }
            }
            assert_eq!(
                find(&slots, hash(random ^ 1), |s| s.key == random ^ 1),
                None
            );
        }
    }
}
