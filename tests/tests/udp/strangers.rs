//! What the hub keeps of, and sends to, those who have not shown that they are where they say.

use halloo_core::chat::datagram::{HEADER, MIN_HELLO};
use halloo_core::wire::{self, Code, Message};
use halloo_tests::hub::{RunningHub, small};

use crate::raw::{NONCE, datagram, hello, recv, short_hello};

#[test]
fn a_hello_without_a_cookie_that_fits_gets_a_smaller_retry_and_leaves_nothing() {
    // [F-HELLO-1] [F-HELLO-2] [F-HELLO-3]
    let hub = RunningHub::start(&["chat+udp://127.0.0.1:0"], small());
    let (here, there) = (hub.udp(0), hub.udp(0));
    let mut room = [0; 256];
    // One that is too short is not answered: what comes answers the next.
    here.send(&short_hello(1, None)).unwrap();
    let whole = hello(1, None);
    assert_eq!(whole.len(), HEADER + MIN_HELLO);
    here.send(&whole).unwrap();
    let (header, message, len) = recv(&here, &mut room);
    let Message::Retry { cookie } = message else {
        panic!("{message:?}")
    };
    assert_eq!(header.session, NONCE);
    assert!(len <= 48 && len < whole.len());
    // From another address it does not fit.
    there.send(&hello(2, Some(&cookie))).unwrap();
    let (_, message, _) = recv(&there, &mut room);
    assert!(matches!(message, Message::Retry { .. }), "{message:?}");
    assert_eq!(hub.stats.snapshot().chat.sessions, 0);
    assert_eq!(hub.stats.snapshot().connections, 0);
    // From its own it opens one session, however often it is said; a copy of one is not answered.
    let mut session = None;
    for number in 2..5 {
        here.send(&hello(number, Some(&cookie))).unwrap();
        here.send(&hello(number, Some(&cookie))).unwrap();
        let (_, message, _) = recv(&here, &mut room);
        let Message::Welcome(welcome) = message else {
            panic!("{message:?}")
        };
        assert_eq!(*session.get_or_insert(welcome.session), welcome.session);
    }
    assert_eq!(hub.stop().stats.chat.sessions, 1);
}

#[test]
fn a_datagram_of_no_session_is_answered_by_no_more_than_it_was() {
    // [F-DGRAM-6]
    let hub = RunningHub::start(&["chat+udp://127.0.0.1:0"], small());
    let socket = hub.udp(0);
    let mut room = [0; 256];
    let post = Message::Post {
        slot: 0,
        seq: 1,
        body: b"",
    };
    // None of these is answered: what comes answers the last.
    socket.send(b"").unwrap();
    socket.send(&[0; HEADER]).unwrap();
    socket.send(&[0xff; 100]).unwrap();
    socket
        .send(&datagram(9, 1, &Message::Ping { token: 1 }))
        .unwrap();
    let bye = wire::Bye {
        reason: wire::ByeReason::Shutdown,
        retry_after: 0,
    };
    socket
        .send(&[&datagram(9, 1, &Message::Bye(bye))[..], &[1, 0]].concat())
        .unwrap();
    let last = datagram(10, 5, &post);
    socket.send(&last).unwrap();
    let (header, message, len) = recv(&socket, &mut room);
    assert_eq!((header.session, header.number), (10, 1));
    let Message::Error(error) = message else {
        panic!("{message:?}")
    };
    assert_eq!(error.code, Code::NoSession);
    assert!(len <= last.len());
}
