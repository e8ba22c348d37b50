//! Lines from a descriptor, each within a limit, however the bytes come.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use halloo_std::client::MAX_BODY;
use rustix::io::Errno;

use crate::failure::Failure;

/// How many bytes are read at once.
const CHUNK: usize = 16 * 1024;

/// Whether a person sits at both ends.
pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// A line that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Without its end.
    Line(Vec<u8>),
    /// It had more bytes than any post takes, and was dropped.
    TooLong,
}

/// The lines of a descriptor that is polled before it is read.
#[derive(Debug)]
pub(super) struct Input {
    fd: OwnedFd,
    lines: Lines,
    has_ended: bool,
}

impl Input {
    /// The standard input.
    pub(super) fn stdin() -> Result<Self, Failure> {
        let fd = io::stdin().as_fd().try_clone_to_owned();
        Ok(Self::new(fd.map_err(|e| Failure::from_stdio(&e))?))
    }

    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            lines: Lines::default(),
            has_ended: false,
        }
    }

    /// The next line that was read whole.
    pub(super) fn next(&mut self) -> Option<Typed> {
        self.lines.whole.pop_front()
    }

    /// Whether all was read; lines may be left.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads once, from a descriptor that is ready.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
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
#[derive(Debug, Default)]
struct Lines {
    whole: VecDeque<Typed>,
    part: Vec<u8>,
    /// The line that `part` belongs to is too long already.
    is_too_long: bool,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let (text, is_whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            // One more than a post takes, for the carriage return that may be dropped.
            if self.part.len() + text.len() > MAX_BODY + 1 {
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
        let mut line = std::mem::take(&mut self.part);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let too_long = std::mem::take(&mut self.is_too_long) || line.len() > MAX_BODY;
        self.whole.push_back(if too_long {
            Typed::TooLong
        } else {
            Typed::Line(line)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], chunk: usize) -> Vec<Typed> {
        let mut lines = Lines::default();
        for bytes in input.chunks(chunk) {
            lines.take(bytes);
        }
        lines.end();
        lines.whole.into()
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        let long = [b'x'; MAX_BODY];
        let mut input = b"one\r\n\n".to_vec();
        input.extend(long);
        input.extend(b"\n");
        input.extend([b'y'; MAX_BODY + 1]);
        input.extend(b"\r\n");
        input.extend([b'z'; 5 * MAX_BODY]);
        input.extend(b"\nlast");
        let line = |bytes: &[u8]| Typed::Line(bytes.to_vec());
        let expected = [
            line(b"one"),
            line(b""),
            line(&long),
            Typed::TooLong,
            Typed::TooLong,
            line(b"last"),
        ];
        for chunk in [1, 2, 3, 1000, MAX_BODY, usize::MAX] {
            assert_eq!(lines(&input, chunk), expected, "chunks of {chunk}");
        }
    }
}
