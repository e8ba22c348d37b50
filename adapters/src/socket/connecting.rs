//! Connecting over TCP without waiting.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use std::vec;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::{Protocol, Type};

use super::address::any_like;
use super::poll::{self, Interest};
use super::tcp::{is_joined_to_itself, keep_better, new};
use super::{Address, Options, Readiness, SocketError, TcpStream};

/// A TCP connection on its way: what [`TcpStream::connect`] does, in steps that do not wait.
///
/// The descriptor, which is another one for each address, is ready for writing when there is
/// something to [`poll`](Self::poll) for.
///
/// ```
/// use std::time::Duration;
/// use halloo_std::socket::{Options, TcpConnect, TcpListener};
///
/// let options = Options::default();
/// let listener = TcpListener::bind("127.0.0.1:0", &options)?;
/// let mut connecting = TcpConnect::start(listener.local_addr()?, &options)?;
/// let stream = loop {
///     if let Some(stream) = connecting.poll()? {
///         break stream;
///     }
///     connecting.wait(Duration::from_secs(1)).unwrap();
/// };
/// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
/// # Ok::<(), halloo_std::socket::SocketError>(())
/// ```
#[derive(Debug)]
pub struct TcpConnect {
    name: String,
    options: Options,
    left: vec::IntoIter<SocketAddr>,
    attempt: Attempt,
    deadline: Option<Instant>,
    kept: Option<SocketError>,
}

/// One address on its way.
#[derive(Debug)]
pub(super) struct Attempt {
    socket: socket2::Socket,
    to: SocketAddr,
    deadline: Option<Instant>,
}

impl TcpConnect {
    /// Looks the name up, which can block for all of `connect_timeout`, and starts with its first
    /// address.
    ///
    /// Addresses, shares of the time and errors are those of [`TcpStream::connect`].
    pub fn start<'a>(
        address: impl Into<Address<'a>>,
        options: &Options,
    ) -> Result<Self, SocketError> {
        let name = address.into();
        let deadline = options
            .connect_timeout
            .and_then(|span| Instant::now().checked_add(span));
        let mut left = name.resolve_by(deadline)?.into_iter();
        let name = name.to_string();
        let mut kept = None;
        match begin(&name, &mut left, deadline, options, &mut kept) {
            Some(attempt) => Ok(Self {
                name,
                options: options.clone(),
                left,
                attempt,
                deadline,
                kept,
            }),
            None => Err(none_answered(&name, kept)),
        }
    }

    /// The connection, if it stands; `None` when it is on its way still.
    ///
    /// After an error there is nothing more to poll for.
    pub fn poll(&mut self) -> Result<Option<TcpStream>, SocketError> {
        loop {
            let source = match self.attempt.outcome() {
                Ok(true) => return self.take().map(Some),
                Ok(false) => return Ok(None),
                Err(source) => source,
            };
            self.keep(source);
            self.attempt = begin(
                &self.name,
                &mut self.left,
                self.deadline,
                &self.options,
                &mut self.kept,
            )
            .ok_or_else(|| none_answered(&self.name, self.kept.take()))?;
        }
    }

    /// Blocks until there is something to poll for, or `timeout` is over.
    pub fn wait(&self, timeout: Duration) -> io::Result<Readiness> {
        let left = self
            .deadline()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(timeout, |left| left.min(timeout));
        poll::wait(self.as_fd(), Interest::Write, Some(timeout))
    }

    /// When to poll, though the descriptor is not ready.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.attempt.deadline
    }

    /// The address that is tried now; another one once that has failed.
    #[must_use]
    pub const fn peer_addr(&self) -> SocketAddr {
        self.attempt.to
    }

    /// The address that the system gave this end of the attempt.
    pub fn local_addr(&self) -> Result<SocketAddr, SocketError> {
        let local = self.attempt.socket.local_addr();
        let local = local.map(|any| any.as_socket().unwrap_or_else(|| any_like(self.attempt.to)));
        local.map_err(|e| SocketError::from_io(&self.name, e))
    }

    fn keep(&mut self, source: io::Error) {
        let name = Address::Text(&self.name);
        let error = self.options.connect_error(name, self.attempt.to, source);
        keep_better(&mut self.kept, error);
    }

    fn take(&self) -> Result<TcpStream, SocketError> {
        let to = self.attempt.to.to_string();
        let socket = self.attempt.socket.try_clone();
        let socket = socket.and_then(|socket| {
            socket.set_nonblocking(false)?;
            Ok(socket)
        });
        let socket = socket.map_err(|e| SocketError::from_io(&to, e))?;
        Ok(TcpStream::from_std(socket.into(), &to))
    }
}

impl AsFd for TcpConnect {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.attempt.socket.as_fd()
    }
}

