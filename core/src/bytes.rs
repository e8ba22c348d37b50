//! Copying that cannot panic: the slice methods of the same purpose do, on lengths that differ.
//! And finding a byte a word at a time: the slice methods look at one after another.

use core::fmt;
use core::ops::{Deref, DerefMut};

/// The bytes of a word.
const WORD: usize = size_of::<usize>();

/// A word of ones, one in each byte.
const ONES: usize = usize::MAX / 0xff;

/// A machine's buffer: a log tells its size, and not what is in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Buffer<const N: usize>([u8; N]);

impl<const N: usize> Buffer<N> {
    pub(crate) const ZEROS: Self = Self([0; N]);
}

impl<const N: usize> Deref for Buffer<N> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Buffer<N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl<const N: usize> fmt::Debug for Buffer<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for Buffer<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=usize} bytes", N);
    }
}

/// Copies as much of `from` as fits into the front of `to`.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Moves `buf[from..end]` down to `to`, which is not above `from`; does nothing out of bounds.
pub(crate) fn move_down(buf: &mut [u8], from: usize, end: usize, to: usize) {
    let cells = core::cell::Cell::from_mut(buf).as_slice_of_cells();
    let (Some(sources), Some(targets)) = (cells.get(from..end), cells.get(to..)) else {
        return;
    };
    // From the front, so that each byte is read before it is written over.
    for (target, source) in targets.iter().zip(sources) {
        target.set(source.get());
    }
}

/// Where the first `byte` stands.
#[inline]
pub(crate) fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    let at = until(bytes, |word| zeros(word ^ spread(byte)), |it| it == byte);
    (at < bytes.len()).then_some(at)
}

/// How many bytes stand before the first that means something in a JSON string: a quote, a
/// backslash, or a control character, which is not allowed there.
#[inline]
pub(crate) fn plain_json(bytes: &[u8]) -> usize {
    let special =
        |word: usize| zeros(word ^ spread(b'"')) | zeros(word ^ spread(b'\\')) | below(word, 0x20);
    until(bytes, special, |it| matches!(it, b'"' | b'\\' | 0..0x20))
}

/// How many bytes stand before the first wanted one; `in_word` marks the high bits of those in a
/// word, and may mark bytes above the first, `is_wanted` tells of a byte.
#[inline(always)]
fn until(bytes: &[u8], in_word: impl Fn(usize) -> usize, is_wanted: impl Fn(u8) -> bool) -> usize {
    let (words, tail) = bytes.as_chunks::<WORD>();
    let mut at = 0_usize;
    for word in words {
        let found = in_word(usize::from_le_bytes(*word));
        if found != 0 {
            return at.wrapping_add(found.trailing_zeros() as usize / 8);
        }
        at = at.wrapping_add(WORD);
    }
    let before = tail.iter().take_while(|&&byte| !is_wanted(byte));
    at.wrapping_add(before.count())
}

const fn spread(byte: u8) -> usize {
    ONES.wrapping_mul(byte as usize)
}

/// Marks the bytes that are zero.
const fn zeros(word: usize) -> usize {
    below(word, 1)
}

/// Marks the bytes below `limit`, which is at most 128. A borrow can mark a byte above one that is
/// marked, and no other.
const fn below(word: usize, limit: u8) -> usize {
    word.wrapping_sub(spread(limit)) & !word & spread(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte at every place of runs that end inside a word and behind it, among bytes that a
    /// borrow could mark.
    #[test]
    fn the_first_byte_that_is_looked_for_is_found() {
        for len in 0..=2 * WORD + 3 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    for other in [b'a', b'#', b'!', b']', 0x20, 0x7f, 0x80, 0xff] {
                        let mut bytes = [other; 2 * WORD + 3];
                        bytes[at] = byte;
                        check(&bytes[..len]);
                        bytes[at + 1..].fill(byte ^ 1);
                        check(&bytes[..len]);
                    }
                }
            }
        }
    }

    #[track_caller]
    fn check(bytes: &[u8]) {
        for byte in [b'\n', 0, 0xff] {
            let naive = bytes.iter().position(|&it| it == byte);
            assert_eq!(find(bytes, byte), naive, "{byte} in {bytes:?}");
        }
        let naive = bytes
            .iter()
            .position(|it| matches!(it, b'"' | b'\\' | 0..=0x1f));
        assert_eq!(plain_json(bytes), naive.unwrap_or(bytes.len()), "{bytes:?}");
    }

    #[test]
    fn bytes_move_down_over_themselves() {
        let mut buf = *b"0123456789";
        move_down(&mut buf, 4, 9, 2);
        assert_eq!(&buf, b"0145678789");
        move_down(&mut buf, 4, 11, 2);
        move_down(&mut buf, 9, 4, 0);
        assert_eq!(&buf, b"0145678789");
    }
}
