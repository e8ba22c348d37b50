//! Messages to bytes.

use super::{TAG_COOKIE, TAG_LINEAGE, TAG_PROOF};
use crate::name::MAX_NAME;
use crate::wire::kind::{MAX_FIXED, fixed_width};
use crate::wire::{
    MAGIC, MAX_BODY, MAX_ECHO, MAX_LINEAGE, MAX_PROOF, MAX_TEXT, Message, WireError,
};

/// Encodes `message` into the front of `out`; returns how many bytes that took.
///
/// [`MAX_CONTROL`](crate::wire::MAX_CONTROL) says how large `out` has to be. Names are taken as
/// checked. Fails with [`WireError::NoRoom`] if `out` is too small, [`WireError::TooLong`] if a
/// field is above its limit, and [`WireError::UnknownKind`] for [`Message::Unknown`]; `out` then
/// holds part of the message. Work: linear in the bytes written.
///
/// ```
/// use halloo_core::wire::{Message, binary};
/// let mut out = [0; 16];
/// let len = binary::encode(&Message::Ping { token: 7 }, &mut out)?;
/// assert_eq!(out.get(..len), Some([0x90, 0, 0, 0, 7].as_slice()));
/// # Ok::<(), halloo_core::wire::WireError>(())
/// ```
pub fn encode(message: &Message<'_>, out: &mut [u8]) -> Result<usize, WireError> {
    encode_ways::<true, true>(message, out)
}

/// As [`encode`], of what a device says: the layout of all else takes no flash.
///
/// `None` if it does not fit: what is wrong with it otherwise, a machine never says.
pub(crate) fn encode_to_hub(message: &Message<'_>, out: &mut [u8]) -> Option<usize> {
    encode_ways::<true, false>(message, out).ok()
}

/// As [`encode`], of what a hub says: the layout of all else takes no flash.
pub(crate) fn encode_to_device(message: &Message<'_>, out: &mut [u8]) -> Option<usize> {
    encode_ways::<false, true>(message, out).ok()
}

#[inline]
fn encode_ways<const TO_HUB: bool, const TO_DEVICE: bool>(
    message: &Message<'_>,
    out: &mut [u8],
) -> Result<usize, WireError> {
    let room = out.len();
    let mut to = Writer {
        rest: out,
        fault: None,
    };
    let kind = message.kind();
    to.put(&[kind]);
    let head = to.reserve(fixed_width(kind));
    let mut bytes = [0; MAX_FIXED];
    write::<TO_HUB, TO_DEVICE>(message, &mut bytes, &mut to);
    for (to, byte) in head.iter_mut().zip(&bytes) {
        *to = *byte;
    }
    match to.fault {
        None => Ok(room.saturating_sub(to.rest.len())),
        Some(fault) => Err(fault),
    }
}

/// Writes the fields of fixed width into `head`, the others to `to`.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn write<const TO_HUB: bool, const TO_DEVICE: bool>(
    message: &Message<'_>,
    head: &mut [u8; MAX_FIXED],
    to: &mut Writer<'_>,
) {
    let mut fields = Fields(head);
    match message {
        Message::Hello(hello) if TO_HUB => {
            fields.put(MAGIC);
            fields.u8(hello.version_min);
            fields.u8(hello.version_max);
            fields.u8(hello.suite);
            fields.u32(hello.key_id);
            fields.u16(hello.flags);
            fields.u64(hello.nonce);
            fields.put(hello.device);
            fields.u32(hello.max_frame);
            fields.u16(hello.credit);
            fields.u16(hello.keepalive);
            to.extension(TAG_PROOF, hello.proof, MAX_PROOF);
            if let Some(cookie) = hello.cookie {
                to.put(&[TAG_COOKIE]);
                to.short(cookie, cookie.len());
            }
        }
        Message::Retry { cookie } if TO_DEVICE => {
            fields.put(*cookie);
        }
        Message::Welcome(welcome) if TO_DEVICE => {
            fields.u8(welcome.version);
            fields.u8(welcome.suite);
            fields.u16(welcome.flags);
            fields.u64(welcome.nonce);
            fields.u64(welcome.session);
            fields.u64(welcome.store);
            fields.u32(welcome.generation);
            fields.u16(welcome.keepalive);
            fields.u16(welcome.max_body);
            fields.u16(welcome.window);
            to.extension(TAG_PROOF, welcome.proof, MAX_PROOF);
            to.extension(TAG_LINEAGE, welcome.lineage.as_bytes(), 4 * MAX_LINEAGE);
        }
        Message::Join(join) if TO_HUB => {
            fields.u8(join.slot);
            fields.u8(join.flags);
            fields.u64(join.cursor);
            fields.u32(join.history);
            to.short(join.room, u8::MAX.into());
            to.short(join.name, u8::MAX.into());
        }
        Message::Leave { slot } if TO_HUB => {
            fields.u8(*slot);
        }
        Message::Joined(joined) if TO_DEVICE => {
            fields.u8(joined.slot);
            fields.u32(joined.room);
            fields.u32(joined.up_seq);
            fields.u32(joined.rejects);
            fields.u64(joined.start);
            fields.u64(joined.head);
            fields.u32(joined.members);
            fields.u32(joined.presence);
        }
        Message::Post { slot, seq, body } if TO_HUB => {
            fields.u8(*slot);
            fields.u32(*seq);
            to.long(body);
        }
        Message::Ack {
            slot,
            up_seq,
            rejects,
        } if TO_DEVICE => {
            fields.u8(*slot);
            fields.u32(*up_seq);
            fields.u32(*rejects);
        }
        Message::Reject { slot, seq, code } if TO_DEVICE => {
            fields.u8(*slot);
            fields.u32(*seq);
            fields.u8(code.to_wire());
        }
        Message::Entry(entry) if TO_DEVICE => {
            fields.u32(entry.room);
            fields.u64(entry.offset);
            fields.u8(entry.flags);
            to.short(entry.from.as_bytes(), MAX_NAME);
            to.long(entry.body);
        }
        Message::Credit {
            slot,
            cursor,
            window,
        } if TO_HUB => {
            fields.u8(*slot);
            fields.u64(*cursor);
            fields.u16(*window);
        }
        Message::Gap(gap) if TO_DEVICE => {
            fields.u8(gap.slot);
            fields.u64(gap.from);
            fields.u64(gap.to);
            fields.u8(gap.reason.to_wire());
        }
        Message::Notice(notice) if TO_DEVICE => {
            fields.u8(notice.slot);
            fields.u32(notice.version);
            fields.u8(notice.kind.to_wire());
            fields.u32(notice.members);
            to.short(notice.who.as_bytes(), MAX_NAME);
        }
        Message::Who { slot, skip } if TO_HUB => {
            fields.u8(*slot);
            fields.u16(*skip);
        }
        Message::Roster(roster) if TO_DEVICE => {
            fields.u8(roster.slot);
            fields.u16(roster.skip);
            fields.u32(roster.members);
            to.long(roster.names.as_bytes());
        }
        Message::Ping { token } | Message::Pong { token } => {
            fields.u32(*token);
        }
        Message::Error(error) => {
            fields.u8(error.code.to_wire());
            fields.u32(error.retry_after);
            to.short(error.text.as_bytes(), MAX_TEXT);
        }
        Message::Bye(bye) => {
            fields.u8(bye.reason.to_wire());
            fields.u32(bye.retry_after);
        }
        Message::EchoRequest { token, bytes } | Message::EchoReply { token, bytes } => {
            fields.u32(*token);
            to.short(bytes, MAX_ECHO);
        }
        other => to.fail(WireError::UnknownKind(other.kind())),
    }
}

