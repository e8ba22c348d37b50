//! Unix seqpacket sockets: messages over a connection.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net;
use std::path::Path;
use std::time::Duration;

use socket2::{SockRef, Type};

use super::unix::connect_as;
use super::{Options, SeqpacketFd, Shutdown, Socket, SocketError, SocketFile, UnixListener};

/// A Unix seqpacket connection: each read takes one message, and each write sends one.
///
/// An empty message cannot be told from the end, so none should be sent.
///
/// ```
/// use halloo_std::socket::{Options, UnixSeqpacket, UnixSeqpacketListener};
///
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("control.sock");
/// let options = Options::default();
/// let listener = UnixSeqpacketListener::bind(&path, &options)?;
/// let client = UnixSeqpacket::connect(&path, &options)?;
/// let server = listener.accept(None)?;
/// client.send(b"one")?;
/// client.send(b"two")?;
/// let mut buf = [0; 16];
/// assert_eq!(server.recv(&mut buf)?, 3);
/// assert_eq!(&buf[..3], b"one");
/// # Ok::<(), halloo_std::socket::SocketError>(())
/// ```
pub type UnixSeqpacket = Socket<SeqpacketFd>;

impl UnixSeqpacket {
    /// Connects to the listener at `path`.
    pub fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, SocketError> {
        connect_as(path.as_ref(), Type::SEQPACKET, options)
    }

    /// Ends reading, writing or both; the other end sees the end after the messages that were
    /// written.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), SocketError> {
        let ended = SockRef::from(self).shutdown(how);
        ended.map_err(|e| self.error(e))
    }
}

/// A listener for Unix seqpacket connections; its socket file goes when it is dropped.
#[derive(Debug)]
pub struct UnixSeqpacketListener(UnixListener);

impl UnixSeqpacketListener {
    /// Listens at `path`, as [`UnixListener::bind`] does.
    pub fn bind(path: impl AsRef<Path>, options: &Options) -> Result<Self, SocketError> {
        UnixListener::bind_as(path.as_ref(), Type::SEQPACKET, options).map(Self)
    }

    /// The next connection, as [`UnixListener::accept`] gives it.
    pub fn accept(&self, timeout: Option<Duration>) -> Result<UnixSeqpacket, SocketError> {
        self.0.accept_as(timeout)
    }

    /// The path that it listens at.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives the listener up as one of the standard library, set not to block, and the file,
    /// which the caller drops last. What that accepts are seqpacket connections, whatever its type
    /// says.
    pub fn into_std(self) -> (net::UnixListener, SocketFile) {
        self.0.into_std()
    }
}

impl AsFd for UnixSeqpacketListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
