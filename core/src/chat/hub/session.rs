//! Session numbers: a counter under a cipher, so that none comes twice and none tells another.

/// The cipher is XTEA: a permutation of 64 bits in a few instructions of any 32-bit machine, from
/// whose output its key cannot be had cheaply.
const CYCLES: u32 = 32;
const DELTA: u32 = 0x9e37_79b9;

/// The number of the `count`th session.
pub(super) fn number(secret: &[u32; 4], count: u64) -> u64 {
    let key = |at: u32| secret.get((at & 3) as usize).copied().unwrap_or(0);
    let (mut left, mut right) = ((count >> 32) as u32, count as u32);
    let mut sum = 0_u32;
    for _ in 0..CYCLES {
        left = left.wrapping_add(blur(right) ^ sum.wrapping_add(key(sum)));
        sum = sum.wrapping_add(DELTA);
        right = right.wrapping_add(blur(left) ^ sum.wrapping_add(key(sum >> 11)));
    }
    u64::from(left) << 32 | u64::from(right)
}

const fn blur(word: u32) -> u32 {
    ((word << 4) ^ (word >> 5)).wrapping_add(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cipher_gives_what_is_published_of_it() {
        let key = [0x0001_0203, 0x0405_0607, 0x0809_0a0b, 0x0c0d_0e0f];
        assert_eq!(number(&key, 0x4142_4344_4546_4748), 0x497d_f3d0_7261_2cb5);
        assert_eq!(number(&[0; 4], 0), 0xdee9_d4d8_f713_1ed9);
    }
}
