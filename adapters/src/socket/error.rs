//! Why a socket call failed, sorted by what the user can do about it.

use std::io;
use std::path::{Path, PathBuf};

use embedded_io::ErrorKind;
use rustix::io::Errno;

/// Why a socket call failed; the system's own error is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Nothing listens at the address, or it turned the connection away.
    #[error("{at} refused the connection: start what should listen there, or check the address")]
    Refused {
        /// The address.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// Nothing happened in the time allowed.
    #[error(
        "{at} did not answer in time: check that it runs and can be reached, or allow more time"
    )]
    TimedOut {
        /// The other end.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// The other end broke the connection off.
    #[error("{at} reset the connection: connect again")]
    Reset {
        /// The other end.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// The connection is closed for what was tried, on this end or on the other.
    #[error("the connection to {at} is closed: connect again")]
    Closed {
        /// The other end.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// No way leads to the host or its network.
    #[error("{at} cannot be reached: check the network and the route to it")]
    Unreachable {
        /// The address.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// The name has no address, or is not one.
    #[error("the name {name:?} has no address: check its spelling and the resolver")]
    Unresolved {
        /// The name.
        name: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// Something else has the address.
    #[error(
        "{addr} is in use: stop what listens there, or choose another{}",
        free_port(addr)
    )]
    AddressInUse {
        /// The address.
        addr: String,
        /// The system's error.
        source: io::Error,
    },
    /// This machine does not have the address.
    #[error(
        "{addr} is no address of this machine: choose one of its own, or 0.0.0.0 or [::] for all"
    )]
    AddressNotAvailable {
        /// The address.
        addr: String,
        /// The system's error.
        source: io::Error,
    },
    /// The address is good on one link alone, and which one was not said.
    #[error(
        "{at} is an address of one link alone: name the interface, as %interface in [fe80::1%eth0]:80"
    )]
    NoInterface {
        /// The address.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// The system forbids it to this user.
    #[error(
        "not permitted to use {at}: run with the rights for it, or choose a port from 1024 up or another path"
    )]
    NotPermitted {
        /// The address.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// The path of a Unix socket has something else on it, which is left alone.
    #[error("{} is not a socket: choose another path, or move that file away", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The Unix socket at the path is of another kind: stream, datagram or seqpacket.
    #[error("{} is another kind of socket: try ?type=stream, ?type=datagram or ?type=seqpacket", path.display())]
    OtherKind {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path of a Unix socket, or a directory of it, is not there.
    #[error("{} is not there: start what should listen there, or make the directory", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The kernel has no sockets for Bluetooth.
    #[error(
        "this kernel has no Bluetooth sockets, so {at} cannot be used: load them (modprobe rfcomm), or use a kernel that has them"
    )]
    NoBluetooth {
        /// The address.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// A serial device cannot be opened as one.
    #[error("{} {problem}", path.display())]
    Device {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        problem: DeviceProblem,
        /// The system's error.
        source: io::Error,
    },
    /// The process or the system has no file descriptor left.
    #[error("no file descriptor is left for {at}: close some, or raise the limit (ulimit -n)")]
    TooManyFiles {
        /// The address.
        at: String,
        /// The system's error.
        source: io::Error,
    },
    /// A datagram is longer than the caller's buffer, and was dropped, or than the network takes,
    /// and was not sent.
    #[error("a datagram to or from {at} is too long: {source}")]
    DatagramTooLong {
        /// The other end.
        at: String,
        /// The lengths, or the system's error.
        source: io::Error,
    },
    /// Anything else.
    #[error("{at}: {source}")]
    Other {
        /// The address.
        at: String,
        /// The system's error.
        source: io::Error,
    },
}

/// What is wrong with a serial device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceProblem {
    /// Nothing is there, or what was there is pulled.
    #[error("is not there: plug the board in, and look for its name in /dev and /dev/serial/by-id")]
    Absent,
    /// This user may not open it.
    #[error(
        "is not for this user to open: add the user to the group of the file (ls -l shows it, often dialout)"
    )]
    NotPermitted,
    /// Another program has it.
    #[error("is in use: stop the program that has it (a console, a modem manager, another hub)")]
    InUse,
    /// Something else has that name.
    #[error("is no serial device: name one such as /dev/ttyUSB0 or /dev/ttyACM0")]
    NotSerial,
    /// It has no such rate.
    #[error("does not run at {0} baud: choose a rate that the device has")]
    Baud(u32),
}

