//! UDP: one datagram a call.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::net::RecvFlags;
use socket2::{Protocol, Type};

use super::address::any_like;
use super::io::send_flags;
use super::poll::Interest;
use super::tcp::{bind_first, keep_better, new};
use super::{Address, Options, Socket, SocketError};

/// A UDP socket.
///
/// The `embedded-io` traits need a peer: one of [`connect`](UdpSocket::connect) or
/// [`connect_to`](UdpSocket::connect_to).
pub type UdpSocket = Socket<net::UdpSocket>;

impl UdpSocket {
    /// Takes datagrams at the first address of `address` that can be bound; port 0 takes a free
    /// one.
    pub fn bind<'a>(
        address: impl Into<Address<'a>>,
        options: &Options,
    ) -> Result<Self, SocketError> {
        let name = address.into();
        let socket = bind_first(name, |to| bind_one(to, options))?;
        Ok(Self::from_std(socket.into(), &name.to_string()))
    }

    /// A socket at a free port, with the first address of `address` that has a route as its only
    /// peer.
    ///
    /// Nothing is sent, so nothing is known of the peer yet: if it is not there, a later read or
    /// write is [`SocketError::Refused`].
    pub fn connect<'a>(
        address: impl Into<Address<'a>>,
        options: &Options,
    ) -> Result<Self, SocketError> {
        let name = address.into();
        let deadline = options
            .connect_timeout
            .and_then(|span| Instant::now().checked_add(span));
        let mut kept = None;
        for to in name.resolve_by(deadline)? {
            let connected = options.source_for(to).and_then(|own| {
                let socket = bind_one(own.unwrap_or_else(|| any_like(to)), options)?;
                socket.connect(&to.into())?;
                Ok(socket)
            });
            match connected {
                Ok(socket) => return Ok(Self::from_std(socket.into(), &to.to_string())),
                Err(source) => keep_better(&mut kept, options.connect_error(name, to, source)),
            }
        }
        Err(kept.unwrap_or_else(|| {
            SocketError::from_io(&name.to_string(), io::ErrorKind::NotFound.into())
        }))
    }

    /// Makes `peer` the only one that is heard and written to.
    pub fn connect_to(&mut self, peer: SocketAddr) -> Result<(), SocketError> {
        let connected = self.inner.connect(peer);
        connected.map_err(|e| SocketError::from_io(&peer.to_string(), e))?;
        self.peer = peer.to_string().into();
        Ok(())
    }

    /// Sends one datagram; waits for room at most the write time-out.
    pub fn send_to(&self, datagram: &[u8], to: SocketAddr) -> Result<(), SocketError> {
        let sent = self.waiting(Interest::Write, || {
            Ok(rustix::net::sendto(
                self.as_fd(),
                datagram,
                send_flags(),
                &to,
            )?)
        });
        sent.map_err(|e| SocketError::from_io(&to.to_string(), e))?;
        Ok(())
    }

    /// Takes one datagram, and waits for it at most the read time-out.
    ///
    /// An empty datagram has length 0. One larger than `buf` is dropped with
    /// [`SocketError::DatagramTooLong`].
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), SocketError> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let received = self.waiting(Interest::Read, || {
            Ok(rustix::net::recvfrom(self.as_fd(), &mut *buf, flags)?)
        });
        let (_, len, from) = received.map_err(|e| self.error(e))?;
        let from = from.and_then(|any| SocketAddr::try_from(any).ok());
        let from = from.ok_or_else(|| self.error(io::ErrorKind::NotConnected.into()))?;
        if len > buf.len() {
            return Err(SocketError::too_long(&from.to_string(), len, buf.len()));
        }
        Ok((len, from))
    }

    /// The address of this end, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> Result<SocketAddr, SocketError> {
        self.inner.local_addr().map_err(|e| self.error(e))
    }

    /// The peer, if it has one.
    pub fn peer_addr(&self) -> Result<SocketAddr, SocketError> {
        self.inner.peer_addr().map_err(|e| self.error(e))
    }
}

fn bind_one(to: SocketAddr, options: &Options) -> io::Result<socket2::Socket> {
    let socket = new(to, Type::DGRAM, Protocol::UDP)?;
    options.apply_bind(&socket, to.is_ipv6(), false)?;
    options.apply(&socket)?;
    socket.bind(&to.into())?;
    Ok(socket)
}
