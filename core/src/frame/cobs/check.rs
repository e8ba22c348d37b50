//! The check at the end of each frame: CRC-32, as PPP has it on serial lines (RFC 1662) and zlib and
//! the CRC units of many microcontrollers compute it.
//!
//! Our own lines: a digest of the crate `crc` borrows its table and cannot rest in a state between
//! two reads, and is no shorter to use than this is to write.

/// Before the first byte.
pub(super) const START: u32 = u32::MAX;

/// Behind a payload and its check, if they belong together: so nobody has to know beforehand where
/// the payload ends.
pub(super) const GOOD: u32 = 0xdebb_20e3;

/// The bytes of a check.
pub(super) const BYTES: usize = 4;

const POLYNOMIAL: u32 = 0xedb8_8320;

/// The check of `payload`, as it stands on the wire.
pub(super) fn of(payload: &[u8]) -> [u8; BYTES] {
    let crc = payload.iter().fold(START, |crc, &byte| step(crc, byte));
    (!crc).to_le_bytes()
}

/// A table of 1 KiB on hosts; where flash is short, bit by bit.
#[inline]
pub(super) fn step(crc: u32, byte: u8) -> u32 {
    if cfg!(target_pointer_width = "64") {
        step_by_table(crc, byte)
    } else {
        eight_bits(crc ^ u32::from(byte))
    }
}

#[inline]
fn step_by_table(crc: u32, byte: u8) -> u32 {
    let [low, ..] = crc.to_le_bytes();
    let line = TABLE.get(usize::from(low ^ byte));
    line.copied().unwrap_or_default() ^ (crc >> 8)
}

const fn eight_bits(mut crc: u32) -> u32 {
    let mut bits = 0_u32;
    while bits < u8::BITS {
        crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
        bits = bits.wrapping_add(1);
    }
    crc
}

static TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0_usize;
    while at < table.len() {
        table[at] = eight_bits(at as u32);
        at = at.wrapping_add(1);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(payload: &[u8], crc: u32) {
        assert_eq!(u32::from_le_bytes(of(payload)), crc);
        let bits = |crc, &byte: &u8| eight_bits(crc ^ u32::from(byte));
        assert_eq!(!payload.iter().fold(START, bits), crc, "bit by bit");
        let table = |crc, &byte: &u8| step_by_table(crc, byte);
        assert_eq!(!payload.iter().fold(START, table), crc, "by table");
        let whole = payload.iter().chain(&crc.to_le_bytes()).fold(START, bits);
        assert_eq!(whole, GOOD);
    }

    /// The check value of the catalogues of CRCs, and what zlib says of others.
    #[test]
    fn the_check_is_the_crc_32_of_the_literature() {
        // [F-COBS-2]
        check(b"123456789", 0xcbf4_3926);
        check(b"", 0);
        check(b"a", 0xe8b7_be43);
        check(b"abc", 0x3524_41c2);
        check(b"The quick brown fox jumps over the lazy dog", 0x414f_a339);
        check(&[0; 32], 0x190a_55ad);
        check(&[0xff; 32], 0xff6c_ab0b);
        check(&core::array::from_fn::<u8, 32, _>(|n| n as u8), 0x9126_7e8a);
    }
}
