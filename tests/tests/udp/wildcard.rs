//! A hub at all addresses of the machine, spoken to at one that the system would not answer from.
//!
//! Every socket here is connected, so it hears nothing from elsewhere.

use std::net::{SocketAddr, UdpSocket};

use halloo_core::wire::Message;
use halloo_tests::hub::{RunningHub, small};

use crate::raw::{Raw, recv};
use crate::{LONG, device, read};

/// All addresses; over IPv6, those of IPv4 are among them.
const ALL: [&str; 2] = ["0.0.0.0", "[::]"];

/// What loopback has beside 127.0.0.1, which it answers from.
const OTHERS: [[u8; 4]; 2] = [[127, 0, 0, 2], [127, 0, 0, 3]];

fn port(hub: &RunningHub, number: usize) -> u16 {
    hub.address(number).1
}

fn at(hub: &RunningHub, number: usize, address: [u8; 4]) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = SocketAddr::from((address, port(hub, number)));
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

#[test]
fn echo_and_greetings_leave_from_the_address_that_was_spoken_to() {
    for host in ALL {
        let echo = format!("echo+udp://{host}:0?prefix=Echo: ");
        let greet = format!("greet+udp://{host}:0?text=Hello");
        let hub = RunningHub::start(&[&echo, &greet], small());
        for (number, answer) in ["Echo: hi", "Hello"].into_iter().enumerate() {
            for address in OTHERS {
                let socket = at(&hub, number, address);
                socket.send(b"hi").unwrap();
                let mut got = [0; 16];
                let len = socket.recv(&mut got).unwrap();
                assert_eq!(&got[..len], answer.as_bytes(), "{host}");
            }
        }
        assert_eq!(hub.stop().stats.datagrams_dropped, 0);
    }
}

#[test]
fn what_is_sent_to_all_is_answered_though_nothing_can_leave_from_there() {
    for host in ALL {
        let hub = RunningHub::start(&[&format!("echo+udp://{host}:0")], small());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let to = SocketAddr::from(([127, 255, 255, 255], port(&hub, 0)));
        socket.send_to(b"hi", to).unwrap();
        let mut got = [0; 16];
        let (len, from) = socket.recv_from(&mut got).unwrap();
        assert_eq!(&got[..len], b"hi", "{host}");
        assert_eq!(from, SocketAddr::from(([127, 0, 0, 1], port(&hub, 0))));
    }
}

#[test]
fn devices_chat_with_whichever_address_they_know() {
    for host in ALL {
        let hub = RunningHub::start(&[&format!("chat+udp://{host}:0")], small());
        let port = port(&hub, 0);
        let mut devices = OTHERS.map(|address| {
            let to = SocketAddr::from((address, port));
            device(&format!("chat+udp://{to}"), &format!("dev{}", address[3]))
        });
        for round in 0..20_u64 {
            for poster in 0..2 {
                devices[poster].post_wait("lab", b"hello", LONG).unwrap();
                devices[poster].flush(LONG).unwrap();
                let offset = 2 * round + poster as u64 + 1;
                let heard = read(&mut devices[1 - poster], offset, 1);
                assert_eq!(heard, [(offset, "hello".into())], "{host}");
                assert_eq!(read(&mut devices[poster], offset, 1), []);
            }
        }
        for device in devices {
            device.bye(LONG).unwrap();
        }
        let chat = hub.stop().stats.chat;
        assert_eq!((chat.sessions, chat.posts), (2, 40));
    }
}

#[test]
fn a_session_moves_to_another_address_of_the_hub_only_for_who_hears_that() {
    // [F-ADDR-1]
    for host in ALL {
        let hub = RunningHub::start(&[&format!("chat+udp://{host}:0")], small());
        let socket = at(&hub, 0, OTHERS[0]);
        // It keeps its port, and hears another address of the hub.
        let turn_to = |address: [u8; 4]| {
            let to = SocketAddr::from((address, port(&hub, 0)));
            socket.connect(to).unwrap();
        };
        let mut device = Raw::open(&socket);
        let mut room = [0; 256];
        turn_to(OTHERS[1]);
        device.say(&socket, &Message::Pong { token: 0 });
        let message = recv(&socket, &mut room).1;
        let Message::Ping { token } = message else {
            panic!("{message:?}")
        };
        turn_to(OTHERS[0]);
        device.check_is_at(&socket);
        // What proves that it hears one address proves nothing of a third.
        turn_to([127, 0, 0, 4]);
        device.say(&socket, &Message::Pong { token });
        let message = recv(&socket, &mut room).1;
        let is_asked = matches!(message, Message::Ping { token: other } if other != token);
        assert!(is_asked, "{message:?}");
        turn_to(OTHERS[1]);
        device.say(&socket, &Message::Pong { token });
        device.check_is_at(&socket);
        assert_eq!(hub.stop().stats.chat.sessions, 1);
    }
}
