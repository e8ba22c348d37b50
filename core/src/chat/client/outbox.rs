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
const UNTOLD: Code = Code::Other(0);

/// What is known of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Fate {
    /// The code is the one that goes with a reject, once that is final.
    Waiting(Code),
    Kept,
    Rejected(Code),
    /// It was sent, and there is nobody left to ask.
    Unknown(Code),
    /// The application knows: the place is to be won back.
    Told,
}

impl Fate {
    const fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Waiting(code) => [0, code.to_wire()],
            Self::Kept => [1, 0],
            Self::Rejected(code) => [2, code.to_wire()],
            Self::Told => [3, 0],
            Self::Unknown(code) => [4, code.to_wire()],
        }
    }

    const fn from_bytes([fate, code]: [u8; 2]) -> Self {
        match fate {
            0 => Self::Waiting(Code::from_wire(code)),
            1 => Self::Kept,
            2 => Self::Rejected(Code::from_wire(code)),
            4 => Self::Unknown(Code::from_wire(code)),
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
        let place = arena.get_mut(self.end..self.end.saturating_add(needed))?;
        let (header, rest) = place.split_at_mut_checked(HEADER)?;
        let [fate, code] = Fate::Waiting(UNTOLD).to_bytes();
        let [s0, s1, s2, s3] = seq.to_be_bytes();
        let [l0, l1] = len.to_be_bytes();
        bytes::copy(header, &[slot, fate, code, s0, s1, s2, s3, l0, l1]);
        bytes::copy(rest, body);
        self.end = self.end.saturating_add(needed);
        Some(())
    }

    /// All posts in the arena, in order.
    pub(super) fn posts<'a>(&self, arena: &'a [u8]) -> impl Iterator<Item = Post> + use<'a> {
        let (mut at, end) = (self.start, self.end);
        core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let post = read(arena, at)?;
            at = post.next();
            Some(post)
        })
    }

    pub(super) fn body<'a>(&self, arena: &'a [u8], post: &Post) -> &'a [u8] {
        let start = post.at.saturating_add(HEADER);
        arena.get(start..post.next()).unwrap_or_default()
    }

    pub(super) fn set_fate(&mut self, arena: &mut [u8], post: &Post, fate: Fate) {
        write_fate(arena, post, fate);
        self.drop_told(arena);
    }

    /// Gives the waiting posts of a slot the fates that `judge` says. Work: linear in the posts.
    pub(super) fn settle(
        &mut self,
        arena: &mut [u8],
        slot: u8,
        mut judge: impl FnMut(&Post, Code) -> Option<Fate>,
    ) {
        let mut at = self.start;
        while at < self.end {
            let Some(post) = read(arena, at) else {
                break;
            };
            at = post.next();
            if let Fate::Waiting(code) = post.fate
                && post.slot == slot
                && let Some(fate) = judge(&post, code)
            {
                write_fate(arena, &post, fate);
            }
        }
    }

    /// Wins back what is at the front.
    fn drop_told(&mut self, arena: &[u8]) {
        while self.start < self.end {
            match read(arena, self.start) {
                Some(post) if post.fate == Fate::Told => self.start = post.next(),
                _ => break,
            }
        }
        if self.start >= self.end {
            *self = Self::EMPTY;
        }
    }

    /// Moves what is still needed to the front of the arena.
    fn compact(&mut self, arena: &mut [u8]) {
        let (mut from, end) = (self.start, self.end);
        let mut to = 0_usize;
        while from < end {
            let Some(post) = read(arena, from) else {
                break;
            };
            let next = post.next();
            if post.fate != Fate::Told {
                bytes::move_down(arena, from, next, to);
                to = to.saturating_add(next.saturating_sub(from));
            }
            from = next;
        }
        *self = Self { start: 0, end: to };
    }
}

impl Post {
    /// Whether it has no verdict.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.fate, Fate::Waiting(_))
    }

    /// The bytes of its body.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    const fn next(&self) -> usize {
        self.at.saturating_add(HEADER).saturating_add(self.len)
    }
}

fn write_fate(arena: &mut [u8], post: &Post, fate: Fate) {
    let at = post.at.saturating_add(1);
    if let Some(place) = arena.get_mut(at..at.saturating_add(2)) {
        bytes::copy(place, &fate.to_bytes());
    }
}

fn read(arena: &[u8], at: usize) -> Option<Post> {
    let header = arena.get(at..)?.first_chunk::<HEADER>()?;
    let [slot, fate, code, s0, s1, s2, s3, l0, l1] = *header;
    Some(Post {
        at,
        len: usize::from(u16::from_be_bytes([l0, l1])),
        slot,
        fate: Fate::from_bytes([fate, code]),
        seq: u32::from_be_bytes([s0, s1, s2, s3]),
    })
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
                outbox.set_fate(&mut arena, &post.unwrap(), Fate::Told);
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
