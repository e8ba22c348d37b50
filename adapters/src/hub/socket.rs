//! A socket of either family, or a serial device, without blocking.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, recvfrom, sendmsg_addr,
};

use super::addresses::Local;
use super::wildcard::{Wildcard, ask_for_local, is_wildcard};
use crate::socket::{SerialPort, SocketError, SocketFile, UnixSeqpacket};

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    /// A Unix socket whose reads and writes are one message each.
    Seqpacket(UnixSeqpacket),
    Serial(SerialPort),
}

impl Socket {
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interest),
            Self::Unix(stream) => stream.register(registry, token, interest),
            Self::Seqpacket(socket) => {
                SourceFd(&socket.as_fd().as_raw_fd()).register(registry, token, interest)
            }
            Self::Serial(port) => {
                SourceFd(&port.as_fd().as_raw_fd()).register(registry, token, interest)
            }
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
            Self::Seqpacket(socket) => SourceFd(&socket.as_fd().as_raw_fd()).deregister(registry),
            Self::Serial(port) => SourceFd(&port.as_fd().as_raw_fd()).deregister(registry),
        }
    }

    /// Whether a read that leaves room took all that was there.
    pub(super) const fn is_stream(&self) -> bool {
        !matches!(self, Self::Seqpacket(_))
    }

    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(room),
            Self::Unix(stream) => stream.read(room),
            Self::Seqpacket(socket) => Read::read(socket, room),
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
                Self::Seqpacket(socket) => Write::write(socket, piece),
                Self::Serial(port) => Write::write(port, piece),
            },
            (Some(_), Some(_)) => {
                let slices = pieces.map(IoSlice::new);
                match self {
                    Self::Tcp(stream) => stream.write_vectored(&slices),
                    Self::Unix(stream) => stream.write_vectored(&slices),
                    Self::Seqpacket(socket) => socket.write_vectored(&slices),
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
            Self::Seqpacket(socket) => socket
                .shutdown(Shutdown::Write)
                .map_err(SocketError::into_source),
            Self::Serial(_) => Ok(()),
        }
    }
}

/// A socket of datagrams.
#[derive(Debug)]
pub(super) enum DatagramSocket {
    Udp(mio::net::UdpSocket),
    /// UDP at all addresses of this machine.
    Wildcard(Wildcard),
    /// The file goes when the socket goes.
    Unix(mio::net::UnixDatagram, #[expect(dead_code)] SocketFile),
}

impl DatagramSocket {
    /// A socket that is bound to `at`.
    pub(super) fn udp(socket: mio::net::UdpSocket, at: SocketAddr) -> Self {
        if !is_wildcard(at) {
            return Self::Udp(socket);
        }
        match ask_for_local(&socket, at) {
            Ok(()) => Self::Wildcard(Wildcard::new(socket)),
            Err(error) => {
                tracing::warn!(%error, %at, "the system chooses the address that answers leave from");
                Self::Udp(socket)
            }
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Udp(socket) => socket.register(registry, token, interest),
            Self::Wildcard(wildcard) => wildcard.socket.register(registry, token, interest),
            Self::Unix(socket, _) => socket.register(registry, token, interest),
        }
    }

    /// Takes a datagram: its length, which may be more than `room`, where it came from, and the
    /// address that it was sent to, if that is not the only one of the socket.
    pub(super) fn recv_any(
        &mut self,
        room: &mut [u8],
    ) -> io::Result<(usize, Option<SocketAddrAny>, Option<Local>)> {
        if let Self::Wildcard(wildcard) = self {
            let (len, from, local) = wildcard.recv_from(room)?;
            return Ok((len, Some(from.into()), local));
        }
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let (_, len, from) = recvfrom(&*self, room, flags)?;
        Ok((len, from, None))
    }

    /// Sends a datagram in pieces, from `local` if that is known.
    pub(super) fn send_any(
        &self,
        pieces: &[IoSlice<'_>],
        to: &SocketAddrAny,
        local: Option<Local>,
    ) -> io::Result<usize> {
        if let Self::Wildcard(wildcard) = self {
            return wildcard.send_to(pieces, to.clone().try_into()?, local);
        }
        let mut control = SendAncillaryBuffer::default();
        Ok(sendmsg_addr(
            self,
            to,
            pieces,
            &mut control,
            SendFlags::DONTWAIT,
        )?)
    }

    /// Of UDP alone, which carries chat.
    pub(super) fn recv_from(
        &mut self,
        room: &mut [u8],
    ) -> io::Result<(usize, SocketAddr, Option<Local>)> {
        match self {
            Self::Udp(socket) => {
                let (len, from) = socket.recv_from(room)?;
                Ok((len, from, None))
            }
            Self::Wildcard(wildcard) => {
                let (len, from, local) = wildcard.recv_from(room)?;
                Ok((len.min(room.len()), from, local))
            }
            Self::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Of UDP alone.
    pub(super) fn send_to(
        &self,
        datagram: &[u8],
        to: SocketAddr,
        local: Option<Local>,
    ) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.send_to(datagram, to),
            Self::Wildcard(wildcard) => wildcard.send_to(&[IoSlice::new(datagram)], to, local),
            Self::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Wildcard(wildcard) => wildcard.as_fd(),
            Self::Unix(socket, _) => socket.as_fd(),
        }
    }
}
