//! Frames with a check, stuffed so that a zero stands only between them: for serial lines.
//!
//! Our own lines and not the crate `cobs`: that one decodes into a second buffer or knows no frame
//! that is not whole, indexes (which leaves a panic in the image) and checks nothing.

mod check;

use core::cell::Cell;

use super::{FrameError, Framing, Scan};

/// Frames of a payload and its CRC-32, in COBS between two zeros.
///
/// COBS (consistent overhead byte stuffing) leaves no zero inside a frame, so the next zero is the
/// end of whatever went wrong: noise costs the frames that it touches, and no other. Sealing writes
/// a zero in front of each frame and one behind it. The one in front ends what noise left on an idle
/// line; of two frames, each has a zero of its own to lose. Receiving needs one of them; more are
/// passed over, as is a line that is held at zero.
///
/// - A payload has at least 1 byte.
/// - Bytes up to a zero that are no frame, or whose check is wrong, are [`FrameError::Malformed`].
/// - A frame above the limit is [`FrameError::Oversize`] as soon as that is sure, and is skipped up
///   to and with the next zero, however far that is.
///
/// A frame takes 7 bytes beside its payload, and one more for each 254 bytes without a zero in them;
/// [`buffer_bytes`](super::buffer_bytes) has the bound. Decoding is in place, by
/// [`unseal`](Framing::unseal): it puts the zeros back, and moves only what stands behind 254 bytes
/// without one.
///
/// **Why 32 bits.** A damaged code byte changes the places of all zeros behind it, so of damaged
/// frames those that decode at all are as good as random, and a check of n bits passes one in 2^n. A
/// line of 115,200 baud carries 3.8 million frames of 256 bytes a day. Were one in a thousand
/// damaged and decoded, 16 bits would let through a wrong payload every 17 days; 32 bits, one in
/// 3,000 years, for 2 bytes more. What no CRC of this kind tells is a loss that joins the end of one frame
/// to the fifth byte of another whose payload begins with four zeros; a datagram of chat begins with the
/// number of its session. The code is as short, so there is no choice of a check. It needs
/// no table where flash is short, and 8 turns of a loop for each byte.
///
/// ```
/// use halloo_core::frame::{buffer_bytes, Cobs, Decoder, Framing};
///
/// let mut out = [0; buffer_bytes::<Cobs>(64)];
/// out[Cobs::HEADER..][..2].copy_from_slice(b"hi");
/// let sealed = Cobs::new(64).seal(&mut out, 2)?;
/// assert_eq!(&out[..sealed], b"\0\x07hi\xac\x2a\x93\xd8\0");
///
/// let mut uart: Decoder<Cobs, { buffer_bytes::<Cobs>(64) }> = Decoder::new(Cobs::new(64));
/// let noise = b"\x0ftrash";
/// uart.room()[..noise.len()].copy_from_slice(noise);
/// uart.commit(noise.len());
/// assert_eq!(uart.poll_frame()?, None);
/// uart.room()[..sealed].copy_from_slice(&out[..sealed]);
/// uart.commit(sealed);
/// assert!(uart.poll_frame().is_err());
/// let frame = uart.poll_frame()?.expect("the noise took no frame with it");
/// assert_eq!(uart.bytes(frame), b"hi");
/// # Ok::<(), halloo_core::frame::FrameError>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cobs {
    limit: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// The first `seen` bytes of the frame brought the cursor to where it is.
    InFrame {
        seen: usize,
        cursor: Cursor,
    },
    Skipping,
}

const START: State = State::InFrame {
    seen: 0,
    cursor: Cursor {
        crc: check::START,
        len: 0,
        left: 0,
        owes_zero: false,
    },
};

/// The code of a block of 254 bytes, the only one without a zero at its end.
const FULL: u8 = u8::MAX;

impl Cobs {
    /// A framing of payloads up to `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            state: START,
        }
    }

    fn frame(&mut self, input: &[u8], seen: usize, mut cursor: Cursor) -> Result<Scan, FrameError> {
        let fresh = input.get(seen..).unwrap_or_default();
        match cursor.advance(fresh, self.limit.saturating_add(check::BYTES)) {
            Stop::Open => {
                let seen = input.len();
                self.state = State::InFrame { seen, cursor };
                Ok(Scan::More)
            }
            Stop::Over => {
                self.state = State::Skipping;
                Err(FrameError::Oversize { limit: self.limit })
            }
            Stop::Closed { at } => {
                let Some(len) = cursor.payload() else {
                    self.state = State::Skipping;
                    return Err(FrameError::Malformed);
                };
                self.state = START;
                Ok(Scan::Frame {
                    start: 1,
                    end: len.saturating_add(1),
                    consumed: seen.saturating_add(at).saturating_add(1),
                })
            }
        }
    }

    #[cold]
    fn skip(&mut self, input: &[u8]) -> Scan {
        match crate::bytes::find(input, 0) {
            Some(at) => {
                self.state = START;
                Scan::Skip {
                    consumed: at.saturating_add(1),
                }
            }
            None if input.is_empty() => Scan::More,
            None => Scan::Skip {
                consumed: input.len(),
            },
        }
    }
}