impl Attempt {
    pub(super) fn start(
        to: SocketAddr,
        deadline: Option<Instant>,
        options: &Options,
    ) -> io::Result<Self> {
        let socket = new(to, Type::STREAM, Protocol::TCP)?;
        options.apply_tcp(&socket)?;
        options.bind_source(&socket, to)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Err(e) if Errno::from_io_error(&e) != Some(Errno::INPROGRESS) => Err(e),
            _ => Ok(Self {
                socket,
                to,
                deadline,
            }),
        }
    }

    /// Whether the connection stands.
    fn outcome(&self) -> io::Result<bool> {
        let ready = poll::wait(self.socket.as_fd(), Interest::Write, Some(Duration::ZERO))?;
        if !ready.writable {
            let is_over = self.deadline.is_some_and(|at| at <= Instant::now());
            return if is_over {
                Err(io::ErrorKind::TimedOut.into())
            } else {
                Ok(false)
            };
        }
        // A look at the first byte tells the error, and tells none while something can be read: a
        // connection that stood, spoke and was reset is one still.
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(&self.socket, &mut [0; 1], flags) {
            Ok((_, 1..)) => return Ok(true),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if is_joined_to_itself(&self.socket)? {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(true)
    }

    /// Waits until the connection stands; its socket blocks then.
    pub(super) fn settle(self) -> io::Result<socket2::Socket> {
        while !self.outcome()? {
            poll::wait_until(self.socket.as_fd(), Interest::Write, self.deadline)?;
        }
        self.socket.set_nonblocking(false)?;
        Ok(self.socket)
    }
}

/// Starts with the first of the addresses that does not fail at once.
fn begin(
    name: &str,
    left: &mut vec::IntoIter<SocketAddr>,
    deadline: Option<Instant>,
    options: &Options,
    kept: &mut Option<SocketError>,
) -> Option<Attempt> {
    loop {
        let others = u32::try_from(left.len()).unwrap_or(u32::MAX);
        let to = left.next()?;
        let now = Instant::now();
        let share = deadline.map(|at| now + at.saturating_duration_since(now) / others);
        match Attempt::start(to, share, options) {
            Ok(attempt) => return Some(attempt),
            Err(source) => {
                keep_better(kept, options.connect_error(Address::Text(name), to, source));
            }
        }
    }
}

fn none_answered(name: &str, kept: Option<SocketError>) -> SocketError {
    kept.unwrap_or_else(|| SocketError::from_io(name, io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;
    use crate::socket::TcpListener;

    fn settle(mut connecting: TcpConnect) -> Result<TcpStream, SocketError> {
        loop {
            if let Some(stream) = connecting.poll()? {
                return Ok(stream);
            }
            connecting.wait(Duration::from_secs(20)).unwrap();
        }
    }

    #[test]
    fn a_refused_connection_says_so_when_it_is_polled() {
        let options = Options::default();
        let listener = TcpListener::bind("127.0.0.1:0", &options).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let outcome = TcpConnect::start(address, &options).and_then(settle);
        assert!(
            matches!(outcome, Err(SocketError::Refused { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_connection_that_spoke_and_was_reset_gives_what_it_said_first() {
        let options = Options::default();
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host, &options).unwrap();
            let address = listener.local_addr().unwrap();
            let reset = |fd: BorrowedFd<'_>| {
                let other = listener.accept(None).unwrap();
                other.send(b"busy").unwrap();
                let linger = SockRef::from(&other).set_linger(Some(Duration::ZERO));
                linger.unwrap();
                drop(other);
                while !poll::wait(fd, Interest::Read, None).unwrap().failed {}
            };
            let connecting = TcpConnect::start(address, &options).unwrap();
            reset(connecting.as_fd());
            let in_steps = settle(connecting).unwrap();
            let attempt = Attempt::start(address, None, &options).unwrap();
            reset(attempt.socket.as_fd());
            let at_once = TcpStream::from_std(attempt.settle().unwrap().into(), host);
            for stream in [in_steps, at_once] {
                let mut bytes = [0; 16];
                assert_eq!(stream.recv(&mut bytes).unwrap(), 4);
                assert_eq!(&bytes[..4], b"busy");
                let end = stream.recv(&mut bytes);
                assert!(matches!(end, Err(SocketError::Reset { .. })), "{end:?}");
            }
        }
    }

    #[test]
    fn an_address_that_stays_silent_times_out() {
        // Linux drops further attempts once the queue of a listener is full.
        let listener = TcpListener::bind(
            "127.0.0.1:0",
            &Options {
                backlog: 0,
                ..Options::default()
            },
        )
        .unwrap();
        let options = Options {
            connect_timeout: Some(Duration::from_millis(100)),
            ..Options::default()
        };
        let address = listener.local_addr().unwrap();
        let mut kept = Vec::new();
        let outcome = loop {
            match TcpConnect::start(address, &options).and_then(settle) {
                Ok(stream) => kept.push(stream),
                Err(error) => break error,
            }
            assert!(kept.len() < 100, "the queue never fills");
        };
        assert!(
            matches!(outcome, SocketError::TimedOut { .. }),
            "{outcome:?}"
        );
    }
}
