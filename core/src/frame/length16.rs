//! A 2-byte big-endian length, then the payload.

use super::counted::Counted;
use super::{FrameError, Framing, Scan};

/// Frames of a 2-byte big-endian length and that many bytes of payload.
///
/// A length above the limit is [`FrameError::Oversize`] as soon as the header is there; then that
/// many bytes are skipped as they come, however many they are, and the next frame is found. A buffer
/// needs 2 bytes beside the payload.
///
/// ```
/// use halloo_core::frame::{Framing, Length16, Scan};
/// let mut framing = Length16::new(100);
/// let input = b"\x00\x02hi and more";
/// assert_eq!(framing.scan(input), Ok(Scan::Frame { start: 2, end: 4, consumed: 4 }));
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Length16 {
    counted: Counted<2>,
}

impl Length16 {
    /// A framing of payloads up to `limit` bytes (and never above what the length can say).
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        let most = u16::MAX as usize;
        Self {
            counted: Counted::new(if limit < most { limit } else { most }),
        }
    }
}

impl Framing for Length16 {
    const HEADER: usize = 2;
    const OVERHEAD: usize = 2;

    #[inline]
    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        self.counted.scan(input)
    }

    fn end(&self, rest: &[u8]) -> Result<(), FrameError> {
        self.counted.end(rest)
    }

    fn seal(&self, buf: &mut [u8], len: usize) -> Result<usize, FrameError> {
        let length = u16::try_from(len).map_err(|_| FrameError::Unframeable)?;
        self.counted.seal(buf, length.to_be_bytes(), len)
    }

    fn limit(&self) -> usize {
        self.counted.limit()
    }

    fn lower_limit(&mut self, most: usize) {
        self.counted.lower_limit(most);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use super::*;

    #[test]
    fn frames_come_out_however_they_are_cut() {
        let input = b"\0\x02hi\0\0\0\x04four\0\x01x";
        let expected = [frame(b"hi"), frame(b""), frame(b"four"), frame(b"x")];
        check::<_, 6>(&Length16::new(100), input, &expected);
        check::<_, 64>(&Length16::new(4), input, &expected);
    }

    #[test]
    fn a_length_above_the_limit_is_told_once_and_skipped() {
        let input = b"\0\x02hi\0\x05large\0\x02ok";
        let expected = [frame(b"hi"), oversize(4), frame(b"ok")];
        check::<_, 6>(&Length16::new(100), input, &expected);
        check::<_, 64>(&Length16::new(4), input, &expected);
    }

    #[test]
    fn a_length_above_the_limit_is_told_before_the_payload_comes() {
        let mut framing = Length16::new(4);
        assert_eq!(
            framing.scan(b"\0\x05"),
            Err(FrameError::Oversize { limit: 4 })
        );
        assert_eq!(framing.scan(b"\0\x05"), Ok(Scan::Skip { consumed: 2 }));
        assert_eq!(framing.scan(b""), Ok(Scan::More));
        assert_eq!(framing.end(b""), Err(FrameError::Truncated));
        assert_eq!(framing.scan(b"large\0\0"), Ok(Scan::Skip { consumed: 5 }));
        assert_eq!(framing.end(b""), Ok(()));
    }

    #[test]
    fn a_frame_longer_than_any_buffer_is_survived() {
        let bad = [&b"\xff\xff"[..], &[0x5a; 0xffff]].concat();
        check_survival::<_, 16>(&Length16::new(100), b"\0\x02hi", &bad, b"hi");
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_truncated() {
        let framing = Length16::new(8);
        check_every_cut::<_, 16>(&framing, b"", &[]);
        check_every_cut::<_, 16>(&framing, b"\0", &[TRUNCATED]);
        check_every_cut::<_, 16>(&framing, b"\0\x02hi\0\x02h", &[frame(b"hi"), TRUNCATED]);
        check_every_cut::<_, 16>(&framing, b"\0\x09234", &[oversize(8), TRUNCATED]);
    }

    #[test]
    fn sealing_writes_the_length_and_keeps_the_limit() {
        let framing = Length16::new(4);
        check_seal(&framing, b"", b"\0\0");
        check_seal(&framing, b"four", b"\0\x04four");
        check_unframeable(&framing, b"large");
        assert_eq!(
            framing.seal(&mut [0; 9], usize::MAX),
            Err(FrameError::Unframeable)
        );
    }
}
