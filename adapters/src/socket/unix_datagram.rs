//! Unix datagrams: one datagram a call.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::{Path, PathBuf};

use rustix::net::{RecvFlags, SocketAddrUnix};
use socket2::{SockAddr, Type};

use super::io::send_flags;
use super::poll::Interest;
use super::unix::{bind, connect_error, new};
use super::{Options, Socket, SocketError, SocketFile};

/// A Unix datagram socket.
pub type UnixDatagram = Socket<net::UnixDatagram>;

impl UnixDatagram {
    /// Takes datagrams at `path`, until the file that is returned beside it is dropped.
    ///
    /// A stale socket file is replaced as in [`UnixListener::bind`](super::UnixListener::bind).
    pub fn bind(
        path: impl AsRef<Path>,
        options: &Options,
    ) -> Result<(Self, SocketFile), SocketError> {
        let path = path.as_ref();
        let (socket, file) = bind(path, Type::DGRAM, options)?;
        let applied = options.apply(&socket);
        applied.map_err(|e| SocketError::from_path(path, e))?;
        let socket = Self::from_std(socket.into(), &path.to_string_lossy());
        Ok((socket, file))
    }

    /// A socket without a path, which cannot be answered, with `path` as its peer.
    pub fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, SocketError> {
        let path = path.as_ref();
        let connect = || {
            let socket = new(Type::DGRAM)?;
            options.apply(&socket)?;
            socket.connect(&SockAddr::unix(path)?)?;
            Ok(socket)
        };
        let socket: socket2::Socket = connect().map_err(|e| connect_error(path, e))?;
        Ok(Self::from_std(socket.into(), &path.to_string_lossy()))
    }

    /// Makes the socket at `path` the only one that is heard and written to.
    pub fn connect_to(&mut self, path: impl AsRef<Path>) -> Result<(), SocketError> {
        let path = path.as_ref();
        let connected = self.inner.connect(path);
        connected.map_err(|e| connect_error(path, e))?;
        self.peer = path.to_string_lossy().into();
        Ok(())
    }

    /// Sends one datagram to the socket at `path`; waits for room at most the write time-out.
    pub fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> Result<(), SocketError> {
        let path = path.as_ref();
        let sent = SocketAddrUnix::new(path).map_err(io::Error::from);
        let sent = sent.and_then(|to| {
            self.waiting(Interest::Write, || {
                let flags = send_flags();
                Ok(rustix::net::sendto(self.as_fd(), datagram, flags, &to)?)
            })
        });
        sent.map_err(|e| connect_error(path, e))?;
        Ok(())
    }

    /// Takes one datagram, and waits for it at most the read time-out; its length, and the path of
    /// its sender, who cannot be answered without one.
    ///
    /// An empty datagram has length 0. One larger than `buf` is dropped with
    /// [`SocketError::DatagramTooLong`].
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, Option<PathBuf>), SocketError> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let received = self.waiting(Interest::Read, || {
            Ok(rustix::net::recvfrom(self.as_fd(), &mut *buf, flags)?)
        });
        let (_, len, from) = received.map_err(|e| self.error(e))?;
        let from = from.and_then(|any| SocketAddrUnix::try_from(any).ok());
        let from = from.as_ref().and_then(SocketAddrUnix::path_bytes);
        let from = from.map(|path| PathBuf::from(OsStr::from_bytes(path)));
        if len > buf.len() {
            let name = from
                .as_ref()
                .map_or("a socket without a path".into(), |p| p.to_string_lossy());
            return Err(SocketError::too_long(&name, len, buf.len()));
        }
        Ok((len, from))
    }

    /// The address of this end, which has a path if it was bound.
    pub fn local_addr(&self) -> Result<net::SocketAddr, SocketError> {
        self.inner.local_addr().map_err(|e| self.error(e))
    }

    /// The address of the peer, if it has one.
    pub fn peer_addr(&self) -> Result<net::SocketAddr, SocketError> {
        self.inner.peer_addr().map_err(|e| self.error(e))
    }
}
