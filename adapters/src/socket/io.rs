//! The traits of `embedded-io` and of `std::io` on [`Socket`].
//!
//! Reads and writes go out with `MSG_DONTWAIT` and wait in poll(2). So a call behaves the same in
//! both modes of the descriptor, and a write that was said to be ready takes what fits rather than
//! block until all of it is gone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::SockRef;

use super::poll::{self, Interest};
use super::{Carrier, Socket, SocketError};

/// How many empty datagrams one look at a socket drops, so that a flood of them cannot hold it.
const EMPTY_PER_LOOK: usize = 32;

impl<S> ErrorType for Socket<S> {
    type Error = SocketError;
}

impl<S: Carrier> Socket<S> {
    /// Takes a piece of a stream, or one message, and waits for it at most the read time-out, as
    /// Python's `recv` does.
    ///
    /// 0 is the end of a stream, or an empty datagram; over seqpacket an empty message cannot be told
    /// from the end. A message larger than `buf` is dropped with [`SocketError::DatagramTooLong`].
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, SocketError> {
        let received = self.waiting(Interest::Read, || receive::<S>(self.as_fd(), &mut *buf));
        match received.map_err(|e| self.error(e))? {
            len if len > buf.len() => Err(SocketError::too_long(&self.peer, len, buf.len())),
            len => Ok(len),
        }
    }

    /// Sends what fits of a stream, or one message, and waits for room at most the write time-out, as
    /// Python's `send` does; how many bytes were taken.
    ///
    /// Without bytes it sends an empty message, and on a stream nothing.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, SocketError> {
        let sent = self.waiting(Interest::Write, || {
            Ok(rustix::net::send(self.as_fd(), bytes, send_flags())?)
        });
        sent.map_err(|e| self.error(e))
    }

    /// As [`waiting`], and within the deadline.
    pub(super) fn waiting<T>(
        &self,
        interest: Interest,
        call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(deadline) = self.deadline else {
            return waiting(self.as_fd(), interest, call);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let timeout = || {
            Ok(Some(
                own_timeout(self.as_fd(), interest)?.map_or(left, |own| own.min(left)),
            ))
        };
        waiting_at_most(self.as_fd(), interest, timeout, call)
    }
}

impl<S: Carrier> Read for Socket<S> {
    /// Reads what is there, and waits for something if there is nothing.
    ///
    /// Of messages one read takes one. An empty datagram is dropped, since `Ok(0)` means the end; a
    /// message larger than `buf` is dropped with [`SocketError::DatagramTooLong`].
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, SocketError> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.recv(buf)? {
                0 if S::DATAGRAM => {}
                len => return Ok(len),
            }
        }
    }
}

impl<S: Carrier> ReadReady for Socket<S> {
    /// Whether a read would not block: there are bytes, or the end of the stream, or an error.
    fn read_ready(&mut self) -> Result<bool, SocketError> {
        for _ in 0..EMPTY_PER_LOOK {
            let ready = self
                .wait(Interest::Read, Some(Duration::ZERO))
                .map_err(|e| self.error(e))?;
            if !S::DATAGRAM || !ready.readable || ready.failed {
                return Ok(ready.readable);
            }
            // A read skips empty datagrams, so it would block behind one: drop it here.
            match drop_if_empty(self.as_fd()) {
                Ok(true) => {}
                Ok(false) => return Ok(true),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(self.error(e)),
            }
        }
        Ok(false)
    }
}

impl<S: Carrier> Write for Socket<S> {
    /// Writes what fits, and waits for room if there is none. Of messages one write is one.
    fn write(&mut self, buf: &[u8]) -> Result<usize, SocketError> {
        if buf.is_empty() {
            return Ok(0);
        }
        match self.send(buf)? {
            0 => Err(self.error(io::ErrorKind::WriteZero.into())),
            len => Ok(len),
        }
    }

    /// Does nothing: no byte waits outside the system.
    fn flush(&mut self) -> Result<(), SocketError> {
        Ok(())
    }
}

impl<S: Carrier> WriteReady for Socket<S> {
    /// Whether a write would not block: there is room, or an error.
    fn write_ready(&mut self) -> Result<bool, SocketError> {
        let ready = self.wait(Interest::Write, Some(Duration::ZERO));
        Ok(ready.map_err(|e| self.error(e))?.writable)
    }
}

impl<S: Carrier> io::Read for Socket<S> {
    /// A message larger than `buf` is dropped, and an error here, too.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let (_, len) = rustix::net::recv(self.as_fd(), &mut *buf, whole_length::<S>())?;
        if len > buf.len() {
            return Err(Errno::MSGSIZE.into());
        }
        Ok(len)
    }
}

impl<S: Carrier> io::Write for Socket<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.as_fd(), buf, blocking_flags())?)
    }

    /// Of messages all pieces make one.
    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut control = SendAncillaryBuffer::default();
        let sent = rustix::net::sendmsg(self.as_fd(), pieces, &mut control, blocking_flags());
        Ok(sent?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does `call`, and again after each wait while it would block, until the socket's own time-out
/// is over.
pub(super) fn waiting<T>(
    fd: BorrowedFd<'_>,
    interest: Interest,
    call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    waiting_at_most(fd, interest, || own_timeout(fd, interest), call)
}

/// As [`waiting`], with a time-out that is asked for only when there is a wait.
pub(super) fn waiting_at_most<T>(
    fd: BorrowedFd<'_>,
    interest: Interest,
    timeout: impl FnOnce() -> io::Result<Option<Duration>>,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut timeout = Some(timeout);
    let mut deadline = None;
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        if let Some(timeout) = timeout.take() {
            deadline = timeout()?.and_then(|span| Instant::now().checked_add(span));
        }
        if poll::wait_until(fd, interest, deadline)?.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// `MSG_DONTWAIT`, and no signal when the peer is gone: a program that wants `SIGPIPE` for its
/// standard output must not die of a socket.
pub(super) fn send_flags() -> SendFlags {
    #[cfg(target_vendor = "apple")]
    let quiet = SendFlags::empty();
    #[cfg(not(target_vendor = "apple"))]
    let quiet = SendFlags::NOSIGNAL;
    SendFlags::DONTWAIT | quiet
}

/// As [`send_flags`], in the mode of the descriptor.
fn blocking_flags() -> SendFlags {
    send_flags().difference(SendFlags::DONTWAIT)
}

/// The socket options hold the time-outs, so clones agree on them and nothing is kept twice.
fn own_timeout(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Option<Duration>> {
    let socket = SockRef::from(&fd);
    match interest {
        Interest::Write => socket.write_timeout(),
        Interest::Read | Interest::Both => socket.read_timeout(),
    }
}

/// The length of what was received; of a message the whole length, though `buf` cut it.
fn receive<S: Carrier>(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (_, len) = rustix::net::recv(fd, buf, RecvFlags::DONTWAIT | whole_length::<S>())?;
    Ok(len)
}

/// Of messages the system is to tell the length, though a buffer cuts it.
fn whole_length<S: Carrier>() -> RecvFlags {
    if S::MESSAGES {
        RecvFlags::TRUNC
    } else {
        // A stream would throw the bytes away.
        RecvFlags::empty()
    }
}

/// Drops the datagram that is next if it is empty; whether it was.
fn drop_if_empty(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let look = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let mut byte = [0; 1];
    let (_, len) = rustix::net::recv(fd, &mut byte, look | RecvFlags::PEEK)?;
    if len == 0 {
        rustix::net::recv(fd, &mut byte, look)?;
    }
    Ok(len == 0)
}
