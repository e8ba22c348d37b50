//! What stands in front of a datagram, the answers to strangers, and the hub's cookies.

use std::net::{IpAddr, SocketAddr};

use arbitrary::{Result, Unstructured};
use halloo_core::chat::datagram::{HEADER, Header, MIN_ANSWERED, MIN_HELLO, answer};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Code, Hello, Message, PeerError};

use crate::cookie::Cookies;
use crate::message;

/// Runs all three.
pub fn header_and_cookie(data: &[u8]) {
    match Header::decode(data) {
        Some((header, rest)) => {
            assert_eq!([&header.encode()[..], rest].concat(), data, "S12");
            answers(&header);
        }
        None => assert!(data.len() < HEADER),
    }
    let _ = cookies(&mut Unstructured::new(data));
}

/// Nobody gets more back than he sent.
fn answers(header: &Header) {
    let mut out = [0; MIN_HELLO];
    let retry = Message::Retry { cookie: [7; 16] };
    let error = Message::Error(PeerError {
        code: Code::NoSession,
        retry_after: 0,
        text: "",
    });
    for (message, most) in [(retry, 48), (error, MIN_ANSWERED)] {
        let len = answer(header, &message, &mut out).expect("it has room");
        assert!(len <= most, "{message:?} takes {len}");
        let (back, rest) = Header::decode(&out[..len]).expect("it has a header");
        assert_eq!((back.session, back.seen), (header.session, 0));
        let decoded = wire::binary::decode(rest).map(|decoded| decoded.message);
        assert_eq!(decoded, Ok(message));
    }
}

/// A cookie is good for its address, its `Hello` and a while, and no other is good at all.
fn cookies(u: &mut Unstructured<'_>) -> Result<()> {
    let cookies = Cookies::new(u.arbitrary()?);
    let place = |u: &mut Unstructured<'_>| -> Result<SocketAddr> {
        let ip: IpAddr = match u.arbitrary()? {
            true => IpAddr::from(u.arbitrary::<[u8; 4]>()?),
            false => IpAddr::from(u.arbitrary::<[u8; 16]>()?),
        };
        Ok(SocketAddr::new(ip.to_canonical(), u.arbitrary()?))
    };
    let (here, there) = (place(u)?, place(u)?);
    let made = Instant::from_ticks(message::long(u)?);
    let then = Instant::from_ticks(message::long(u)?);
    let forged: [u8; 16] = u.arbitrary()?;
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: u.arbitrary()?,
        device: u.arbitrary()?,
        max_frame: 256,
        credit: 8,
        keepalive: 25,
        proof: &[],
        cookie: None,
    };
    let cookie = cookies.make(made, here, &hello);
    let with = |cookie| Hello {
        cookie: Some(cookie),
        ..hello
    };
    assert_eq!(cookies.check(made, here, &with(&cookie)), Some(made));
    let is_fresh = made <= then && then.as_ticks() - made.as_ticks() <= 15_000_000;
    let found = cookies.check(then, here, &with(&cookie));
    assert_eq!(found, is_fresh.then_some(made));
    if there != here {
        assert_eq!(cookies.check(made, there, &with(&cookie)), None);
    }
    // The key is no secret here: what compares bytes is watched, and a seal may be learnt from that.
    let claimed = Instant::from_ticks((u128::from_be_bytes(forged) >> 64) as u64);
    if forged != cookies.make(claimed, here, &hello) {
        assert_eq!(cookies.check(made, here, &with(&forged)), None);
    }
    let local = Some(there.ip());
    let token = cookies.token(here, local, 1);
    assert_eq!(token, cookies.token(here, local, 1));
    Ok(())
}
