//! One datagram, one frame.

use super::{FrameError, Framing, Scan};

/// Frames that are whole datagrams; an empty datagram is an empty frame.
///
/// Each input is one datagram: scan it once ([`Framing::WHOLE`]), or twice after
/// [`FrameError::Oversize`], the second time to skip it. Most sockets cut a datagram that is longer
/// than the buffer, so make the buffer one byte longer than the limit: what was cut is then above it.
///
/// ```
/// use halloo_core::frame::{Datagram, Framing, Scan};
/// let mut framing = Datagram::new(1200);
/// assert_eq!(framing.scan(b"hi"), Ok(Scan::Frame { start: 0, end: 2, consumed: 2 }));
/// assert_eq!(framing.scan(b""), Ok(Scan::Frame { start: 0, end: 0, consumed: 0 }));
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Datagram {
    limit: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Whole,
    Skipping,
}

impl Datagram {
    /// A framing of datagrams up to `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::Whole,
        }
    }
}

impl Framing for Datagram {
    const HEADER: usize = 0;
    const OVERHEAD: usize = 0;
    const WHOLE: bool = true;
    const LOSSY: bool = true;

    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        let len = input.len();
        match self.state {
            State::Whole if len > self.limit => {
                self.state = State::Skipping;
                Err(FrameError::Oversize { limit: self.limit })
            }
            State::Skipping if len > 0 => {
                self.state = State::Whole;
                Ok(Scan::Skip { consumed: len })
            }
            State::Whole | State::Skipping => {
                self.state = State::Whole;
                Ok(Scan::Frame {
                    start: 0,
                    end: len,
                    consumed: len,
                })
            }
        }
    }

    /// Never an error: datagrams have no middle to end in.
    fn end(&self, _rest: &[u8]) -> Result<(), FrameError> {
        Ok(())
    }

    fn seal(&self, buf: &mut [u8], len: usize) -> Result<usize, FrameError> {
        if len > self.limit || len > buf.len() {
            return Err(FrameError::Unframeable);
        }
        Ok(len)
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn lower_limit(&mut self, most: usize) {
        self.limit = self.limit.min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use super::*;

    #[test]
    fn a_datagram_above_the_limit_is_told_and_then_skipped_whole() {
        let mut framing = Datagram::new(4);
        let over = Err(FrameError::Oversize { limit: 4 });
        for _ in 0..3 {
            assert_eq!(framing.scan(b"large"), over);
            assert_eq!(framing.scan(b"large"), Ok(Scan::Skip { consumed: 5 }));
            let whole = Scan::Frame {
                start: 0,
                end: 4,
                consumed: 4,
            };
            assert_eq!(framing.scan(b"four"), Ok(whole));
        }
    }

    #[test]
    fn sealing_changes_nothing_and_keeps_the_limit() {
        let framing = Datagram::new(4);
        check_seal(&framing, b"four", b"four");
        check_unframeable(&framing, b"large");
        assert_eq!(framing.seal(&mut [], 0), Ok(0));
    }
}
