//! What a probe sends: eight hexadecimal digits of its number, then a pattern.
//!
//! All of it is printable ASCII, so a server that takes its input for text gives it back unharmed.

/// The fewest bytes of a probe's payload: its number.
pub const MIN_PAYLOAD: usize = 8;

/// Fills `out` with the payload of probe `sequence`.
pub(super) fn write(out: &mut [u8], seed: u32, sequence: u32) {
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = byte_at(seed, sequence, at);
    }
}

/// The byte of a payload that stands at `at`.
pub(super) fn byte_at(seed: u32, sequence: u32, at: usize) -> u8 {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    if at < MIN_PAYLOAD {
        let shift = 28_u32.saturating_sub((at as u32).saturating_mul(4));
        let digit = sequence.unbounded_shr(shift) & 0xf;
        return DIGITS.get(digit as usize).copied().unwrap_or(b'0');
    }
    // Multiplicative hashing: every byte depends on the seed, the number and the place.
    let mixed = (seed ^ sequence)
        .wrapping_mul(0x9e37_79b9)
        .wrapping_add(at as u32)
        .wrapping_mul(0x85eb_ca6b);
    b'!'.saturating_add((mixed >> 16) as u8 % 94)
}

/// The number that a payload begins with, if it begins with one.
pub(super) fn sequence(payload: &[u8]) -> Option<u32> {
    let digits = payload.first_chunk::<MIN_PAYLOAD>()?;
    let mut sequence = 0_u32;
    for &digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
            _ => return None,
        };
        sequence = (sequence << 4) | u32::from(value);
    }
    Some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_printable_and_begins_with_its_number() {
        for number in [0, 1, 0x1234_abcd, u32::MAX] {
            let mut out = [0; 300];
            write(&mut out, 7, number);
            assert!(out.iter().all(u8::is_ascii_graphic));
            assert_eq!(sequence(&out), Some(number));
        }
        assert_eq!(sequence(b"0000000"), None);
        assert_eq!(sequence(b"0000000G"), None);
    }

    #[test]
    fn payloads_differ_by_seed_and_by_number() {
        let payload = |seed, number| {
            let mut out = [0; 64];
            write(&mut out, seed, number);
            out
        };
        assert_ne!(payload(1, 5), payload(2, 5));
        assert_ne!(payload(1, 5)[8..], payload(1, 6)[8..]);
    }
}
