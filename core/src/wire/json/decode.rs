//! From members to a message. Knows which message has which fields, and their defaults.

use super::members::{Cursor, Hex, Members};
use crate::name;
use crate::wire::{
    Bye, ByeReason, Decoded, Entry, Gap, Hello, Join, Joined, Lineage, MAX_BODY, MAX_ECHO,
    MAX_LINEAGE, MAX_PROOF, MAX_TEXT, Message, Notice, PeerError, Roster, VERSION, Welcome,
    WireError,
};

/// Decodes the message that `frame` holds, one object with white space around it or not.
///
/// The frame is changed: it is good for the message that borrows it and for nothing else, and
/// after an error for nothing. Errors: [`WireError::Truncated`] if more bytes could make it an
/// object, [`WireError::TooLong`] above a limit, [`WireError::Name`] for a bad `from` or `who`,
/// else [`WireError::Malformed`].
pub fn decode(frame: &mut [u8]) -> Result<Decoded<'_>, WireError> {
    let mut members = Members::new();
    members.read(frame)?;
    let kind: &[u8] = members.need("type")?;
    let message = message(kind, &mut members)?;
    Ok(Decoded {
        message,
        skipped: members.left(),
    })
}

fn message<'a>(kind: &[u8], m: &mut Members<'a>) -> Result<Message<'a>, WireError> {
    Ok(match kind {
        b"hello" => Message::Hello(hello(m)?),
        b"retry" => Message::Retry {
            cookie: m.need("cookie")?,
        },
        b"welcome" => Message::Welcome(welcome(m)?),
        b"join" => Message::Join(join(m)?),
        b"leave" => Message::Leave {
            slot: m.need("slot")?,
        },
        b"joined" => Message::Joined(joined(m)?),
        b"post" => Message::Post {
            slot: m.need("slot")?,
            seq: m.need("seq")?,
            body: bytes(m, "body", MAX_BODY)?,
        },
        b"ack" => Message::Ack {
            slot: m.need("slot")?,
            up_seq: m.need("up_seq")?,
            rejects: m.or("rejects", 0)?,
        },
        b"reject" => Message::Reject {
            slot: m.need("slot")?,
            seq: m.need("seq")?,
            code: m.need("code")?,
        },
        b"entry" => Message::Entry(entry(m)?),
        b"credit" => Message::Credit {
            slot: m.need("slot")?,
            cursor: m.need("cursor")?,
            window: m.need("window")?,
        },
        b"gap" => Message::Gap(gap(m)?),
        b"notice" => Message::Notice(notice(m)?),
        b"who" => Message::Who {
            slot: m.need("slot")?,
            skip: m.or("skip", 0)?,
        },
        b"roster" => Message::Roster(roster(m)?),
        b"ping" => Message::Ping {
            token: m.or("token", 0)?,
        },
        b"pong" => Message::Pong {
            token: m.or("token", 0)?,
        },
        b"error" => Message::Error(error(m)?),
        b"bye" => Message::Bye(Bye {
            reason: m.or("reason", ByeReason::Done)?,
            retry_after: m.or("retry_after", 0)?,
        }),
        b"echo_request" => Message::EchoRequest {
            token: m.or("token", 0)?,
            bytes: bytes(m, "bytes", MAX_ECHO)?,
        },
        b"echo_reply" => Message::EchoReply {
            token: m.or("token", 0)?,
            bytes: bytes(m, "bytes", MAX_ECHO)?,
        },
        _ => Message::Unknown { kind: 0 },
    })
}

fn hello<'a>(m: &mut Members<'a>) -> Result<Hello<'a>, WireError> {
    Ok(Hello {
        version_min: m.or("version_min", VERSION)?,
        version_max: m.or("version_max", VERSION)?,
        suite: m.or("suite", 0)?,
        key_id: m.or("key_id", 0)?,
        flags: m.or("flags", 0)?,
        nonce: m.need("nonce")?,
        device: m.need("device")?,
        max_frame: m.or("max_frame", u32::MAX)?,
        credit: m.or("credit", u16::MAX)?,
        keepalive: m.or("keepalive", 0)?,
        proof: proof(m)?,
        cookie: None,
    })
}

