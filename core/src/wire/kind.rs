//! The numbers of the message kinds.
//!
//! Bit 7 says that a peer that does not know the kind must not pass over it. The lower seven bits
//! alone tell the kinds apart: no two share them. 0 is never given out.

use super::Message;

/// The bit of a kind that must not be passed over.
pub const CRITICAL: u8 = 0x80;

/// Names each kind once: its constant, its variant, its number, and how many bytes its fields of
/// fixed width take, which stand between the kind and the first length.
macro_rules! kinds {
    ($($constant:ident $variant:ident = $number:literal, $width:literal;)+) => {
        $(
            #[doc = concat!("The kind of a `", stringify!($variant), "`.")]
            pub const $constant: u8 = $number;
        )+

        /// Every kind that this version knows, by name.
        pub const ALL: &[(&str, u8)] = &[$((stringify!($variant), $number)),+];

        /// The widths by the lower seven bits of the kind, with the kind's bit 7.
        #[allow(clippy::indexing_slicing, reason = "evaluated when it compiles")]
        const WIDTHS: [u8; 22] = {
            let mut widths = [0; 22];
            $(widths[($number & !CRITICAL) as usize] = $number & CRITICAL | $width;)+
            widths
        };

        impl Message<'_> {
            /// The number of the message's kind.
            #[must_use]
            pub const fn kind(&self) -> u8 {
                match self {
                    $(Self::$variant { .. } => $number,)+
                    Self::Unknown { kind } => *kind,
                }
            }
        }
    };
}

kinds! {
    HELLO Hello = 0x81, 45;
    RETRY Retry = 0x82, 16;
    WELCOME Welcome = 0x83, 38;
    JOIN Join = 0x84, 14;
    LEAVE Leave = 0x85, 1;
    JOINED Joined = 0x86, 37;
    POST Post = 0x87, 5;
    ACK Ack = 0x88, 9;
    REJECT Reject = 0x89, 6;
    ENTRY Entry = 0x8a, 13;
    CREDIT Credit = 0x8b, 11;
    GAP Gap = 0x8c, 18;
    NOTICE Notice = 0x0d, 10;
    WHO Who = 0x0e, 3;
    ROSTER Roster = 0x0f, 7;
    PING Ping = 0x90, 4;
    PONG Pong = 0x11, 4;
    ERROR Error = 0x92, 5;
    BYE Bye = 0x93, 5;
    ECHO_REQUEST EchoRequest = 0x14, 4;
    ECHO_REPLY EchoReply = 0x15, 4;
}

/// How many bytes the fields of fixed width take in the binary layout; 0 for an unknown kind.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn fixed_width(kind: u8) -> usize {
    match WIDTHS.get(usize::from(kind & !CRITICAL)) {
        Some(width) if (width ^ kind) & CRITICAL == 0 => (width & !CRITICAL).into(),
        _ => 0,
    }
}

/// Whether this version knows the kind.
pub(crate) fn is_known(kind: u8) -> bool {
    // None of them is without a field of fixed width.
    fixed_width(kind) > 0
}

/// The most that [`fixed_width`] says.
pub(super) const MAX_FIXED: usize = 45;
