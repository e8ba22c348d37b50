//! What a hub listens on: endpoints bound to real sockets, and what is spoken at each.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use halloo_core::echo::Mode;
use halloo_core::time::Instant;
use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::HubError;
use super::lines::Port;
use super::loops::Loops;
use super::sessions::Waiting;
use super::socket::{DatagramSocket, Socket};
use crate::socket::{self, Address, Options, SeqpacketFd, SocketError, SocketFile, UnixSeqpacket};
use crate::url::{Endpoint, Protocol, Transport, UnixKind};

/// What the greeting says when the URL does not.
const GREETING: &str = "Hello from halloo\n";

/// What is spoken at a listener.
#[derive(Debug)]
pub(super) enum Service {
    Chat,
    /// Chat over serial lines that are streams of bytes here.
    Line,
    /// Chat in the tutorial's JSON.
    Tutorial,
    Echo {
        prefix: Box<[u8]>,
    },
    Greet {
        text: Box<[u8]>,
    },
}

impl Service {
    /// How an echo or a greeting answers; chat does not.
    pub(super) fn mode(&self) -> Option<Mode<'_>> {
        match self {
            Self::Chat | Self::Line | Self::Tutorial => None,
            Self::Echo { prefix } if prefix.is_empty() => Some(Mode::Verbatim),
            Self::Echo { prefix } => Some(Mode::Prefixed(prefix)),
            Self::Greet { text } => Some(Mode::Greeting(text)),
        }
    }
}

/// A listener of streams.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Accepting,
    pub(super) endpoint: Endpoint,
    pub(super) service: Service,
    options: Options,
    /// Whether a connection may be waiting.
    pub(super) ready: bool,
    /// Accepting failed for want of something: not before then.
    pub(super) paused_until: Option<Instant>,
    /// How many connections it may still hand over in this turn.
    pub(super) share: usize,
}

#[derive(Debug)]
enum Accepting {
    Tcp(mio::net::TcpListener),
    /// The file goes when the listener goes.
    Unix(mio::net::UnixListener, #[expect(dead_code)] SocketFile),
    Seqpacket(mio::net::UnixListener, #[expect(dead_code)] SocketFile),
}

/// A socket that answers datagrams.
#[derive(Debug)]
pub(super) struct Datagrams {
    pub(super) socket: DatagramSocket,
    pub(super) endpoint: Endpoint,
    pub(super) service: Service,
    /// Of echo and greetings: whom not to answer.
    pub(super) loops: Option<Loops>,
    pub(super) ready: bool,
    /// Of chat: one that the machine could not take yet, and one that the system could not.
    pub(super) busy: Option<Waiting>,
    pub(super) blocked: Option<Waiting>,
}

/// Everything that a hub listens on.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) streams: Vec<Listener>,
    pub(super) datagrams: Vec<Datagrams>,
    /// Lines that are opened and not waited for.
    pub(super) ports: Vec<Port>,
    /// What was asked for, at the addresses that it got.
    pub(super) endpoints: Vec<Endpoint>,
}

impl Bound {
    pub(super) fn bind(endpoints: &[Endpoint], base: &Options) -> Result<Self, HubError> {
        let mut bound = Self::default();
        for endpoint in endpoints {
            let is_served = match &endpoint.transport {
                Transport::Tcp { .. } | Transport::Unix(_) => true,
                Transport::Udp { .. } => endpoint.protocol != Protocol::Json,
                Transport::CobsTcp { .. } | Transport::Serial(_) => {
                    endpoint.protocol == Protocol::Chat
                }
            };
            if !is_served {
                return Err(HubError::NotServed {
                    url: endpoint.to_string(),
                });
            }
            let mut options = endpoint.socket_options(base);
            if endpoint.protocol == Protocol::Json {
                // It has no keepalive of its own.
                options.keepalive.get_or_insert_default();
            }
            bound.bind_one(endpoint, &options)?;
        }
        if bound.endpoints.is_empty() {
            return Err(HubError::NoListener);
        }
        Ok(bound)
    }

