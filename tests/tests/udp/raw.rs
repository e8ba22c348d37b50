//! A device played by hand, from whichever socket.

use std::net::UdpSocket;

use halloo_core::chat::datagram::{HEADER, Header, MIN_HELLO};
use halloo_core::wire::{self, Hello, Message};

pub(crate) const NONCE: u64 = 0x1234;

/// The identity of the device.
pub(crate) const DEVICE: u8 = 7;

/// A datagram with a `Hello`, padded to what is asked for.
pub(crate) fn hello(number: u32, cookie: Option<&[u8; 16]>) -> Vec<u8> {
    let mut frame = short_hello(number, cookie);
    let padding = (HEADER + MIN_HELLO).saturating_sub(frame.len());
    if padding > 0 {
        frame.extend([1, padding as u8 - 2]);
        frame.resize(HEADER + MIN_HELLO, 0);
    }
    frame
}

/// One without padding.
pub(crate) fn short_hello(number: u32, cookie: Option<&[u8; 16]>) -> Vec<u8> {
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: NONCE,
        device: [DEVICE; 16],
        max_frame: 512,
        credit: 8,
        keepalive: 25,
        proof: &[],
        cookie,
    };
    datagram(NONCE, number, &Message::Hello(hello))
}

pub(crate) fn datagram(session: u64, number: u32, message: &Message<'_>) -> Vec<u8> {
    let header = Header {
        session,
        number,
        seen: 0,
    };
    let mut out = vec![0; 4096];
    let len = wire::binary::encode(message, &mut out).unwrap();
    [&header.encode()[..], &out[..len]].concat()
}

/// The next datagram that comes to a socket, and its length.
pub(crate) fn recv<'b>(socket: &UdpSocket, room: &'b mut [u8]) -> (Header, Message<'b>, usize) {
    let len = socket.recv(room).unwrap();
    let (header, message) = Header::decode(&room[..len]).unwrap();
    (header, wire::binary::decode(message).unwrap().message, len)
}

/// A session, with the number of its last datagram.
pub(crate) struct Raw {
    pub(crate) session: u64,
    pub(crate) number: u32,
    /// The `Hello` that opened it.
    pub(crate) opened_by: Vec<u8>,
}

/// What the hub wants to see in a `Hello` from here.
#[track_caller]
pub(crate) fn cookie(socket: &UdpSocket) -> [u8; 16] {
    let mut room = [0; 256];
    socket.send(&hello(1, None)).unwrap();
    match recv(socket, &mut room) {
        (_, Message::Retry { cookie }, _) => cookie,
        (_, other, _) => panic!("{other:?}"),
    }
}

impl Raw {
    #[track_caller]
    pub(crate) fn open(socket: &UdpSocket) -> Self {
        let mut room = [0; 256];
        let opened_by = hello(2, Some(&cookie(socket)));
        socket.send(&opened_by).unwrap();
        match recv(socket, &mut room) {
            (_, Message::Welcome(welcome), _) => Self {
                session: welcome.session,
                number: 2,
                opened_by,
            },
            (_, other, _) => panic!("{other:?}"),
        }
    }

    pub(crate) fn say(&mut self, from: &UdpSocket, message: &Message<'_>) -> usize {
        self.number += 1;
        let datagram = datagram(self.session, self.number, message);
        from.send(&datagram).unwrap()
    }

    /// Whether the hub answers to `at` what is said from there.
    #[track_caller]
    pub(crate) fn check_is_at(&mut self, at: &UdpSocket) {
        let mut room = [0; 256];
        let token = self.number;
        self.say(at, &Message::Ping { token });
        let (header, message, _) = recv(at, &mut room);
        let pong = Message::Pong { token };
        assert_eq!((header.session, message), (self.session, pong));
    }
}
