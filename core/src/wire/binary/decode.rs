//! Bytes to messages.

use super::{SKIPPABLE, TAG_COOKIE, TAG_LINEAGE, TAG_PROOF};
use crate::wire::kind::{self, MAX_FIXED, fixed_width};
use crate::wire::{
    Bye, ByeReason, Code, Decoded, Entry, Gap, GapReason, Hello, Join, Joined, Lineage, MAGIC,
    MAX_ECHO, MAX_EXTENSION_BYTES, MAX_EXTENSIONS, MAX_LINEAGE, MAX_PROOF, MAX_TEXT, Message,
    Names, Notice, NoticeKind, PeerError, Roster, Welcome, WireError,
};

/// Decodes the message that `frame` holds.
///
/// The message borrows `frame`. Fails with the first thing that is wrong, in the order of the
/// bytes; [`WireError::code`] is what to tell the peer. Work: linear in the bytes of the frame.
///
/// ```
/// use halloo_core::wire::{Message, WireError, binary};
/// let decoded = binary::decode(&[0x90, 0, 0, 0, 7])?;
/// assert_eq!(decoded.message, Message::Ping { token: 7 });
/// assert_eq!(binary::decode(&[0x90, 0]), Err(WireError::Truncated));
/// # Ok::<(), WireError>(())
/// ```
pub fn decode(frame: &[u8]) -> Result<Decoded<'_>, WireError> {
    decode_ways::<true, true>(frame)
}

/// As [`decode`], for a device: a message that only goes to the hub is a [`Message::Unknown`] of its
/// kind, and nothing behind the kind is looked at.
///
/// It takes less flash where [`decode`] is not called as well.
pub fn decode_from_hub(frame: &[u8]) -> Result<Decoded<'_>, WireError> {
    decode_ways::<false, true>(frame)
}

/// As [`decode`], for a hub: a message that only goes to the device is a [`Message::Unknown`] of its
/// kind, and nothing behind the kind is looked at.
///
/// It takes less flash where [`decode`] is not called as well.
pub fn decode_from_device(frame: &[u8]) -> Result<Decoded<'_>, WireError> {
    decode_ways::<true, false>(frame)
}

#[inline]
fn decode_ways<const TO_HUB: bool, const TO_DEVICE: bool>(
    frame: &[u8],
) -> Result<Decoded<'_>, WireError> {
    let mut from = Reader {
        rest: frame,
        skipped: 0,
        fault: None,
    };
    let kind = from.u8();
    let message = read::<TO_HUB, TO_DEVICE>(kind, &mut from);
    // After Hello and Welcome nothing is left for this.
    if !from.rest.is_empty() {
        from.extensions::<TO_HUB, TO_DEVICE>(0);
    }
    match from.fault {
        None => Ok(Decoded {
            message,
            skipped: from.skipped,
        }),
        Some(fault) => Err(fault),
    }
}