fn welcome<'a>(m: &mut Members<'a>) -> Result<Welcome<'a>, WireError> {
    Ok(Welcome {
        version: m.or("version", VERSION)?,
        suite: m.or("suite", 0)?,
        flags: m.or("flags", 0)?,
        nonce: m.need("nonce")?,
        session: m.need("session")?,
        store: m.or("store", 0)?,
        generation: m.or("generation", 0)?,
        keepalive: m.or("keepalive", 0)?,
        max_body: m.or("max_body", u16::MAX)?,
        window: m.or("window", 1)?,
        proof: proof(m)?,
        lineage: lineage(m)?,
    })
}

fn join<'a>(m: &mut Members<'a>) -> Result<Join<'a>, WireError> {
    // Names that are no names are the hub's to refuse, as far as a length byte reaches.
    let limit = usize::from(u8::MAX);
    Ok(Join {
        slot: m.need("slot")?,
        flags: m.or("flags", 0)?,
        cursor: m.or("cursor", Cursor(Join::LATEST))?.0,
        history: m.or("history", u32::MAX)?,
        room: within(limit, m.need("room")?)?,
        name: within(limit, m.need("name")?)?,
    })
}

fn joined(m: &mut Members<'_>) -> Result<Joined, WireError> {
    Ok(Joined {
        slot: m.need("slot")?,
        room: m.need("room")?,
        up_seq: m.or("up_seq", 0)?,
        rejects: m.or("rejects", 0)?,
        start: m.need("start")?,
        head: m.need("head")?,
        members: m.or("members", 0)?,
        presence: m.or("presence", 0)?,
    })
}

fn entry<'a>(m: &mut Members<'a>) -> Result<Entry<'a>, WireError> {
    Ok(Entry {
        room: m.need("room")?,
        offset: m.need("offset")?,
        flags: m.or("flags", 0)?,
        from: member(m, "from")?,
        body: bytes(m, "body", MAX_BODY)?,
    })
}

fn gap(m: &mut Members<'_>) -> Result<Gap, WireError> {
    Ok(Gap {
        slot: m.need("slot")?,
        from: m.need("from")?,
        to: m.need("to")?,
        reason: m.need("reason")?,
    })
}

fn notice<'a>(m: &mut Members<'a>) -> Result<Notice<'a>, WireError> {
    Ok(Notice {
        slot: m.need("slot")?,
        version: m.need("version")?,
        kind: m.need("kind")?,
        members: m.need("members")?,
        who: member(m, "who")?,
    })
}

fn roster<'a>(m: &mut Members<'a>) -> Result<Roster<'a>, WireError> {
    Ok(Roster {
        slot: m.need("slot")?,
        skip: m.or("skip", 0)?,
        members: m.need("members")?,
        names: m.need("names")?,
    })
}

fn error<'a>(m: &mut Members<'a>) -> Result<PeerError<'a>, WireError> {
    let code = m.need("code")?;
    let retry_after = m.or("retry_after", 0)?;
    let text = within(MAX_TEXT, m.or("text", &[][..])?)?;
    Ok(PeerError {
        code,
        retry_after,
        text: core::str::from_utf8(text).map_err(|_| WireError::Malformed)?,
    })
}

fn proof<'a>(m: &mut Members<'a>) -> Result<&'a [u8], WireError> {
    within(MAX_PROOF, m.or("proof", Hex(&[]))?.0)
}

fn lineage<'a>(m: &mut Members<'a>) -> Result<Lineage<'a>, WireError> {
    let bytes = within(4 * MAX_LINEAGE, m.or("lineage", Hex(&[]))?.0)?;
    Lineage::new(bytes).ok_or(WireError::Malformed)
}

/// A member's name, or none.
fn member<'a>(m: &mut Members<'a>, key: &str) -> Result<&'a str, WireError> {
    match m.or(key, &[][..])? {
        [] => Ok(""),
        bytes => name::member(bytes).map_err(WireError::Name),
    }
}

/// Bytes that stand as text under `key` or as digits under `hex`.
fn bytes<'a>(m: &mut Members<'a>, key: &str, limit: usize) -> Result<&'a [u8], WireError> {
    let text: Option<&[u8]> = m.take(key)?;
    let hex: Option<Hex<'_>> = m.take("hex")?;
    match (text, hex) {
        (Some(bytes), None) | (None, Some(Hex(bytes))) => within(limit, bytes),
        (Some(_), Some(_)) | (None, None) => Err(WireError::Malformed),
    }
}

fn within(limit: usize, bytes: &[u8]) -> Result<&[u8], WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooLong);
    }
    Ok(bytes)
}
