//! Serial devices: raw, 8 data bits, no parity, 1 stop bit.
//!
//! Knows the terminal settings of a descriptor. Does not know frames: on a serial line bytes are lost
//! and changed, and it is for the framing to notice.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{self, ControlModes, OptionalActions};

use super::io::waiting_at_most;
use super::poll::{self, Interest, Readiness};
use super::{DeviceProblem, SocketError};

/// The rate of a line that names none, in bits a second.
pub const BAUD: u32 = 115_200;

/// A serial device, opened for this program alone.
///
/// The descriptor does not block; the `embedded-io` traits wait.
#[derive(Debug)]
pub struct SerialPort {
    fd: OwnedFd,
    path: PathBuf,
}

impl SerialPort {
    /// Opens the device at `path` and sets it to raw bytes, 8N1 and `baud` bits a second both ways.
    ///
    /// The modem's control lines are ignored, and nothing is done to them when the device is closed:
    /// a board that takes that for a reset keeps running.
    ///
    /// Errors: [`SocketError::Device`], which says what is wrong with the device.
    pub fn open(path: impl AsRef<Path>, baud: u32) -> Result<Self, SocketError> {
        let path = path.as_ref();
        let error = |source| device_error(path, baud, source);
        // Without waiting for a carrier, and not as the program's own terminal.
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(error)?;
        let fd = OwnedFd::from(file);
        set_up(&fd, baud).map_err(|errno| error(errno.into()))?;
        Ok(Self {
            fd,
            path: path.into(),
        })
    }

    /// Where the device is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As [`Socket::wait`](super::Socket::wait).
    pub fn wait(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<Readiness> {
        poll::wait(self.as_fd(), interest, timeout)
    }

    fn error(&self, source: io::Error) -> SocketError {
        SocketError::from_path(&self.path, source)
    }
}

fn set_up(fd: &OwnedFd, baud: u32) -> rustix::io::Result<()> {
    let mut settings = termios::tcgetattr(fd)?;
    settings.make_raw();
    settings.control_modes &= !(ControlModes::CSTOPB | ControlModes::CRTSCTS | ControlModes::HUPCL);
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    settings.set_speed(baud)?;
    termios::ioctl_tiocexcl(fd)?;
    termios::tcsetattr(fd, OptionalActions::Now, &settings)?;
    // What was not taken is not told: it is only not there.
    match termios::tcgetattr(fd)?.output_speed() == baud {
        true => Ok(()),
        false => Err(Errno::INVAL),
    }
}

fn device_error(path: &Path, baud: u32, source: io::Error) -> SocketError {
    let problem = match Errno::from_io_error(&source) {
        // A driver whose device was pulled.
        Some(Errno::NOENT | Errno::NOTDIR | Errno::NXIO | Errno::NODEV | Errno::IO) => {
            DeviceProblem::Absent
        }
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => DeviceProblem::NotPermitted,
        Some(Errno::BUSY) => DeviceProblem::InUse,
        Some(Errno::NOTTY | Errno::ISDIR) => DeviceProblem::NotSerial,
        Some(Errno::INVAL) => DeviceProblem::Baud(baud),
        _ => return SocketError::from_path(path, source),
    };
    SocketError::Device {
        path: path.into(),
        problem,
        source,
    }
}

impl AsFd for SerialPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// As the system has it: `WouldBlock` when nothing is there.
impl io::Read for SerialPort {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.fd, buf)?)
    }
}

/// As the system has it: `WouldBlock` when there is no room.
impl io::Write for SerialPort {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.fd, buf)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ErrorType for SerialPort {
    type Error = SocketError;
}

impl Read for SerialPort {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, SocketError> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = || Ok(rustix::io::read(&self.fd, &mut *buf)?);
        let n = waiting_at_most(self.fd.as_fd(), Interest::Read, || Ok(None), read);
        n.map_err(|e| self.error(e))
    }
}

impl ReadReady for SerialPort {
    fn read_ready(&mut self) -> Result<bool, SocketError> {
        let ready = self.wait(Interest::Read, Some(Duration::ZERO));
        Ok(ready.map_err(|e| self.error(e))?.readable)
    }
}

impl Write for SerialPort {
    fn write(&mut self, buf: &[u8]) -> Result<usize, SocketError> {
        if buf.is_empty() {
            return Ok(0);
        }
        let write = || Ok(rustix::io::write(&self.fd, buf)?);
        let n = waiting_at_most(self.fd.as_fd(), Interest::Write, || Ok(None), write);
        n.map_err(|e| self.error(e))
    }

    /// Does nothing: the system sends what it was given.
    fn flush(&mut self) -> Result<(), SocketError> {
        Ok(())
    }
}

impl WriteReady for SerialPort {
    fn write_ready(&mut self) -> Result<bool, SocketError> {
        let ready = self.wait(Interest::Write, Some(Duration::ZERO));
        Ok(ready.map_err(|e| self.error(e))?.writable)
    }
}