    fn bind_one(&mut self, endpoint: &Endpoint, options: &Options) -> Result<(), HubError> {
        match &endpoint.transport {
            Transport::CobsTcp { host, port } if endpoint.options.connect == Some(true) => {
                let addresses = socket::resolve(host, *port)?;
                let port = Port::connect(endpoint.clone(), addresses, options.clone());
                self.add_port(port, endpoint);
                Ok(())
            }
            Transport::Serial(path) => {
                let port = Port::device(endpoint.clone(), path)?;
                self.add_port(port, endpoint);
                Ok(())
            }
            Transport::Tcp { host, port } | Transport::CobsTcp { host, port } => {
                bind_each(host, *port, |at| {
                    let listener = socket::TcpListener::bind(at, options)?;
                    let real = listener.local_addr()?;
                    let socket = mio::net::TcpListener::from_std(listener.into_std());
                    let endpoint = at_address(endpoint, real);
                    self.add_stream(Accepting::Tcp(socket), endpoint, options);
                    Ok(real.port())
                })
            }
            Transport::Udp { host, port } => bind_each(host, *port, |at| {
                let socket = socket::UdpSocket::bind(at, options)?;
                socket.set_nonblocking(true)?;
                let real = socket.local_addr()?;
                let endpoint = at_address(endpoint, real);
                self.endpoints.push(endpoint.clone());
                let socket = mio::net::UdpSocket::from_std(socket.into_std());
                self.datagrams.push(Datagrams {
                    socket: DatagramSocket::udp(socket, real),
                    service: service(&endpoint),
                    loops: loops(&endpoint, Some(real))?,
                    endpoint,
                    ready: true,
                    busy: None,
                    blocked: None,
                });
                Ok(real.port())
            }),
            Transport::Unix(path) => self.bind_unix(path, endpoint, options),
        }
    }

    fn bind_unix(
        &mut self,
        path: &Path,
        endpoint: &Endpoint,
        options: &Options,
    ) -> Result<(), HubError> {
        let kind = endpoint.options.kind.unwrap_or_default();
        let ((socket, file), accepting): (_, fn(_, _) -> _) = match kind {
            UnixKind::Stream => {
                let listener = socket::UnixListener::bind(path, options)?;
                (listener.into_std(), Accepting::Unix)
            }
            UnixKind::Seqpacket => {
                let listener = socket::UnixSeqpacketListener::bind(path, options)?;
                (listener.into_std(), Accepting::Seqpacket)
            }
            UnixKind::Datagram => {
                let (socket, file) = socket::UnixDatagram::bind(path, options)?;
                socket.set_nonblocking(true)?;
                let socket = mio::net::UnixDatagram::from_std(socket.into_std());
                self.endpoints.push(endpoint.clone());
                self.datagrams.push(Datagrams {
                    socket: DatagramSocket::Unix(socket, file),
                    service: service(endpoint),
                    loops: loops(endpoint, None)?,
                    endpoint: endpoint.clone(),
                    ready: true,
                    busy: None,
                    blocked: None,
                });
                return Ok(());
            }
        };
        let socket = mio::net::UnixListener::from_std(socket);
        self.add_stream(accepting(socket, file), endpoint.clone(), options);
        Ok(())
    }

    fn add_port(&mut self, port: Port, endpoint: &Endpoint) {
        self.endpoints.push(endpoint.clone());
        self.ports.push(port);
    }

