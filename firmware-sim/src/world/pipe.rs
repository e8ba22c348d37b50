//! One direction of a stream: bytes that arrive in order, late, in pieces, or never.

use super::rng::Rng;
use std::collections::VecDeque;

/// One direction of a connection.
#[derive(Debug)]
pub struct Pipe {
    /// Bytes on their way, with the time from which they can be read.
    pieces: VecDeque<(u64, Vec<u8>)>,
    held: usize,
    /// The bytes that fit between writer and reader.
    capacity: usize,
    /// The least time on the way, and the random part of it.
    delay: u64,
    jitter: u64,
    per_byte: u64,
    last_at: u64,
    /// When the reader sees the end, once all before it was read.
    end: Option<u64>,
    /// Nothing arrives any more, and nobody is told.
    is_hole: bool,
    /// What is written is lost; what was on its way still arrives.
    is_broken: bool,
    /// A writer may be told that fewer bytes were taken than there is room for.
    is_short: bool,
}

/// What a pipe is like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The bytes that fit between writer and reader.
    pub capacity: usize,
    /// The least time on the way, in microseconds.
    pub delay: u64,
    /// The random part of it.
    pub jitter: u64,
    /// Microseconds for each byte.
    pub per_byte: u64,
    /// Takes fewer bytes than it could.
    pub is_short: bool,
}

impl Pipe {
    /// An empty pipe.
    pub const fn new(shape: Shape) -> Self {
        Self {
            pieces: VecDeque::new(),
            held: 0,
            capacity: shape.capacity,
            delay: shape.delay,
            jitter: shape.jitter,
            per_byte: shape.per_byte,
            last_at: 0,
            end: None,
            is_hole: false,
            is_broken: false,
            is_short: shape.is_short,
        }
    }

    /// Takes some of `bytes`; how many.
    pub fn write(&mut self, rng: &mut Rng, now: u64, bytes: &[u8]) -> usize {
        let mut taken = bytes.len().min(self.capacity.saturating_sub(self.held));
        if self.is_short && taken > 0 && rng.chance(300) {
            taken = rng.below(taken as u64 + 1) as usize;
        }
        if self.is_broken {
            return taken;
        }
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let cut = match rng.chance(200) {
                true => 1 + rng.below(rest.len() as u64) as usize,
                false => rest.len(),
            };
            let (piece, later) = rest.split_at(cut);
            let way = self.delay + rng.below(self.jitter + 1);
            self.last_at = self.last_at.max(now + way) + self.per_byte * cut as u64;
            self.pieces.push_back((self.last_at, piece.to_vec()));
            rest = later;
        }
        self.held += taken;
        taken
    }

    /// Reads what has arrived, up to `out.len()` bytes.
    pub fn read(&mut self, now: u64, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some((at, piece)) = self.pieces.front_mut() {
            if self.is_hole || *at > now || filled == out.len() {
                break;
            }
            let take = piece.len().min(out.len() - filled);
            out[filled..filled + take].copy_from_slice(&piece[..take]);
            filled += take;
            piece.drain(..take);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        self.held -= filled;
        filled
    }

    /// When there is something to read, or the end to see.
    pub fn ready_at(&self) -> Option<u64> {
        if self.is_hole {
            return None;
        }
        self.pieces.front().map(|(at, _)| *at).or(self.end)
    }

    /// Whether the reader has seen everything and then the end.
    pub fn is_over(&self, now: u64) -> bool {
        !self.is_hole && self.pieces.is_empty() && self.end.is_some_and(|at| at <= now)
    }

    /// Whether a writer finds room.
    pub const fn has_room(&self) -> bool {
        self.held < self.capacity
    }

    /// The writer closes: the end comes behind what was written.
    pub fn close(&mut self, now: u64) {
        self.last_at = self.last_at.max(now + self.delay);
        self.end.get_or_insert(self.last_at);
    }

    /// Breaks: loses a random part of what is on its way, the last bytes, and all that follows.
    pub fn truncate(&mut self, rng: &mut Rng) {
        self.is_broken = true;
        let keep = rng.below(self.held as u64 + 1) as usize;
        while self.held > keep {
            let Some((_, piece)) = self.pieces.back_mut() else {
                break;
            };
            piece.pop();
            self.held -= 1;
            if piece.is_empty() {
                self.pieces.pop_back();
            }
        }
    }

    /// Nothing arrives any more, and nobody is told.
    pub const fn open_hole(&mut self) {
        self.is_hole = true;
    }

    /// Whether [`open_hole`](Self::open_hole) was called.
    pub const fn is_hole(&self) -> bool {
        self.is_hole
    }

    /// Everything on its way, and all that follows, comes later by `span`.
    pub fn hold_up(&mut self, now: u64, span: u64) {
        for (at, _) in &mut self.pieces {
            *at = (*at).max(now) + span;
        }
        self.last_at = self.last_at.max(now) + span;
        if let Some(at) = &mut self.end {
            *at = (*at).max(now) + span;
        }
    }

    /// The carrier is good from here on.
    pub const fn heal(&mut self) {
        self.is_short = false;
        self.per_byte = 0;
        self.jitter = 0;
        if self.delay > 1000 {
            self.delay = 1000;
        }
    }
}
