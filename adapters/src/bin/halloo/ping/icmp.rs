//! A socket for ICMP echo: the system's own kind for it, or a raw one.

use std::env;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use halloo_std::socket::SocketError;
use socket2::{Domain, Protocol, Socket, Type};

use crate::failure::Failure;

/// The bytes before the data of an echo.
pub(super) const HEADER: usize = 8;

/// Sends echo requests to one host and takes its replies.
#[derive(Debug)]
pub(super) struct Icmp {
    socket: Socket,
    to: IpAddr,
    is_raw: bool,
    /// Tells the replies to this process from those to others; the system does it on a socket that
    /// is not raw.
    id: u16,
}

impl Icmp {
    pub(super) fn open(to: SocketAddr) -> Result<Self, Failure> {
        let host = to.ip();
        let error = |e| match SocketError::from_io(&host.to_string(), e) {
            // No address of this machine can speak to it, such as where IPv6 is switched off.
            SocketError::AddressNotAvailable { addr: at, source } => {
                SocketError::Unreachable { at, source }
            }
            other => other,
        };
        let (domain, protocol) = match host {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let open = |kind| Socket::new(domain, kind, Some(protocol));
        let (socket, is_raw) = match open(Type::DGRAM) {
            Ok(socket) => (socket, false),
            Err(_) => match open(Type::RAW) {
                Ok(socket) => (socket, true),
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(forbidden()),
                Err(e) => return Err(error(e).into()),
            },
        };
        socket.connect(&to.into()).map_err(error)?;
        socket.set_nonblocking(true).map_err(error)?;
        let id = getrandom::u32().map_err(|e| Failure::Start(e.to_string()))?;
        Ok(Self {
            socket,
            to: host,
            is_raw,
            id: (id & 0xffff) as u16,
        })
    }

    pub(super) const fn to(&self) -> IpAddr {
        self.to
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn send(&self, sequence: u16, data: &[u8]) -> io::Result<()> {
        let packet = request(self.to, self.id, sequence, data);
        self.socket.send(&packet).map(drop)
    }

    /// The data of the next packet, if that is an echo reply to this process.
    pub(super) fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        let n = (&self.socket).read(buffer)?;
        let id = self.is_raw.then_some(self.id);
        Ok(reply(self.to, id, &buffer[..n]))
    }
}

fn forbidden() -> Failure {
    let program = env::current_exe();
    let program = program.map_or_else(|_| "halloo".into(), |path| path.display().to_string());
    Failure::Forbidden(format!(
        "this user has no right to send ICMP: as root, allow all groups with \
         `sysctl -w net.ipv4.ping_group_range='0 2147483647'`, or this program with \
         `setcap cap_net_raw+ep {program}`"
    ))
}

fn request(to: IpAddr, id: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let kind = if to.is_ipv4() { 8 } else { 128 };
    let mut packet = vec![kind, 0, 0, 0];
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(data);
    // The sum of ICMPv6 covers addresses, so the system makes that one itself.
    if to.is_ipv4() {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The data of `packet`, if that is an echo reply with this `id`.
fn reply(to: IpAddr, id: Option<u16>, packet: &[u8]) -> Option<&[u8]> {
    // A raw IPv4 socket shows the header of IP, too; the first byte of a reply is 0.
    let packet = match packet.first() {
        Some(first) if to.is_ipv4() && first >> 4 == 4 => {
            packet.get(usize::from(first & 0xf) * 4..)?
        }
        _ => packet,
    };
    let (header, data) = packet.split_first_chunk::<HEADER>()?;
    let kind = if to.is_ipv4() { 0 } else { 129 };
    let is_ours = id.is_none_or(|id| header[4..6] == id.to_be_bytes());
    (header[0] == kind && header[1] == 0 && is_ours).then_some(data)
}

/// The sum of the Internet (RFC 1071).
fn checksum(packet: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in packet.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn the_sum_over_a_packet_with_its_own_sum_is_zero() {
        for len in 0..9 {
            let packet = request(V4, 0xabcd, 7, &vec![0xee; len]);
            assert_eq!(checksum(&packet), 0, "{len} bytes");
        }
        // The example of RFC 1071.
        assert_eq!(
            !checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            0xddf2
        );
    }

    #[test]
    fn a_reply_is_ours_by_its_kind_and_its_id_with_the_header_of_ip_or_without() {
        for (to, kind) in [(V4, 0), (V6, 129)] {
            let mut packet = request(to, 7, 1, b"data");
            assert_eq!(reply(to, None, &packet), None, "a request is no reply");
            packet[0] = kind;
            assert_eq!(reply(to, None, &packet), Some(&b"data"[..]));
            assert_eq!(reply(to, Some(7), &packet), Some(&b"data"[..]));
            assert_eq!(reply(to, Some(8), &packet), None);
            for cut in 0..HEADER {
                assert_eq!(reply(to, None, &packet[..cut]), None);
            }
        }
        let mut raw = [&[0x46][..], &[0; 23], &request(V4, 7, 1, b"data")].concat();
        raw[24] = 0;
        assert_eq!(reply(V4, Some(7), &raw), Some(&b"data"[..]));
        assert_eq!(reply(V4, Some(7), &raw[..20]), None);
    }
}
