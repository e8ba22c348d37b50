//! TCP: connecting over every address of a name in turn, and listening.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Type};

use super::connecting::Attempt;
use super::poll::Interest;
use super::{Address, Options, Shutdown, Socket, SocketError, io::waiting_at_most};

/// A TCP connection.
pub type TcpStream = Socket<net::TcpStream>;

impl TcpStream {
    /// Connects to the first address of `address` that answers.
    ///
    /// The addresses are tried in the resolver's order, each for its share of what is left of
    /// `connect_timeout`. If none answers, the error is the first one, but one that says no more
    /// than that there is no way there gives place to a better one.
    pub fn connect<'a>(
        address: impl Into<Address<'a>>,
        options: &Options,
    ) -> Result<Self, SocketError> {
        let name = address.into();
        let start = Instant::now();
        let deadline = options
            .connect_timeout
            .and_then(|span| start.checked_add(span));
        let found = name.resolve_by(deadline)?;
        let mut kept = None;
        for (index, &to) in found.iter().enumerate() {
            let left = found.len() - index;
            let share = options
                .connect_timeout
                .map(|total| share_of(total, start.elapsed(), left));
            match connect_one(to, share, options) {
                Ok(socket) => return Ok(Self::from_std(socket.into(), &to.to_string())),
                Err(source) => keep_better(&mut kept, options.connect_error(name, to, source)),
            }
        }
        Err(kept.unwrap_or_else(|| {
            SocketError::from_io(&name.to_string(), io::ErrorKind::NotFound.into())
        }))
    }

    /// The address of this end.
    pub fn local_addr(&self) -> Result<SocketAddr, SocketError> {
        self.inner.local_addr().map_err(|e| self.error(e))
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> Result<SocketAddr, SocketError> {
        self.inner.peer_addr().map_err(|e| self.error(e))
    }

    /// Ends reading, writing or both; the other end sees the end of the stream after what was
    /// written.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), SocketError> {
        self.inner.shutdown(how).map_err(|e| self.error(e))
    }
}

/// A TCP listener.
#[derive(Debug)]
pub struct TcpListener {
    inner: net::TcpListener,
    options: Options,
    name: String,
}

