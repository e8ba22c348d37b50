//! Harm to whole frames: a proxy that understands what it passes on.

use halloo_core::wire::{Message, binary};

use super::Harm;

/// The bytes of a frame before its message, and of a stamp with and without its checksum.
const HEADER: usize = 4;
const STAMP: usize = 53;
const SIGNED: usize = 44;

/// Calls `change` with each whole frame of a stream, its header included; what it leaves of the
/// frame goes on, and false ends the connection after it.
pub(crate) struct Frames<F> {
    pending: Vec<u8>,
    change: F,
}

impl<F: FnMut(&mut Vec<u8>) -> bool> Frames<F> {
    pub(crate) const fn new(change: F) -> Self {
        let pending = Vec::new();
        Self { pending, change }
    }
}

impl<F: FnMut(&mut Vec<u8>) -> bool + Send + 'static> Harm for Frames<F> {
    fn pass(&mut self, bytes: &mut Vec<u8>) -> bool {
        self.pending.append(bytes);
        while let Some(length) = self.pending.first_chunk::<HEADER>() {
            let end = HEADER + u32::from_be_bytes(*length) as usize;
            if self.pending.len() < end {
                break;
            }
            let mut frame = self.pending.drain(..end).collect();
            let goes_on = (self.change)(&mut frame);
            bytes.append(&mut frame);
            if !goes_on {
                return false;
            }
        }
        true
    }
}

/// The message of a frame.
pub(crate) fn message(frame: &[u8]) -> Message<'_> {
    binary::decode(&frame[HEADER..]).unwrap().message
}

/// The body of a frame with a post, text and stamp.
pub(crate) fn post_body(frame: &mut [u8]) -> Option<&mut [u8]> {
    let Message::Post { body, .. } = message(frame) else {
        return None;
    };
    let start = frame.len() - body.len();
    Some(&mut frame[start..])
}

/// Writes `digits` into the stamp of a body, `at` bytes into it, and makes the checksum right.
pub(crate) fn forge(body: &mut [u8], at: usize, digits: &str) {
    let stamp = body.len() - STAMP;
    assert_eq!(body[stamp], b'#');
    body[stamp + at..stamp + at + digits.len()].copy_from_slice(digits.as_bytes());
    let (signed, checksum) = body.split_at_mut(stamp + SIGNED);
    let sum = signed.iter().fold(0x811c_9dc5_u32, |sum, &byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    checksum.copy_from_slice(format!(".{sum:08x}").as_bytes());
}
