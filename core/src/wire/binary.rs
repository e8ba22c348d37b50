//! halloo's compact binary layout.

use super::{Decoded, Message, WireError};

/// Encodes `message` into the front of `out`; returns how many bytes that took.
pub fn encode(_message: &Message<'_>, _out: &mut [u8]) -> Result<usize, WireError> {
    Err(WireError::NoRoom)
}

/// Decodes the message that `frame` holds.
pub fn decode(_frame: &[u8]) -> Result<Decoded<'_>, WireError> {
    Err(WireError::Malformed)
}
