//! The numbers on the wire: codes, reasons and kinds of notice, each named once.

use core::fmt;

/// Defines an open set of wire numbers: known ones by name, others kept as they are.
macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        // The discriminant is the wire's number, so that to convert takes a load and no table.
        #[repr(u8)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant = $value,)+
            /// A number that this version does not know.
            Other(u8) = 0,
        }

        impl $name {
            /// Every number that has a name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number on the wire.
            #[must_use]
            pub const fn to_wire(self) -> u8 {
                match self {
                    $(Self::$variant => $value,)+
                    Self::Other(number) => number,
                }
            }

            /// What a number from the wire means.
            #[must_use]
            pub const fn from_wire(number: u8) -> Self {
                match number {
                    $($value => Self::$variant,)+
                    other => Self::Other(other),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)+
                    Self::Other(number) => write!(f, "number {number}"),
                }
            }
        }
    };
}

numbers! {
    /// Why something was refused, in `Error` and `Reject`.
    Code {
        /// The bytes are no message.
        Malformed = 1, "malformed message";
        /// A kind or extension that must be understood is unknown.
        UnknownCritical = 2, "unknown critical message or extension";
        /// A frame or field above its limit.
        Oversize = 3, "frame or field above its limit";
        /// No common version, or an unknown suite.
        Version = 4, "no version or suite in common";
        /// A message that has no place here: wrong way, before `Hello`, or twice.
        Unexpected = 5, "message out of place";
        /// The peer was silent for too long, or a handshake or a frame took too long.
        Timeout = 6, "took too long";
        /// The hub has no slot left for a connection, a room or a member.
        Full = 7, "the hub is full";
        /// The member's name is not allowed.
        BadName = 8, "name not allowed";
        /// The room's name is not allowed.
        BadRoom = 9, "room name not allowed";
        /// A slot number above the hub's limit, or one that is not joined.
        BadSlot = 10, "slot not usable";
        /// The body is above the largest that the hub takes.
        TooLarge = 11, "body too large";
        /// The member has no right to do this.
        NotAllowed = 12, "not allowed";
        /// The member posts faster than it may.
        RateLimited = 13, "too fast";
        /// The session is unknown or over.
        NoSession = 14, "no such session";
        /// The store does not take posts.
        Storage = 15, "storage does not take posts";
        /// The other end has a fault of its own.
        Internal = 16, "internal error";
    }
}

numbers! {
    /// Why a `Bye` was said.
    ByeReason {
        /// The one who says it is done.
        Done = 1, "done";
        /// The hub stops.
        Shutdown = 2, "the hub stops";
        /// A newer session of the same device took over.
        Replaced = 3, "a newer session took over";
        /// Nothing was heard for 1.5 keepalive intervals.
        Silent = 4, "nothing was heard for too long";
        /// The store failed.
        Storage = 5, "the store failed";
    }
}

numbers! {
    /// Why entries are not there.
    GapReason {
        /// The room keeps no entries that old.
        Retention = 1, "older than the room keeps";
        /// The member asked for fewer entries of history.
        History = 2, "before the history that was asked for";
        /// The hub's store was repaired and lost them.
        Repair = 3, "lost in a repair of the store";
        /// The entry does not fit into the largest frame that the member takes.
        TooLarge = 4, "larger than the member takes";
        /// The member lags in a room whose members get the latest.
        Latest = 5, "passed over for the latest";
    }
}

numbers! {
    /// What a `Notice` tells.
    NoticeKind {
        /// A member came.
        Joined = 1, "joined";
        /// A member went.
        Left = 2, "left";
        /// Only the count of members is told.
        Count = 3, "count";
    }
}