/// Reads the message up to its extensions.
///
/// The head is copied, so that one check covers every field of fixed width. The fields that have a
/// length are read before those are picked out of the head: nothing then lives across a call.
#[inline(never)]
fn read<'a, const TO_HUB: bool, const TO_DEVICE: bool>(
    kind: u8,
    from: &mut Reader<'a>,
) -> Message<'a> {
    let mut head = [0; MAX_FIXED];
    for (to, byte) in head.iter_mut().zip(from.take(fixed_width(kind))) {
        *to = *byte;
    }
    let mut fields = Fields(&head);
    match kind {
        kind::HELLO if TO_HUB => {
            if fields.array() != MAGIC {
                from.fail(WireError::Malformed);
            }
            let [proof, _, cookie] = from.extensions::<TO_HUB, TO_DEVICE>(kind);
            Message::Hello(Hello {
                proof,
                cookie: cookie.first_chunk(),
                version_min: fields.u8(),
                version_max: fields.u8(),
                suite: fields.u8(),
                key_id: fields.u32(),
                flags: fields.u16(),
                nonce: fields.u64(),
                device: fields.array(),
                max_frame: fields.u32(),
                credit: fields.u16(),
                keepalive: fields.u16(),
            })
        }
        kind::RETRY if TO_DEVICE => Message::Retry {
            cookie: fields.array(),
        },
        kind::WELCOME if TO_DEVICE => {
            let [proof, lineage, _] = from.extensions::<TO_HUB, TO_DEVICE>(kind);
            Message::Welcome(Welcome {
                proof,
                lineage: Lineage::new(lineage).unwrap_or_default(),
                version: fields.u8(),
                suite: fields.u8(),
                flags: fields.u16(),
                nonce: fields.u64(),
                session: fields.u64(),
                store: fields.u64(),
                generation: fields.u32(),
                keepalive: fields.u16(),
                max_body: fields.u16(),
                window: fields.u16(),
            })
        }
        kind::JOIN if TO_HUB => Message::Join(Join {
            room: from.short(u8::MAX.into()),
            name: from.short(u8::MAX.into()),
            slot: fields.u8(),
            flags: fields.u8(),
            cursor: fields.u64(),
            history: fields.u32(),
        }),
        kind::LEAVE if TO_HUB => Message::Leave { slot: fields.u8() },
        kind::JOINED if TO_DEVICE => Message::Joined(Joined {
            slot: fields.u8(),
            room: fields.u32(),
            up_seq: fields.u32(),
            rejects: fields.u32(),
            start: fields.u64(),
            head: fields.u64(),
            members: fields.u32(),
            presence: fields.u32(),
        }),
        kind::POST if TO_HUB => Message::Post {
            body: from.long(),
            slot: fields.u8(),
            seq: fields.u32(),
        },
        kind::ACK if TO_DEVICE => Message::Ack {
            slot: fields.u8(),
            up_seq: fields.u32(),
            rejects: fields.u32(),
        },
        kind::REJECT if TO_DEVICE => Message::Reject {
            slot: fields.u8(),
            seq: fields.u32(),
            code: Code::from_wire(fields.u8()),
        },
        kind::ENTRY if TO_DEVICE => Message::Entry(Entry {
            from: from.name(),
            body: from.long(),
            room: fields.u32(),
            offset: fields.u64(),
            flags: fields.u8(),
        }),
        kind::CREDIT if TO_HUB => Message::Credit {
            slot: fields.u8(),
            cursor: fields.u64(),
            window: fields.u16(),
        },
        kind::GAP if TO_DEVICE => Message::Gap(Gap {
            slot: fields.u8(),
            from: fields.u64(),
            to: fields.u64(),
            reason: GapReason::from_wire(fields.u8()),
        }),
        kind::NOTICE if TO_DEVICE => Message::Notice(Notice {
            who: from.name(),
            slot: fields.u8(),
            version: fields.u32(),
            kind: NoticeKind::from_wire(fields.u8()),
            members: fields.u32(),
        }),
        kind::WHO if TO_HUB => Message::Who {
            slot: fields.u8(),
            skip: fields.u16(),
        },
        kind::ROSTER if TO_DEVICE => Message::Roster(Roster {
            names: from.names(),
            slot: fields.u8(),
            skip: fields.u16(),
            members: fields.u32(),
        }),
        kind::PING => Message::Ping {
            token: fields.u32(),
        },
        kind::PONG => Message::Pong {
            token: fields.u32(),
        },
        kind::ERROR => Message::Error(PeerError {
            text: from.text(),
            code: Code::from_wire(fields.u8()),
            retry_after: fields.u32(),
        }),
        kind::BYE => Message::Bye(Bye {
            reason: ByeReason::from_wire(fields.u8()),
            retry_after: fields.u32(),
        }),
        kind::ECHO_REQUEST => Message::EchoRequest {
            bytes: from.short(MAX_ECHO),
            token: fields.u32(),
        },
        kind::ECHO_REPLY => Message::EchoReply {
            bytes: from.short(MAX_ECHO),
            token: fields.u32(),
        },
        kind => {
            if kind::is_known(kind) {
                // It goes the other way: then it does not matter whether it is whole.
                from.fault = None;
            } else if kind & kind::CRITICAL != 0 {
                from.fail(WireError::UnknownKind(kind));
            }
            // What follows the kind is laid out in a way that only its version knows.
            from.rest = &[];
            Message::Unknown { kind }
        }
    }
}

/// Reads a frame from its front.
///
/// The first fault stays, and what is read after it is of no use: only the end has to ask.
struct Reader<'a> {
    rest: &'a [u8],
    skipped: u8,
    fault: Option<WireError>,
}

