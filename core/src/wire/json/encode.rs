//! From a message to the one form in which this crate writes it.

use super::MAX_INTEGER;
use crate::name::NameError;
use crate::wire::{
    Entry, Gap, Hello, Join, Joined, MAX_BODY, MAX_ECHO, MAX_PROOF, MAX_TEXT, Message, Notice,
    PeerError, Roster, Welcome, WireError,
};

/// Encodes `message` into the front of `out`; returns how many bytes that took.
///
/// The form is canonical: no white space, all members, in the order of the table, and no escape
/// that is not needed. [`MAX_CONTROL`](super::MAX_CONTROL) says how large `out` has to be; after
/// [`WireError::NoRoom`] its contents are of no use. What [`decode`](super::decode) would refuse
/// for its length is [`WireError::TooLong`]. JSON has no room for a `Join` whose room or name is
/// not UTF-8 ([`WireError::Name`]), and an unknown message is not passed on
/// ([`WireError::UnknownKind`]). Other names are not checked again.
pub fn encode(message: &Message<'_>, out: &mut [u8]) -> Result<usize, WireError> {
    let mut writer = Writer { out, at: Some(0) };
    let w = &mut writer;
    match *message {
        Message::Hello(ref hello) => write_hello(w, hello)?,
        Message::Retry { cookie } => w.kind("retry").hex("cookie", &cookie),
        Message::Welcome(ref welcome) => write_welcome(w, welcome)?,
        Message::Join(ref join) => write_join(w, join)?,
        Message::Leave { slot } => w.kind("leave").number("slot", slot),
        Message::Joined(ref joined) => write_joined(w, joined),
        Message::Post { slot, seq, body } => w
            .kind("post")
            .number("slot", slot)
            .number("seq", seq)
            .bytes("body", within(MAX_BODY, body)?),
        Message::Ack {
            slot,
            up_seq,
            rejects,
        } => w
            .kind("ack")
            .number("slot", slot)
            .number("up_seq", up_seq)
            .number("rejects", rejects),
        Message::Reject { slot, seq, code } => w
            .kind("reject")
            .number("slot", slot)
            .number("seq", seq)
            .number("code", code.to_wire()),
        Message::Entry(ref entry) => write_entry(w, entry)?,
        Message::Credit {
            slot,
            cursor,
            window,
        } => w
            .kind("credit")
            .number("slot", slot)
            .number("cursor", cursor)
            .number("window", window),
        Message::Gap(ref gap) => write_gap(w, gap),
        Message::Notice(ref notice) => write_notice(w, notice),
        Message::Who { slot, skip } => w.kind("who").number("slot", slot).number("skip", skip),
        Message::Roster(ref roster) => write_roster(w, roster),
        Message::Ping { token } => w.kind("ping").number("token", token),
        Message::Pong { token } => w.kind("pong").number("token", token),
        Message::Error(ref error) => write_error(w, error)?,
        Message::Bye(bye) => w
            .kind("bye")
            .number("reason", bye.reason.to_wire())
            .number("retry_after", bye.retry_after),
        Message::EchoRequest { token, bytes } => w
            .kind("echo_request")
            .number("token", token)
            .bytes("bytes", within(MAX_ECHO, bytes)?),
        Message::EchoReply { token, bytes } => w
            .kind("echo_reply")
            .number("token", token)
            .bytes("bytes", within(MAX_ECHO, bytes)?),
        Message::Unknown { kind } => return Err(WireError::UnknownKind(kind)),
    };
    writer.finish()
}

fn write_hello<'w, 'o>(
    w: &'w mut Writer<'o>,
    hello: &Hello<'_>,
) -> Result<&'w mut Writer<'o>, WireError> {
    Ok(w.kind("hello")
        .number("version_min", hello.version_min)
        .number("version_max", hello.version_max)
        .number("suite", hello.suite)
        .number("key_id", hello.key_id)
        .number("flags", hello.flags)
        .number("nonce", hello.nonce)
        .hex("device", &hello.device)
        .number("max_frame", hello.max_frame)
        .number("credit", hello.credit)
        .number("keepalive", hello.keepalive)
        .hex("proof", within(MAX_PROOF, hello.proof)?))
}

fn write_welcome<'w, 'o>(
    w: &'w mut Writer<'o>,
    welcome: &Welcome<'_>,
) -> Result<&'w mut Writer<'o>, WireError> {
    Ok(w.kind("welcome")
        .number("version", welcome.version)
        .number("suite", welcome.suite)
        .number("flags", welcome.flags)
        .number("nonce", welcome.nonce)
        .number("session", welcome.session)
        .number("store", welcome.store)
        .number("generation", welcome.generation)
        .number("keepalive", welcome.keepalive)
        .number("max_body", welcome.max_body)
        .number("window", welcome.window)
        .hex("proof", within(MAX_PROOF, welcome.proof)?)
        .hex("lineage", welcome.lineage.as_bytes()))
}

fn write_join<'w, 'o>(
    w: &'w mut Writer<'o>,
    join: &Join<'_>,
) -> Result<&'w mut Writer<'o>, WireError> {
    w.kind("join")
        .number("slot", join.slot)
        .number("flags", join.flags);
    match join.cursor {
        Join::LATEST => w.text("cursor", "latest"),
        cursor => w.number("cursor", cursor),
    };
    Ok(w.number("history", join.history)
        .text("room", raw_name(join.room)?)
        .text("name", raw_name(join.name)?))
}

