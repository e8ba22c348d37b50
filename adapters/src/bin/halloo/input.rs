//! Lines from a descriptor, each within a limit, however the bytes come.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::failure::Failure;

/// How many bytes are read at once.
const CHUNK: usize = 16 * 1024;

/// A line that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Without its newline.
    Line(Vec<u8>),
    /// It had more bytes than the limit, and was dropped.
    TooLong,
}

/// The lines of a descriptor that is polled before it is read.
#[derive(Debug)]
pub(crate) struct Input {
    fd: OwnedFd,
    lines: Lines,
    has_ended: bool,
}

impl Input {
    /// The standard input; its lines have at most `limit` bytes.
    pub(crate) fn stdin(limit: usize) -> Result<Self, Failure> {
        let fd = io::stdin().as_fd().try_clone_to_owned();
        Ok(Self::new(fd.map_err(|e| Failure::from_stdio(&e))?, limit))
    }

    pub(crate) fn new(fd: OwnedFd, limit: usize) -> Self {
        Self {
            fd,
            lines: Lines::new(limit),
            has_ended: false,
        }
    }

    /// The next line that was read whole.
    pub(crate) fn next(&mut self) -> Option<Typed> {
        self.lines.whole.pop_front()
    }

    /// Whether all was read; lines may be left.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads once, from a descriptor that is ready.
    pub(crate) fn read(&mut self) -> Result<(), Failure> {
        let mut chunk = [0; CHUNK];
        match rustix::io::read(&self.fd, &mut chunk) {
            Ok(0) => {
                self.has_ended = true;
                self.lines.end();
            }
            Ok(n) => self.lines.take(&chunk[..n]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(Failure::from_stdio(&error.into())),
        }
        Ok(())
    }
}

/// Splits bytes into lines.
#[derive(Debug)]
struct Lines {
    limit: usize,
    whole: VecDeque<Typed>,
    part: Vec<u8>,
    /// The line that `part` belongs to is too long already.
    is_too_long: bool,
}

impl Lines {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            whole: VecDeque::new(),
            part: Vec::new(),
            is_too_long: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let (text, is_whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if self.part.len() + text.len() > self.limit {
                self.part.clear();
                self.is_too_long = true;
            }
            if !self.is_too_long {
                self.part.extend_from_slice(text);
            }
            if is_whole {
                self.finish();
            }
        }
    }

    /// The last line need not have an end.
    fn end(&mut self) {
        if !self.part.is_empty() || self.is_too_long {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let line = std::mem::take(&mut self.part);
        self.whole
            .push_back(if std::mem::take(&mut self.is_too_long) {
                Typed::TooLong
            } else {
                Typed::Line(line)
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 10;

    fn lines(input: &[u8], chunk: usize) -> Vec<Typed> {
        let mut lines = Lines::new(LIMIT);
        for bytes in input.chunks(chunk) {
            lines.take(bytes);
        }
        lines.end();
        lines.whole.into()
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        let input = b"one\r\n\n0123456789\n0123456789x\n0123456789012345678901234567890\nlast";
        let line = |bytes: &[u8]| Typed::Line(bytes.to_vec());
        let expected = [
            line(b"one\r"),
            line(b""),
            line(b"0123456789"),
            Typed::TooLong,
            Typed::TooLong,
            line(b"last"),
        ];
        for chunk in 1..=input.len() {
            assert_eq!(lines(input, chunk), expected, "chunks of {chunk}");
        }
    }
}