// Where words are small, calls are cheaper than copies of these bodies: flash is what a device is
// short of.
impl<'a> Reader<'a> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn take(&mut self, len: usize) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((head, tail)) => {
                self.rest = tail;
                head
            }
            None => {
                self.fail(WireError::Truncated);
                &[]
            }
        }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn u8(&mut self) -> u8 {
        Fields(self.take(1)).u8()
    }

    /// A length byte and at most `most` bytes.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn short(&mut self, most: usize) -> &'a [u8] {
        let len = usize::from(self.u8());
        if len > most {
            self.fail(WireError::TooLong);
        }
        self.take(len)
    }

    /// Two length bytes and that many bytes.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn long(&mut self) -> &'a [u8] {
        let len = usize::from(Fields(self.take(2)).u16());
        self.take(len)
    }

    /// A length byte and a valid member's name, or nothing.
    #[inline(never)]
    fn name(&mut self) -> &'a str {
        let bytes = self.short(u8::MAX.into());
        if bytes.is_empty() {
            return "";
        }
        crate::name::member(bytes).unwrap_or_else(|cause| {
            self.fail(WireError::Name(cause));
            ""
        })
    }

    fn text(&mut self) -> &'a str {
        let bytes = self.short(MAX_TEXT);
        core::str::from_utf8(bytes).unwrap_or_else(|_| {
            self.fail(WireError::Malformed);
            ""
        })
    }

    fn names(&mut self) -> Names<'a> {
        let bytes = self.long();
        Names::new(bytes).unwrap_or_else(|| {
            self.fail(WireError::Malformed);
            Names::default()
        })
    }

    /// Reads the extensions, which run to the end of the frame; returns those that a message of
    /// this kind may have.
    #[inline(never)]
    fn extensions<const TO_HUB: bool, const TO_DEVICE: bool>(&mut self, kind: u8) -> Known<'a> {
        let mut known: Known<'a> = [&[]; 3];
        let (mut count, mut last): (usize, _) = (0, 0);
        if self.rest.len() > MAX_EXTENSION_BYTES {
            self.fail(WireError::TooLong);
        }
        while !self.rest.is_empty() {
            count = count.saturating_add(1);
            if count > MAX_EXTENSIONS {
                self.fail(WireError::TooLong);
            }
            // A tag that is wrong is so before the length that follows it.
            let tag = self.u8();
            // One that is known has the first so many bytes or a multiple of them, up to the second.
            let (piece, most) = match (kind, tag) {
                (kind::HELLO, TAG_PROOF) if TO_HUB => (1, MAX_PROOF),
                (kind::WELCOME, TAG_PROOF) if TO_DEVICE => (1, MAX_PROOF),
                (kind::WELCOME, TAG_LINEAGE) if TO_DEVICE => (4, 4 * MAX_LINEAGE),
                (kind::HELLO, TAG_COOKIE) if TO_HUB => (COOKIE, u8::MAX.into()),
                _ => (0_usize, u8::MAX.into()),
            };
            let is_known = piece > 0;
            match tag & SKIPPABLE {
                // Each once, and in the order of their tags.
                _ if is_known && tag <= last => self.fail(WireError::Malformed),
                _ if is_known => last = tag,
                0 => self.fail(WireError::UnknownExtension(tag)),
                _ => self.skipped = self.skipped.saturating_add(1),
            }
            let bytes = self.short(most);
            if !is_known {
                continue;
            }
            let is_whole = !bytes.is_empty() && bytes.len() & piece.wrapping_sub(1) == 0;
            if !is_whole || (piece == COOKIE && bytes.len() != COOKIE) {
                self.fail(WireError::Malformed);
            }
            if let Some(place) = known.get_mut(usize::from(tag.wrapping_sub(TAG_PROOF))) {
                *place = bytes;
            }
        }
        known
    }

    /// Keeps the first fault and reads nothing more.
    #[inline(never)]
    fn fail(&mut self, fault: WireError) {
        self.rest = &[];
        self.fault.get_or_insert(fault);
    }
}

/// What extensions say, by their tags: proof, lineage, cookie.
type Known<'a> = [&'a [u8]; 3];

/// The bytes of a cookie.
const COOKIE: usize = 16;

/// Fields of fixed width; a read beyond them gives zeros.
///
/// Over an array all is known when it compiles, and no check is left in the code.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    #[inline(always)]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((head, tail)) => {
                self.0 = tail;
                *head
            }
            None => [0; N],
        }
    }

    #[inline(always)]
    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    #[inline(always)]
    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    #[inline(always)]
    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    #[inline(always)]
    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }
}
