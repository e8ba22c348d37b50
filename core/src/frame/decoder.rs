//! A framing with a receive buffer of fixed size.
//!
//! Knows which bytes of the buffer wait and which are free. Does not know where bytes come from.
//! Invariant: `start <= end <= N`, and `start..end` is what the framing has not consumed.

use super::{FrameError, Framing, Scan, payload_bytes};
use crate::bytes::Buffer;

/// Takes bytes as they come and gives the frames that they hold, in place.
///
/// `N` is the size of the buffer: [`buffer_bytes`](super::buffer_bytes) of the largest payload. A frame is never
/// larger than the buffer, since the framing's limit is lowered to what fits.
///
/// The loop that drives it: [`room`](Self::room), read into it, [`commit`](Self::commit), then
/// [`poll_frame`](Self::poll_frame) until it says `Ok(None)`; [`end`](Self::end) when the stream
/// ended. Any other order is safe. Driven so, each byte is moved at most once.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decoder<F, const N: usize> {
    framing: F,
    buf: Buffer<N>,
    start: usize,
    end: usize,
    /// Only of a framing with `WHOLE`: the buffer holds a datagram, which may be empty.
    datagram_waits: bool,
}

/// Where in its [`Decoder`] a frame stands; [`Decoder::bytes`] gives what it holds.
///
/// Good until the next call of `room`, `commit` or `poll_frame`. Later it gives other bytes or
/// none, and never panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrameToken {
    start: usize,
    end: usize,
}

impl<F: Framing, const N: usize> Decoder<F, N> {
    /// A decoder with an empty buffer; lowers the limit of `framing` to what `N` bytes hold.
    ///
    /// `N` must be above [`Framing::OVERHEAD`], else this does not compile.
    #[must_use]
    pub fn new(mut framing: F) -> Self {
        const { assert!(N > F::OVERHEAD, "no payload fits into a buffer this small") };
        framing.lower_limit(const { payload_bytes::<F>(N) });
        Self {
            framing,
            buf: Buffer::ZEROS,
            start: 0,
            end: 0,
            datagram_waits: false,
        }
    }

    /// The most bytes of payload in a frame.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.framing.limit()
    }

    /// The payload of a frame. Work: constant.
    #[must_use]
    pub fn bytes(&self, frame: FrameToken) -> &[u8] {
        self.buf.get(frame.start..frame.end).unwrap_or_default()
    }

    /// The payload of a frame, to be changed in place. Work: constant.
    #[must_use]
    pub fn bytes_mut(&mut self, frame: FrameToken) -> &mut [u8] {
        self.buf.get_mut(frame.start..frame.end).unwrap_or_default()
    }

    /// Where the next bytes go: read into the front of it, then [`commit`](Self::commit).
    ///
    /// Is empty only while a frame or an error waits in a full buffer: call
    /// [`poll_frame`](Self::poll_frame) until it says `Ok(None)`. For datagrams it is empty while
    /// one waits, so two never become one. Work: moves at most the bytes that wait, and only when
    /// the room behind them is used up or they are fewer than the bytes consumed before them.
    #[must_use]
    pub fn room(&mut self) -> &mut [u8] {
        if F::WHOLE && self.datagram_waits {
            return &mut [];
        }
        compact(&mut self.buf, &mut self.start, &mut self.end);
        self.buf.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes the first `n` bytes of the room as received; more than the room is taken as the room.
    ///
    /// For datagrams it is one datagram, and `commit(0)` is an empty one. Work: constant.
    pub fn commit(&mut self, n: usize) {
        if F::WHOLE && self.datagram_waits {
            return;
        }
        self.end = self.end.saturating_add(n).min(N);
        self.datagram_waits = F::WHOLE;
    }

    /// The next frame, if the buffer holds a whole one.
    ///
    /// After an error that [is survivable](FrameError::is_survivable) the next call goes on behind
    /// what the error was about; there is no other error here. Work: linear in the bytes that were
    /// committed since the last call or wait behind the last frame, at most `N`.
    #[inline]
    pub fn poll_frame(&mut self) -> Result<Option<FrameToken>, FrameError> {
        loop {
            if F::WHOLE && !self.datagram_waits {
                return Ok(None);
            }
            match self.framing.scan(waiting(&self.buf, self.start, self.end)) {
                Ok(Scan::Frame {
                    start,
                    end,
                    consumed,
                }) => {
                    let whole = self.start..self.start.saturating_add(consumed).min(self.end);
                    self.framing
                        .unseal(self.buf.get_mut(whole).unwrap_or_default());
                    let frame = FrameToken {
                        start: self.start.saturating_add(start),
                        end: self.start.saturating_add(end).min(self.end),
                    };
                    self.consume(consumed);
                    return Ok(Some(frame));
                }
                Ok(Scan::Skip { consumed }) if self.start < self.end => self.consume(consumed),
                Ok(Scan::More) if self.start == 0 && self.end == N => {
                    // No framing of ours asks for more than fits. One that does must not leave
                    // its caller with neither a frame nor room.
                    self.consume(N);
                    return Err(FrameError::Oversize {
                        limit: self.limit(),
                    });
                }
                Ok(Scan::More | Scan::Skip { .. }) => return Ok(None),
                Err(error) => {
                    self.pass_over();
                    return Err(error);
                }
            }
        }
    }

    /// Skips what an error was about at once, so that there is room even if the caller reads next.
    #[cold]
    fn pass_over(&mut self) {
        let again = self.framing.scan(waiting(&self.buf, self.start, self.end));
        if let Ok(Scan::Skip { consumed }) = again {
            self.consume(consumed);
        }
    }

    /// The stream ended: [`FrameError::Truncated`] if that is inside a frame.
    ///
    /// For when [`poll_frame`](Self::poll_frame) has said `Ok(None)`: a whole frame that waits
    /// counts as one that is not whole. Work: linear in the bytes that wait.
    pub fn end(&self) -> Result<(), FrameError> {
        self.framing.end(waiting(&self.buf, self.start, self.end))
    }

    /// At least one byte, if there is one: a framing that consumes nothing makes no progress.
    fn consume(&mut self, consumed: usize) {
        self.start = self.start.saturating_add(consumed.max(1)).min(self.end);
        if F::WHOLE {
            self.datagram_waits = self.datagram_waits && self.start < self.end;
        }
    }
}

impl FrameToken {
    /// How many bytes of payload the frame has.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether the frame has no payload.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

fn waiting(buf: &[u8], start: usize, end: usize) -> &[u8] {
    buf.get(start..end).unwrap_or_default()
}

/// Moves what waits to the front, if that is cheap or the room behind it is used up.
fn compact(buf: &mut [u8], start: &mut usize, end: &mut usize) {
    let waits = end.saturating_sub(*start);
    if *start > 0 && (waits <= *start || *end == buf.len()) {
        crate::bytes::move_down(buf, *start, *end, 0);
        *start = 0;
        *end = waits;
    }
}

#[cfg(test)]
mod tests;
