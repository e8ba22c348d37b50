//! Messages as borrowed views, and their two encodings.
//!
//! Knows the layout of every message and the numbers that stand for things. Knows no state: what a
//! message means is for [`chat`](crate::chat). A decoded message borrows the frame; a body is never
//! copied. The specification is [`protocol`].

pub mod binary;
mod code;
#[cfg(feature = "json")]
pub mod json;
pub mod kind;
mod message;
#[doc = include_str!("../../PROTOCOL.md")]
pub mod protocol {}

pub use code::{ByeReason, Code, GapReason, NoticeKind};
pub use message::{
    Bye, DeviceId, Entry, Gap, Hello, Join, Joined, Lineage, Message, Names, Notice, PeerError,
    Roster, Welcome,
};

use core::fmt;

/// The version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;

/// What a `Hello` starts with.
pub const MAGIC: [u8; 4] = *b"HALO";

/// The most bytes of a body.
pub const MAX_BODY: usize = u16::MAX as usize;

/// The most bytes that an `EchoRequest` carries.
pub const MAX_ECHO: usize = 32;

/// The most bytes of the text in an `Error`.
pub const MAX_TEXT: usize = 64;

/// The most bytes of a proof in a `Hello` or a `Welcome`.
pub const MAX_PROOF: usize = 32;

/// The most extensions of one message.
pub const MAX_EXTENSIONS: usize = 4;

/// The most bytes that the extensions of one message take, tags and lengths included.
pub const MAX_EXTENSION_BYTES: usize = 64;

/// The most generations in the lineage of a `Welcome`: so many fit beside the longest proof.
pub const MAX_LINEAGE: usize = (MAX_EXTENSION_BYTES - 2 - MAX_PROOF - 2) / 4;

/// The bytes of an `Entry` beside its name and its body, without extensions.
pub const ENTRY_OVERHEAD: usize = 1 + 4 + 8 + 1 + 1 + 2;

/// The bytes that hold any message but those with a body (`Post`, `Entry`, `Roster`), with as many
/// extensions as are allowed; a `Join` only if room and name are within
/// [`MAX_NAME`](crate::name::MAX_NAME).
pub const MAX_CONTROL: usize = 160;

/// A message and what was passed over to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decoded<'a> {
    /// The message.
    pub message: Message<'a>,
    /// How many extensions (in JSON: members) were unknown and skipped.
    pub skipped: u8,
}

/// Why bytes are no message, or a message does not fit into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WireError {
    /// Peer: the frame ends inside a field.
    Truncated,
    /// Peer: a field has a value that its type does not have, or bytes follow the last field.
    Malformed,
    /// Peer: a message kind that is unknown and marked critical.
    UnknownKind(u8),
    /// Peer: an extension that is unknown and marked critical.
    UnknownExtension(u8),
    /// Peer: a name, text, body or extension above its limit.
    TooLong,
    /// Peer: a name that has to be valid here is not.
    Name(crate::name::NameError),
    /// Caller: the message is longer than the buffer to encode into.
    NoRoom,
}

impl WireError {
    /// The code that tells the peer about this error.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Truncated | Self::Malformed => Code::Malformed,
            Self::UnknownKind(_) | Self::UnknownExtension(_) => Code::UnknownCritical,
            Self::TooLong => Code::Oversize,
            Self::Name(_) => Code::BadName,
            Self::NoRoom => Code::Internal,
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message ends inside a field"),
            Self::Malformed => f.write_str("the message has a field that is not valid"),
            Self::UnknownKind(kind) => write!(f, "the message kind {kind:#04x} is not known"),
            Self::UnknownExtension(tag) => write!(f, "the extension {tag:#04x} is not known"),
            Self::TooLong => f.write_str("a field of the message is above its limit"),
            Self::Name(_) => f.write_str("a name in the message is not valid"),
            Self::NoRoom => f.write_str("the message does not fit into the buffer"),
        }
    }
}

impl core::error::Error for WireError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Name(cause) => Some(cause),
            _ => None,
        }
    }
}
