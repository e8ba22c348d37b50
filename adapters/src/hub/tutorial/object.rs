//! The objects of the tutorial's chat: what clients ask for, and what they are told.
//!
//! Knows JSON, and no rooms. What is told is ASCII: a client that decodes what one `recv` gave it
//! never finds half a character at the end.

use std::{fmt, io};

use halloo_core::name::MAX_NAME;
use halloo_core::wire::Code;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;
use serde_json::value::RawValue;

/// The most bytes that a byte of text takes in JSON: `\u0000`.
const ESCAPED: usize = 6;

/// More than an object takes beside its message, if it has no members of its own invention.
const AROUND: usize = 1024;

/// The longest object that is taken: the longest message, with every byte of it escaped.
pub(in crate::hub) const fn limit(max_body: u16) -> usize {
    max_body as usize * ESCAPED + AROUND
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Join { room: String, username: String },
    Chat { message: String },
    Leave,
}

/// Why a client does not get what it asked for: the text of an error object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("Invalid JSON")]
    Json,
    #[error("Object too large: at most {limit} bytes")]
    Object { limit: usize },
    #[error("Type must be join, chat or leave")]
    Type,
    #[error("Room and username required")]
    Join,
    #[error("Message required")]
    Chat,
    #[error("Room not allowed: 1 to {MAX_NAME} of A-Z a-z 0-9 . _ -")]
    Room,
    #[error(
        "Username not allowed: 1 to {MAX_NAME} bytes of UTF-8, no control or invisible characters"
    )]
    Username,
    #[error("Message too long: at most {most} bytes of UTF-8")]
    Message { most: usize },
    #[error("Join a room first")]
    Outside,
    #[error("Refused: {0}")]
    Refused(Code),
}

impl Fault {
    /// Whether the object was none that this hub knows; the others say what cannot be had.
    pub(super) const fn is_bad_object(self) -> bool {
        match self {
            Self::Json | Self::Object { .. } | Self::Type | Self::Join | Self::Chat => true,
            Self::Room
            | Self::Username
            | Self::Message { .. }
            | Self::Outside
            | Self::Refused(_) => false,
        }
    }
}

/// Members that have another type than a string are as good as missing, and unknown ones are
/// passed over, however deep they nest. Of those that come twice the last one counts, as in Python.
#[derive(Default)]
struct Members<'a> {
    kind: Option<&'a RawValue>,
    room: Option<&'a RawValue>,
    username: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Type,
    Room,
    Username,
    Message,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(key) = map.next_key()? {
            let member = match key {
                Key::Type => &mut members.kind,
                Key::Room => &mut members.room,
                Key::Username => &mut members.username,
                Key::Message => &mut members.message,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *member = map.next_value()?;
        }
        Ok(members)
    }
}

impl Request {
    pub(super) fn parse(object: &[u8]) -> Result<Self, Fault> {
        let members: Members<'_> = serde_json::from_slice(object).map_err(|_| Fault::Json)?;
        match text(members.kind)?.as_deref() {
            Some("join") => {
                let (room, username) = (text(members.room)?, text(members.username)?);
                let said = |name: &String| !name.is_empty();
                match (room.filter(said), username.filter(said)) {
                    (Some(room), Some(username)) => Ok(Self::Join { room, username }),
                    _ => Err(Fault::Join),
                }
            }
            Some("chat") => match text(members.message)? {
                Some(message) => Ok(Self::Chat { message }),
                None => Err(Fault::Chat),
            },
            Some("leave") => Ok(Self::Leave),
            Some(_) | None => Err(Fault::Type),
        }
    }
}

/// The text of a string; nothing for what is no string.
fn text(value: Option<&RawValue>) -> Result<Option<String>, Fault> {
    match value.map(RawValue::get) {
        // It may have half of a surrogate pair.
        Some(string) if string.starts_with('"') => serde_json::from_str(string)
            .map(Some)
            .map_err(|_| Fault::Json),
        Some(_) | None => Ok(None),
    }
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Reply<'a> {
    Welcome {
        message: &'a str,
    },
    Notification {
        message: &'a str,
    },
    Chat {
        username: &'a str,
        room: &'a str,
        message: &'a str,
    },
    Error {
        message: &'a str,
    },
}

impl Reply<'_> {
    /// Adds the object and a newline to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        match self.serialize(&mut Serializer::with_formatter(&mut *out, Ascii)) {
            Ok(()) => out.push(b'\n'),
            // Texts and memory do not fail; half an object would be worse than none.
            Err(_) => out.truncate(before),
        }
    }
}

/// Escapes what is not ASCII, as Python does.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for piece in fragment.split_inclusive(|c: char| !c.is_ascii()) {
            let plain = piece.trim_end_matches(|c: char| !c.is_ascii());
            writer.write_all(plain.as_bytes())?;
            for unit in piece[plain.len()..].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}
