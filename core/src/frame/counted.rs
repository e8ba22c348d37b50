//! What [`Length16`](super::Length16) and [`Length32`](super::Length32) have in common: a
//! big-endian length of `H` bytes, then the payload.

use super::{FrameError, Scan};

#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Counted<const H: usize> {
    limit: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    AtHeader,
    Skipping { left: u64 },
}

impl<const H: usize> Counted<H> {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::AtHeader,
        }
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn lower_limit(&mut self, most: usize) {
        self.limit = self.limit.min(most);
    }

    #[inline]
    pub(super) fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        match self.state {
            State::AtHeader => self.header(input),
            State::Skipping { left } => Ok(self.skip(input, left)),
        }
    }

    pub(super) fn end(&self, rest: &[u8]) -> Result<(), FrameError> {
        match self.state {
            State::AtHeader if rest.is_empty() => Ok(()),
            State::AtHeader | State::Skipping { .. } => Err(FrameError::Truncated),
        }
    }

    #[inline]
    fn header(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        let Some(header) = input.first_chunk::<H>() else {
            return Ok(Scan::More);
        };
        let declared = header
            .iter()
            .fold(0_u64, |length, &byte| (length << 8) | u64::from(byte));
        let within = usize::try_from(declared).ok().filter(|&n| n <= self.limit);
        let Some(len) = within else {
            return Err(self.oversize(declared));
        };
        let end = H.saturating_add(len);
        if input.len() < end {
            return Ok(Scan::More);
        }
        Ok(Scan::Frame {
            start: H,
            end,
            consumed: end,
        })
    }

    #[cold]
    fn oversize(&mut self, declared: u64) -> FrameError {
        self.state = State::Skipping {
            left: declared.saturating_add(H as u64),
        };
        FrameError::Oversize { limit: self.limit }
    }

    #[cold]
    fn skip(&mut self, input: &[u8], left: u64) -> Scan {
        if input.is_empty() {
            return Scan::More;
        }
        let consumed = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        self.state = match left.saturating_sub(consumed as u64) {
            0 => State::AtHeader,
            left => State::Skipping { left },
        };
        Scan::Skip { consumed }
    }

    /// Writes the `header` of a frame with `len` bytes of payload.
    pub(super) fn seal(
        &self,
        buf: &mut [u8],
        header: [u8; H],
        len: usize,
    ) -> Result<usize, FrameError> {
        let frame = H.saturating_add(len);
        if len > self.limit || frame > buf.len() {
            return Err(FrameError::Unframeable);
        }
        *buf.first_chunk_mut().ok_or(FrameError::Unframeable)? = header;
        Ok(frame)
    }
}
