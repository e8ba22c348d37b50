//! What can be set on a socket, and the calls that set it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Socket, TcpKeepalive};

use super::tcp::at;
use super::{Address, SocketError};

/// The options of a socket; each applies to the kinds of socket that have it.
///
/// ```
/// use std::time::Duration;
/// use halloo_std::socket::Options;
///
/// let options = Options {
///     read_timeout: Some(Duration::from_secs(30)),
///     ..Options::default()
/// };
/// assert!(options.nodelay);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bind an address whose former connections still linger. Default (`None`): on for a TCP
    /// listener, so that a restart works; off for UDP, where two sockets would share the port.
    pub reuse_address: Option<bool>,
    /// Let several listeners share one address, and the system spread connections over them.
    pub reuse_port: bool,
    /// TCP: send at once, rather than wait for more to send. Default: on.
    pub nodelay: bool,
    /// TCP: notice a peer that is gone though nothing is sent. Default: off.
    pub keepalive: Option<Keepalive>,
    /// TCP: how long closing waits for unsent bytes; zero resets the connection. Default: the
    /// system sends them in the background.
    pub linger: Option<Duration>,
    /// How long a read waits. Default: for ever. Zero waits for a microsecond, the least there is.
    pub read_timeout: Option<Duration>,
    /// How long a write waits. Default: for ever. Zero waits for a microsecond.
    pub write_timeout: Option<Duration>,
    /// How long connecting over TCP or UDP may take, with looking the name up, which goes on in a
    /// thread of its own after that, and over all its addresses; over Unix, how long it waits to be
    /// accepted. Default: 10 s. `None`: as long as the system tries.
    pub connect_timeout: Option<Duration>,
    /// Connecting over TCP or UDP: the address of this end; port 0 takes a free one. An address of
    /// the other family cannot be connected to then. Default: the system's choice.
    pub source: Option<SocketAddr>,
    /// Bytes that the system holds for sending; Linux doubles it. Default: the system's.
    pub send_buffer: Option<usize>,
    /// Bytes that the system holds for reading; Linux doubles it. Default: the system's.
    pub recv_buffer: Option<usize>,
    /// IPv6: leave IPv4 peers out. Default: off, so `[::]` takes both.
    pub v6only: bool,
    /// Listeners: how many connections may wait to be accepted. Default: 1,024; the system has a
    /// limit of its own.
    pub backlog: u32,
    /// Unix: the permissions of the socket file, such as `0o660`. Default: what the umask leaves.
    pub mode: Option<u32>,
}

/// When TCP asks a silent peer whether it is there; whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// How long the connection is silent before the first probe.
    pub idle: Duration,
    /// The time from one probe to the next.
    pub interval: Duration,
    /// How many probes in a row without answer end the connection.
    pub retries: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reuse_address: None,
            reuse_port: false,
            nodelay: true,
            keepalive: None,
            linger: None,
            read_timeout: None,
            write_timeout: None,
            connect_timeout: Some(Duration::from_secs(10)),
            source: None,
            send_buffer: None,
            recv_buffer: None,
            v6only: false,
            backlog: 1024,
            mode: None,
        }
    }
}

impl Default for Keepalive {
    /// Idle 60 s, then 4 probes 15 s apart: a dead peer is noticed after 2 minutes.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(15),
            retries: 4,
        }
    }
}

impl Options {
    /// What any socket takes that reads and writes.
    pub(crate) fn apply(&self, socket: &Socket) -> io::Result<()> {
        self.apply_buffers(socket)?;
        if let Some(span) = self.read_timeout {
            socket.set_read_timeout(Some(at_least_a_tick(span)))?;
        }
        if let Some(span) = self.write_timeout {
            socket.set_write_timeout(Some(at_least_a_tick(span)))?;
        }
        Ok(())
    }

    /// What a TCP connection takes.
    pub(crate) fn apply_tcp(&self, socket: &Socket) -> io::Result<()> {
        self.apply(socket)?;
        socket.set_tcp_nodelay(self.nodelay)?;
        if let Some(times) = self.keepalive {
            let params = TcpKeepalive::new()
                .with_time(times.idle.max(Duration::from_secs(1)))
                .with_interval(times.interval.max(Duration::from_secs(1)))
                .with_retries(times.retries.max(1));
            socket.set_tcp_keepalive(&params)?;
        }
        if self.linger.is_some() {
            socket.set_linger(self.linger)?;
        }
        Ok(())
    }

    /// What a socket takes before it is bound; `reuse` is the default for `reuse_address`.
    pub(super) fn apply_bind(&self, socket: &Socket, ipv6: bool, reuse: bool) -> io::Result<()> {
        // Before listening, since the window that TCP offers follows from the buffer's size.
        self.apply_buffers(socket)?;
        if ipv6 {
            socket.set_only_v6(self.v6only)?;
        }
        if self.reuse_address.unwrap_or(reuse) {
            socket.set_reuse_address(true)?;
        }
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        Ok(())
    }

    /// Binds the address that connecting is to start from, if there is one, on the way to `to`.
    pub(super) fn bind_source(&self, socket: &Socket, to: SocketAddr) -> io::Result<()> {
        let Some(source) = self.source_for(to)? else {
            return Ok(());
        };
        // So that the same port serves again at once.
        socket.set_reuse_address(self.reuse_address.unwrap_or(true))?;
        socket.bind(&source.into())
    }

    /// The address that connecting to `to` is to start from.
    pub(super) fn source_for(&self, to: SocketAddr) -> io::Result<Option<SocketAddr>> {
        match self.source {
            Some(source) if source.is_ipv4() != to.is_ipv4() => Err(Errno::ADDRNOTAVAIL.into()),
            source => Ok(source),
        }
    }

    /// Why `name` was not reached at `to`, with the address that is to blame.
    pub(super) fn connect_error(
        &self,
        name: Address<'_>,
        to: SocketAddr,
        source: io::Error,
    ) -> SocketError {
        let is_ours = matches!(
            source.kind(),
            io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
        );
        let needs_interface = matches!(to, SocketAddr::V6(to)
            if to.scope_id() == 0 && to.ip().is_unicast_link_local());
        match self.source {
            _ if needs_interface && source.kind() == io::ErrorKind::InvalidInput => {
                SocketError::NoInterface {
                    at: at(name, to),
                    source,
                }
            }
            Some(own) if is_ours => SocketError::from_io(&own.to_string(), source),
            // No address of this machine can speak to it, such as where IPv6 is switched off.
            None if is_ours || Errno::from_io_error(&source) == Some(Errno::AFNOSUPPORT) => {
                SocketError::Unreachable {
                    at: at(name, to),
                    source,
                }
            }
            _ => SocketError::from_io(&at(name, to), source),
        }
    }

    /// The backlog as listen(2) takes it.
    pub(super) fn backlog(&self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }

    fn apply_buffers(&self, socket: &Socket) -> io::Result<()> {
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.recv_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(())
    }
}

/// The system takes a time-out of zero for none at all.
pub(super) fn at_least_a_tick(span: Duration) -> Duration {
    span.max(Duration::from_micros(1))
}