    fn add_stream(&mut self, socket: Accepting, endpoint: Endpoint, options: &Options) {
        self.endpoints.push(endpoint.clone());
        self.streams.push(Listener {
            socket,
            service: service(&endpoint),
            endpoint,
            options: options.clone(),
            ready: true,
            paused_until: None,
            share: 0,
        });
    }
}

impl Listener {
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Accepting::Tcp(socket) => socket.register(registry, token, Interest::READABLE),
            Accepting::Unix(socket, _) | Accepting::Seqpacket(socket, _) => {
                socket.register(registry, token, Interest::READABLE)
            }
        }
    }

    /// The next connection that waits.
    pub(super) fn accept(&self) -> io::Result<Socket> {
        match &self.socket {
            Accepting::Tcp(socket) => {
                let (stream, _) = socket.accept()?;
                self.options.apply_tcp(&SockRef::from(&stream))?;
                Ok(Socket::Tcp(stream))
            }
            Accepting::Unix(socket, _) => {
                let (stream, _) = socket.accept()?;
                self.options.apply(&SockRef::from(&stream))?;
                Ok(Socket::Unix(stream))
            }
            Accepting::Seqpacket(socket, _) => {
                let (stream, _) = socket.accept()?;
                self.options.apply(&SockRef::from(&stream))?;
                let fd = SeqpacketFd::from(OwnedFd::from(stream));
                let peer = self.endpoint.to_string();
                Ok(Socket::Seqpacket(UnixSeqpacket::from_std(fd, &peer)))
            }
        }
    }
}

fn service(endpoint: &Endpoint) -> Service {
    let bytes = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes().into();
    match endpoint.protocol {
        Protocol::Echo => Service::Echo {
            prefix: bytes(&endpoint.options.prefix),
        },
        Protocol::Greet => Service::Greet {
            text: match &endpoint.options.text {
                Some(text) => text.as_bytes().into(),
                None => GREETING.as_bytes().into(),
            },
        },
        Protocol::Chat if endpoint.transport.is_line() => Service::Line,
        Protocol::Chat => Service::Chat,
        Protocol::Json => Service::Tutorial,
    }
}

/// What keeps the answers of a socket, at `own` if it has a port, from going round for ever, unless the URL wants none of it.
fn loops(endpoint: &Endpoint, own: Option<SocketAddr>) -> Result<Option<Loops>, SocketError> {
    let is_chat = endpoint.protocol == Protocol::Chat;
    if is_chat || endpoint.options.guard == Some(false) {
        return Ok(None);
    }
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|e| SocketError::from_io(&endpoint.to_string(), e.into()))?;
    Ok(Some(Loops::new(own, key)))
}

fn at_address(endpoint: &Endpoint, real: SocketAddr) -> Endpoint {
    let (host, port) = (real.ip().to_string(), real.port());
    let transport = match endpoint.transport {
        Transport::Udp { .. } => Transport::Udp { host, port },
        Transport::CobsTcp { .. } => Transport::CobsTcp { host, port },
        Transport::Tcp { .. } | Transport::Unix(_) | Transport::Serial(_) => {
            Transport::Tcp { host, port }
        }
    };
    Endpoint {
        transport,
        ..endpoint.clone()
    }
}

/// Binds every address that `host` stands for, all at the port that the first one got.
///
/// An address that this machine does not have is passed over if another one can be bound.
fn bind_each(
    host: &str,
    port: u16,
    mut bind: impl FnMut(Address<'_>) -> Result<u16, SocketError>,
) -> Result<(), HubError> {
    let mut real = None;
    let mut absent = Vec::new();
    let mut addresses = socket::resolve(host, port)?;
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    for address in addresses {
        let mut wanted = address;
        wanted.set_port(real.unwrap_or(port));
        let bound = match bind(Address::Known(wanted)) {
            // A free port of one address is not always free at the next.
            Err(SocketError::AddressInUse { .. }) if port == 0 => bind(Address::Known(address)),
            other => other,
        };
        match bound {
            Ok(got) => {
                real.get_or_insert(got);
            }
            Err(error @ SocketError::AddressNotAvailable { .. }) => absent.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    if real.is_none() && !absent.is_empty() {
        return Err(absent.swap_remove(0).into());
    }
    for error in absent {
        tracing::warn!(%error, "an address of {host} is passed over");
    }
    Ok(())
}
