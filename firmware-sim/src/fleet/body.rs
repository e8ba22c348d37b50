//! The bodies of posts: a word, a text for people, and a stamp for the ledger.
//!
//! `val 21.5C #0000002a.00000003.00000011.000000000001e240.9d30e1aa` is post 17 of device 42 in
//! room 3, posted 123,456 µs after the start. The last number is a checksum of all before it: a
//! post whose text was changed on the way was not delivered. Fixed width, so that to read a stamp
//! is to look at the end.

use std::fmt::Display;
use std::io::Write;

/// The largest body: what the outbox of a device is sized for.
pub(crate) const MOST: usize = 64;

/// What a command begins with: an actuator that hears it has to answer.
pub(crate) const COMMAND: &str = "cmd";

/// The bytes of a stamp without its checksum, and with it.
const FIELDS: usize = 1 + 8 + 1 + 8 + 1 + 8 + 1 + 16;
const STAMP: usize = FIELDS + 1 + 8;

/// Who posted a body, where, as which of its posts, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u32,
    pub(crate) room: u32,
    pub(crate) counter: u32,
    /// Microseconds since the start of the run.
    pub(crate) at: u64,
}

/// A body in its own memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body {
    bytes: [u8; MOST],
    len: usize,
}

impl Body {
    /// `text` is cut to what fits before the stamp.
    pub(crate) fn new(text: impl Display, stamp: Stamp) -> Self {
        let mut bytes = [0; MOST];
        let (front, _) = bytes.split_at_mut(MOST - STAMP);
        let mut rest = &mut *front;
        // A text that is too long is cut.
        let _ = write!(rest, "{text}");
        let text_len = MOST - STAMP - rest.len();
        let Stamp {
            device,
            room,
            counter,
            at,
        } = stamp;
        let (signed, mut end) = bytes.split_at_mut(text_len + FIELDS);
        let mut fields = &mut signed[text_len..];
        // Fixed width: both fit.
        let _ = write!(fields, "#{device:08x}.{room:08x}.{counter:08x}.{at:016x}");
        let _ = write!(end, ".{:08x}", checksum(signed));
        let len = text_len + STAMP;
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Stamp {
    /// The stamp at the end of a body, if there is one and the body is as it was posted.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let stamp: &[u8; STAMP] = body.last_chunk()?;
        let points = [9, 18, 27, FIELDS];
        if stamp[0] != b'#' || points.iter().any(|&at| stamp[at] != b'.') {
            return None;
        }
        let signed = &body[..body.len() - STAMP + FIELDS];
        if hex(&stamp[FIELDS + 1..])? != u64::from(checksum(signed)) {
            return None;
        }
        Some(Self {
            device: hex(&stamp[1..9])? as u32,
            room: hex(&stamp[10..18])? as u32,
            counter: hex(&stamp[19..27])? as u32,
            at: hex(&stamp[28..FIELDS])?,
        })
    }
}

/// FNV-1a: cheap, and any single byte changes it.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, &byte: &u8| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step)
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some((number << 4) | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        device: 42,
        room: u32::MAX,
        counter: 17,
        at: 123_456_789_012,
    };

    #[test]
    fn a_stamp_comes_back_from_behind_any_text() {
        for len in 0..100 {
            let text = "x".repeat(len);
            let body = Body::new(&text, STAMP);
            assert!(body.as_bytes().len() <= MOST);
            assert!(body.as_bytes().starts_with(text.as_bytes()) || len > MOST - super::STAMP);
            assert_eq!(Stamp::read(body.as_bytes()), Some(STAMP));
        }
    }

    #[test]
    fn the_documented_body_is_the_one_that_is_made() {
        let stamp = Stamp {
            device: 42,
            room: 3,
            counter: 17,
            at: 123_456,
        };
        let body = Body::new("val 21.5C ", stamp);
        let text = std::str::from_utf8(body.as_bytes()).unwrap();
        assert!(
            include_str!("body.rs").contains(&format!("`{text}`")),
            "{text}"
        );
    }

    #[test]
    fn a_body_with_any_byte_changed_has_no_stamp() {
        let body = Body::new("val 21.5C ", STAMP);
        for at in 0..body.as_bytes().len() {
            for bit in 0..8 {
                let mut bytes = body.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                // The case of a digit says nothing.
                let same = bytes.eq_ignore_ascii_case(body.as_bytes());
                let wanted = same.then_some(STAMP).filter(|_| at > 10 + FIELDS);
                assert_eq!(Stamp::read(&bytes), wanted, "{at} {bit}");
            }
        }
    }

    #[test]
    fn what_people_post_has_no_stamp() {
        for text in [
            "",
            "hello",
            "# and a text that is as long as a stamp is, with . in it",
        ] {
            assert_eq!(Stamp::read(text.as_bytes()), None);
        }
    }
}
