//! Addresses of Bluetooth RFCOMM sockets, in a crate of their own for their two lines of unsafe code.
//!
//! Neither the standard library nor socket2 nor rustix has this family, and none of them takes an
//! address as bytes without `unsafe`. Knows the layout of Linux's `sockaddr_rc`, and opens nothing.
#![deny(missing_docs)]

use std::fmt;
use std::slice;
use std::str::FromStr;

use rustix::net::SocketAddrAny;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};

/// `AF_BLUETOOTH` of Linux; other systems have not even the name.
const FAMILY: u16 = 31;

/// The bytes of `sockaddr_rc`: family, device, channel, and one that fills it up.
const LEN: usize = 10;

/// A Bluetooth device and an RFCOMM channel on it: `AA:BB:CC:DD:EE:FF/1`.
///
/// ```
/// use halloo_rfcomm::RfcommAddr;
///
/// let address: RfcommAddr = "00:1a:7D:da:71:13/1".parse()?;
/// assert_eq!(address.device, [0x00, 0x1a, 0x7d, 0xda, 0x71, 0x13]);
/// assert_eq!(address.to_string(), "00:1A:7D:DA:71:13/1");
/// # Ok::<(), halloo_rfcomm::NoRfcommAddr>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RfcommAddr {
    /// The address of the device, as it is written; all zeros stands for any device of this machine.
    pub device: [u8; 6],
    /// From 1 to 30; a listener that binds 0 gets a free one.
    pub channel: u8,
}

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a good one is AA:BB:CC:DD:EE:FF/1: six pairs of digits, and a channel from 1 to 30")]
pub struct NoRfcommAddr;

impl RfcommAddr {
    /// As the system has it: the device from its last byte to its first.
    fn to_bytes(self) -> [u8; LEN] {
        let [a, b, c, d, e, f] = self.device;
        let [low, high] = FAMILY.to_ne_bytes();
        [low, high, f, e, d, c, b, a, self.channel, 0]
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let &[low, high, f, e, d, c, b, a, channel, ..] = bytes else {
            return None;
        };
        let is_family = u16::from_ne_bytes([low, high]) == FAMILY;
        is_family.then_some(Self {
            device: [a, b, c, d, e, f],
            channel,
        })
    }

    /// The address that the system gave, if it is one of this family.
    #[must_use]
    pub fn from_any(any: &SocketAddrAny) -> Option<Self> {
        let len = usize::try_from(any.addr_len()).ok()?;
        // SAFETY: the pointer is to the address inside `any`, which is borrowed for as long as the
        // slice lives, and of which `addr_len` bytes are initialized: `SocketAddrAny::new` asks for
        // that. Bytes have no alignment.
        let bytes = unsafe { slice::from_raw_parts(any.as_ptr().cast::<u8>(), len) };
        Self::from_bytes(bytes)
    }
}

// SAFETY: the pointer is to `LEN` bytes on this function's own stack, which are all initialized and
// live until `f` returns. They are a whole `sockaddr_rc`; a system that reads another address out of
// them, or that does not know the family, refuses the call.
unsafe impl SocketAddrArg for RfcommAddr {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        let bytes = self.to_bytes();
        f(bytes.as_ptr().cast(), LEN as SocketAddrLen)
    }
}

impl FromStr for RfcommAddr {
    type Err = NoRfcommAddr;

    fn from_str(text: &str) -> Result<Self, NoRfcommAddr> {
        parse(text).ok_or(NoRfcommAddr)
    }
}

fn parse(text: &str) -> Option<RfcommAddr> {
    let (device, channel) = text.split_once('/')?;
    let mut pairs = device.split(':');
    let mut bytes = [0; 6];
    for byte in &mut bytes {
        let pair = pairs.next().filter(|pair| pair.len() == 2)?;
        // `from_str_radix` alone takes a sign, too.
        if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    if pairs.next().is_some() || !channel.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let channel = channel.parse().ok()?;
    (1..=30).contains(&channel).then_some(RfcommAddr {
        device: bytes,
        channel,
    })
}

impl fmt::Display for RfcommAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.device;
        write!(
            f,
            "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}/{}",
            self.channel
        )
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::AddressFamily;

    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in ["AA:BB:CC:DD:EE:FF/1", "00:00:00:00:00:00/30"] {
            let address: RfcommAddr = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for bad in [
            "",
            "AA:BB:CC:DD:EE:FF",
            "AA:BB:CC:DD:EE:FF/",
            "AA:BB:CC:DD:EE:FF/0",
            "AA:BB:CC:DD:EE:FF/31",
            "AA:BB:CC:DD:EE:FF/+1",
            "AA:BB:CC:DD:EE:FF/1/2",
            "AA:BB:CC:DD:EE/1",
            "AA:BB:CC:DD:EE:FF:00/1",
            "AA:BB:CC:DD:EE:F/1",
            "AA:BB:CC:DD:EE:+F/1",
            "AA:BB:CC:DD:EE:GG/1",
            "AABBCCDDEEFF/1",
            "ä:BB:CC:DD:EE:FF/1",
        ] {
            assert_eq!(bad.parse::<RfcommAddr>(), Err(NoRfcommAddr), "{bad:?}");
        }
    }

    #[test]
    fn the_system_gets_and_gives_the_address_in_its_own_layout() {
        let address: RfcommAddr = "11:22:33:44:55:66/7".parse().unwrap();
        assert_eq!(AddressFamily::BLUETOOTH.as_raw(), FAMILY);
        let family = FAMILY.to_ne_bytes();
        let rest = [0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 7, 0];
        assert_eq!(address.to_bytes(), [&family[..], &rest].concat()[..]);
        let any = address.as_any();
        assert_eq!(any.address_family(), AddressFamily::BLUETOOTH);
        assert_eq!(any.addr_len(), 10);
        assert_eq!(RfcommAddr::from_any(&any), Some(address));
    }

    #[test]
    fn an_address_of_another_family_is_none_of_these() {
        let ip = std::net::SocketAddr::from(([127, 0, 0, 1], 7));
        assert_eq!(RfcommAddr::from_any(&SocketAddrAny::from(ip)), None);
        let bytes = RfcommAddr {
            device: [1; 6],
            channel: 1,
        }
        .to_bytes();
        for cut in 0..9 {
            assert_eq!(RfcommAddr::from_bytes(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_socket_of_another_family_refuses_it() {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address: RfcommAddr = "11:22:33:44:55:66/7".parse().unwrap();
        let refused = rustix::net::connect(&udp, &address);
        // It is shorter than any address of that family.
        assert_eq!(refused, Err(rustix::io::Errno::INVAL));
    }
}
