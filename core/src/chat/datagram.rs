//! A session over datagrams: what stands in front of each message, and when to send again.
//!
//! Knows numbers and round trips. Knows no message, no socket and no address. Each side numbers its
//! datagrams and takes only what is newer than all that it has taken: so what is late, doubled or
//! of another session is inert, and all that is left of the network's faults is loss. Who sends
//! again what has no answer is the business of [`Client`](super::Client) and [`Hub`](super::Hub).

#[cfg(not(feature = "datagram"))]
mod no_path;
#[cfg(feature = "datagram")]
mod path;

use crate::bytes;
use crate::time::{Duration, millis};
use crate::wire::{self, Message};

#[cfg(not(feature = "datagram"))]
pub(super) use no_path::Path;
#[cfg(feature = "datagram")]
pub(super) use path::Path;

/// The bytes in front of each message.
pub const HEADER: usize = 16;

/// The least bytes of a `Hello`, so that nobody gets more back than he sent.
pub const MIN_HELLO: usize = 64;

/// The most bytes of a body.
pub const MAX_BODY: u16 = 1200;

/// The most posts of one room on their way.
pub const WINDOW: u16 = 4;

/// The most entries of one room on their way.
pub const MAX_ENTRIES: u16 = 8;

/// How often a device sends the same again before it goes back to `Hello`.
pub const MAX_TRIES: u8 = 6;

/// The keepalive interval that holds the way open through most address translators, in seconds.
pub const KEEPALIVE: u16 = 25;

/// How long an acknowledgement of entries may wait for more of them.
pub(super) const ACK_DELAY: Duration = millis(50);

/// What stands in front of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// The session; before there is one, the nonce of the `Hello`.
    pub session: u64,
    /// The number of the datagram, from 1 in each session and each way.
    pub number: u32,
    /// The highest number that the sender has taken from the other side; 0 for none.
    pub seen: u32,
}

impl Header {
    /// The header and the message behind it; `None` if the datagram is too short.
    #[must_use]
    pub fn decode(datagram: &[u8]) -> Option<(Self, &[u8])> {
        let (head, message) = datagram.split_first_chunk::<HEADER>()?;
        let (session, rest) = head.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let header = Self {
            session: u64::from_be_bytes(*session),
            number: u32::from_be_bytes(*number),
            seen: u32::from_be_bytes(*rest.first_chunk()?),
        };
        Some((header, message))
    }

    /// The header as it stands in front.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let (session, rest) = out.split_at_mut(8);
        bytes::copy(session, &self.session.to_be_bytes());
        let (number, seen) = rest.split_at_mut(4);
        bytes::copy(number, &self.number.to_be_bytes());
        bytes::copy(seen, &self.seen.to_be_bytes());
        out
    }
}

/// A datagram that opens no session and belongs to none: `Retry`, or the `Error` that there is no
/// such session. The hub keeps nothing for it. `to` is the header that it answers.
///
/// Returns how many bytes of `out` it takes; `None` if they are too few. It is shorter than a
/// `Hello`, and an `Error` that answers anything else has [`MIN_ANSWERED`] bytes.
#[must_use]
pub fn answer(to: &Header, message: &Message<'_>, out: &mut [u8]) -> Option<usize> {
    let header = Header {
        session: to.session,
        // Whatever the device has taken last, this is newer.
        number: to.seen.saturating_add(1),
        seen: 0,
    };
    let (head, rest) = out.split_at_mut_checked(HEADER)?;
    let len = wire::binary::encode_to_device(message, rest)?;
    bytes::copy(head, &header.encode());
    Some(len.saturating_add(HEADER))
}

/// A shorter datagram of a session that there is not is not answered: nobody gets more back than he
/// sent.
pub const MIN_ANSWERED: usize = HEADER + 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was() {
        // [F-DGRAM-1]
        let header = Header {
            session: 0x0102_0304_0506_0708,
            number: 0x090a_0b0c,
            seen: 0x0d0e_0f10,
        };
        let bytes: std::vec::Vec<u8> = (1..=17).collect();
        assert_eq!(header.encode(), bytes[..16]);
        assert_eq!(Header::decode(&bytes), Some((header, &[17][..])));
        assert_eq!(Header::decode(&bytes[..15]), None);
    }
}
