//! Waiting for a descriptor with poll(2).

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// A read that would not block.
    Read,
    /// A write that would not block.
    Write,
    /// Either.
    Both,
}

/// What would not block.
///
/// A call that would fail at once, or would report the end of the stream, does not block either:
/// so a closed connection is ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// The socket has an error waiting, which the next call reports.
    pub failed: bool,
}

impl Readiness {
    /// Whether nothing is ready: the time-out was over first.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.readable && !self.writable
    }
}

/// Blocks until `fd` is ready or `timeout` is over; `None` waits for ever, zero only looks.
pub(super) fn wait(
    fd: BorrowedFd<'_>,
    interest: Interest,
    timeout: Option<Duration>,
) -> io::Result<Readiness> {
    // A deadline beyond the end of the clock is no deadline.
    let deadline = timeout.and_then(|span| Instant::now().checked_add(span));
    wait_until(fd, interest, deadline)
}

/// As [`wait`], up to a point in time; one that is past only looks.
pub(super) fn wait_until(
    fd: BorrowedFd<'_>,
    interest: Interest,
    deadline: Option<Instant>,
) -> io::Result<Readiness> {
    let (read, write) = match interest {
        Interest::Read => (true, false),
        Interest::Write => (false, true),
        Interest::Both => (true, true),
    };
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, read);
    flags.set(PollFlags::OUT, write);
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.and_then(|span| Timespec::try_from(span).ok());
        let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let seen = fds[0].revents();
        let ends = seen.intersects(PollFlags::ERR | PollFlags::HUP);
        return Ok(Readiness {
            readable: read && (ends || seen.contains(PollFlags::IN)),
            writable: write && (ends || seen.contains(PollFlags::OUT)),
            failed: seen.contains(PollFlags::ERR),
        });
    }
}
