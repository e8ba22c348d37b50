//! The byte pipe under a device: TCP or a Unix stream.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

use crate::socket::{Interest, Readiness, Shutdown, SocketError, TcpStream, UnixStream};

#[derive(Debug)]
pub(super) enum Pipe {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Pipe {
    pub(super) fn wait(&self, interest: Interest, timeout: Duration) -> io::Result<Readiness> {
        match self {
            Self::Tcp(socket) => socket.wait(interest, Some(timeout)),
            Self::Unix(socket) => socket.wait(interest, Some(timeout)),
        }
    }

    /// Tells the other end that nothing more comes, so that it reads all that was sent.
    pub(super) fn finish_writing(&self) -> Result<(), SocketError> {
        match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl ErrorType for Pipe {
    type Error = SocketError;
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, SocketError> {
        match self {
            Self::Tcp(socket) => Read::read(socket, buf),
            Self::Unix(socket) => Read::read(socket, buf),
        }
    }
}

impl ReadReady for Pipe {
    fn read_ready(&mut self) -> Result<bool, SocketError> {
        match self {
            Self::Tcp(socket) => socket.read_ready(),
            Self::Unix(socket) => socket.read_ready(),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> Result<usize, SocketError> {
        match self {
            Self::Tcp(socket) => Write::write(socket, buf),
            Self::Unix(socket) => Write::write(socket, buf),
        }
    }

    fn flush(&mut self) -> Result<(), SocketError> {
        match self {
            Self::Tcp(socket) => Write::flush(socket),
            Self::Unix(socket) => Write::flush(socket),
        }
    }
}

impl WriteReady for Pipe {
    fn write_ready(&mut self) -> Result<bool, SocketError> {
        match self {
            Self::Tcp(socket) => socket.write_ready(),
            Self::Unix(socket) => socket.write_ready(),
        }
    }
}
