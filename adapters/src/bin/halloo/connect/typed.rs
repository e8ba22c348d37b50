//! The standard input, as lines or as it is, made into what is sent.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::Args;
use crate::failure::Failure;
use crate::input::{Input, Typed};
use crate::output::complain;

/// The longest line over a stream.
const MAX_STREAM_LINE: usize = 1 << 20;

/// The most bytes of a message: what a UDP datagram carries over IPv4.
pub(super) const MAX_PAYLOAD: usize = 65_507;

/// How many bytes are read at once where lines do not matter.
const CHUNK: usize = 16 * 1024;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Send(Vec<u8>),
    /// Nothing was typed.
    Wait,
    /// The input has ended.
    End,
    /// `quit` was typed.
    Quit,
}

/// Reads the standard input, which is polled first.
#[derive(Debug)]
pub(super) enum Source {
    /// Piped bytes over a stream: nothing is done to them.
    Bytes {
        fd: OwnedFd,
        read: Vec<u8>,
        has_ended: bool,
    },
    Lines {
        input: Input,
        form: Form,
        /// Someone types: `quit` ends, and a line that cannot be sent does not.
        is_typed: bool,
        number: u64,
    },
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Hex,
    Text {
        end: &'static [u8],
        /// An empty line has an end, too; else it is nothing, which a datagram can be.
        ends_empty: bool,
    },
}

impl Source {
    /// Of a socket of messages each line is one; of a datagram socket an empty line is an empty one.
    pub(super) fn stdin(args: &Args, is_message: bool, is_datagram: bool) -> Result<Self, Failure> {
        let is_typed = args.interactive || io::stdin().is_terminal();
        let form = if args.hex {
            Form::Hex
        } else if args.crlf {
            Form::Text {
                end: b"\r\n",
                ends_empty: true,
            }
        } else {
            Form::Text {
                end: if args.no_newline { b"" } else { b"\n" },
                ends_empty: !is_datagram,
            }
        };
        if !is_typed && !is_message && matches!(form, Form::Text { end: b"\n", .. }) {
            let fd = io::stdin().as_fd().try_clone_to_owned();
            return Ok(Self::Bytes {
                fd: fd.map_err(|e| Failure::from_stdio(&e))?,
                read: Vec::new(),
                has_ended: false,
            });
        }
        let limit = match (is_message, form) {
            (false, _) => MAX_STREAM_LINE,
            // Two digits and a space for each byte.
            (true, Form::Hex) => 3 * MAX_PAYLOAD,
            (true, Form::Text { end, .. }) => MAX_PAYLOAD - end.len(),
        };
        Ok(Self::Lines {
            input: Input::stdin(limit)?,
            form,
            is_typed,
            number: 0,
        })
    }

    /// Whether someone types.
    pub(super) const fn is_typed(&self) -> bool {
        matches!(self, Self::Lines { is_typed: true, .. })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Bytes { fd, .. } => fd.as_fd(),
            Self::Lines { input, .. } => input.fd(),
        }
    }

    /// Reads once, from a descriptor that is ready.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
        match self {
            Self::Lines { input, .. } => input.read(),
            Self::Bytes {
                fd,
                read,
                has_ended,
            } => {
                let mut chunk = vec![0; CHUNK];
                match rustix::io::read(&*fd, &mut chunk) {
                    Ok(0) => *has_ended = true,
                    Ok(n) => read.extend_from_slice(&chunk[..n]),
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(error) => return Err(Failure::from_stdio(&error.into())),
                }
                Ok(())
            }
        }
    }

    pub(super) fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Bytes {
                read, has_ended, ..
            } => Ok(if !read.is_empty() {
                Next::Send(std::mem::take(read))
            } else if *has_ended {
                Next::End
            } else {
                Next::Wait
            }),
            Self::Lines {
                input,
                form,
                is_typed,
                number,
            } => loop {
                let line = match input.next() {
                    Some(Typed::Line(line)) => Ok(line),
                    Some(Typed::TooLong) => Err("is too long"),
                    None if input.has_ended() => return Ok(Next::End),
                    None => return Ok(Next::Wait),
                };
                *number += 1;
                let quits = |line: &Vec<u8>| *is_typed && line.trim_ascii() == b"quit";
                if line.as_ref().is_ok_and(quits) {
                    return Ok(Next::Quit);
                }
                match line.and_then(|line| form.bytes(line)) {
                    Ok(bytes) => return Ok(Next::Send(bytes)),
                    // Who types can type it again.
                    Err(why) if *is_typed => complain(&format!("line {number} {why}: not sent")),
                    Err(why) => return Err(Failure::Start(format!("line {number} {why}"))),
                }
            },
        }
    }
}

impl Form {
    fn bytes(self, mut line: Vec<u8>) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Hex => hex(&line),
            Self::Text { end, ends_empty } => {
                // Who pipes lines that end so already means one end, not two.
                if end == b"\r\n" && line.ends_with(b"\r") {
                    line.pop();
                }
                if ends_empty || !line.is_empty() {
                    line.extend_from_slice(end);
                }
                Ok(line)
            }
        }
    }
}

/// Pairs of digits, with white space between them or without.
fn hex(line: &[u8]) -> Result<Vec<u8>, &'static str> {
    let wrong = "is no hex: pairs of digits, as in `48 65 6c` or `48656c`";
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut bytes = Vec::with_capacity(line.len() / 2);
    for word in line.split(u8::is_ascii_whitespace) {
        let (pairs, rest) = word.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(wrong);
        }
        for &[high, low] in pairs {
            let (high, low) = digit(high).zip(digit(low)).ok_or(wrong)?;
            bytes.push(high << 4 | low);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_with_spaces_and_without_and_nothing_else_is() {
        for text in ["48656c", "48 65 6c", " 48\t656C \r"] {
            assert_eq!(hex(text.as_bytes()), Ok(b"Hel".to_vec()), "{text:?}");
        }
        assert_eq!(hex(b""), Ok(Vec::new()));
        for text in ["4", "48 6", "4 8", "0x48", "zz", "48,65", "é"] {
            assert!(hex(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_line_has_one_end_of_the_kind_that_was_asked_for() {
        let check = |end, line: &[u8], expected: &[u8]| {
            for ends_empty in [false, true] {
                let form = Form::Text { end, ends_empty };
                assert_eq!(form.bytes(line.to_vec()).unwrap(), expected);
            }
        };
        check(b"\n", b"one", b"one\n");
        check(b"\n", b"one\r", b"one\r\n");
        check(b"", b"one", b"one");
        check(b"\r\n", b"one", b"one\r\n");
        check(b"\r\n", b"one\r", b"one\r\n");
        for (ends_empty, expected) in [(true, &b"\n"[..]), (false, b"")] {
            let form = Form::Text {
                end: b"\n",
                ends_empty,
            };
            assert_eq!(form.bytes(Vec::new()).unwrap(), expected);
        }
    }
}
