//! halloo's compact binary layout.
//!
//! A message is its kind, its fields in the order in which its type declares them, and extensions.
//! Numbers are big-endian. Knows the layout and its limits, and keeps nothing from one message to
//! the next. What [`decode`] accepts without skipping anything, [`encode`] gives back to the byte.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{decode, decode_from_device, decode_from_hub};
pub use encode::encode;
pub(crate) use encode::{encode_to_device, encode_to_hub};

/// The extension that carries a proof in `Hello` and `Welcome`.
pub const TAG_PROOF: u8 = 2;

/// The extension that fills a `Hello` up to the size that a datagram asks for.
pub const TAG_PADDING: u8 = 1;

/// The extension that carries the lineage in a `Welcome`.
pub const TAG_LINEAGE: u8 = 3;

/// The extension that carries a cookie in a `Hello` over datagrams.
pub const TAG_COOKIE: u8 = 4;

/// The bit of a tag whose extension may be passed over.
const SKIPPABLE: u8 = 1;