impl Framing for Cobs {
    const HEADER: usize = 2;
    // Two zeros, a code, the check, and a code more for the bytes of the check.
    const OVERHEAD: usize = 2 + 1 + check::BYTES + 1;
    const STRIDE: usize = 254;
    const LOSSY: bool = true;

    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        match self.state {
            State::InFrame { seen: 0, .. } if input.first() == Some(&0) => Ok(Scan::Skip {
                consumed: input.iter().take_while(|&&byte| byte == 0).count(),
            }),
            State::InFrame { seen, cursor } => self.frame(input, seen, cursor),
            State::Skipping => Ok(self.skip(input)),
        }
    }

    fn unseal(&self, frame: &mut [u8]) {
        let (mut at, mut gap) = (0_usize, 0_usize);
        let mut code = frame.first().copied().unwrap_or_default();
        while code != 0 {
            let next = at.saturating_add(code.into());
            let next_code = frame.get(next).copied().unwrap_or_default();
            if gap > 0 {
                let data = at.saturating_add(1);
                crate::bytes::move_down(frame, data, next, data.saturating_sub(gap));
            }
            if code == FULL {
                gap = gap.saturating_add(1);
            } else if let Some(zero) = frame.get_mut(next.saturating_sub(gap)) {
                *zero = 0;
            }
            (at, code) = (next, next_code);
        }
    }

    fn end(&self, rest: &[u8]) -> Result<(), FrameError> {
        match self.state {
            State::InFrame { .. } if rest.is_empty() => Ok(()),
            State::InFrame { .. } | State::Skipping => Err(FrameError::Truncated),
        }
    }

    fn seal(&self, buf: &mut [u8], len: usize) -> Result<usize, FrameError> {
        if len == 0 || len > self.limit {
            return Err(FrameError::Unframeable);
        }
        append_check(buf, len)
            .and_then(|end| stuff(buf, end))
            .ok_or(FrameError::Unframeable)
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn lower_limit(&mut self, most: usize) {
        self.limit = self.limit.min(most);
    }
}

/// What the bytes of a frame decode to, as far as they are there.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Cursor {
    crc: u32,
    /// How many bytes were decoded.
    len: usize,
    /// How many bytes of the block are still to come.
    left: u8,
    /// A zero stands between this block and the next, if there is one.
    owes_zero: bool,
}

enum Stop {
    Open,
    Over,
    Closed { at: usize },
}

impl Cursor {
    /// Over `fresh` up to the first zero in it, or to the first byte that decodes to more than `most`.
    fn advance(&mut self, fresh: &[u8], most: usize) -> Stop {
        for (at, &byte) in fresh.iter().enumerate() {
            if byte == 0 {
                return Stop::Closed { at };
            }
            let decoded = if self.left > 0 {
                self.left = self.left.saturating_sub(1);
                byte
            } else {
                self.left = byte.saturating_sub(1);
                if !core::mem::replace(&mut self.owes_zero, byte != FULL) {
                    continue;
                }
                0
            };
            if self.len >= most {
                return Stop::Over;
            }
            self.len = self.len.saturating_add(1);
            self.crc = check::step(self.crc, decoded);
        }
        Stop::Open
    }

    /// How many bytes the payload has, if this is the end of a good frame.
    ///
    /// None is no payload: its check is 0, so five ones out of an encoded run of zeros would be a frame,
    /// wherever noise cuts the run.
    fn payload(&self) -> Option<usize> {
        let is_good = self.left == 0 && self.crc == check::GOOD;
        let len = self.len.checked_sub(check::BYTES)?;
        (is_good && len > 0).then_some(len)
    }
}

/// Puts the check behind the `len` bytes of payload; returns where it ends.
fn append_check(buf: &mut [u8], len: usize) -> Option<usize> {
    let (payload, rest) = buf.get_mut(Cobs::HEADER..)?.split_at_mut_checked(len)?;
    *rest.first_chunk_mut()? = check::of(payload);
    Cobs::HEADER.checked_add(len)?.checked_add(check::BYTES)
}

/// Encodes `buf[HEADER..end]` where it stands; returns how many bytes the frame takes.
fn stuff(buf: &mut [u8], end: usize) -> Option<usize> {
    let more = more_codes(buf.get(Cobs::HEADER..end)?);
    let most = end.checked_add(more)?;
    let cells = Cell::from_mut(buf.get_mut(..=most)?).as_slice_of_cells();
    let data = Cobs::HEADER.checked_add(more)?..most;
    if more > 0 {
        // Up by as many bytes as there will be codes more, from behind, so that what is read below
        // is not written over before.
        let sources = cells.get(Cobs::HEADER..end)?.iter().rev();
        for (to, from) in cells.get(data.clone())?.iter().rev().zip(sources) {
            to.set(from.get());
        }
    }
    cells.first()?.set(0);
    let (mut code_at, mut code, mut to) = (1_usize, 1_u8, Cobs::HEADER);
    for from in cells.get(data)? {
        let byte = from.get();
        if code == FULL {
            cells.get(code_at)?.set(code);
            (code_at, code, to) = (to, 1, to.checked_add(1)?);
        }
        if byte == 0 {
            cells.get(code_at)?.set(code);
            (code_at, code) = (to, 1);
        } else {
            cells.get(to)?.set(byte);
            code = code.saturating_add(1);
        }
        to = to.checked_add(1)?;
    }
    cells.get(code_at)?.set(code);
    cells.get(to)?.set(0);
    to.checked_add(1)
}

/// How many codes stand in no place of a zero, beside the first.
fn more_codes(data: &[u8]) -> usize {
    let (mut more, mut code) = (0_usize, 1_u8);
    for &byte in data {
        if code == FULL {
            more = more.saturating_add(1);
            code = 1;
        }
        code = if byte == 0 { 1 } else { code.saturating_add(1) };
    }
    more
}

#[cfg(test)]
mod tests;
