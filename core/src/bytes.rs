//! Copying that cannot panic: the slice methods of the same purpose do, on lengths that differ.

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

#[cfg(test)]
mod tests {
    use super::*;

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
