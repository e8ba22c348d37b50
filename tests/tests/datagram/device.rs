//! The device alone, with a hub that is played by hand.

use halloo_core::chat::client::{Cause, Event, From, SlotId};
use halloo_core::chat::datagram::{HEADER, Header, MIN_HELLO};
use halloo_core::time::{Instant, after, secs};
use halloo_core::wire::{
    self, Code, Entry, Hello, Joined, Lineage, Message, PeerError, Welcome, kind,
};

use crate::NOTHING;
use crate::world::{Device, config};

const NONCE: u64 = 77;
const SESSION: u64 = 99;

struct Alone {
    device: Device,
    now: Instant,
    number: u32,
}

impl Alone {
    fn new() -> Self {
        let mut device = Device::new(config(0));
        device.set_datagrams(true);
        device.set_link_limits(256, 32);
        let now = Instant::from_ticks(0);
        device.handle_connected(now, NONCE);
        Self {
            device,
            now,
            number: 0,
        }
    }

    /// One in a session.
    fn welcomed() -> Self {
        let mut alone = Self::new();
        let (hello, _) = alone.sent().expect("it says Hello");
        alone.say(NONCE, hello.number, &welcome(NONCE));
        assert_eq!(alone.device.poll_event(), Some(Event::Welcomed));
        alone
    }

    /// The next datagram of the device: its header and its message.
    fn sent(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut out = [0; 256];
        let len = self.device.poll_transmit(self.now, &mut out)?;
        let (header, message) = Header::decode(&out[..len]).expect("a header");
        Some((header, message.to_vec()))
    }

    fn say(&mut self, session: u64, seen: u32, message: &Message<'_>) {
        self.number += 1;
        let header = Header {
            session,
            number: self.number,
            seen,
        };
        let mut out = [0; 128];
        let len = wire::binary::encode(message, &mut out[HEADER..]).expect("it fits");
        out[..HEADER].copy_from_slice(&header.encode());
        let _ = self.device.handle_datagram(self.now, &out[..HEADER + len]);
    }

    /// Becomes a member of a room; its application is told.
    fn join(&mut self, room: &str) -> SlotId {
        let slot = self.device.join(room, From::Latest).expect("a slot");
        let (join, _) = self.sent().expect("it joins");
        let joined = Joined {
            slot,
            room: slot.into(),
            up_seq: 0,
            rejects: 0,
            start: 0,
            head: 0,
            members: 1,
            presence: 1,
        };
        self.say(SESSION, join.number, &Message::Joined(joined));
        assert!(matches!(
            self.device.poll_event(),
            Some(Event::Joined { .. })
        ));
        slot
    }

    fn say_entry(&mut self, room: u32, offset: u64) {
        let entry = Entry {
            room,
            offset,
            flags: 0,
            from: "ann",
            body: b"x",
        };
        self.say(SESSION, 0, &Message::Entry(entry));
    }

    /// The kinds of what it says now.
    fn kinds(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.sent())
            .map(|(_, message)| message[0])
            .collect()
    }

    /// Until its next deadline.
    fn wait(&mut self) {
        self.now = self.device.poll_timeout().expect("it waits for something");
        self.device.handle_timeout(self.now);
    }
}

fn welcome(nonce: u64) -> Message<'static> {
    Message::Welcome(Welcome {
        version: 1,
        suite: 0,
        flags: 0,
        nonce,
        session: SESSION,
        store: 1,
        generation: 1,
        keepalive: 0,
        max_body: 100,
        window: 4,
        proof: &[],
        lineage: Lineage::NONE,
    })
}

