//! The bodies of posts: a word, a text for people, and a stamp for the ledger.
//!
//! `val 21.5C #0000002a.00000003.00000011.000000000001e240` is post 17 of device 42 in room 3,
//! posted 123,456 µs after the start. Fixed width, so that to read one is to look at its end.

use std::io::Write;

/// The largest body: what the outbox of a device is sized for.
pub(crate) const MOST: usize = 64;

/// What a command begins with: who hears it has to answer.
pub(crate) const COMMAND: &[u8] = b"cmd";

const STAMP: usize = 1 + 8 + 1 + 8 + 1 + 8 + 1 + 16;

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
    pub(crate) fn new(text: std::fmt::Arguments<'_>, stamp: Stamp) -> Self {
        let mut bytes = [0; MOST];
        let (front, _) = bytes.split_at_mut(MOST - STAMP);
        let mut rest = &mut *front;
        // A text that is too long is cut.
        let _ = rest.write_fmt(text);
        let text_len = MOST - STAMP - rest.len();
        let Stamp {
            device,
            room,
            counter,
            at,
        } = stamp;
        let mut rest = &mut bytes[text_len..];
        // Fixed width: it fits.
        let _ = write!(rest, "#{device:08x}.{room:08x}.{counter:08x}.{at:016x}");
        let len = text_len + STAMP;
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Stamp {
    /// The stamp at the end of a body, if there is one.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let stamp: &[u8; STAMP] = body.last_chunk()?;
        if stamp[0] != b'#' || stamp[9] != b'.' || stamp[18] != b'.' || stamp[27] != b'.' {
            return None;
        }
        Some(Self {
            device: hex(&stamp[1..9])? as u32,
            room: hex(&stamp[10..18])? as u32,
            counter: hex(&stamp[19..27])? as u32,
            at: hex(&stamp[28..])?,
        })
    }
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
            let body = Body::new(format_args!("{text}"), STAMP);
            assert!(body.as_bytes().len() <= MOST);
            assert!(body.as_bytes().starts_with(text.as_bytes()) || len > MOST - 44);
            assert_eq!(Stamp::read(body.as_bytes()), Some(STAMP));
        }
    }

    #[test]
    fn what_people_post_has_no_stamp() {
        let body = Body::new(format_args!("val 21.5C "), STAMP);
        for at in 0..super::STAMP {
            let mut bytes = body.as_bytes().to_vec();
            let end = bytes.len();
            bytes[end - 1 - at] = b'x';
            assert_eq!(Stamp::read(&bytes), None, "{at}");
        }
        assert_eq!(Stamp::read(b"hello"), None);
        assert_eq!(Stamp::read(b""), None);
    }
}
