//! Frames: where one message ends and the next begins.
//!
//! Knows byte boundaries and limits. Does not know what is in a frame. A framing is a small state
//! over slices: it is shown all bytes that were not consumed yet and says what they begin with.
//! The same bytes give the same frames and the same errors, in whatever pieces they come.
//!
//! | framing | a frame on the wire | for |
//! | --- | --- | --- |
//! | [`Length32`] | 4-byte big-endian length, payload | streams |
//! | [`Length16`] | 2-byte big-endian length, payload | streams of small frames |
//! | `Cobs` | 0, payload and CRC-32 in COBS, 0 | serial lines (feature `cobs`) |
//! | [`Lines`] | payload, LF (a CR before it is not payload) | text |
//! | [`JsonObjects`] | one JSON object, white space or nothing between | text |
//! | [`Datagram`] | the whole datagram | UDP and its like |
//!
//! A [`Decoder`] is a framing with a receive buffer:
//!
//! ```
//! use halloo_core::frame::{Decoder, Framing, Length32};
//!
//! let mut out = [0; 16];
//! out[Length32::HEADER..][..5].copy_from_slice(b"hello");
//! let sealed = Length32::new(64).seal(&mut out, 5)?;
//!
//! let mut decoder: Decoder<Length32, 68> = Decoder::new(Length32::new(64));
//! for piece in out[..sealed].chunks(4) {
//!     let room = decoder.room();
//!     room[..piece.len()].copy_from_slice(piece);
//!     decoder.commit(piece.len());
//!     while let Some(frame) = decoder.poll_frame()? {
//!         assert_eq!(decoder.bytes(frame), b"hello");
//!     }
//! }
//! decoder.end()?;
//! # Ok::<(), halloo_core::frame::FrameError>(())
//! ```

#[cfg(feature = "cobs")]
mod cobs;
mod counted;
mod datagram;
mod decoder;
mod json_objects;
mod length16;
mod length32;
mod lines;
#[cfg(test)]
mod testkit;

#[cfg(feature = "cobs")]
pub use cobs::Cobs;
pub use datagram::Datagram;
pub use decoder::{Decoder, FrameToken};
pub use json_objects::JsonObjects;
pub use length16::Length16;
pub use length32::Length32;
pub use lines::Lines;

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
    /// `start..end` is the payload of a frame, once [`Framing::unseal`] has seen the frame.
    Frame {
        /// Where the payload starts.
        start: usize,
        /// Where the payload ends.
        end: usize,
        /// How many bytes the whole frame takes; at least `end`, and at least 1 but for an empty
        /// datagram (see [`Framing::WHOLE`]).
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
    /// Peer: bytes that are no frame. The framing skips them; the next frame is found.
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

    /// The most bytes that a frame takes beside its payload, header included, but for what
    /// [`STRIDE`](Self::STRIDE) adds. Sealing adds no more, and a buffer of [`buffer_bytes`] for the
    /// limit receives every frame.
    const OVERHEAD: usize;

    /// Each so many bytes of payload may cost one byte more than [`OVERHEAD`](Self::OVERHEAD).
    const STRIDE: usize = usize::MAX;

    /// Whether each input is one frame, with nothing before or behind it, and may be empty.
    ///
    /// Elsewhere an empty input is [`Scan::More`]. Here it is an empty frame that consumes nothing,
    /// so a caller scans once per input and not until there is no more.
    const WHOLE: bool = false;

    /// Whether a frame may be lost on its way while the frames behind it come.
    ///
    /// There a frame that is no good is as one that was lost, and a session of chat is one over
    /// datagrams (section 9 of the specification), each of them in one frame. Elsewhere it is the
    /// end of the session.
    const LOSSY: bool = false;

    /// Looks at `input`, all bytes that were not consumed yet.
    ///
    /// An error is told once and consumes nothing; the call after it, with the same bytes, is a
    /// [`Scan::Skip`]. `More` is said only while `input` is shorter than [`buffer_bytes`] of
    /// the limit. Work: linear in the bytes that it was not shown before.
    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError>;

    /// Decodes the frame of a [`Scan::Frame`] in place: `frame` is its first `consumed` bytes, and
    /// `start..end` of it is the payload afterwards. Once for each frame.
    ///
    /// Does nothing where the bytes on the wire are those of the payload. Work: linear in `frame`.
    #[inline]
    fn unseal(&self, _frame: &mut [u8]) {}

    /// The stream ended with `rest` not consumed: [`FrameError::Truncated`] if that is in the
    /// middle of a frame, a skipped one included. For when `scan` has said [`Scan::More`].
    fn end(&self, rest: &[u8]) -> Result<(), FrameError>;

    /// Makes a frame of the `len` bytes of payload that stand at `buf[HEADER..]`; returns how many
    /// bytes of `buf`, from its front, the frame takes.
    fn seal(&self, buf: &mut [u8], len: usize) -> Result<usize, FrameError>;

    /// The most bytes of payload.
    fn limit(&self) -> usize;

    /// Lowers the limit to `most` bytes of payload, if it is higher.
    fn lower_limit(&mut self, most: usize);
}

/// The size of a buffer that holds every frame with up to `payload` bytes of payload.
#[must_use]
pub const fn buffer_bytes<F: Framing>(payload: usize) -> usize {
    let more = match payload.checked_div(F::STRIDE) {
        Some(more) => more,
        None => 0,
    };
    payload.saturating_add(F::OVERHEAD).saturating_add(more)
}

/// The most bytes of payload whose frame always fits into a buffer of `buffer` bytes.
#[must_use]
pub const fn payload_bytes<F: Framing>(buffer: usize) -> usize {
    let most = buffer.saturating_sub(F::OVERHEAD);
    match most
        .saturating_add(1)
        .checked_div(F::STRIDE.saturating_add(1))
    {
        Some(more) => most.saturating_sub(more),
        None => most,
    }
}
