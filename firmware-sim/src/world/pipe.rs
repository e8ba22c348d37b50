//! One direction of a stream: bytes that arrive in order, late, in pieces, or never.

use super::rng::Rng;

/// Bytes that can be read from a time on.
type Piece = (u64, Vec<u8>);

/// One direction of a connection.
#[derive(Debug)]
pub struct Pipe {
    /// Bytes on their way, with the time from which they can be read: the first piece, and those
    /// behind it, which are rare.
    first: Option<Piece>,
    later: Vec<Piece>,
    held: u32,
    /// The bytes that fit between writer and reader.
    capacity: u32,
    /// The least time on the way, and the random part of it.
    delay: u32,
    jitter: u32,
    per_byte: u32,
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
            first: None,
            later: Vec::new(),
            held: 0,
            capacity: shape.capacity as u32,
            delay: shape.delay as u32,
            jitter: shape.jitter as u32,
            per_byte: shape.per_byte as u32,
            last_at: 0,
            end: None,
            is_hole: false,
            is_broken: false,
            is_short: shape.is_short,
        }
    }

    /// Takes some of `bytes`; how many.
    pub fn write(&mut self, rng: &mut Rng, now: u64, bytes: &[u8]) -> usize {
        let mut taken = bytes
            .len()
            .min(self.capacity.saturating_sub(self.held) as usize);
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
            let way = u64::from(self.delay) + rng.below(u64::from(self.jitter) + 1);
            self.last_at = self.last_at.max(now + way) + u64::from(self.per_byte) * cut as u64;
            let piece = (self.last_at, piece.to_vec());
            match self.first {
                None => self.first = Some(piece),
                Some(_) => self.later.push(piece),
            }
            rest = later;
        }
        self.held += taken as u32;
        taken
    }

    /// Reads what has arrived, up to `out.len()` bytes.
    pub fn read(&mut self, now: u64, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some((at, piece)) = &mut self.first {
            if self.is_hole || *at > now || filled == out.len() {
                break;
            }
            let take = piece.len().min(out.len() - filled);
            out[filled..filled + take].copy_from_slice(&piece[..take]);
            filled += take;
            if take < piece.len() {
                piece.drain(..take);
            } else {
                self.first = (!self.later.is_empty()).then(|| self.later.remove(0));
            }
        }
        self.held -= filled as u32;
        if self.later.is_empty() {
            // Most of the time nothing is on its way; a fleet has many pipes.
            self.later = Vec::new();
        }
        filled
    }

    /// When there is something to read, or the end to see.
    pub fn ready_at(&self) -> Option<u64> {
        if self.is_hole {
            return None;
        }
        self.first.as_ref().map(|(at, _)| *at).or(self.end)
    }

    /// Whether the reader has seen everything and then the end.
    pub fn is_over(&self, now: u64) -> bool {
        !self.is_hole && self.first.is_none() && self.end.is_some_and(|at| at <= now)
    }

    /// Whether a writer finds room.
    pub const fn has_room(&self) -> bool {
        self.held < self.capacity
    }

    /// The writer closes: the end comes behind what was written.
    pub fn close(&mut self, now: u64) {
        self.last_at = self.last_at.max(now + u64::from(self.delay));
        self.end.get_or_insert(self.last_at);
    }

    /// Breaks: loses a random part of what is on its way, the last bytes, and all that follows.
    pub fn truncate(&mut self, rng: &mut Rng) {
        self.is_broken = true;
        let keep = rng.below(u64::from(self.held) + 1) as u32;
        while self.held > keep {
            let last = self.later.last_mut().or(self.first.as_mut());
            let Some((_, piece)) = last else {
                break;
            };
            piece.pop();
            self.held -= 1;
            if piece.is_empty() && self.later.pop().is_none() {
                self.first = None;
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
        for (at, _) in self.first.iter_mut().chain(&mut self.later) {
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
