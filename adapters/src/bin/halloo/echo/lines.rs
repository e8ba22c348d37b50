//! Sends lines to an echo server, one after the other, and prints what comes back, as cat does.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use embedded_io::{Read, Write};
use halloo_std::socket::{Carrier, Interest, Socket};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::{Args, MAX_MESSAGE};
use crate::failure::Failure;
use crate::input::{Input, Typed};
use crate::output::{self, harmless};

/// The longest line that goes over a stream.
const MAX_STREAM_LINE: usize = 1 << 20;

/// The most bytes of a UDP datagram's payload over IPv4.
const MAX_PAYLOAD: usize = 65_507;

/// How much a stream is given at once: it takes so much without a wait when it is ready.
const CHUNK: usize = 4096;

/// A run of lines, apart from the socket under it.
pub(super) struct Lines<'p> {
    input: Input,
    prefix: &'p [u8],
    patience: Duration,
    is_message: bool,
    is_terminal: bool,
    number: u64,
}

impl<'p> Lines<'p> {
    pub(super) fn new(args: &Args, is_message: bool, prefix: &'p [u8]) -> Result<Self, Failure> {
        let limit = if is_message {
            // The newline goes along.
            MAX_PAYLOAD.saturating_sub(prefix.len() + 1)
        } else {
            MAX_STREAM_LINE
        };
        Ok(Self {
            input: Input::stdin(limit)?,
            prefix,
            patience: Duration::from_millis(args.timeout.max(1)),
            is_message,
            is_terminal: io::stdout().is_terminal(),
            number: 0,
        })
    }

    /// Sends line by line until the input ends.
    pub(super) fn over<S: Carrier>(&mut self, mut socket: Socket<S>) -> Result<(), Failure> {
        loop {
            self.number += 1;
            match self.input.next() {
                Some(Typed::Line(line)) => self.echo(&mut socket, line)?,
                Some(Typed::TooLong) => return Err(self.failed("is too long")),
                None if self.input.has_ended() => return Ok(()),
                None => {
                    self.number -= 1;
                    self.wait_for_line(&mut socket)?;
                }
            }
        }
    }

    /// Reads what was typed; a connection that ends meanwhile is told at once.
    fn wait_for_line<S: Carrier>(&mut self, socket: &mut Socket<S>) -> Result<(), Failure> {
        let stdin = PollFd::from_borrowed_fd(self.input.fd(), PollFlags::IN);
        let mut fds = vec![stdin];
        // A datagram that comes late is passed over when the next line waits for its own.
        if !S::DATAGRAM {
            fds.push(PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(Failure::from_stdio(&error.into())),
        }
        if fds.first().is_some_and(|fd| !fd.revents().is_empty()) {
            return self.input.read();
        }
        match Read::read(socket, &mut vec![0; MAX_MESSAGE])? {
            0 => Err(super::closed()),
            _ => Err(Failure::Job(
                "the server sent more than came to it: check that it speaks echo".into(),
            )),
        }
    }

    fn echo<S: Carrier>(&self, socket: &mut Socket<S>, mut line: Vec<u8>) -> Result<(), Failure> {
        line.push(b'\n');
        let expected = [self.prefix, &line].concat();
        let deadline = Instant::now() + self.patience;
        let mut unsent = &*line;
        let mut back = Vec::with_capacity(expected.len());
        let mut bytes = vec![0; MAX_MESSAGE];
        while back.len() < expected.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.failed("did not come back in time: check the server"));
            }
            let interest = if unsent.is_empty() {
                Interest::Read
            } else {
                Interest::Both
            };
            let ready = socket.wait(interest, Some(left));
            let ready = ready.map_err(|e| Failure::Lost(e.to_string()))?;
            if ready.readable {
                let n = Read::read(socket, &mut bytes)?;
                if n == 0 {
                    return Err(super::closed());
                }
                // What is no answer to this line is one to an earlier line.
                if !S::DATAGRAM || bytes[..n] == expected {
                    back.extend_from_slice(&bytes[..n]);
                    if S::MESSAGES {
                        break;
                    }
                }
            }
            if ready.writable {
                let most = if self.is_message { unsent.len() } else { CHUNK };
                let n = Write::write(socket, &unsent[..unsent.len().min(most)])?;
                unsent = &unsent[n..];
            }
        }
        self.show(&back)?;
        if back != expected {
            return Err(self.failed("came back changed: check the server, and ?prefix= in the URL"));
        }
        Ok(())
    }

    fn show(&self, back: &[u8]) -> Result<(), Failure> {
        if self.is_terminal {
            let text = back.strip_suffix(b"\n").unwrap_or(back);
            return output::say(&harmless(text));
        }
        output::put(back)
    }

    fn failed(&self, how: &str) -> Failure {
        Failure::Job(format!("line {} {how}", self.number))
    }
}