/// Fills a buffer from its front.
///
/// The first fault stays, and nothing is written after it: only the end has to ask.
struct Writer<'a> {
    rest: &'a mut [u8],
    fault: Option<WireError>,
}

// Where words are small, calls are cheaper than copies of these bodies: flash is what a device is
// short of.
impl<'a> Writer<'a> {
    /// The next `len` bytes to write into; none if there are not so many.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn reserve(&mut self, len: usize) -> &'a mut [u8] {
        match core::mem::take(&mut self.rest).split_at_mut_checked(len) {
            Some((head, tail)) => {
                self.rest = tail;
                head
            }
            None => {
                self.fail(WireError::NoRoom);
                &mut []
            }
        }
    }

    /// A length byte and at most `most` bytes.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn short(&mut self, bytes: &[u8], most: usize) {
        match u8::try_from(bytes.len()) {
            Ok(len) if bytes.len() <= most => self.run(&[len], bytes),
            _ => self.fail(WireError::TooLong),
        }
    }

    /// Two length bytes and at most [`MAX_BODY`] bytes.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn long(&mut self, bytes: &[u8]) {
        const { assert!(MAX_BODY == u16::MAX as usize) };
        match u16::try_from(bytes.len()) {
            Ok(len) => self.run(&len.to_be_bytes(), bytes),
            Err(_) => self.fail(WireError::TooLong),
        }
    }

    /// An extension, if there is something for it to carry.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn extension(&mut self, tag: u8, bytes: &[u8], most: usize) {
        if !bytes.is_empty() {
            self.put(&[tag]);
            self.short(bytes, most);
        }
    }

    fn run(&mut self, len: &[u8], bytes: &[u8]) {
        self.put(len);
        self.put(bytes);
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn put(&mut self, bytes: &[u8]) {
        let to = self.reserve(bytes.len());
        // Otherwise there was a fault.
        if to.len() == bytes.len() {
            to.copy_from_slice(bytes);
        }
    }

    /// Keeps the first fault and writes nothing more.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn fail(&mut self, fault: WireError) {
        self.rest = &mut [];
        self.fault.get_or_insert(fault);
    }
}

/// Fields of fixed width. Their number of bytes is known when it compiles, so that no check of it
/// is left in the code; what is written beyond them is lost.
struct Fields<'a>(&'a mut [u8]);

impl Fields<'_> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some((head, tail)) = core::mem::take(&mut self.0).split_first_chunk_mut() {
            *head = bytes;
            self.0 = tail;
        }
    }

    #[inline(always)]
    fn u8(&mut self, number: u8) {
        self.put(number.to_be_bytes());
    }

    #[inline(always)]
    fn u16(&mut self, number: u16) {
        self.put(number.to_be_bytes());
    }

    #[inline(always)]
    fn u32(&mut self, number: u32) {
        self.put(number.to_be_bytes());
    }

    #[inline(always)]
    fn u64(&mut self, number: u64) {
        self.put(number.to_be_bytes());
    }
}
