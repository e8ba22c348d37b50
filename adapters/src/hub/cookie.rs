//! Cookies: what proves that a device gets what is sent to its address, before anything is kept for it.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use halloo_core::time::{Duration, Instant, after, secs};
use halloo_core::wire::Hello;
use siphasher::sip::SipHasher24;

/// How long a cookie is good: longer than a handshake may take.
const FRESH: Duration = secs(15);

/// Makes and checks cookies: the time at which one was made, and a keyed hash of that, the address
/// and the `Hello`.
#[derive(Debug)]
pub(super) struct Cookies {
    key: [u8; 16],
}

impl Cookies {
    pub(super) const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The cookie for a `Hello` from an address.
    pub(super) fn make(&self, now: Instant, from: SocketAddr, hello: &Hello<'_>) -> [u8; 16] {
        let issued = now.as_ticks();
        let seal = self.hash(from, issued, hello.nonce, &hello.device);
        (u128::from(issued) << 64 | u128::from(seal)).to_be_bytes()
    }

    /// When the cookie of a `Hello` was made, if it fits and is fresh.
    pub(super) fn check(
        &self,
        now: Instant,
        from: SocketAddr,
        hello: &Hello<'_>,
    ) -> Option<Instant> {
        let cookie = u128::from_be_bytes(*hello.cookie?);
        let issued = (cookie >> 64) as u64;
        let seal = self.hash(from, issued, hello.nonce, &hello.device);
        let made = Instant::from_ticks(issued);
        let is_fresh = made <= now && now <= after(made, FRESH);
        (is_fresh && seal == cookie as u64).then_some(made)
    }

    /// The token of the `Ping` that proves a new address of a session, as one that hears `local`.
    pub(super) fn token(&self, from: SocketAddr, local: Option<IpAddr>, session: u64) -> u32 {
        let local = local.map_or([0; 16], octets);
        self.hash(from, u64::MAX, session, &local) as u32
    }

    fn hash(&self, from: SocketAddr, time: u64, number: u64, device: &[u8; 16]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(&octets(from.ip()));
        hasher.write(&from.port().to_be_bytes());
        hasher.write(&time.to_be_bytes());
        hasher.write(&number.to_be_bytes());
        hasher.write(device);
        hasher.finish()
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Hello<'static> = Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 7,
        device: [3; 16],
        max_frame: 256,
        credit: 8,
        keepalive: 25,
        proof: &[],
        cookie: None,
    };

    fn at(seconds: u64) -> Instant {
        after(Instant::from_ticks(0), secs(seconds))
    }

    fn with(cookie: &[u8; 16]) -> Hello<'_> {
        Hello {
            cookie: Some(cookie),
            ..HELLO
        }
    }

    #[test]
    fn a_cookie_is_good_for_its_address_its_hello_and_a_while() {
        // [F-HELLO-3]
        let cookies = Cookies::new([1; 16]);
        let here: SocketAddr = "192.0.2.1:7007".parse().unwrap();
        let made = cookies.make(at(5), here, &HELLO);
        assert_eq!(cookies.check(at(5), here, &with(&made)), Some(at(5)));
        assert_eq!(cookies.check(at(20), here, &with(&made)), Some(at(5)));
        assert_eq!(cookies.check(at(21), here, &with(&made)), None);
        assert_eq!(cookies.check(at(4), here, &with(&made)), None);
        assert_eq!(cookies.check(at(5), here, &HELLO), None);
        for other in ["192.0.2.1:7008", "192.0.2.2:7007", "[::1]:7007"] {
            assert_eq!(
                cookies.check(at(5), other.parse().unwrap(), &with(&made)),
                None
            );
        }
        for hello in [
            Hello {
                nonce: 8,
                ..with(&made)
            },
            Hello {
                device: [4; 16],
                ..with(&made)
            },
        ] {
            assert_eq!(cookies.check(at(5), here, &hello), None);
        }
        for at_byte in 0..16 {
            let mut bent = made;
            bent[at_byte] ^= 1;
            assert_eq!(cookies.check(at(5), here, &with(&bent)), None);
        }
        let others = Cookies::new([2; 16]);
        assert_eq!(others.check(at(5), here, &with(&made)), None);
    }
}
