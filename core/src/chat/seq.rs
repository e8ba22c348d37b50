//! Sequence numbers of posts: 32 bits that wrap, compared over the shorter way round.
//!
//! At most [`MAX_WINDOW`](super::MAX_WINDOW) of them are in question at once, so the half of the
//! circle that lies behind a number is unambiguous. 0 stands for "none" before the first post, which
//! is 1; after the wrap it is a number like any other.

/// The number after `seq`.
pub(super) const fn next(seq: u32) -> u32 {
    seq.wrapping_add(1)
}

/// Whether `a` comes after `b`.
pub(super) const fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// Whether `seq` has its bit in a bitmap of rejects that ends at `up_seq`.
pub(super) const fn is_rejected(seq: u32, up_seq: u32, rejects: u32) -> bool {
    let back = up_seq.wrapping_sub(seq);
    back < 32 && rejects.wrapping_shr(back) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_the_wrap() {
        for a in [0, 1, 31, u32::MAX - 1, u32::MAX] {
            assert!(is_after(next(a), a));
            assert!(!is_after(a, next(a)));
            assert!(!is_after(a, a));
        }
    }

    #[test]
    fn a_reject_is_found_in_the_last_32_and_nowhere_else() {
        assert!(is_rejected(7, 7, 1));
        assert!(is_rejected(5, 7, 0b100));
        assert!(!is_rejected(6, 7, 0b101));
        assert!(!is_rejected(8, 7, u32::MAX));
        assert!(is_rejected(u32::MAX, 1, 0b100));
        assert!(!is_rejected(1, 33, u32::MAX));
    }
}
