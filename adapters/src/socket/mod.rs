//! TCP, UDP, Unix and Bluetooth sockets, and serial devices, that speak `embedded-io`, so the machines of the core run on them.
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
mod bluetooth;
mod connecting;
mod error;
mod io;
mod options;
mod owned;
mod poll;
#[cfg(test)]
mod python_calls;
mod seqpacket;
mod serial;
mod tcp;
mod udp;
mod unix;
mod unix_datagram;

use std::io as std_io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use socket2::SockRef;

pub use address::{Address, resolve};
pub use bluetooth::{RfcommListener, RfcommStream};
pub use connecting::TcpConnect;
pub use error::{DeviceProblem, SocketError};
pub use halloo_rfcomm::{NoRfcommAddr, RfcommAddr};
pub use options::{Keepalive, Options};
pub use owned::{RfcommFd, SeqpacketFd};
pub use poll::{Interest, Readiness};
pub use seqpacket::{UnixSeqpacket, UnixSeqpacketListener};
pub use serial::{BAUD, SerialPort};
pub use std::net::Shutdown;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{SocketFile, UnixListener, UnixStream};
pub use unix_datagram::UnixDatagram;

/// A socket over the type `S`, which is one of the standard library where that has it: see
/// [`TcpStream`], [`UdpSocket`], [`UnixStream`], [`UnixDatagram`], [`UnixSeqpacket`] and
/// [`RfcommStream`].
///
/// The `embedded-io` traits wait and give [`SocketError`]. The `std::io` traits are those of the
/// system: on a descriptor that was set not to block, they give `WouldBlock`.
#[derive(Debug)]
pub struct Socket<S> {
    inner: S,
    /// What an error calls the other end.
    peer: Box<str>,
    deadline: Option<Instant>,
}

/// A type of socket that [`Socket`] carries; not for others to implement.
pub trait Carrier: sealed::Sealed + AsFd + From<OwnedFd> + Into<OwnedFd> {
    /// Whether one read takes one message and one write sends one, rather than pieces of a stream.
    const MESSAGES: bool;
    /// Whether the messages come without a connection: so there is no end, and an empty one is a
    /// message as any other.
    const DATAGRAM: bool;
    /// Whether one way of a connection can be closed alone.
    const HALF_CLOSES: bool;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::net::TcpStream {}
    impl Sealed for std::net::UdpSocket {}
    impl Sealed for std::os::unix::net::UnixStream {}
    impl Sealed for std::os::unix::net::UnixDatagram {}
    impl Sealed for super::SeqpacketFd {}
    impl Sealed for super::RfcommFd {}
}

impl Carrier for std::net::TcpStream {
    const MESSAGES: bool = false;
    const DATAGRAM: bool = false;
    const HALF_CLOSES: bool = true;
}

impl Carrier for std::net::UdpSocket {
    const MESSAGES: bool = true;
    const DATAGRAM: bool = true;
    const HALF_CLOSES: bool = false;
}

impl Carrier for std::os::unix::net::UnixStream {
    const MESSAGES: bool = false;
    const DATAGRAM: bool = false;
    const HALF_CLOSES: bool = true;
}

impl Carrier for std::os::unix::net::UnixDatagram {
    const MESSAGES: bool = true;
    const DATAGRAM: bool = true;
    const HALF_CLOSES: bool = false;
}

impl Carrier for SeqpacketFd {
    const MESSAGES: bool = true;
    const DATAGRAM: bool = false;
    const HALF_CLOSES: bool = true;
}

impl Carrier for RfcommFd {
    const MESSAGES: bool = false;
    const DATAGRAM: bool = false;
    const HALF_CLOSES: bool = false;
}

impl<S: Carrier> Socket<S> {
    /// Takes over a socket as it is; `peer` is what errors call its other
    /// end.
    pub fn from_std(inner: S, peer: &str) -> Self {
        Self {
            inner,
            peer: peer.into(),
            deadline: None,
        }
    }

    /// Gives the socket up as what carries it, with its options and its mode.
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
            deadline: self.deadline,
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

    /// When reads and writes through this handle are to end in [`SocketError::TimedOut`], however
    /// much comes before: the limit of a whole exchange. `None`, as it is at first, sets none. The
    /// `std::io` traits know nothing of it.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
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
