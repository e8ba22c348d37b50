//! One line, one frame.

use super::{FrameError, Framing, Scan};

/// Frames that end in LF; a CR right before it is not part of the payload.
///
/// An empty line is an empty frame. A line above the limit is [`FrameError::Oversize`] as soon as
/// that is sure; then everything up to its LF is skipped. A buffer needs 2 bytes beside the payload,
/// for CR and LF. Sealing appends LF and refuses a payload with an LF in it or a CR at its end.
///
/// ```
/// use halloo_core::frame::{Framing, Lines, Scan};
/// let mut framing = Lines::new(80);
/// assert_eq!(framing.scan(b"hel"), Ok(Scan::More));
/// assert_eq!(framing.scan(b"hello\r\n"), Ok(Scan::Frame { start: 0, end: 5, consumed: 7 }));
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lines {
    limit: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// The first `seen` bytes of the line hold no LF.
    InLine {
        seen: usize,
    },
    Skipping,
}

const START: State = State::InLine { seen: 0 };

impl Lines {
    /// A framing of lines up to `limit` bytes, without their end.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            state: START,
        }
    }

    fn line(&mut self, input: &[u8], seen: usize) -> Result<Scan, FrameError> {
        let most = self.limit.saturating_add(Self::OVERHEAD);
        let shown = input.get(..most).unwrap_or(input);
        let fresh = shown.get(seen..).unwrap_or_default();
        if let Some(at) = line_feed(fresh) {
            let line_end = seen.saturating_add(at);
            let line = shown.get(..line_end).unwrap_or_default();
            let payload = line.strip_suffix(b"\r").unwrap_or(line);
            if payload.len() <= self.limit {
                self.state = START;
                return Ok(Scan::Frame {
                    start: 0,
                    end: payload.len(),
                    consumed: line_end.saturating_add(1),
                });
            }
        }
        // A CR at the limit may yet turn out to be the first half of the line's end.
        let over = match shown.get(self.limit) {
            None => false,
            Some(b'\r') => shown.len() == most,
            Some(_) => true,
        };
        if over {
            self.state = State::Skipping;
            return Err(FrameError::Oversize { limit: self.limit });
        }
        self.state = State::InLine { seen: shown.len() };
        Ok(Scan::More)
    }

    fn skip(&mut self, input: &[u8]) -> Scan {
        match line_feed(input) {
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

impl Framing for Lines {
    const HEADER: usize = 0;
    const OVERHEAD: usize = 2;

    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        match self.state {
            State::InLine { seen } => self.line(input, seen),
            State::Skipping => Ok(self.skip(input)),
        }
    }

    fn end(&self, rest: &[u8]) -> Result<(), FrameError> {
        match self.state {
            State::InLine { .. } if rest.is_empty() => Ok(()),
            State::InLine { .. } | State::Skipping => Err(FrameError::Truncated),
        }
    }

    fn seal(&self, buf: &mut [u8], len: usize) -> Result<usize, FrameError> {
        let payload = buf.get(..len).ok_or(FrameError::Unframeable)?;
        if len > self.limit || line_feed(payload).is_some() || payload.ends_with(b"\r") {
            return Err(FrameError::Unframeable);
        }
        *buf.get_mut(len).ok_or(FrameError::Unframeable)? = b'\n';
        Ok(len.saturating_add(1))
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn lower_limit(&mut self, most: usize) {
        self.limit = self.limit.min(most);
    }
}

fn line_feed(bytes: &[u8]) -> Option<usize> {
    crate::bytes::find(bytes, b'\n')
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use super::*;

    #[test]
    fn lines_come_out_however_they_are_cut() {
        let input = b"four\n\r\n\nhi\r\na\rb\n\r\r\n";
        let expected = [b"four", &b""[..], b"", b"hi", b"a\rb", b"\r"].map(frame);
        check::<_, 6>(&Lines::new(100), input, &expected);
        check::<_, 64>(&Lines::new(4), input, &expected);
    }

    #[test]
    fn a_line_above_the_limit_is_told_once_and_skipped() {
        let input = b"hi\nlarge\nfour\r\nfour\rx\nlarge\r\nfour\r\r\nok\n";
        let ok = frame(b"four");
        let (hi, over, last) = (frame(b"hi"), oversize(4), frame(b"ok"));
        let expected = [hi, over.clone(), ok, over.clone(), over.clone(), over, last];
        check::<_, 6>(&Lines::new(100), input, &expected);
        check::<_, 64>(&Lines::new(4), input, &expected);
    }

    #[test]
    fn a_line_longer_than_any_buffer_is_survived() {
        let bad = [&[b'x'; 1 << 20][..], b"\n"].concat();
        check_survival::<_, 16>(&Lines::new(100), b"hi\n", &bad, b"hi");
    }

    #[test]
    fn what_was_scanned_once_is_not_scanned_again() {
        let mut framing = Lines::new(100);
        assert_eq!(framing.scan(b"abc"), Ok(Scan::More));
        let changed = framing.scan(b"\n\n\nd\n");
        assert!(
            matches!(changed, Ok(Scan::Frame { end: 4, .. })),
            "{changed:?}"
        );
    }

    #[test]
    fn a_stream_that_ends_inside_a_line_is_truncated() {
        let framing = Lines::new(4);
        check_every_cut::<_, 16>(&framing, b"", &[]);
        check_every_cut::<_, 16>(&framing, b"hi\nh", &[frame(b"hi"), TRUNCATED]);
        check_every_cut::<_, 16>(&framing, b"hi\r", &[TRUNCATED]);
        check_every_cut::<_, 16>(&framing, b"larger", &[oversize(4), TRUNCATED]);
    }

    #[test]
    fn sealing_appends_lf_and_refuses_what_would_not_come_back() {
        let framing = Lines::new(4);
        check_seal(&framing, b"", b"\n");
        check_seal(&framing, b"four", b"four\n");
        check_seal(&framing, b"a\rb", b"a\rb\n");
        check_unframeable(&framing, b"large");
        check_unframeable(&framing, b"a\nb");
        check_unframeable(&framing, b"a\n");
        check_unframeable(&framing, b"a\r");
    }
}
