//! Any message, out of any bytes.

use arbitrary::{Result, Unstructured};
use halloo_core::name;
use halloo_core::wire::{
    Bye, ByeReason, Code, Entry, Gap, GapReason, Hello, Join, Joined, Lineage, MAX_ECHO,
    MAX_LINEAGE, MAX_PROOF, MAX_TEXT, Message, Names, Notice, NoticeKind, PeerError, Roster,
    Welcome, kind,
};

/// A message of any kind, with any fields that its kind can have.
///
/// Numbers are small more often than not: those are the ones that mean something.
pub(crate) fn any<'a>(u: &mut Unstructured<'a>) -> Result<Message<'a>> {
    let at = u.int_in_range(0..=kind::ALL.len())?;
    let Some((_, kind)) = kind::ALL.get(at) else {
        let kind = u.int_in_range(0x60..=0x7f)?;
        return Ok(Message::Unknown { kind });
    };
    Ok(match *kind {
        kind::HELLO => Message::Hello(Hello {
            version_min: short(u)? as u8,
            version_max: short(u)? as u8,
            suite: short(u)? as u8 & 1,
            key_id: word(u)?,
            flags: short(u)?,
            nonce: long(u)?,
            device: [u.int_in_range(0..=3)?; 16],
            max_frame: word(u)?,
            credit: short(u)?,
            keepalive: short(u)?,
            proof: bytes(u, MAX_PROOF)?,
            cookie: match u.arbitrary()? {
                true => u.bytes(16.min(u.len()))?.first_chunk(),
                false => None,
            },
        }),
        kind::RETRY => Message::Retry {
            cookie: u.arbitrary()?,
        },
        kind::WELCOME => Message::Welcome(Welcome {
            version: short(u)? as u8,
            suite: short(u)? as u8 & 1,
            flags: short(u)?,
            nonce: long(u)?,
            session: long(u)?,
            store: long(u)?,
            generation: word(u)?,
            keepalive: short(u)?,
            max_body: short(u)?,
            window: short(u)?,
            proof: bytes(u, MAX_PROOF)?,
            lineage: {
                let (generations, _) = bytes(u, 4 * MAX_LINEAGE)?.as_chunks::<4>();
                Lineage::new(generations.as_flattened()).unwrap_or_default()
            },
        }),
        kind::JOIN => Message::Join(Join {
            slot: slot(u)?,
            flags: u.arbitrary()?,
            cursor: long(u)?,
            history: word(u)?,
            room: bytes(u, 40)?,
            name: bytes(u, 40)?,
        }),
        kind::LEAVE => Message::Leave { slot: slot(u)? },
        kind::JOINED => Message::Joined(Joined {
            slot: slot(u)?,
            room: word(u)?,
            up_seq: word(u)?,
            rejects: word(u)?,
            start: long(u)?,
            head: long(u)?,
            members: word(u)?,
            presence: word(u)?,
        }),
        kind::POST => Message::Post {
            slot: slot(u)?,
            seq: word(u)?,
            body: bytes(u, 300)?,
        },
        kind::ACK => Message::Ack {
            slot: slot(u)?,
            up_seq: word(u)?,
            rejects: word(u)?,
        },
        kind::REJECT => Message::Reject {
            slot: slot(u)?,
            seq: word(u)?,
            code: Code::from_wire(u.arbitrary()?),
        },
        kind::ENTRY => Message::Entry(Entry {
            room: word(u)?,
            offset: long(u)?,
            flags: u.arbitrary()?,
            from: who(u)?,
            body: bytes(u, 300)?,
        }),
        kind::CREDIT => Message::Credit {
            slot: slot(u)?,
            cursor: long(u)?,
            window: short(u)?,
        },
        kind::GAP => Message::Gap(Gap {
            slot: slot(u)?,
            from: long(u)?,
            to: long(u)?,
            reason: GapReason::from_wire(u.arbitrary()?),
        }),
        kind::NOTICE => Message::Notice(Notice {
            slot: slot(u)?,
            version: word(u)?,
            kind: NoticeKind::from_wire(u.arbitrary()?),
            members: word(u)?,
            who: who(u)?,
        }),
        kind::WHO => Message::Who {
            slot: slot(u)?,
            skip: short(u)?,
        },
        kind::ROSTER => Message::Roster(Roster {
            slot: slot(u)?,
            skip: short(u)?,
            members: word(u)?,
            names: Names::new(bytes(u, 100)?).unwrap_or_default(),
        }),
        kind::PING => Message::Ping { token: word(u)? },
        kind::PONG => Message::Pong { token: word(u)? },
        kind::ERROR => Message::Error(PeerError {
            code: Code::from_wire(u.arbitrary()?),
            retry_after: word(u)?,
            text: text(bytes(u, MAX_TEXT)?),
        }),
        kind::BYE => Message::Bye(Bye {
            reason: ByeReason::from_wire(u.arbitrary()?),
            retry_after: word(u)?,
        }),
        kind::ECHO_REQUEST => Message::EchoRequest {
            token: word(u)?,
            bytes: bytes(u, MAX_ECHO)?,
        },
        kind::ECHO_REPLY => Message::EchoReply {
            token: word(u)?,
            bytes: bytes(u, MAX_ECHO)?,
        },
        other => unreachable!("a kind without a message: {other}"),
    })
}

/// 0 to 3 mostly; else any.
pub(crate) fn slot(u: &mut Unstructured<'_>) -> Result<u8> {
    let byte: u8 = u.arbitrary()?;
    Ok(if byte < 0xf0 { byte & 3 } else { byte })
}

/// Small mostly, or near the top; else any.
pub(crate) fn long(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.arbitrary::<u8>()? {
        small @ 0..0xc0 => (small & 0x1f).into(),
        top @ 0xc0..0xe0 => u64::MAX - u64::from(top & 3),
        _ => u.arbitrary()?,
    })
}

pub(crate) fn word(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(long(u)? as u32)
}

pub(crate) fn short(u: &mut Unstructured<'_>) -> Result<u16> {
    Ok(long(u)? as u16)
}

/// Up to `most` bytes, if there are so many.
pub(crate) fn bytes<'a>(u: &mut Unstructured<'a>, most: usize) -> Result<&'a [u8]> {
    let len = u.int_in_range(0..=most)?;
    u.bytes(len.min(u.len()))
}

fn who<'a>(u: &mut Unstructured<'a>) -> Result<&'a str> {
    let bytes = bytes(u, name::MAX_NAME)?;
    Ok(name::member(bytes).unwrap_or_default())
}

/// As much of it as is UTF-8.
fn text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}