impl SocketError {
    /// Sorts an error of the system; `at` is the address or path that it was about.
    #[must_use]
    pub fn from_io(at: &str, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let path = || PathBuf::from(at);
        let at = || at.to_string();
        match Errno::from_io_error(&source) {
            Some(Errno::MFILE | Errno::NFILE) => return Self::TooManyFiles { at: at(), source },
            Some(Errno::MSGSIZE) => return Self::DatagramTooLong { at: at(), source },
            Some(Errno::PROTOTYPE) => {
                return Self::OtherKind {
                    path: path(),
                    source,
                };
            }
            Some(Errno::AFNOSUPPORT) => {
                return Self::AddressNotAvailable { addr: at(), source };
            }
            _ => {}
        }
        match source.kind() {
            Kind::ConnectionRefused => Self::Refused { at: at(), source },
            Kind::TimedOut | Kind::WouldBlock => Self::TimedOut { at: at(), source },
            Kind::ConnectionReset | Kind::ConnectionAborted => Self::Reset { at: at(), source },
            Kind::BrokenPipe | Kind::NotConnected | Kind::WriteZero => {
                Self::Closed { at: at(), source }
            }
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
                Self::Unreachable { at: at(), source }
            }
            Kind::AddrInUse => Self::AddressInUse { addr: at(), source },
            Kind::AddrNotAvailable => Self::AddressNotAvailable { addr: at(), source },
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
                Self::NotPermitted { at: at(), source }
            }
            Kind::NotFound | Kind::NotADirectory => Self::NotFound {
                path: path(),
                source,
            },
            _ => Self::Other { at: at(), source },
        }
    }

    /// As [`from_io`](Self::from_io), for a path, which need not be UTF-8.
    pub(super) fn from_path(at: &Path, source: io::Error) -> Self {
        match Self::from_io(&at.to_string_lossy(), source) {
            Self::NotFound { source, .. } => Self::NotFound {
                path: at.into(),
                source,
            },
            Self::OtherKind { source, .. } => Self::OtherKind {
                path: at.into(),
                source,
            },
            other => other,
        }
    }

    /// The datagram of `len` bytes does not fit into `limit`.
    pub(super) fn too_long(at: &str, len: usize, limit: usize) -> Self {
        let text = format!("it has {len} bytes, and there was room for {limit}");
        Self::DatagramTooLong {
            at: at.into(),
            source: io::Error::new(io::ErrorKind::InvalidData, text),
        }
    }

    /// The system's number of the error, as `connect_ex` gives it in Python; `None` if no call to the
    /// system failed, such as where time ran out here.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        let source = std::error::Error::source(self)?;
        source.downcast_ref::<io::Error>()?.raw_os_error()
    }

    /// The system's error.
    #[must_use]
    pub fn into_source(self) -> io::Error {
        match self {
            Self::Refused { source, .. }
            | Self::TimedOut { source, .. }
            | Self::Reset { source, .. }
            | Self::Closed { source, .. }
            | Self::Unreachable { source, .. }
            | Self::Unresolved { source, .. }
            | Self::AddressInUse { source, .. }
            | Self::AddressNotAvailable { source, .. }
            | Self::NoInterface { source, .. }
            | Self::NotPermitted { source, .. }
            | Self::NotASocket { source, .. }
            | Self::OtherKind { source, .. }
            | Self::NotFound { source, .. }
            | Self::NoBluetooth { source, .. }
            | Self::Device { source, .. }
            | Self::TooManyFiles { source, .. }
            | Self::DatagramTooLong { source, .. }
            | Self::Other { source, .. } => source,
        }
    }
}

impl embedded_io::Error for SocketError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } => ErrorKind::ConnectionRefused,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Reset { source, .. } if source.kind() == io::ErrorKind::ConnectionAborted => {
                ErrorKind::ConnectionAborted
            }
            Self::Reset { .. } => ErrorKind::ConnectionReset,
            Self::Closed { source, .. } => match source.kind() {
                io::ErrorKind::NotConnected => ErrorKind::NotConnected,
                io::ErrorKind::WriteZero => ErrorKind::WriteZero,
                _ => ErrorKind::BrokenPipe,
            },
            Self::Unresolved { .. } | Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AddressInUse { .. } => ErrorKind::AddrInUse,
            Self::AddressNotAvailable { .. } => ErrorKind::AddrNotAvailable,
            Self::NotPermitted { .. } => ErrorKind::PermissionDenied,
            Self::NoInterface { .. } | Self::NotASocket { .. } | Self::OtherKind { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Device { problem, .. } => match problem {
                DeviceProblem::Absent => ErrorKind::NotFound,
                DeviceProblem::NotPermitted => ErrorKind::PermissionDenied,
                DeviceProblem::InUse => ErrorKind::AddrInUse,
                DeviceProblem::NotSerial | DeviceProblem::Baud(_) => ErrorKind::InvalidInput,
            },
            Self::DatagramTooLong { .. } => ErrorKind::InvalidData,
            Self::NoBluetooth { .. } => ErrorKind::Unsupported,
            Self::Other { source, .. } => other_kind(source.kind()),
            Self::Unreachable { .. } | Self::TooManyFiles { .. } => ErrorKind::Other,
        }
    }
}

