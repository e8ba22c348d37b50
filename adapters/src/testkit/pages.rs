//! The bytes of a file in memory, in pages: it grows and shrinks without being moved.

/// Small in tests, so that they cross pages.
const PAGE: usize = if cfg!(test) { 16 } else { 4096 };

/// Bytes in pages. Invariant: what the last page has beyond the end is zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    pages: Vec<Box<[u8]>>,
    len: usize,
}

impl Pages {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Copies what there is from `at` on; how many bytes.
    pub(super) fn read(&self, at: usize, out: &mut [u8]) -> usize {
        let len = self.len.saturating_sub(at).min(out.len());
        let mut done = 0;
        while done < len {
            let (page, from) = ((at + done) / PAGE, (at + done) % PAGE);
            let piece = (PAGE - from).min(len - done);
            out[done..done + piece].copy_from_slice(&self.pages[page][from..from + piece]);
            done += piece;
        }
        len
    }

    /// The bytes from `at` on, as many as there are of so many.
    pub(super) fn part(&self, at: usize, most: usize) -> Vec<u8> {
        let mut out = vec![0; self.len.saturating_sub(at).min(most)];
        self.read(at, &mut out);
        out
    }

    /// Writes over what is there and beyond it; between the old end and `at` there are zeros.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.grow(at + bytes.len());
        let mut done = 0;
        while done < bytes.len() {
            let (page, from) = ((at + done) / PAGE, (at + done) % PAGE);
            let piece = (PAGE - from).min(bytes.len() - done);
            self.pages[page][from..from + piece].copy_from_slice(&bytes[done..done + piece]);
            done += piece;
        }
    }

    pub(super) fn byte_mut(&mut self, at: usize) -> Option<&mut u8> {
        (at < self.len).then(|| &mut self.pages[at / PAGE][at % PAGE])
    }

    /// Cuts off what is beyond `len`, or adds zeros up to it.
    pub(super) fn set_len(&mut self, len: usize) {
        self.grow(len);
        self.pages.truncate(len.div_ceil(PAGE));
        if let Some(page) = self.pages.get_mut(len / PAGE) {
            page[len % PAGE..].fill(0);
        }
        self.len = len;
    }

    fn grow(&mut self, len: usize) {
        let pages = len.div_ceil(PAGE).max(self.pages.len());
        self.pages.resize_with(pages, || vec![0; PAGE].into());
        self.len = self.len.max(len);
    }
}
