//! Posts without a verdict, and verdicts that the application was not told: a byte arena in order of
//! posting.
//!
//! A post is a 9-byte header and its body. Verdicts come for any room in any order, so a post in
//! the middle can be done first; its place is won back when those before it are done, or when room
//! is short.

use crate::bytes;
use crate::wire::Code;

/// The bytes that a post takes beside its body.
pub(super) const HEADER: usize = 9;

/// Why a post was rejected, when the hub's own word was lost with a connection.
const UNTOLD: u8 = 0;

/// What is known of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Fate {
    /// The post's code is the one that goes with a reject, once that is final.
    Waiting,
    Kept,
    Rejected,
    /// The application knows: the place is to be won back.
    Told,
    /// It was sent, and there is nobody left to ask.
    Unknown,
}

impl Fate {
    const fn from_byte(fate: u8) -> Self {
        match fate {
            0 => Self::Waiting,
            1 => Self::Kept,
            2 => Self::Rejected,
            4 => Self::Unknown,
            _ => Self::Told,
        }
    }
}

/// One post's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Post {
    /// Where it lies.
    at: usize,
    len: usize,
    pub(super) slot: u8,
    pub(super) fate: Fate,
    /// As on the wire.
    code: u8,
    pub(super) seq: u32,
}

/// Which part of the arena is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Outbox {
    start: usize,
    end: usize,
}

impl Outbox {
    pub(super) const EMPTY: Self = Self { start: 0, end: 0 };

    /// Adds a post, last; `None` when it does not fit.
    pub(super) fn push(&mut self, arena: &mut [u8], slot: u8, seq: u32, body: &[u8]) -> Option<()> {
        let len = u16::try_from(body.len()).ok()?;
        let needed = HEADER.saturating_add(body.len());
        if arena.len().saturating_sub(self.end) < needed {
            self.compact(arena);
        }
        let place = arena.get_mut(self.end..)?.get_mut(..needed)?;
        let (header, rest) = place.split_first_chunk_mut::<HEADER>()?;
        let (fate, code) = (Fate::Waiting as u8, UNTOLD);
        let [s0, s1, s2, s3] = seq.to_be_bytes();
        let [l0, l1] = len.to_be_bytes();
        *header = [slot, fate, code, s0, s1, s2, s3, l0, l1];
        bytes::copy(rest, body);
        self.end = self.end.wrapping_add(needed);
        Some(())
    }

    /// All posts in the arena, in order.
    pub(super) fn posts<'a>(&self, arena: &'a [u8]) -> impl Iterator<Item = Post> + use<'a> {
        let mut rest = *self;
        core::iter::from_fn(move || rest.next(arena))
    }

    /// The post that stands first, which is then passed over.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn next(&mut self, arena: &[u8]) -> Option<Post> {
        let at = self.start;
        let header = arena.get(at..self.end)?.first_chunk::<HEADER>()?;
        let [slot, fate, code, s0, s1, s2, s3, l0, l1] = *header;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        self.start = at.wrapping_add(HEADER).wrapping_add(len);
        Some(Post {
            at,
            len,
            slot,
            fate: Fate::from_byte(fate),
            code,
            seq: u32::from_be_bytes([s0, s1, s2, s3]),
        })
    }

    /// The oldest waiting post of a slot.
    pub(super) fn first_waiting(&self, arena: &[u8], slot: u8) -> Option<Post> {
        let mut rest = *self;
        rest.next_waiting(arena, slot)
    }

    /// The next waiting post of a slot.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn next_waiting(&mut self, arena: &[u8], slot: u8) -> Option<Post> {
        loop {
            let post = self.next(arena)?;
            if post.is_waiting() && post.slot == slot {
                return Some(post);
            }
        }
    }

    pub(super) fn body<'a>(&self, arena: &'a [u8], post: &Post) -> &'a [u8] {
        let body = arena.get(post.at.wrapping_add(HEADER)..);
        body.and_then(|rest| rest.get(..post.len))
            .unwrap_or_default()
    }

    /// The application was told what became of a post.
    pub(super) fn set_told(&mut self, arena: &mut [u8], mut post: Post) {
        post.fate = Fate::Told;
        write_fate(arena, &post);
        self.drop_told(arena);
    }

    /// Gives the waiting posts of a slot the fates that `judge` says. Work: linear in the posts.
    pub(super) fn settle(&mut self, arena: &mut [u8], slot: u8, mut judge: impl FnMut(&mut Post)) {
        let mut rest = *self;
        while let Some(mut post) = rest.next_waiting(arena, slot) {
            judge(&mut post);
            write_fate(arena, &post);
        }
    }

    /// Wins back what is at the front.
    fn drop_told(&mut self, arena: &[u8]) {
        let mut rest = *self;
        while rest.next(arena).is_some_and(|post| post.fate == Fate::Told) {
            self.start = rest.start;
        }
        if self.start >= self.end {
            *self = Self::EMPTY;
        }
    }

    /// Moves what is still needed to the front of the arena.
    fn compact(&mut self, arena: &mut [u8]) {
        let (mut rest, mut to) = (*self, 0_usize);
        while let Some(post) = rest.next(arena) {
            if post.fate != Fate::Told {
                bytes::move_down(arena, post.at, rest.start, to);
                to = to.wrapping_add(rest.start.wrapping_sub(post.at));
            }
        }
        *self = Self { start: 0, end: to };
    }
}

impl Post {
    /// Whether it has no verdict.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.fate, Fate::Waiting)
    }

    /// Why it was rejected, or would be.
    pub(super) const fn code(&self) -> Code {
        Code::from_wire(self.code)
    }

    pub(super) const fn set(&mut self, fate: Fate, code: Code) {
        (self.fate, self.code) = (fate, code.to_wire());
    }

    /// The bytes of its body.
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn write_fate(arena: &mut [u8], post: &Post) {
    if let Some([_, fate, code, ..]) = arena.get_mut(post.at..) {
        (*fate, *code) = (post.fate as u8, post.code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn posts_come_out_in_order_and_places_are_won_back_wherever_they_are() {
        let mut arena = [0; 80];
        let mut outbox = Outbox::EMPTY;
        let mut model: Vec<(u8, u32, Vec<u8>)> = Vec::new();
        let mut random = 9_u32;
        let mut seq = 0;
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pick = (random >> 16) as usize;
            if pick.is_multiple_of(2) {
                let body = std::vec![seq as u8; pick / 2 % 20];
                let used: usize = model.iter().map(|(_, _, body)| HEADER + body.len()).sum();
                let fits = used + HEADER + body.len() <= 80;
                let pushed = outbox.push(&mut arena, 3, seq, &body);
                assert_eq!(pushed.is_some(), fits);
                if fits {
                    model.push((3, seq, body));
                    seq += 1;
                }
            } else if !model.is_empty() {
                let (_, gone, _) = model.remove(pick / 2 % model.len());
                let post = outbox
                    .posts(&arena)
                    .find(|p| p.seq == gone && p.fate != Fate::Told);
                outbox.set_told(&mut arena, post.unwrap());
            }
            let found: Vec<_> = outbox
                .posts(&arena)
                .filter(|p| p.fate != Fate::Told)
                .map(|p| (p.slot, p.seq, outbox.body(&arena, &p).to_vec()))
                .collect();
            assert_eq!(found, model);
        }
    }
}