/// What helps where the address has a port, which a path has not.
fn free_port(addr: &str) -> &'static str {
    let port = addr.rsplit_once(':').map_or("", |(_, port)| port);
    let port = port.trim_end_matches(')');
    if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) {
        " (port 0 takes a free one)"
    } else {
        ""
    }
}

/// The kinds that no variant of its own stands for.
fn other_kind(kind: io::ErrorKind) -> ErrorKind {
    match kind {
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        io::ErrorKind::InvalidData => ErrorKind::InvalidData,
        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
        io::ErrorKind::OutOfMemory => ErrorKind::OutOfMemory,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use embedded_io::Error as _;

    use super::*;

    #[track_caller]
    fn check(errno: Errno, variant: &str, kind: ErrorKind) {
        let error = SocketError::from_io("127.0.0.1:7007", errno.into());
        let debug = format!("{error:?}");
        assert!(
            debug.starts_with(&format!("{variant} {{")),
            "{errno:?}: {debug}"
        );
        assert_eq!(error.kind(), kind, "{errno:?}");
        let source = error.source().and_then(|e| e.downcast_ref::<io::Error>());
        assert_eq!(
            source.and_then(Errno::from_io_error),
            Some(errno),
            "{errno:?}"
        );
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:7007"), "{text}");
        let lower = text.chars().next().is_some_and(|c| !c.is_uppercase());
        assert!(lower && !text.ends_with('.'), "{text}");
        assert_eq!(
            Errno::from_io_error(&error.into_source()),
            Some(errno),
            "{errno:?}"
        );
    }

    #[test]
    fn a_free_port_is_offered_where_there_are_ports() {
        for (at, has_port) in [
            ("127.0.0.1:7007", true),
            ("[::1]:7007", true),
            ("localhost:7 (127.0.0.1:7)", true),
            ("/run/room.sock", false),
            ("room", false),
            ("AA:BB:CC:DD:EE:FF/1", false),
        ] {
            let text = SocketError::from_io(at, Errno::ADDRINUSE.into()).to_string();
            assert_eq!(text.contains("port 0"), has_port, "{text}");
        }
    }

    #[test]
    fn each_cause_is_kept_apart_with_its_source_and_its_kind() {
        use ErrorKind as K;
        check(Errno::CONNREFUSED, "Refused", K::ConnectionRefused);
        check(Errno::TIMEDOUT, "TimedOut", K::TimedOut);
        check(Errno::AGAIN, "TimedOut", K::TimedOut);
        check(Errno::CONNRESET, "Reset", K::ConnectionReset);
        check(Errno::CONNABORTED, "Reset", K::ConnectionAborted);
        check(Errno::PIPE, "Closed", K::BrokenPipe);
        check(Errno::NOTCONN, "Closed", K::NotConnected);
        check(Errno::HOSTUNREACH, "Unreachable", K::Other);
        check(Errno::NETUNREACH, "Unreachable", K::Other);
        check(Errno::NETDOWN, "Unreachable", K::Other);
        check(Errno::ADDRINUSE, "AddressInUse", K::AddrInUse);
        check(
            Errno::ADDRNOTAVAIL,
            "AddressNotAvailable",
            K::AddrNotAvailable,
        );
        check(
            Errno::AFNOSUPPORT,
            "AddressNotAvailable",
            K::AddrNotAvailable,
        );
        check(Errno::ACCESS, "NotPermitted", K::PermissionDenied);
        check(Errno::PERM, "NotPermitted", K::PermissionDenied);
        check(Errno::NOENT, "NotFound", K::NotFound);
        check(Errno::PROTOTYPE, "OtherKind", K::InvalidInput);
        check(Errno::MFILE, "TooManyFiles", K::Other);
        check(Errno::NFILE, "TooManyFiles", K::Other);
        check(Errno::MSGSIZE, "DatagramTooLong", K::InvalidData);
        check(Errno::INVAL, "Other", K::InvalidInput);
        check(Errno::IO, "Other", K::Other);
    }
}
