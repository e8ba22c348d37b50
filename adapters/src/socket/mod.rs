//! TCP, UDP and Unix sockets, and serial devices, that speak `embedded-io`, so the machines of the core run on them.
//!
//! Knows file descriptors, addresses, options and the causes of errors. Does not know frames or
//! messages. Whatever mode the descriptor is in, `embedded-io` calls wait (for at most the
//! time-out that is set) and never report that a call would block.
//!
//! ```
//! use embedded_io::{Read, ReadReady, Write};
//! use halloo_std::socket::{Options, TcpListener, TcpStream};
//!
//! # fn main() -> Result<(), halloo_std::socket::SocketError> {
//! let options = Options::default();
//! let listener = TcpListener::bind("127.0.0.1:0", &options)?;
//! let mut device = TcpStream::connect(listener.local_addr()?, &options)?;
//! let mut hub = listener.accept(None)?;
//!
//! assert!(!hub.read_ready()?);
//! device.write_all(b"halloo")?;
//! let mut bytes = [0; 6];
//! hub.read_exact(&mut bytes).unwrap();
//! assert_eq!(&bytes, b"halloo");
//! # Ok(())
//! # }
//! ```

mod address;
mod connecting;
mod error;
mod io;
mod options;
mod poll;
#[cfg(test)]
mod python_calls;
mod serial;
mod tcp;
mod udp;
mod unix;

use std::io as std_io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use socket2::SockRef;

pub use address::{Address, resolve};
pub use connecting::TcpConnect;
pub use error::{DeviceProblem, SocketError};
pub use options::{Keepalive, Options};
pub use poll::{Interest, Readiness};
pub use serial::{BAUD, SerialPort};
pub use std::net::Shutdown;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{SocketFile, UnixDatagram, UnixListener, UnixStream};

/// A socket over the type `S` of the standard library: see [`TcpStream`], [`UnixStream`],
/// [`UdpSocket`] and [`UnixDatagram`].
///
/// The `embedded-io` traits wait and give [`SocketError`]. The `std::io` traits are those of the
/// system: on a descriptor that was set not to block, they give `WouldBlock`.
#[derive(Debug)]
pub struct Socket<S> {
    inner: S,
    /// What an error calls the other end.
    peer: Box<str>,
}

/// A socket type of the standard library that [`Socket`] carries; not for others to implement.
pub trait Carrier: sealed::Sealed + AsFd + From<OwnedFd> + Into<OwnedFd> {
    /// Whether one read takes one datagram, rather than a piece of a stream.
    const DATAGRAM: bool;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::net::TcpStream {}
    impl Sealed for std::net::UdpSocket {}
    impl Sealed for std::os::unix::net::UnixStream {}
    impl Sealed for std::os::unix::net::UnixDatagram {}
}

impl Carrier for std::net::TcpStream {
    const DATAGRAM: bool = false;
}

impl Carrier for std::net::UdpSocket {
    const DATAGRAM: bool = true;
}

impl Carrier for std::os::unix::net::UnixStream {
    const DATAGRAM: bool = false;
}

impl Carrier for std::os::unix::net::UnixDatagram {
    const DATAGRAM: bool = true;
}

impl<S: Carrier> Socket<S> {
    /// Takes over a socket of the standard library as it is; `peer` is what errors call its other
    /// end.
    pub fn from_std(inner: S, peer: &str) -> Self {
        Self {
            inner,
            peer: peer.into(),
        }
    }

    /// Gives the socket up as one of the standard library, with its options and its mode.
    ///
    /// An event loop wants it after [`set_nonblocking`](Self::set_nonblocking).
    pub fn into_std(self) -> S {
        self.inner
    }

    /// A second handle on the same socket: same options, same mode, same stream of bytes.
    pub fn try_clone(&self) -> Result<Self, SocketError> {
        let fd = self.as_fd().try_clone_to_owned();
        Ok(Self {
            inner: fd.map_err(|e| self.error(e))?.into(),
            peer: self.peer.clone(),
        })
    }

    /// Blocks until the socket is ready for `interest` or `timeout` is over (`None` waits for
    /// ever); then nothing is ready. A zero `timeout` only looks.
    pub fn wait(&self, interest: Interest, timeout: Option<Duration>) -> std_io::Result<Readiness> {
        poll::wait(self.as_fd(), interest, timeout)
    }

    /// Whether calls through the `std::io` traits return at once with `WouldBlock`; the
    /// `embedded-io` traits wait in both modes.
    pub fn set_nonblocking(&self, nonblocking: bool) -> Result<(), SocketError> {
        self.set(|socket| socket.set_nonblocking(nonblocking))
    }

    /// How long a read waits before it ends in [`SocketError::TimedOut`]; `None` waits for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<(), SocketError> {
        self.set(|socket| socket.set_read_timeout(timeout.map(options::at_least_a_tick)))
    }

    /// How long a write waits before it ends in [`SocketError::TimedOut`]; `None` waits for ever.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> Result<(), SocketError> {
        self.set(|socket| socket.set_write_timeout(timeout.map(options::at_least_a_tick)))
    }

    /// How long a read waits; `None` is for ever.
    pub fn read_timeout(&self) -> Result<Option<Duration>, SocketError> {
        let timeout = SockRef::from(&self.inner).read_timeout();
        timeout.map_err(|e| self.error(e))
    }

    /// How long a write waits; `None` is for ever.
    pub fn write_timeout(&self) -> Result<Option<Duration>, SocketError> {
        let timeout = SockRef::from(&self.inner).write_timeout();
        timeout.map_err(|e| self.error(e))
    }

    fn set(
        &self,
        setter: impl FnOnce(&socket2::Socket) -> std_io::Result<()>,
    ) -> Result<(), SocketError> {
        setter(&SockRef::from(&self.inner)).map_err(|e| self.error(e))
    }

    fn error(&self, source: std_io::Error) -> SocketError {
        SocketError::from_io(&self.peer, source)
    }
}

impl<S: AsFd> AsFd for Socket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