#[track_caller]
fn hello(message: &[u8]) -> Hello<'_> {
    match wire::binary::decode(message).expect("a message").message {
        Message::Hello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hello_is_padded_and_said_again_with_the_cookie() {
    // [F-HELLO-1] [F-HELLO-3] [F-DGRAM-3]
    let mut alone = Alone::new();
    let (header, message) = alone.sent().expect("it says Hello");
    assert_eq!((header.session, header.number, header.seen), (NONCE, 1, 0));
    assert_eq!((message.len(), hello(&message).cookie), (MIN_HELLO, None));
    assert!(alone.sent().is_none());
    let cookie = [5; 16];
    // Of another attempt.
    alone.say(NONCE + 1, 1, &Message::Retry { cookie });
    assert!(alone.sent().is_none());
    alone.say(NONCE, 1, &Message::Retry { cookie });
    let (header, message) = alone.sent().expect("it says Hello again");
    assert_eq!((header.session, header.number), (NONCE, 2));
    let again = hello(&message);
    assert_eq!(message.len(), MIN_HELLO);
    assert_eq!((again.cookie, again.nonce), (Some(&cookie), NONCE));
    // A second copy of the Retry makes no third Hello; the timer does.
    alone.say(NONCE, 1, &Message::Retry { cookie });
    assert!(alone.sent().is_none());
    alone.wait();
    assert_eq!(hello(&alone.sent().expect("again").1).cookie, Some(&cookie));
    alone.say(NONCE, 3, &welcome(NONCE));
    assert!(alone.device.is_serving());
}

#[test]
fn a_hub_that_wants_ever_other_cookies_makes_no_storm() {
    // [F-HELLO-3] [F-TIMER-1]
    let mut alone = Alone::new();
    let mut hellos = 0;
    for n in 0..100 {
        while alone.sent().is_some() {
            hellos += 1;
        }
        let cookie = [n; 16];
        alone.say(NONCE, 1, &Message::Retry { cookie });
    }
    assert_eq!(hellos, 2, "one without a cookie, one with the first");
    // The newest cookie goes with the next.
    alone.wait();
    assert_eq!(
        hello(&alone.sent().expect("again").1).cookie,
        Some(&[99; 16])
    );
}

#[test]
fn what_is_of_no_session_of_another_or_no_message_changes_nothing() {
    // [F-DGRAM-3] [F-DGRAM-4] [F-DGRAM-7]
    let mut alone = Alone::welcomed();
    let bye = Message::Bye(wire::Bye {
        reason: wire::ByeReason::Shutdown,
        retry_after: 0,
    });
    alone.say(SESSION + 1, 1, &bye);
    alone.say(NONCE, 1, &bye);
    alone.say(SESSION, 2, &bye); // has seen what was never sent
    alone.number -= 4;
    alone.say(SESSION, 1, &bye); // late
    for junk in [&[][..], &[0; HEADER], &[0xff; 40]] {
        assert!(alone.device.handle_datagram(alone.now, junk).is_none());
    }
    let header = Header {
        session: SESSION,
        number: 100,
        seen: 1,
    };
    let junk = [&header.encode()[..], &[0xff, 1, 2]].concat();
    assert!(alone.device.handle_datagram(alone.now, &junk).is_none());
    assert!(alone.device.is_serving());
    assert!(alone.sent().is_none());
    alone.number = 50;
    alone.say(SESSION, 1, &bye);
    assert!(!alone.device.is_serving());
}

#[test]
fn a_refusal_of_an_older_copy_is_not_the_last_word() {
    // [F-JOIN-3]
    let mut alone = Alone::welcomed();
    let lab = alone.device.join("lab", From::Latest).expect("a slot");
    let (first, _) = alone.sent().expect("it joins");
    alone.wait();
    let (second, message) = alone.sent().expect("it joins again");
    assert_eq!(message[0], kind::JOIN);
    let refusal = Message::Reject {
        slot: lab,
        seq: 0,
        code: Code::Full,
    };
    alone.say(SESSION, first.number, &refusal);
    assert_eq!(alone.device.poll_event(), None);
    alone.say(SESSION, second.number, &refusal);
    let refused = Event::Refused {
        slot: lab,
        code: Code::Full,
    };
    assert_eq!(alone.device.poll_event(), Some(refused));
}

#[test]
fn after_six_times_without_an_answer_it_goes_back_to_hello() {
    // [F-TIMER-4]
    let mut alone = Alone::welcomed();
    let _ = alone.device.join("lab", From::Latest);
    let start = alone.now;
    for _ in 0..7 {
        let (_, message) = alone.sent().expect("it joins");
        assert_eq!(message[0], kind::JOIN);
        alone.wait();
    }
    assert!(alone.sent().is_none());
    let closed = Event::Closed {
        cause: Cause::Timeout,
    };
    assert_eq!(alone.device.poll_event(), Some(closed));
    // The Hello measured no time at all: 250 ms, doubled six times, and a quarter more or less.
    let took = alone.now.as_ticks() - start.as_ticks();
    assert!((23_800_000..39_700_000).contains(&took), "{took} µs");
}

#[test]
fn an_error_in_the_name_of_its_session_ends_it_at_once() {
    // [F-DGRAM-6]
    let mut alone = Alone::welcomed();
    let error = PeerError {
        code: Code::NoSession,
        retry_after: 0,
        text: "",
    };
    alone.number = 1; // one above what it has seen
    alone.say(SESSION, 0, &Message::Error(error));
    let closed = Event::Closed {
        cause: Cause::Refused(Code::NoSession),
    };
    assert_eq!(alone.device.poll_event(), Some(closed));
    alone.device.handle_disconnected(after(alone.now, secs(1)));
}

#[test]
fn a_retry_in_a_session_is_passed_over() {
    // [F-HELLO-3]
    let mut alone = Alone::welcomed();
    let skipped = alone.device.skipped();
    alone.say(SESSION, 1, &Message::Retry { cookie: [5; 16] });
    assert!(alone.device.is_serving());
    assert!(alone.sent().is_none());
    assert_eq!(alone.device.skipped(), skipped + 1);
}

#[test]
fn only_the_answer_to_leave_ends_a_membership() {
    // [F-JOIN-3]
    let mut alone = Alone::welcomed();
    let slot = alone.join("lab");
    alone.device.leave(slot);
    let (leave, message) = alone.sent().expect("it leaves");
    assert_eq!(message[0], kind::LEAVE);
    let code = Code::BadSlot;
    for (seq, left) in [(1, None), (0, Some(Event::Left { slot }))] {
        let answer = Message::Reject { slot, seq, code };
        alone.say(SESSION, leave.number, &answer);
        assert_eq!(alone.device.poll_event(), left, "to {seq}");
    }
}

#[test]
fn nothing_is_said_again_before_its_time_and_all_of_it_after() {
    // [F-TIMER-1]
    let mut alone = Alone::welcomed();
    let _ = alone.device.join("lab", From::Latest);
    assert_eq!(alone.kinds(), [kind::JOIN]);
    alone.device.handle_timeout(alone.now);
    assert_eq!(alone.kinds(), NOTHING, "a call too many");
    alone.now = after(alone.now, secs(5));
    alone.device.handle_timeout(alone.now);
    assert_eq!(alone.kinds(), [kind::JOIN], "a late call");
}

#[test]
fn entries_of_all_rooms_are_acknowledged_together_when_it_is_time() {
    // [F-CURSOR-2]
    let mut alone = Alone::welcomed();
    let rooms = [alone.join("lab"), alone.join("den")];
    for offset in 1..=2 {
        for room in rooms {
            alone.say_entry(room.into(), offset);
        }
        alone.device.handle_timeout(alone.now);
        assert_eq!(alone.kinds(), NOTHING, "a call too many");
        alone.wait();
        assert_eq!(alone.kinds(), [kind::CREDIT, kind::CREDIT]);
    }
}

#[test]
fn a_post_is_lost_once_the_hub_has_seen_the_newest_and_not_before() {
    // [F-POST-2]
    let mut alone = Alone::welcomed();
    let slot = alone.join("lab");
    let numbers = [b"one", b"two"].map(|body| {
        alone.device.post(slot, body).expect("a place");
        alone.sent().expect("it posts").0.number
    });
    let (up_seq, rejects) = (0, 0);
    let ack = Message::Ack {
        slot,
        up_seq,
        rejects,
    };
    alone.say(SESSION, numbers[0], &ack);
    assert_eq!(alone.kinds(), NOTHING);
    alone.say(SESSION, numbers[1], &ack);
    assert_eq!(alone.kinds(), [kind::POST, kind::POST]);
}
