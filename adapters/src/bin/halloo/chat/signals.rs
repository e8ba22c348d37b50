//! The signals that ask a chat to end, as a descriptor to poll.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::failure::Failure;

/// SIGINT, SIGTERM and SIGHUP, from now on.
#[derive(Debug)]
pub(super) struct Signals {
    pipe: UnixStream,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let open = || -> io::Result<UnixStream> {
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                pipe::register(signal, write.try_clone()?)?;
            }
            Ok(read)
        };
        let pipe = open();
        let pipe = pipe.map_err(|e| Failure::Job(format!("signals cannot be waited for: {e}")))?;
        Ok(Self { pipe })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// How many came since the last call.
    pub(super) fn take(&mut self) -> usize {
        // Nothing there is an error too, and means the same.
        self.pipe.read(&mut [0; 16]).unwrap_or(0)
    }
}
