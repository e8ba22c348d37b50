//! A byte pipe as a board has it, over a socket that never blocks.
//!
//! Knows a socket, its readiness and two small buffers: what a UART's driver or a modem would hold.
//! Knows no frames. Readiness is edge-triggered and remembered here, so a device that is woken once
//! reads once and writes once, whatever its link asks for.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use halloo_std::socket::SocketError;
use mio::event::{Event, Source};
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags};
use socket2::SockRef;

/// Bytes read ahead of the link.
const INPUT: usize = 2048;

/// Bytes written behind the link.
const OUTPUT: usize = 512;

/// Where a pipe leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Udp(SocketAddr),
}

#[derive(Debug)]
enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    Udp(mio::net::UdpSocket),
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The system still sends what was written.
    Close,
    /// A TCP connection is reset, and what is under way is lost.
    Reset,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    stream: Stream,
    is_connected: bool,
    /// A read may give something.
    readable: bool,
    /// The peer has ended the stream, which a short read does not show.
    hung_up: bool,
    ended: bool,
    writable: bool,
    input: [u8; INPUT],
    taken: usize,
    filled: usize,
    output: [u8; OUTPUT],
    sent: usize,
    held: usize,
}

impl Pipe {
    /// Begins to connect; an event tells when that is done.
    pub(crate) fn connect(target: &Target, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut stream = match target {
            Target::Tcp(address) => {
                let stream = mio::net::TcpStream::connect(*address)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Target::Unix(path) => Stream::Unix(mio::net::UnixStream::connect(path)?),
            Target::Udp(address) => {
                let any = match address {
                    SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
                    SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
                };
                let socket = mio::net::UdpSocket::bind(any)?;
                socket.connect(*address)?;
                Stream::Udp(socket)
            }
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        stream.source().register(registry, token, both)?;
        Ok(Self {
            stream,
            is_connected: false,
            readable: false,
            hung_up: false,
            ended: false,
            writable: false,
            input: [0; INPUT],
            taken: 0,
            filled: 0,
            output: [0; OUTPUT],
            sent: 0,
            held: 0,
        })
    }

    /// Remembers what the system told.
    pub(crate) fn handle_event(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.hung_up |= event.is_read_closed() || event.is_error();
    }

    /// Whether the connection is known to stand.
    pub(crate) const fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Whether the connection stands; an error when it never will.
    pub(crate) fn poll_connected(&mut self) -> io::Result<bool> {
        if self.is_connected || !self.writable {
            return Ok(self.is_connected);
        }
        let (error, peer) = match &self.stream {
            Stream::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Stream::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Stream::Udp(socket) => (socket.take_error()?, socket.peer_addr().map(drop)),
        };
        if let Some(error) = error {
            return Err(error);
        }
        match peer {
            Ok(()) => self.is_connected = true,
            Err(e) if e.kind() == io::ErrorKind::NotConnected => self.writable = false,
            Err(e) => return Err(e),
        }
        Ok(self.is_connected)
    }

    /// Whether there may be more to read.
    pub(crate) const fn may_read(&self) -> bool {
        self.taken < self.filled || (self.readable && !self.ended)
    }

    /// Hands the system what was written, as far as it takes it.
    pub(crate) fn flush_ready(&mut self) -> io::Result<()> {
        while self.writable && self.sent < self.held {
            match self.stream.write(&self.output[self.sent..self.held]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.sent == self.held {
            (self.sent, self.held) = (0, 0);
        }
        Ok(())
    }

    /// Ends the connection without a word.
    pub(crate) fn cut(self, how: Cut) {
        if let (Stream::Tcp(stream), Cut::Reset) = (&self.stream, how) {
            // Without it the connection is closed all the same, only more gently.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.readable && !self.ended && self.taken == self.filled {
            match self.stream.read(&mut self.input) {
                Ok(n) if self.is_datagram() => (self.taken, self.filled) = (0, n),
                Ok(0) => self.ended = true,
                Ok(n) => {
                    (self.taken, self.filled) = (0, n);
                    // A short read has emptied a stream, unless its end stands behind it.
                    self.readable = n == INPUT || self.hung_up;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Then a read is one datagram, and so is a write.
    const fn is_datagram(&self) -> bool {
        matches!(self.stream, Stream::Udp(_))
    }

    /// Whether what is written next finds room.
    const fn has_room(&self) -> bool {
        self.held == 0 || (self.held < OUTPUT && !self.is_datagram())
    }

    /// What `embedded-io` asks of a call that came before readiness did.
    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        rustix::event::poll(&mut [PollFd::new(&self.stream, flags)], None)?;
        Ok(())
    }
}

impl ErrorType for Pipe {
    type Error = SocketError;
}

impl ReadReady for Pipe {
    fn read_ready(&mut self) -> Result<bool, SocketError> {
        self.fill().map_err(broken)?;
        Ok(self.taken < self.filled || self.ended)
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, SocketError> {
        while !self.read_ready()? {
            self.wait(PollFlags::IN).map_err(broken)?;
            self.readable = true;
        }
        let ahead = &self.input[self.taken..self.filled];
        let n = ahead.len().min(buf.len());
        buf[..n].copy_from_slice(&ahead[..n]);
        self.taken += n;
        Ok(n)
    }
}

impl WriteReady for Pipe {
    fn write_ready(&mut self) -> Result<bool, SocketError> {
        if !self.has_room() {
            self.flush_ready().map_err(broken)?;
        }
        Ok(self.has_room())
    }
}

impl Write for Pipe {
    /// Takes what fits; [`flush_ready`](Pipe::flush_ready) sends it, many messages at once.
    fn write(&mut self, buf: &[u8]) -> Result<usize, SocketError> {
        while !self.write_ready()? {
            self.wait(PollFlags::OUT).map_err(broken)?;
            self.writable = true;
        }
        let room = &mut self.output[self.held..];
        let n = room.len().min(buf.len());
        room[..n].copy_from_slice(&buf[..n]);
        self.held += n;
        Ok(n)
    }

    /// Nothing: the device calls `flush_ready` once a turn, and its thread waits for nobody.
    fn flush(&mut self) -> Result<(), SocketError> {
        Ok(())
    }
}

impl Stream {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
            Self::Udp(socket) => socket,
        }
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Unix(stream) => stream.read(buf),
            Self::Udp(socket) => socket.recv(buf),
        }
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buf),
            Self::Unix(stream) => stream.write(buf),
            Self::Udp(socket) => socket.send(buf),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

fn broken(source: io::Error) -> SocketError {
    SocketError::from_io("the hub", source)
}
