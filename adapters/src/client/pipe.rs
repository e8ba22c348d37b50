//! The pipe under a device: TCP, a Unix stream, the datagrams of a UDP socket, or a serial device.
//!
//! A connection that the other end has closed for good still holds what came before. So a write
//! that finds it closed is not told of until all of that is read: else a device whose connections
//! are short would never get further.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

use crate::socket::{
    Interest, Readiness, SerialPort, Shutdown, SocketError, TcpStream, UdpSocket, UnixStream,
};

#[derive(Debug)]
pub(super) struct Pipe {
    stream: Stream,
    /// Why nothing more can be written; the end of what can be read tells it.
    broken: Option<SocketError>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Udp(UdpSocket),
    Serial(SerialPort),
}

impl Pipe {
    pub(super) const fn tcp(stream: TcpStream) -> Self {
        Self::new(Stream::Tcp(stream))
    }

    pub(super) const fn unix(stream: UnixStream) -> Self {
        Self::new(Stream::Unix(stream))
    }

    pub(super) const fn udp(socket: UdpSocket) -> Self {
        Self::new(Stream::Udp(socket))
    }

    pub(super) const fn serial(port: SerialPort) -> Self {
        Self::new(Stream::Serial(port))
    }

    const fn new(stream: Stream) -> Self {
        Self {
            stream,
            broken: None,
        }
    }

    pub(super) fn wait(&self, interest: Interest, timeout: Duration) -> io::Result<Readiness> {
        match &self.stream {
            Stream::Tcp(socket) => socket.wait(interest, Some(timeout)),
            Stream::Unix(socket) => socket.wait(interest, Some(timeout)),
            Stream::Serial(socket) => socket.wait(interest, Some(timeout)),
            Stream::Udp(socket) => socket.wait(interest, Some(timeout)),
        }
    }

    /// Tells the other end that nothing more comes, so that it reads all that was sent; whether
    /// it will close.
    pub(super) fn finish_writing(&self) -> bool {
        match &self.stream {
            Stream::Tcp(socket) => socket.shutdown(Shutdown::Write).is_ok(),
            Stream::Unix(socket) => socket.shutdown(Shutdown::Write).is_ok(),
            Stream::Udp(_) | Stream::Serial(_) => false,
        }
    }

    /// Keeps the end of a connection for later; other errors are told at once.
    fn keep(&mut self, error: SocketError) -> Result<(), SocketError> {
        match error {
            SocketError::Closed { .. } | SocketError::Reset { .. } => {
                self.broken.get_or_insert(error);
                Ok(())
            }
            other => Err(other),
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(socket) => socket.as_fd(),
            Stream::Unix(socket) => socket.as_fd(),
            Stream::Serial(socket) => socket.as_fd(),
            Stream::Udp(socket) => socket.as_fd(),
        }
    }
}

impl ErrorType for Pipe {
    type Error = SocketError;
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, SocketError> {
        let n = match &mut self.stream {
            Stream::Tcp(socket) => Read::read(socket, buf),
            Stream::Unix(socket) => Read::read(socket, buf),
            Stream::Serial(socket) => Read::read(socket, buf),
            Stream::Udp(socket) => match Read::read(socket, buf) {
                // As good as lost.
                Err(SocketError::DatagramTooLong { .. }) => Ok(0),
                n => n,
            },
        };
        match self.broken.take_if(|_| matches!(n, Ok(0))) {
            Some(why) => Err(why),
            None => n,
        }
    }
}

impl ReadReady for Pipe {
    fn read_ready(&mut self) -> Result<bool, SocketError> {
        match &mut self.stream {
            Stream::Tcp(socket) => socket.read_ready(),
            Stream::Unix(socket) => socket.read_ready(),
            Stream::Serial(socket) => socket.read_ready(),
            Stream::Udp(socket) => socket.read_ready(),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> Result<usize, SocketError> {
        let written = match &mut self.stream {
            Stream::Tcp(socket) => Write::write(socket, buf),
            Stream::Unix(socket) => Write::write(socket, buf),
            Stream::Serial(socket) => Write::write(socket, buf),
            Stream::Udp(socket) => Write::write(socket, buf),
        };
        match written {
            Ok(n) => Ok(n),
            // Gone as all is that was on its way.
            Err(error) => self.keep(error).map(|()| buf.len()),
        }
    }

    fn flush(&mut self) -> Result<(), SocketError> {
        match &mut self.stream {
            Stream::Tcp(socket) => Write::flush(socket),
            Stream::Unix(socket) => Write::flush(socket),
            Stream::Serial(socket) => Write::flush(socket),
            Stream::Udp(socket) => Write::flush(socket),
        }
    }
}

impl WriteReady for Pipe {
    fn write_ready(&mut self) -> Result<bool, SocketError> {
        if self.broken.is_some() {
            return Ok(false);
        }
        let ready = match &mut self.stream {
            Stream::Tcp(socket) => socket.write_ready(),
            Stream::Unix(socket) => socket.write_ready(),
            Stream::Serial(socket) => socket.write_ready(),
            Stream::Udp(socket) => socket.write_ready(),
        };
        match ready {
            Ok(ready) => Ok(ready),
            Err(error) => self.keep(error).map(|()| false),
        }
    }
}
