//! Bluetooth: RFCOMM, which is to a radio what TCP is to a network.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use halloo_rfcomm::RfcommAddr;
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, bind, connect, getpeername, getsockname, listen};
use socket2::SockRef;

use super::options::at_least_a_tick;
use super::tcp::accept;
use super::{Options, RfcommFd, Shutdown, Socket, SocketError};

/// A Bluetooth RFCOMM connection.
pub type RfcommStream = Socket<RfcommFd>;

impl RfcommStream {
    /// Connects to a channel of a device, which has to be paired where it asks for that.
    ///
    /// Errors: [`SocketError::NoBluetooth`] where the kernel has none of it.
    pub fn connect(to: RfcommAddr, options: &Options) -> Result<Self, SocketError> {
        let connected = system::open().and_then(|fd| {
            let socket = SockRef::from(&fd);
            // The system bounds this call by the time-out of writes.
            socket.set_write_timeout(options.connect_timeout.map(at_least_a_tick))?;
            connect(&fd, &to).map_err(|errno| match errno {
                // So it says that the time is over.
                Errno::INPROGRESS => Errno::TIMEDOUT,
                other => other,
            })?;
            socket.set_write_timeout(None)?;
            options.apply(&socket)?;
            Ok(fd)
        });
        let fd = connected.map_err(|e| error(&to, e))?;
        Ok(Self::from_std(fd.into(), &to.to_string()))
    }

    /// The address of this end.
    pub fn local_addr(&self) -> Result<RfcommAddr, SocketError> {
        name(getsockname(self).map(Some)).map_err(|e| self.error(e))
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> Result<RfcommAddr, SocketError> {
        name(getpeername(self)).map_err(|e| self.error(e))
    }

    /// Ends reading, writing or both; RFCOMM has no end of one way alone, so the other end sees the
    /// connection closed.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), SocketError> {
        let ended = SockRef::from(self).shutdown(how);
        ended.map_err(|e| self.error(e))
    }
}

/// A listener on an RFCOMM channel of this machine.
#[derive(Debug)]
pub struct RfcommListener {
    fd: OwnedFd,
    at: RfcommAddr,
    options: Options,
}

impl RfcommListener {
    /// Listens on a channel; channel 0 takes a free one, and a device of all zeros is any of this
    /// machine.
    ///
    /// Errors: [`SocketError::NoBluetooth`] where the kernel has none of it.
    pub fn bind(at: RfcommAddr, options: &Options) -> Result<Self, SocketError> {
        let bound = system::open().and_then(|fd| {
            bind(&fd, &at)?;
            listen(&fd, options.backlog())?;
            // Accepting waits in poll(2).
            SockRef::from(&fd).set_nonblocking(true)?;
            Ok(Self {
                at: name(getsockname(&fd).map(Some))?,
                fd,
                options: options.clone(),
            })
        });
        bound.map_err(|e| error(&at, e))
    }

    /// The next connection; waits at most `timeout`, and for ever on `None`.
    pub fn accept(&self, timeout: Option<Duration>) -> Result<RfcommStream, SocketError> {
        let accepted = accept(self.as_fd(), timeout, || system::take(&self.fd));
        let accepted = accepted.and_then(|(fd, from)| {
            self.options.apply(&SockRef::from(&fd))?;
            Ok(RfcommStream::from_std(
                fd.into(),
                &name(Ok(from))?.to_string(),
            ))
        });
        accepted.map_err(|e| error(&self.at, e))
    }

    /// The address that it listens on, with the channel that was chosen for channel 0.
    #[must_use]
    pub const fn local_addr(&self) -> RfcommAddr {
        self.at
    }
}

impl AsFd for RfcommListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::net::{
        AddressFamily, Protocol, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with,
        socket_with,
    };

    /// `BTPROTO_RFCOMM`.
    const RFCOMM: u32 = 3;

    pub(super) fn open() -> io::Result<OwnedFd> {
        let rfcomm = RFCOMM.try_into().ok().map(Protocol::from_raw);
        let (family, flags) = (AddressFamily::BLUETOOTH, SocketFlags::CLOEXEC);
        Ok(socket_with(family, SocketType::STREAM, flags, rfcomm)?)
    }

    pub(super) fn take(listener: &OwnedFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
        Ok(acceptfrom_with(listener, SocketFlags::CLOEXEC)?)
    }
}

