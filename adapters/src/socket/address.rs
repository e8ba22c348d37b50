//! Where to connect or to bind: a name or an address with its port, looked up.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::SocketError;

/// Where to connect or to bind.
///
/// ```
/// use halloo_std::socket::Address;
/// assert_eq!(Address::from("[::1]:7007").to_string(), "[::1]:7007");
/// assert_eq!(Address::from(("::1", 7007)).to_string(), "[::1]:7007");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// `"host:port"`, where an IPv6 address stands in brackets.
    Text(&'a str),
    /// A host without brackets, and a port.
    Host(&'a str, u16),
    /// An address that needs no lookup.
    Known(SocketAddr),
    /// Several of them, to be tried in this order.
    AnyOf(&'a [SocketAddr]),
}

impl Address<'_> {
    /// As [`resolve`](Self::resolve), and gives up at `deadline`.
    pub(super) fn resolve_by(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Vec<SocketAddr>, SocketError> {
        let place = match *self {
            Self::Host(host, port) => Some((host, port)),
            Self::Text(text) => split(text),
            Self::Known(_) | Self::AnyOf(_) => None,
        };
        match (place, deadline) {
            (Some((host, port)), Some(deadline)) if host.parse::<IpAddr>().is_err() => {
                resolve_by(host, port, deadline)
            }
            _ => self.resolve(),
        }
    }

    /// The addresses that this stands for, at least one.
    ///
    /// Errors: [`SocketError::Unresolved`]; [`SocketError::TooManyFiles`].
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, SocketError> {
        match *self {
            Self::Known(address) => Ok(vec![address]),
            Self::AnyOf([]) => Err(SocketError::Unresolved {
                name: String::new(),
                source: io::Error::new(io::ErrorKind::InvalidInput, "the list is empty"),
            }),
            Self::AnyOf(addresses) => Ok(addresses.to_vec()),
            Self::Host(host, port) => resolve(host, port),
            Self::Text(text) => match split(text) {
                Some((host, port)) => resolve(host, port),
                None => Err(SocketError::Unresolved {
                    name: text.into(),
                    source: io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "not of the form host:port or [ipv6]:port",
                    ),
                }),
            },
        }
    }
}

/// Looks up `host`, a name or an address without brackets; blocks as long as the system's
/// resolver does.
///
/// Errors: [`SocketError::Unresolved`]; [`SocketError::TooManyFiles`].
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, SocketError> {
    let unresolved = |source| SocketError::Unresolved {
        name: host.into(),
        source,
    };
    let found: Vec<_> = match (host, port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(source) => match SocketError::from_io(host, source) {
            full @ SocketError::TooManyFiles { .. } => return Err(full),
            other => return Err(unresolved(other.into_source())),
        },
    };
    if found.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(unresolved(source));
    }
    Ok(found)
}

/// As [`resolve`], and gives up at `deadline`. The system's resolver cannot be stopped, so it is left
/// behind in a thread of its own.
fn resolve_by(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, SocketError> {
    let (answer, answered) = mpsc::channel();
    let name = host.to_owned();
    let lookup = move || {
        // Nobody waits for it any more if that fails.
        let _ = answer.send(resolve(&name, port));
    };
    let thread = thread::Builder::new().name("halloo-resolver".into());
    if let Err(source) = thread.spawn(lookup) {
        return Err(SocketError::from_io(host, source));
    }
    let left = deadline.saturating_duration_since(Instant::now());
    answered.recv_timeout(left).unwrap_or_else(|_| {
        let at = Address::Host(host, port).to_string();
        Err(SocketError::from_io(&at, io::ErrorKind::TimedOut.into()))
    })
}

fn split(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    // `parse` alone takes a sign too.
    if host.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((host, port.parse().ok()?))
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Known(address) => address.fmt(f),
            Self::AnyOf(addresses) => {
                for (index, address) in addresses.iter().enumerate() {
                    let mark = if index == 0 { "" } else { ", " };
                    write!(f, "{mark}{address}")?;
                }
                Ok(())
            }
        }
    }
}

impl<'a> From<&'a str> for Address<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<(&'a str, u16)> for Address<'a> {
    fn from((host, port): (&'a str, u16)) -> Self {
        Self::Host(host, port)
    }
}

impl<'a> From<&'a [SocketAddr]> for Address<'a> {
    fn from(addresses: &'a [SocketAddr]) -> Self {
        Self::AnyOf(addresses)
    }
}

impl From<SocketAddr> for Address<'_> {
    fn from(address: SocketAddr) -> Self {
        Self::Known(address)
    }
}

/// The wildcard address of the family that `peer` has, with a port that the system chooses.
pub(super) fn any_like(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_split_where_an_ipv6_address_ends() {
        assert_eq!(split("localhost:7007"), Some(("localhost", 7007)));
        assert_eq!(split("127.0.0.1:0"), Some(("127.0.0.1", 0)));
        assert_eq!(split("[::1]:80"), Some(("::1", 80)));
        for bad in [
            "",
            "host",
            "host:",
            ":80",
            "host:+80",
            "host:65536",
            "::1:80",
            "[::1]",
            "[::1:80",
            "host:http",
            "[]:80",
        ] {
            assert_eq!(split(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_looked_up_is_unresolved_by_its_name() {
        for bad in ["no such host:80", "host"] {
            let error = Address::from(bad).resolve().unwrap_err();
            let SocketError::Unresolved { name, .. } = &error else {
                panic!("{error:?}");
            };
            assert!(bad.starts_with(name.as_str()), "{name}");
        }
    }

    #[test]
    fn an_address_needs_no_lookup() {
        let v6: SocketAddr = "[::1]:7".parse().unwrap();
        assert_eq!(Address::from(v6).resolve().unwrap(), [v6]);
        assert_eq!(Address::from("[::1]:7").resolve().unwrap(), [v6]);
        assert_eq!(resolve("::1", 7).unwrap(), [v6]);
    }
}
