//! Unix sockets: streams, and the file that stands for a listener.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Type};

use super::options::at_least_a_tick;
use super::tcp::accept;
use super::{Carrier, Options, Shutdown, Socket, SocketError};

/// A Unix stream.
pub type UnixStream = Socket<net::UnixStream>;

impl UnixStream {
    /// Connects to the listener at `path`.
    pub fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, SocketError> {
        connect_as(path.as_ref(), Type::STREAM, options)
    }

    /// The address of this end.
    pub fn local_addr(&self) -> Result<net::SocketAddr, SocketError> {
        self.inner.local_addr().map_err(|e| self.error(e))
    }

    /// The address of the other end, which has no name if it connected.
    pub fn peer_addr(&self) -> Result<net::SocketAddr, SocketError> {
        self.inner.peer_addr().map_err(|e| self.error(e))
    }

    /// Ends reading, writing or both; the other end sees the end of the stream after what was
    /// written.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), SocketError> {
        self.inner.shutdown(how).map_err(|e| self.error(e))
    }
}

/// A Unix listener; its socket file goes when it is dropped.
#[derive(Debug)]
pub struct UnixListener {
    inner: net::UnixListener,
    file: SocketFile,
    options: Options,
}

impl UnixListener {
    /// Listens at `path`, at most about 100 bytes long.
    ///
    /// A socket file that nobody listens on is replaced; one that somebody listens on is
    /// [`SocketError::AddressInUse`]; anything else is [`SocketError::NotASocket`] and stays. Two
    /// processes that find the same stale file at the same moment are not kept apart.
    pub fn bind(path: impl AsRef<Path>, options: &Options) -> Result<Self, SocketError> {
        Self::bind_as(path.as_ref(), Type::STREAM, options)
    }

    /// As [`bind`](Self::bind), for sockets of that type.
    pub(super) fn bind_as(path: &Path, kind: Type, options: &Options) -> Result<Self, SocketError> {
        let (socket, file) = bind(path, kind, options)?;
        let listen = || {
            socket.listen(options.backlog())?;
            socket.set_nonblocking(true)
        };
        listen().map_err(|e| SocketError::from_path(path, e))?;
        Ok(Self {
            inner: socket.into(),
            file,
            options: options.clone(),
        })
    }

    /// The next connection; waits at most `timeout`, and for ever on `None`.
    ///
    /// Errors: [`SocketError::TimedOut`]; [`SocketError::TooManyFiles`], after which the
    /// connection still waits.
    pub fn accept(&self, timeout: Option<Duration>) -> Result<UnixStream, SocketError> {
        self.accept_as(timeout)
    }

    /// As [`accept`](Self::accept), for sockets of the type that it was bound as.
    pub(super) fn accept_as<S: Carrier>(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Socket<S>, SocketError> {
        let path = self.file.path();
        let accepted =
            accept(self.as_fd(), timeout, || self.inner.accept()).and_then(|(stream, _)| {
                stream.set_nonblocking(false)?;
                self.options.apply(&SockRef::from(&stream))?;
                let fd = OwnedFd::from(stream);
                Ok(Socket::from_std(fd.into(), &path.to_string_lossy()))
            });
        accepted.map_err(|e| SocketError::from_path(path, e))
    }

    /// The path that it listens at.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the listener up as one of the standard library, set not to block, and the file,
    /// which the caller drops last.
    pub fn into_std(self) -> (net::UnixListener, SocketFile) {
        (self.inner, self.file)
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// The file of a Unix socket; removed on drop, unless another one took its place.
#[derive(Debug)]
#[must_use = "the file is removed when this is dropped"]
pub struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|id| id == self.id) {
            // Nobody is left to tell; a file that stays is replaced by the next listener.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A connection of that type to the listener at `path`.
pub(super) fn connect_as<S: Carrier>(
    path: &Path,
    kind: Type,
    options: &Options,
) -> Result<Socket<S>, SocketError> {
    let connect = || {
        let socket = new(kind)?;
        // The system bounds this call by the time-out of writes.
        socket.set_write_timeout(options.connect_timeout.map(at_least_a_tick))?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_write_timeout(None)?;
        options.apply(&socket)?;
        Ok(OwnedFd::from(socket))
    };
    let fd = connect().map_err(|e| connect_error(path, e))?;
    Ok(Socket::from_std(fd.into(), &path.to_string_lossy()))
}

pub(super) fn new(kind: Type) -> io::Result<socket2::Socket> {
    socket2::Socket::new(Domain::UNIX, kind, None)
}

/// Binds `path` and sets the mode of its file, which comes before anybody can connect.
pub(super) fn bind(
    path: &Path,
    kind: Type,
    options: &Options,
) -> Result<(socket2::Socket, SocketFile), SocketError> {
    let error = |e| SocketError::from_path(path, e);
    let socket = new(kind).map_err(error)?;
    let address = SockAddr::unix(path).map_err(error)?;
    if let Err(source) = socket.bind(&address) {
        if source.kind() != io::ErrorKind::AddrInUse {
            return Err(error(source));
        }
        remove_stale(path, &address, source)?;
        socket.bind(&address).map_err(error)?;
    }
    let file = SocketFile {
        path: path.into(),
        id: identity(path).map_err(error)?,
    };
    if let Some(mode) = options.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(error)?;
    }
    Ok((socket, file))
}

/// Removes the socket file at `path` if nobody listens on it; `in_use` is the error if not.
fn remove_stale(path: &Path, address: &SockAddr, in_use: io::Error) -> Result<(), SocketError> {
    let error = |e| SocketError::from_path(path, e);
    if !is_socket(path).map_err(error)? {
        return Err(SocketError::NotASocket {
            path: path.into(),
            source: in_use,
        });
    }
    let seen = identity(path).map_err(error)?;
    let probe = new(Type::STREAM).map_err(error)?;
    // A live listener with a full backlog would let the probe wait.
    probe.set_nonblocking(true).map_err(error)?;
    match probe.connect(address) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(error(e)),
        _ => return Err(error(in_use)),
    }
    if identity(path).map_err(error)? != seen {
        return Err(error(in_use));
    }
    fs::remove_file(path).map_err(error)
}

/// The system says "refused" for a file that is no socket, too.
pub(super) fn connect_error(path: &Path, source: io::Error) -> SocketError {
    let refused = source.kind() == io::ErrorKind::ConnectionRefused;
    if refused && is_socket(path).is_ok_and(|socket| !socket) {
        return SocketError::NotASocket {
            path: path.into(),
            source,
        };
    }
    SocketError::from_path(path, source)
}

/// A link that leads nowhere is something, and no socket.
fn is_socket(path: &Path) -> io::Result<bool> {
    let meta = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => fs::symlink_metadata(path)?,
        other => other?,
    };
    Ok(meta.file_type().is_socket())
}

/// Which file it is, whatever its name.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}