/// Other systems have other ways to Bluetooth, or none.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::io::Errno;
    use rustix::net::SocketAddrAny;

    pub(super) fn open() -> io::Result<OwnedFd> {
        Err(Errno::AFNOSUPPORT.into())
    }

    pub(super) fn take(_: &OwnedFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
        Err(Errno::AFNOSUPPORT.into())
    }
}

fn name(any: rustix::io::Result<Option<SocketAddrAny>>) -> io::Result<RfcommAddr> {
    let address = any?.as_ref().and_then(RfcommAddr::from_any);
    address.ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// The family is missing without the kernel's Bluetooth, and the protocol without its RFCOMM.
fn error(at: &RfcommAddr, source: io::Error) -> SocketError {
    let at = at.to_string();
    match Errno::from_io_error(&source) {
        Some(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => SocketError::NoBluetooth { at, source },
        // The device is off, or too far away.
        Some(Errno::HOSTDOWN) => SocketError::Unreachable { at, source },
        _ => SocketError::from_io(&at, source),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use embedded_io::{Read, ReadReady, Write};

    use super::*;

    const PLACE: RfcommAddr = RfcommAddr {
        device: [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
        channel: 1,
    };

    #[test]
    fn a_kernel_without_bluetooth_says_so() {
        let Err(missing) = system::open() else {
            eprintln!("skipped: this kernel has Bluetooth");
            return;
        };
        let options = Options::default();
        let errors = [
            RfcommStream::connect(PLACE, &options).map(drop),
            RfcommListener::bind(PLACE, &options).map(drop),
        ];
        for outcome in errors {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, SocketError::NoBluetooth { .. }),
                "{error:?}"
            );
            assert_eq!(error.errno(), missing.raw_os_error());
            let text = error.to_string();
            assert!(text.starts_with("this kernel has no Bluetooth"), "{text}");
            assert!(text.contains("AA:BB:CC:DD:EE:FF/1"), "{text}");
        }
    }

    #[test]
    fn each_cause_has_its_kind() {
        let kind = |errno: Errno| format!("{:?}", error(&PLACE, errno.into()));
        for (errno, variant) in [
            (Errno::AFNOSUPPORT, "NoBluetooth"),
            (Errno::PROTONOSUPPORT, "NoBluetooth"),
            (Errno::HOSTDOWN, "Unreachable"),
            (Errno::HOSTUNREACH, "Unreachable"),
            (Errno::CONNREFUSED, "Refused"),
            (Errno::TIMEDOUT, "TimedOut"),
            (Errno::CONNRESET, "Reset"),
            (Errno::ADDRINUSE, "AddressInUse"),
        ] {
            assert!(kind(errno).starts_with(variant), "{errno:?}");
        }
    }

    #[test]
    fn a_connection_is_a_stream_with_the_traits_of_all() {
        // Any stream's descriptor will do for what does not name an address.
        let (one, other) = UnixStream::pair().unwrap();
        let [mut one, mut other] =
            [one, other].map(|s| RfcommStream::from_std(OwnedFd::from(s).into(), "there"));
        let wait = Some(Duration::from_millis(1));
        other.set_read_timeout(wait).unwrap();
        let silent = Read::read(&mut other, &mut [0; 1]);
        assert!(
            matches!(silent, Err(SocketError::TimedOut { .. })),
            "{silent:?}"
        );
        Write::write_all(&mut one, b"halloo").unwrap();
        assert!(other.read_ready().unwrap());
        let mut bytes = [0; 3];
        for expected in [b"hal", b"loo"] {
            assert_eq!(Read::read(&mut other, &mut bytes).unwrap(), 3);
            assert_eq!(&bytes, expected);
        }
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(Read::read(&mut other, &mut bytes).unwrap(), 0);
        assert!(
            one.local_addr().is_err(),
            "it has no address of this family"
        );
    }
}
