//! A UDP socket at all addresses of this machine, whose answers leave from the one that was spoken to.
//!
//! A peer whose socket is connected hears no other, and the system would choose by the way back.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use mio::net::UdpSocket;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};

use super::addresses::Local;

#[derive(Debug)]
pub(super) struct Wildcard {
    pub(super) socket: UdpSocket,
    /// Room for what the system tells of a datagram; `in_pktinfo` is the smaller one.
    control: Vec<u8>,
}

/// Whether a socket at this address may be spoken to at several.
pub(super) fn is_wildcard(at: SocketAddr) -> bool {
    at.ip().to_canonical().is_unspecified()
}

/// Has the system tell which address each datagram was sent to.
pub(super) fn ask_for_local(socket: &UdpSocket, at: SocketAddr) -> io::Result<()> {
    match at {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        // Of datagrams over IPv4, too.
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

impl Wildcard {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            control: nix::cmsg_space!(in6_pktinfo),
        }
    }

    /// The length is that of the datagram: it may be more than `room`.
    pub(super) fn recv_from(
        &mut self,
        room: &mut [u8],
    ) -> io::Result<(usize, SocketAddr, Option<Local>)> {
        let (fd, mut pieces) = (self.socket.as_raw_fd(), [IoSliceMut::new(room)]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let message: nix::sys::socket::RecvMsg<'_, '_, SockaddrStorage> =
            recvmsg(fd, &mut pieces, Some(&mut self.control), flags)?;
        let from = message.address.as_ref().and_then(ip_address);
        let from = from.ok_or(io::ErrorKind::InvalidData)?;
        let local = message.cmsgs()?.find_map(local);
        Ok((message.bytes, from, local))
    }

    pub(super) fn send_to(
        &self,
        pieces: &[IoSlice<'_>],
        to: SocketAddr,
        local: Option<Local>,
    ) -> io::Result<usize> {
        let to = SockaddrStorage::from(to);
        let send = |control: &[ControlMessage<'_>]| {
            let fd = self.socket.as_raw_fd();
            sendmsg(fd, pieces, control, MsgFlags::MSG_DONTWAIT, Some(&to))
        };
        let sent = match local.map(|local| (local.ip, local.interface)) {
            None => return Ok(send(&[])?),
            Some((IpAddr::V4(ip), _)) => {
                let info = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr {
                        s_addr: u32::from_ne_bytes(ip.octets()),
                    },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                send(&[ControlMessage::Ipv4PacketInfo(&info)])
            }
            Some((IpAddr::V6(ip), interface)) => {
                let info = in6_pktinfo {
                    ipi6_addr: in6_addr {
                        s6_addr: ip.octets(),
                    },
                    ipi6_ifindex: interface,
                };
                send(&[ControlMessage::Ipv6PacketInfo(&info)])
            }
        };
        match sent {
            // A broadcast address, or one that this machine has no more.
            Err(Errno::EINVAL | Errno::ENETUNREACH) => Ok(send(&[])?),
            sent => Ok(sent?),
        }
    }
}

impl AsFd for Wildcard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn ip_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
}

/// What can be the source of an answer: of a datagram to a group, the system chooses.
fn local(message: ControlMessageOwned) -> Option<Local> {
    let local = match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Local {
            ip: Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into(),
            interface: 0,
        },
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            Local {
                ip: ip.into(),
                interface: match ip.is_unicast_link_local() {
                    true => info.ipi6_ifindex,
                    false => 0,
                },
            }
        }
        _ => return None,
    };
    let is_source = !local.ip.is_unspecified() && !local.ip.to_canonical().is_multicast();
    is_source.then_some(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ip: &str, expected: Option<u32>) {
        let ip: IpAddr = ip.parse().unwrap();
        let told = match ip {
            IpAddr::V4(v4) => ControlMessageOwned::Ipv4PacketInfo(in_pktinfo {
                ipi_ifindex: 3,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(v4.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V6(v6) => ControlMessageOwned::Ipv6PacketInfo(in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: v6.octets(),
                },
                ipi6_ifindex: 3,
            }),
        };
        let expected = expected.map(|interface| Local { ip, interface });
        assert_eq!(local(told), expected, "{ip}");
    }

    #[test]
    fn a_link_local_address_keeps_its_interface_and_a_group_is_no_source() {
        check("127.0.0.2", Some(0));
        check("0.0.0.0", None);
        check("2001:db8::1", Some(0));
        check("fe80::1", Some(3));
        check("::ffff:127.0.0.2", Some(0));
        check("::ffff:224.0.0.1", None);
        check("ff02::1", None);
        check("::", None);
    }

    #[test]
    fn a_socket_at_all_addresses_is_known_in_each_way_to_write_it() {
        for (at, expected) in [
            ("0.0.0.0:7", true),
            ("[::]:7", true),
            ("[::ffff:0.0.0.0]:7", true),
            ("127.0.0.1:7", false),
            ("[::1]:7", false),
        ] {
            assert_eq!(is_wildcard(at.parse().unwrap()), expected, "{at}");
        }
    }
}