fn write_joined<'w, 'o>(w: &'w mut Writer<'o>, joined: &Joined) -> &'w mut Writer<'o> {
    w.kind("joined")
        .number("slot", joined.slot)
        .number("room", joined.room)
        .number("up_seq", joined.up_seq)
        .number("rejects", joined.rejects)
        .number("start", joined.start)
        .number("head", joined.head)
        .number("members", joined.members)
        .number("presence", joined.presence)
}

fn write_entry<'w, 'o>(
    w: &'w mut Writer<'o>,
    entry: &Entry<'_>,
) -> Result<&'w mut Writer<'o>, WireError> {
    Ok(w.kind("entry")
        .number("room", entry.room)
        .number("offset", entry.offset)
        .number("flags", entry.flags)
        .text("from", entry.from)
        .bytes("body", within(MAX_BODY, entry.body)?))
}

fn write_gap<'w, 'o>(w: &'w mut Writer<'o>, gap: &Gap) -> &'w mut Writer<'o> {
    w.kind("gap")
        .number("slot", gap.slot)
        .number("from", gap.from)
        .number("to", gap.to)
        .number("reason", gap.reason.to_wire())
}

fn write_notice<'w, 'o>(w: &'w mut Writer<'o>, notice: &Notice<'_>) -> &'w mut Writer<'o> {
    w.kind("notice")
        .number("slot", notice.slot)
        .number("version", notice.version)
        .number("kind", notice.kind.to_wire())
        .number("members", notice.members)
        .text("who", notice.who)
}

fn write_roster<'w, 'o>(w: &'w mut Writer<'o>, roster: &Roster<'_>) -> &'w mut Writer<'o> {
    w.kind("roster")
        .number("slot", roster.slot)
        .number("skip", roster.skip)
        .number("members", roster.members)
        .texts("names", roster.names.iter())
}

fn write_error<'w, 'o>(
    w: &'w mut Writer<'o>,
    error: &PeerError<'_>,
) -> Result<&'w mut Writer<'o>, WireError> {
    within(MAX_TEXT, error.text.as_bytes())?;
    Ok(w.kind("error")
        .number("code", error.code.to_wire())
        .number("retry_after", error.retry_after)
        .text("text", error.text))
}

fn raw_name(bytes: &[u8]) -> Result<&str, WireError> {
    let bytes = within(usize::from(u8::MAX), bytes)?;
    core::str::from_utf8(bytes).map_err(|_| WireError::Name(NameError::NotUtf8))
}

fn within(limit: usize, bytes: &[u8]) -> Result<&[u8], WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooLong);
    }
    Ok(bytes)
}

/// Writes one object.
struct Writer<'o> {
    out: &'o mut [u8],
    /// How many bytes are written; none once they did not fit.
    at: Option<usize>,
}

impl Writer<'_> {
    fn kind(&mut self, name: &str) -> &mut Self {
        self.put(b"{\"type\":");
        self.quoted(name)
    }

    fn number(&mut self, key: &str, value: impl Into<u64>) -> &mut Self {
        let value = value.into();
        let quote: &[u8] = if value > MAX_INTEGER { b"\"" } else { b"" };
        self.key(key).put(quote).decimal(value).put(quote)
    }

    fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key).quoted(value)
    }

    fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) -> &mut Self {
        self.key(key).put(b"[");
        for (nth, value) in values.enumerate() {
            self.put(if nth == 0 { b"" } else { b"," }).quoted(value);
        }
        self.put(b"]")
    }

    fn hex(&mut self, key: &str, bytes: &[u8]) -> &mut Self {
        self.key(key).put(b"\"");
        for &byte in bytes {
            self.put(&hex_digits(byte));
        }
        self.put(b"\"")
    }

    fn bytes(&mut self, key: &str, bytes: &[u8]) -> &mut Self {
        match core::str::from_utf8(bytes) {
            Ok(text) => self.text(key, text),
            Err(_) => self.hex("hex", bytes),
        }
    }

    fn finish(mut self) -> Result<usize, WireError> {
        self.put(b"}");
        self.at.ok_or(WireError::NoRoom)
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.put(b",").quoted(key).put(b":")
    }

    fn quoted(&mut self, text: &str) -> &mut Self {
        self.put(b"\"");
        let mut rest = text.as_bytes();
        while let Some((plain, [special, tail @ ..])) =
            rest.split_at_checked(crate::bytes::plain_json(rest))
        {
            self.put(plain).escaped(*special);
            rest = tail;
        }
        self.put(rest);
        self.put(b"\"")
    }

    fn escaped(&mut self, byte: u8) -> &mut Self {
        let letter = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => return self.put(b"\\u00").put(&hex_digits(byte)),
        };
        self.put(&[b'\\', letter])
    }

    fn decimal(&mut self, value: u64) -> &mut Self {
        // The largest has 20 digits.
        let mut digits = [0; 20];
        let mut rest = value;
        let mut len = 0_usize;
        for place in digits.iter_mut().rev() {
            *place = ascii_digit(rest % 10);
            len = len.saturating_add(1);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let start = digits.len().saturating_sub(len);
        self.put(digits.get(start..).unwrap_or_default())
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.at = self.at.and_then(|at| {
            let end = at.checked_add(bytes.len())?;
            self.out.get_mut(at..end)?.copy_from_slice(bytes);
            Some(end)
        });
        self
    }
}

fn hex_digits(byte: u8) -> [u8; 2] {
    [ascii_digit(byte >> 4), ascii_digit(byte & 15)]
}

/// The digit that stands for a value below 16.
fn ascii_digit(value: impl Into<u64>) -> u8 {
    match value.into() {
        value @ 0..10 => b'0'.saturating_add(value as u8),
        value => b'a'.saturating_add(value.saturating_sub(10) as u8),
    }
}
