//! Frames: where one message ends and the next begins.
//!
//! Knows byte boundaries and limits. Does not know what is in a frame. A framing is a small state
//! over slices: it is shown all bytes that were not consumed yet and says what they begin with.
//! The same bytes give the same frames, in whatever pieces they come.

use core::fmt;

/// What the bytes that a framing was shown begin with.
///
/// A token: it borrows nothing, so a caller can look at it first and borrow the bytes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scan {
    /// No whole frame yet: show the same bytes again with more behind them.
    More,
    /// The first `consumed` bytes are of no use: drop them and scan on.
    Skip {
        /// How many bytes to drop; at least 1.
        consumed: usize,
    },
    /// `start..end` is the payload of a frame.
    Frame {
        /// Where the payload starts.
        start: usize,
        /// Where the payload ends.
        end: usize,
        /// How many bytes the whole frame takes; at least `end`, at least 1.
        consumed: usize,
    },
}

/// Why bytes are no frame, or a payload cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// Peer: a frame above the limit. The framing skips it; the next frame is found.
    Oversize {
        /// The limit that it was above, in bytes of payload.
        limit: usize,
    },
    /// Peer: the stream ended inside a frame. There is no next frame.
    Truncated,
    /// Peer: bytes that no frame can begin with. The framing skips them; the next frame is found.
    Malformed,
    /// Caller: the payload is above the limit, does not fit into the buffer, or has bytes that this
    /// framing cannot carry.
    Unframeable,
}

impl FrameError {
    /// Whether the next good frame of the stream will still be found.
    #[must_use]
    pub const fn is_survivable(self) -> bool {
        match self {
            Self::Oversize { .. } | Self::Malformed | Self::Unframeable => true,
            Self::Truncated => false,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oversize { limit } => write!(f, "the frame is above the limit of {limit} bytes"),
            Self::Truncated => f.write_str("the stream ended inside a frame"),
            Self::Malformed => f.write_str("the bytes are no frame"),
            Self::Unframeable => f.write_str("the payload cannot be framed"),
        }
    }
}

impl core::error::Error for FrameError {}

/// A way to mark the boundaries of messages in a stream of bytes.
pub trait Framing {
    /// How many bytes stand before the payload.
    const HEADER: usize;

    /// The most bytes that sealing adds to a payload, header included.
    const OVERHEAD: usize;

    /// Looks at `input`, all bytes that were not consumed yet.
    ///
    /// An error is told once and consumes nothing: call again, and the framing skips what the
    /// error was about. Work: linear in the bytes that it was not shown before.
    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError>;

    /// The stream ended with `rest` not consumed: is that in the middle of a frame?
    fn end(&self, rest: &[u8]) -> Result<(), FrameError>;

    /// Makes a frame of the `len` bytes of payload that stand at `buf[HEADER..]`; returns how many
    /// bytes of `buf`, from its front, the frame takes.
    fn seal(&self, buf: &mut [u8], len: usize) -> Result<usize, FrameError>;

    /// The most bytes of payload.
    fn limit(&self) -> usize;

    /// Lowers the limit to `most` bytes of payload, if it is higher.
    fn lower_limit(&mut self, most: usize);
}
