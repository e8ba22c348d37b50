//! A socket of either family, or a serial device, without blocking.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::socket::SerialPort;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    Serial(SerialPort),
}

impl Socket {
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interest),
            Self::Unix(stream) => stream.register(registry, token, interest),
            Self::Serial(port) => {
                SourceFd(&port.as_fd().as_raw_fd()).register(registry, token, interest)
            }
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
            Self::Serial(port) => SourceFd(&port.as_fd().as_raw_fd()).deregister(registry),
        }
    }

    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(room),
            Self::Unix(stream) => stream.read(room),
            Self::Serial(port) => Read::read(port, room),
        }
    }

    /// Writes all pieces in one call; one piece alone goes the shorter way through the system.
    pub(super) fn write<const N: usize>(&mut self, pieces: [&[u8]; N]) -> io::Result<usize> {
        let mut filled = pieces.iter().filter(|piece| !piece.is_empty());
        match (filled.next(), filled.next()) {
            (None, _) => Ok(0),
            (Some(piece), None) => match self {
                Self::Tcp(stream) => stream.write(piece),
                Self::Unix(stream) => stream.write(piece),
                Self::Serial(port) => Write::write(port, piece),
            },
            (Some(_), Some(_)) => {
                let slices = pieces.map(IoSlice::new);
                match self {
                    Self::Tcp(stream) => stream.write_vectored(&slices),
                    Self::Unix(stream) => stream.write_vectored(&slices),
                    Self::Serial(port) => port.write_vectored(&slices),
                }
            }
        }
    }

    /// Ends this side of the stream; a serial line has no end.
    pub(super) fn end(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Serial(_) => Ok(()),
        }
    }
}
