//! The flat JSON encoding: one object per message, for peers that have a JSON library and no more.
//!
//! Knows which member stands for which field. Decoding is in place: what is escaped is unescaped
//! inside the frame, where it only shrinks, so a message borrows the frame and no body is copied.
//! Work is linear in the frame and there is no recursion; the stack holds [`MAX_MEMBERS`] members
//! of five words.
//!
//! ```
//! use halloo_core::wire::{Message, json};
//!
//! let mut frame = *br#"{"type": "post", "slot": 1, "seq": 7, "body": "gr\u00fc\u00dfe"}"#;
//! let decoded = json::decode(&mut frame)?;
//! let body = "grüße".as_bytes();
//! assert_eq!(decoded.message, Message::Post { slot: 1, seq: 7, body });
//!
//! let mut out = [0; json::MAX_CONTROL];
//! let len = json::encode(&decoded.message, &mut out)?;
//! assert_eq!(&out[..len], r#"{"type":"post","slot":1,"seq":7,"body":"grüße"}"#.as_bytes());
//! # Ok::<(), halloo_core::wire::WireError>(())
//! ```
//!
//! # Members
//!
//! `type` names the kind and has no default. Members stand in any order; those written here with
//! `=` may be left out and then have that value. What is not listed for its kind is skipped and
//! counted, and a kind that is not listed is [`Message::Unknown`](super::Message::Unknown).
//!
//! | `type` | members |
//! | --- | --- |
//! | `hello` | `version_min` u8 = 1, `version_max` u8 = 1, `suite` u8 = 0, `key_id` u32 = 0, `flags` u16 = 0, `nonce` u64, `device` id, `max_frame` u32 = 4294967295, `credit` u16 = 65535, `keepalive` u16 = 0, `proof` hex = "" |
//! | `retry` | `cookie` id |
//! | `welcome` | `version` u8 = 1, `suite` u8 = 0, `flags` u16 = 0, `nonce` u64, `session` u64, `store` u64 = 0, `generation` u32 = 0, `keepalive` u16 = 0, `max_body` u16 = 65535, `window` u16 = 1, `proof` hex = "", `lineage` hex = "" |
//! | `join` | `slot` u8, `flags` u8 = 0, `cursor` u64 or "latest" = "latest", `history` u32 = 4294967295, `room` text, `name` text |
//! | `leave` | `slot` u8 |
//! | `joined` | `slot` u8, `room` u32, `up_seq` u32 = 0, `rejects` u32 = 0, `start` u64, `head` u64, `members` u32 = 0, `presence` u32 = 0 |
//! | `post` | `slot` u8, `seq` u32, `body` or `hex` |
//! | `ack` | `slot` u8, `up_seq` u32, `rejects` u32 = 0 |
//! | `reject` | `slot` u8, `seq` u32, `code` u8 |
//! | `entry` | `room` u32, `offset` u64, `flags` u8 = 0, `from` text = "", `body` or `hex` |
//! | `credit` | `slot` u8, `cursor` u64, `window` u16 |
//! | `gap` | `slot` u8, `from` u64, `to` u64, `reason` u8 |
//! | `notice` | `slot` u8, `version` u32, `kind` u8, `members` u32, `who` text = "" |
//! | `who` | `slot` u8, `skip` u16 = 0 |
//! | `roster` | `slot` u8, `skip` u16 = 0, `members` u32, `names` array of texts |
//! | `ping`, `pong` | `token` u32 = 0 |
//! | `error` | `code` u8, `retry_after` u32 = 0, `text` text = "" |
//! | `bye` | `reason` u8 = 1, `retry_after` u32 = 0 |
//! | `echo_request`, `echo_reply` | `token` u32 = 0, `bytes` or `hex` |
//!
//! - Numbers are integers without sign, fraction or exponent, within their type. A u64 is taken
//!   as an integer and as a string of its decimal digits, because JavaScript rounds integers above
//!   2^53; it is written as an integer up to 2^53 and as a string above.
//! - `hex` is a string of hexadecimal digits, an even number of them; an id has exactly 32. They
//!   are written in lower case.
//! - Bytes stand in `body` (in an echo: `bytes`) as text if they are UTF-8, and else in `hex`.
//!   Exactly one of the two is there.
//!
//! # Strictness
//!
//! The rest is RFC 8259 to the letter: no comma too many, no text after the object, no control
//! character inside a string, no lone surrogate, no bytes that are not UTF-8, no byte order mark.
//! `null` is not the same as absent. An object has at most [`MAX_MEMBERS`] members and none twice,
//! whether known or not. Values that are skipped nest at most [`MAX_DEPTH`] deep; inside of them,
//! keys may repeat.

mod decode;
mod encode;
mod members;
mod place;
mod scan;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use encode::encode;
pub use members::MAX_MEMBERS;
pub use scan::MAX_DEPTH;

/// The bytes that hold any message with valid names but those with a body (`Post`, `Entry`,
/// `Roster`).
///
/// A byte of a body takes at most 6 more, one of a `Roster`'s names at most 3.
pub const MAX_CONTROL: usize = 512;

/// The largest integer that is written as a number; up to it, a 64-bit float is exact.
const MAX_INTEGER: u64 = 1 << 53;
