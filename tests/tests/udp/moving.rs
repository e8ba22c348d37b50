//! Where a session is, what it may carry, and who may take it.

use halloo_core::wire::{Code, Join, Message};
use halloo_std::hub::HubConfig;
use halloo_tests::hub::{Got, Peer, RunningHub, small};

use crate::raw::{DEVICE, Raw, cookie, datagram, hello, recv};

#[test]
fn a_session_moves_only_to_who_answers_from_there() {
    // [F-ADDR-1] [F-HELLO-4]
    let hub = RunningHub::start(&["chat+udp://127.0.0.1:0"], small());
    let (home, away) = (hub.udp(0), hub.udp(0));
    let mut device = Raw::open(&home);
    device.check_is_at(&home);
    // From elsewhere it is asked there, with no more bytes than came; all else goes home.
    let mut room = [0; 256];
    let sent = device.say(&away, &Message::Ping { token: 77 });
    let (header, message, len) = recv(&away, &mut room);
    let Message::Ping { token } = message else {
        panic!("{message:?}")
    };
    assert!(header.session == device.session && len <= sent);
    let pong = recv(&home, &mut [0; 256]).1 == Message::Pong { token: 77 };
    assert!(pong, "the answer goes home");
    device.say(&away, &Message::Pong { token: !token });
    let message = recv(&away, &mut room).1;
    assert_eq!(message, Message::Ping { token }, "asked again");
    device.check_is_at(&home);
    // Who answers there is there.
    device.say(&away, &Message::Pong { token });
    device.check_is_at(&away);
    // The Hello that opened it comes late, from where it was.
    home.send(&device.opened_by).unwrap();
    device.check_is_at(&away);
    home.send(&datagram(9, 1, &Message::Leave { slot: 0 }))
        .unwrap();
    home.send(&datagram(
        9,
        1,
        &Message::Post {
            slot: 0,
            seq: 1,
            body: b"",
        },
    ))
    .unwrap();
    let (header, ..) = recv(&home, &mut room);
    assert_eq!(header.session, 9, "nothing else came home");
    assert_eq!(hub.stop().stats.chat.sessions, 1);
}

#[test]
fn a_body_above_what_a_datagram_carries_is_rejected() {
    // [F-DGRAM-2] [D-POST-6]
    let config = HubConfig {
        max_body: 2000,
        ..small()
    };
    let hub = RunningHub::start(&["chat+udp://127.0.0.1:0"], config);
    let socket = hub.udp(0);
    let mut device = Raw::open(&socket);
    let mut room = [0; 256];
    device.say(
        &socket,
        &Message::Join(Join {
            slot: 0,
            flags: Join::NO_PRESENCE,
            cursor: 0,
            history: u32::MAX,
            room: b"lab",
            name: b"raw",
        }),
    );
    assert!(matches!(recv(&socket, &mut room).1, Message::Joined(_)));
    for (seq, len) in [(1, 1201), (2, 1200)] {
        let body = &vec![b'x'; len][..];
        device.say(&socket, &Message::Post { slot: 0, seq, body });
    }
    let rejected = Message::Reject {
        slot: 0,
        seq: 1,
        code: Code::TooLarge,
    };
    assert_eq!(recv(&socket, &mut room).1, rejected);
    let mut acked = 0;
    while acked < 2 {
        if let Message::Ack { up_seq, .. } = recv(&socket, &mut room).1 {
            acked = up_seq;
        }
    }
    let chat = hub.stop().stats.chat;
    assert_eq!((chat.posts, chat.rejected), (1, 1));
}

#[test]
fn a_cookie_from_before_the_devices_session_on_a_stream_fences_it_no_more() {
    // [F-HELLO-5]
    let urls = ["chat+udp://127.0.0.1:0", "chat+tcp://127.0.0.1:0"];
    let hub = RunningHub::start(&urls, small());
    let socket = hub.udp(0);
    let old = cookie(&socket);
    let mut stream = Peer::new(hub.tcp(1));
    stream.hello(DEVICE);
    // It is passed over: what comes answers what follows.
    socket.send(&hello(2, Some(&old))).unwrap();
    let new = cookie(&socket);
    stream.send(&Message::Ping { token: 5 });
    assert_eq!(stream.recv(), Got::Pong { token: 5 });
    socket.send(&hello(3, Some(&new))).unwrap();
    let mut room = [0; 256];
    let welcomed = matches!(recv(&socket, &mut room).1, Message::Welcome(_));
    assert!(welcomed && matches!(stream.recv(), Got::Bye(_)));
    assert_eq!(hub.stop().stats.chat.fenced, 1);
}
