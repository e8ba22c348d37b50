//! Names of members and rooms: what is allowed in them, and a fixed buffer that holds one.
//!
//! A name that has been checked is a [`Name`] or a `&str`; nothing else in the crate checks again.

use core::fmt;

/// The most bytes that a name has.
pub const MAX_NAME: usize = 32;

/// A checked name in a fixed buffer of [`MAX_NAME`] bytes.
pub type Name = heapless::String<MAX_NAME, u8>;

/// Why a name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NameError {
    /// It has no bytes.
    Empty,
    /// It has more than [`MAX_NAME`] bytes.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It has a character that is not allowed: control, bidirectional or zero-width ones in a
    /// member's name, anything but `a-z 0-9 . _ -` in a room's.
    Forbidden,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the name is empty",
            Self::TooLong => "the name is longer than 32 bytes",
            Self::NotUtf8 => "the name is not UTF-8",
            Self::Forbidden => {
                "the name has a character that is not allowed (a room takes a-z 0-9 . _ -)"
            }
        })
    }
}

impl core::error::Error for NameError {}

/// Checks a member's name: 1 to 32 bytes of UTF-8 without control, bidirectional or zero-width
/// characters.
///
/// ```
/// use halloo_core::name::{self, NameError};
/// assert_eq!(name::member("Zoë".as_bytes()), Ok("Zoë"));
/// assert_eq!(name::member(b"a\nb"), Err(NameError::Forbidden));
/// ```
pub fn member(bytes: &[u8]) -> Result<&str, NameError> {
    let text = sized_text(bytes)?;
    if has_forbidden(text) {
        return Err(NameError::Forbidden);
    }
    Ok(text)
}

/// Checks a room's name: 1 to 32 of `a-z 0-9 . _ -`.
///
/// ```
/// use halloo_core::name::{self, NameError};
/// assert_eq!(name::room(b"lab-2.temp"), Ok("lab-2.temp"));
/// assert_eq!(name::room(b"Lab"), Err(NameError::Forbidden));
/// ```
pub fn room(bytes: &[u8]) -> Result<&str, NameError> {
    let text = sized_text(bytes)?;
    let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if !text.bytes().all(allowed) {
        return Err(NameError::Forbidden);
    }
    Ok(text)
}

/// A checked name, stored.
#[must_use]
pub fn store(checked: &str) -> Name {
    let mut name = Name::new();
    // A checked name fits; one that does not is left empty, which no check lets through.
    let _ = name.push_str(checked);
    name
}

fn sized_text(bytes: &[u8]) -> Result<&str, NameError> {
    match bytes.len() {
        0 => return Err(NameError::Empty),
        1..=MAX_NAME => {}
        _ => return Err(NameError::TooLong),
    }
    core::str::from_utf8(bytes).map_err(|_| NameError::NotUtf8)
}

/// Whether it has one of Unicode's Cc, of the bidirectional controls or of the zero-width characters.
fn has_forbidden(text: &str) -> bool {
    // Characters are told apart as they are encoded: to decode them takes more than all the rest.
    let mut bytes_so_far = 0_u32;
    text.bytes().any(|byte| {
        bytes_so_far = match byte {
            // Most characters are told by one look.
            b' '..=b'~' => return false,
            0x80..=0xbf => bytes_so_far << 8 | u32::from(byte),
            _ => byte.into(),
        };
        matches!(bytes_so_far,
            0..=0x1f | 0x7f | 0xc280..=0xc29f | 0xc2ad | 0xd89c | 0xe1_a08e
            | 0xe2_808b..=0xe2_808f | 0xe2_80a8..=0xe2_80ae | 0xe2_81a0..=0xe2_81af | 0xef_bbbf)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], as_member: Result<(), NameError>, as_room: Result<(), NameError>) {
        assert_eq!(member(bytes).map(|_| ()), as_member, "member {bytes:?}");
        assert_eq!(room(bytes).map(|_| ()), as_room, "room {bytes:?}");
    }

    #[test]
    fn names_are_checked_for_length_encoding_and_characters() {
        use NameError::{Empty, Forbidden, NotUtf8, TooLong};
        check(b"lab", Ok(()), Ok(()));
        check(b"", Err(Empty), Err(Empty));
        check(&[b'a'; 32], Ok(()), Ok(()));
        check(&[b'a'; 33], Err(TooLong), Err(TooLong));
        check(b"\xff\xfe", Err(NotUtf8), Err(NotUtf8));
        check(b"a b", Ok(()), Err(Forbidden));
        check("é".as_bytes(), Ok(()), Err(Forbidden));
        check(b"tab\there", Err(Forbidden), Err(Forbidden));
        check(b"del\x7f", Err(Forbidden), Err(Forbidden));
        check("a\u{202e}b".as_bytes(), Err(Forbidden), Err(Forbidden));
        check("a\u{200b}b".as_bytes(), Err(Forbidden), Err(Forbidden));
    }

    /// Every character there is, between two others.
    #[test]
    fn the_forbidden_characters_are_those_of_the_specification() {
        // [W-NAME-1]
        for c in '\0'..=char::MAX {
            let is_named = matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}');
            let mut text = [b'a'; 6];
            let len = c.encode_utf8(&mut text[1..]).len() + 2;
            let refused = member(&text[..len]) == Err(NameError::Forbidden);
            assert_eq!(refused, c.is_control() || is_named, "{c:?}");
        }
    }
}