impl TcpListener {
    /// Listens on the first address of `address` that can be bound; port 0 takes a free one.
    ///
    /// `options` apply to the connections that are accepted, too.
    pub fn bind<'a>(
        address: impl Into<Address<'a>>,
        options: &Options,
    ) -> Result<Self, SocketError> {
        let name = address.into();
        let socket = bind_first(name, |to| {
            let socket = new(to, Type::STREAM, Protocol::TCP)?;
            options.apply_bind(&socket, to.is_ipv6(), true)?;
            socket.bind(&to.into())?;
            socket.listen(options.backlog())?;
            // Accepting waits in poll(2), so a connection that is gone again cannot hold it.
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        Ok(Self {
            inner: socket.into(),
            options: options.clone(),
            name: name.to_string(),
        })
    }

    /// The next connection; waits at most `timeout`, and for ever on `None`.
    ///
    /// Errors: [`SocketError::TimedOut`]; [`SocketError::TooManyFiles`], after which the
    /// connection still waits.
    pub fn accept(&self, timeout: Option<Duration>) -> Result<TcpStream, SocketError> {
        let accepted =
            accept(self.as_fd(), timeout, || self.inner.accept()).and_then(|(stream, from)| {
                stream.set_nonblocking(false)?;
                self.options.apply_tcp(&SockRef::from(&stream))?;
                Ok(TcpStream::from_std(stream, &from.to_string()))
            });
        accepted.map_err(|e| SocketError::from_io(&self.name, e))
    }

    /// The address that it listens on, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> Result<SocketAddr, SocketError> {
        let address = self.inner.local_addr();
        address.map_err(|e| SocketError::from_io(&self.name, e))
    }

    /// Gives the listener up as one of the standard library, set not to block.
    pub fn into_std(self) -> net::TcpListener {
        self.inner
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// A new socket of the family that `like` has.
pub(super) fn new(like: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<socket2::Socket> {
    socket2::Socket::new(Domain::for_address(like), kind, Some(protocol))
}

/// Binds the first address of `name` that can be.
pub(super) fn bind_first(
    name: Address<'_>,
    bind: impl Fn(SocketAddr) -> io::Result<socket2::Socket>,
) -> Result<socket2::Socket, SocketError> {
    let mut kept = None;
    for to in name.resolve()? {
        match bind(to) {
            Ok(socket) => return Ok(socket),
            Err(source) => keep_better(&mut kept, SocketError::from_io(&at(name, to), source)),
        }
    }
    Err(kept
        .unwrap_or_else(|| SocketError::from_io(&name.to_string(), io::ErrorKind::NotFound.into())))
}

/// Accepts, and passes over a connection that was gone before it was taken.
pub(super) fn accept<T>(
    fd: BorrowedFd<'_>,
    timeout: Option<Duration>,
    mut accept: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    waiting_at_most(
        fd,
        Interest::Read,
        || Ok(timeout),
        || loop {
            match accept() {
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                other => return other,
            }
        },
    )
}

/// The first error stays, unless it says less than the next one.
pub(super) fn keep_better(kept: &mut Option<SocketError>, next: SocketError) {
    let vague = |error: &SocketError| {
        matches!(
            error,
            SocketError::Unreachable { .. } | SocketError::AddressNotAvailable { .. }
        )
    };
    if kept.as_ref().is_none_or(|old| vague(old) && !vague(&next)) {
        *kept = Some(next);
    }
}

/// The name as the user wrote it, and the address that it led to where that says more.
pub(super) fn at(name: Address<'_>, to: SocketAddr) -> String {
    let (name, to) = (name.to_string(), to.to_string());
    if name == to {
        name
    } else {
        format!("{name} ({to})")
    }
}

/// What one of the `left` addresses may take of `total`, so that a silent one leaves time for the
/// others.
fn share_of(total: Duration, spent: Duration, left: usize) -> Duration {
    total.saturating_sub(spent) / u32::try_from(left.max(1)).unwrap_or(u32::MAX)
}

fn connect_one(
    to: SocketAddr,
    limit: Option<Duration>,
    options: &Options,
) -> io::Result<socket2::Socket> {
    // A deadline beyond the end of the clock is no deadline.
    let deadline = limit.and_then(|span| Instant::now().checked_add(span));
    Attempt::start(to, deadline, options)?.settle()
}

/// On one machine, a port that nobody listens on can be given to the very socket that connects to
/// it, and TCP then joins the two ends of it.
pub(super) fn is_joined_to_itself(socket: &socket2::Socket) -> io::Result<bool> {
    match socket.peer_addr() {
        Ok(peer) => Ok(socket.local_addr()? == peer),
        // The peer is gone already: the first read tells.
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_reached_itself_is_noticed() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = new(any, Type::STREAM, Protocol::TCP).unwrap();
        socket.bind(&any.into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        assert!(is_joined_to_itself(&socket).unwrap());

        let listener = net::TcpListener::bind(any).unwrap();
        let socket = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!is_joined_to_itself(&SockRef::from(&socket)).unwrap());
    }

    #[test]
    fn a_silent_address_leaves_time_for_the_others() {
        let secs = Duration::from_secs;
        assert_eq!(share_of(secs(10), secs(0), 2), secs(5));
        assert_eq!(share_of(secs(10), secs(5), 1), secs(5));
        assert_eq!(share_of(secs(10), secs(1), 3), secs(3));
        assert_eq!(share_of(secs(10), secs(11), 1), secs(0));
        assert_eq!(share_of(secs(10), secs(0), 0), secs(10));
    }

    #[test]
    fn of_several_errors_the_first_stays_unless_it_says_less() {
        use rustix::io::Errno;
        let kept = |errnos: &[Errno]| {
            let mut kept = None;
            for &errno in errnos {
                keep_better(&mut kept, SocketError::from_io("there", errno.into()));
            }
            kept.map(|error| Errno::from_io_error(&error.into_source()))
        };
        let first_of = [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::NETUNREACH];
        assert_eq!(kept(&first_of), Some(Some(Errno::CONNREFUSED)));
        let vague_first = [Errno::NETUNREACH, Errno::AFNOSUPPORT, Errno::TIMEDOUT];
        assert_eq!(kept(&vague_first), Some(Some(Errno::TIMEDOUT)));
        let vague = [Errno::HOSTUNREACH, Errno::AFNOSUPPORT];
        assert_eq!(kept(&vague), Some(Some(Errno::HOSTUNREACH)));
    }
}
