//! The hub alone, with a device that is played by hand, and one on a stream that posts.

use firmware_sim::world::lone_hub::{hello, join, post};
use firmware_sim::world::{HubMemory, Limits, LoneHub};
use halloo_core::chat::datagram::{HEADER, Header};
use halloo_core::chat::hub::{Config, ConnId, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::binary::{decode, encode};
use halloo_core::wire::{ByeReason, Entry, Hello, Join, Message, kind};

use crate::NOTHING;

struct Two<'m> {
    lone: LoneHub<'m>,
    author: ConnId,
    posts: u32,
    /// The one over datagrams, and the number of its last.
    far: ConnId,
    number: u32,
}

/// Both are members of room `lab`, and nothing is owed; only the one over datagrams has a keepalive,
/// of 60 s, so all deadlines are its own.
fn with_two(test: impl FnOnce(&mut Two<'_>)) {
    with_stored(0, test);
}

/// As `with_two`; a store has the first `entries` of the room.
fn with_stored(entries: u64, test: impl FnOnce(&mut Two<'_>)) {
    let limits = Limits::usual(8);
    let mut memory = HubMemory::new(&limits);
    let config = Config {
        max_body: 2000,
        ..limits.config(7, 0xa1, 1)
    };
    let mut lone = LoneHub::with(config, &mut memory);
    lone.now = 0;
    if entries > 0 {
        lone.hub.restore_room(0, "lab", 1, entries).unwrap();
    }
    let author = lone.member(1, "lab");
    let hello = Hello {
        keepalive: 60,
        max_frame: u32::MAX,
        ..hello(2)
    };
    let header = Header {
        session: hello.nonce,
        number: 1,
        seen: 0,
    };
    let now = Instant::from_ticks(0);
    let far = lone.hub.open_datagram(now, now, &header, &hello).unwrap();
    let mut two = Two {
        lone,
        author,
        posts: 0,
        far,
        number: 1,
    };
    assert_eq!(two.told(), [kind::WELCOME]);
    assert_eq!(two.say(1, &Message::Join(join("lab"))), [kind::JOINED]);
    test(&mut two);
}

impl Two<'_> {
    fn now(&self) -> Instant {
        Instant::from_ticks(self.lone.now)
    }

    /// It is so late, and the hub is not called.
    fn sleep_until(&mut self, ms: u64) {
        self.lone.now = ms * 1000;
    }

    fn handle_timeout(&mut self) {
        let now = self.now();
        self.lone.hub.handle_timeout(now);
    }

    fn due(&self) -> Option<Instant> {
        self.lone.hub.poll_timeout()
    }

    /// Another entry.
    fn post(&mut self) {
        self.posts += 1;
        self.lone.posts(self.author, self.posts, 1);
    }

    /// The kinds of what the one over datagrams is told now.
    fn told(&mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        let mut out = [0; 2000];
        let now = self.now();
        while let Transmit::Message(len) = self.lone.hub.poll_transmit(now, self.far, &mut out) {
            kinds.extend(out[..len].get(HEADER));
        }
        kinds
    }

    /// The one over datagrams says something; the kinds of what it is told then.
    fn say(&mut self, seen: u32, message: &Message<'_>) -> Vec<u8> {
        self.number += 1;
        let header = Header {
            session: 0,
            number: self.number,
            seen,
        };
        let now = self.now();
        let taken = (self.lone.hub).handle_datagram(now, self.far, &header, message);
        assert_eq!(taken, Ok(true));
        self.lone.hub.commit_in_memory();
        self.told()
    }
}

/// All up to `cursor` has come.
fn credit(cursor: u64) -> Message<'static> {
    Message::Credit {
        slot: 0,
        cursor,
        window: 8,
    }
}

fn ms(ms: u64) -> Instant {
    Instant::from_ticks(ms * 1000)
}

#[test]
fn a_body_above_what_was_granted_is_rejected() {
    with_two(|two| {
        for (seq, len, told) in [(1, 1201, kind::REJECT), (2, 1200, kind::ACK)] {
            let body = &[0; 1201][..len];
            let said = two.say(2, &Message::Post { slot: 0, seq, body });
            assert_eq!(said[0], told, "{len} bytes");
        }
    });
}

#[test]
fn the_last_word_of_the_hub_is_said() {
    with_two(|two| {
        let now = two.now();
        two.lone.hub.shut_down(now, ByeReason::Shutdown);
        assert_eq!(two.told(), [kind::BYE]);
        let closed = two.lone.hub.poll_transmit(now, two.far, &mut [0; 100]);
        assert_eq!(closed, Transmit::Close);
    });
}

#[test]
fn an_entry_is_looked_after_when_its_timer_is_due() {
    // [F-TIMER-1] [F-TIMER-3]
    with_two(|two| {
        two.handle_timeout();
        two.post();
        assert_eq!(two.told(), [kind::ENTRY]);
        let due = two.due().unwrap();
        assert!(ms(750) <= due && due <= ms(1250), "{due}");
    });
}

#[test]
fn an_entry_puts_no_earlier_deadline_off() {
    with_two(|two| {
        // The ping is said, and 90 s of silence are the end.
        two.handle_timeout();
        two.sleep_until(75_000);
        two.handle_timeout();
        assert_eq!(two.told(), [kind::PING]);
        two.sleep_until(89_900);
        two.post();
        assert_eq!(two.told(), [kind::ENTRY]);
        assert_eq!(two.due(), Some(ms(90_000)));
    });
}

#[test]
fn a_join_that_comes_again_takes_nothing_back() {
    // [F-JOIN-1]
    with_two(|two| {
        two.post();
        assert_eq!(two.told(), [kind::ENTRY]);
        assert_eq!(two.say(3, &credit(1)), NOTHING);
        let again = two.say(3, &Message::Join(join("lab")));
        assert_eq!(again, [kind::JOINED]);
    });
}

#[test]
fn the_timer_starts_anew_when_all_is_acknowledged() {
    // [F-TIMER-5]
    with_two(|two| {
        two.post();
        assert_eq!(two.told(), [kind::ENTRY]);
        two.sleep_until(100);
        assert_eq!(two.say(3, &credit(1)), NOTHING);
        two.sleep_until(1200);
        two.post();
        assert_eq!(two.told(), [kind::ENTRY]);
        // The first would be overdue by now.
        two.sleep_until(1300);
        two.handle_timeout();
        assert_eq!(two.told(), NOTHING);
        assert_eq!(two.lone.hub.counters().resent, 0);
    });
}

#[test]
fn what_is_acknowledged_late_is_not_sent_again() {
    // [F-CURSOR-1]
    with_two(|two| {
        two.post();
        two.post();
        assert_eq!(two.told(), [kind::ENTRY; 2]);
        two.sleep_until(2000);
        two.handle_timeout();
        assert_eq!(two.lone.hub.counters().resent, 1);
        assert_eq!(two.say(4, &credit(2)), NOTHING);
    });
}

#[test]
fn what_is_still_on_its_way_is_looked_after_by_the_round_trip_just_measured() {
    // [F-TIMER-1] [F-TIMER-5]
    with_two(|two| {
        two.handle_timeout();
        two.post();
        two.post();
        assert_eq!(two.told(), [kind::ENTRY; 2]);
        assert!(two.due() >= Some(ms(750)));
        // After 100 ms: 300 ms, a quarter more or less.
        two.sleep_until(100);
        assert_eq!(two.say(3, &credit(1)), NOTHING);
        let due = two.due().unwrap();
        assert!(ms(325) <= due && due <= ms(475), "{due}");
    });
}

#[test]
fn a_hello_whose_cookie_is_as_old_as_the_session_may_be_of_the_device_after_a_reset() {
    // [F-HELLO-5]
    with_two(|two| {
        let again = Hello {
            nonce: hello(2).nonce + 1,
            ..hello(2)
        };
        let header = Header {
            session: again.nonce,
            number: 1,
            seen: 0,
        };
        let now = two.now();
        let opened = two.lone.hub.open_datagram(now, now, &header, &again);
        assert!(opened.is_ok_and(|id| id != two.far));
    });
}

/// The message of a datagram, behind its header.
#[track_caller]
fn check_datagram(datagram: &[u8], number: u32, message: &Message<'_>) {
    let (header, bytes) = Header::decode(datagram).unwrap();
    assert_eq!(header.number, number);
    assert_eq!(decode(bytes).unwrap().message, *message);
}

#[test]
fn a_ping_for_another_address_is_a_datagram_of_the_session() {
    // [F-ADDR-1]
    with_two(|two| {
        let (now, mut out) = (two.now(), [0; 100]);
        let token = 0xfee1;
        let len = two.lone.hub.ping_datagram(now, two.far, token, &mut out);
        check_datagram(&out[..len.unwrap()], 3, &Message::Ping { token });
        let none = two.lone.hub.ping_datagram(now, two.author, token, &mut out);
        assert_eq!(none, None, "it is on a stream");
    });
}

#[test]
fn what_only_the_store_has_goes_out_entry_by_entry() {
    with_stored(2, |two| {
        let now = two.now();
        for offset in 1..=2 {
            let entry = Message::Entry(Entry {
                room: 0,
                offset,
                flags: 0,
                from: "ann",
                body: b"a body",
            });
            let mut frame = [0; 100];
            let len = encode(&entry, &mut frame[4..]).unwrap();
            let mut out = [0; 200];
            let Transmit::Stored(wanted) = two.lone.hub.poll_transmit(now, two.far, &mut out)
            else {
                panic!("the store has entry {offset}");
            };
            assert_eq!((wanted.first, wanted.last), (offset, 2));
            let frame = &frame[..4 + len];
            let hub = &mut two.lone.hub;
            let sent = hub.stored_datagram(now, two.far, wanted, frame, &mut out);
            check_datagram(&out[..sent.unwrap()], 2 + offset as u32, &entry);
            let again = hub.stored_datagram(now, two.far, wanted, frame, &mut out);
            assert_eq!(again, None, "it is wanted no more");
        }
        assert_eq!(two.told(), NOTHING);
    });
}

#[test]
fn a_room_of_which_nothing_is_on_its_way_is_not_sent_again() {
    // [F-TIMER-3]
    with_two(|two| {
        let other = Join {
            slot: 1,
            ..join("den")
        };
        assert_eq!(two.say(2, &Message::Join(other)), [kind::JOINED]);
        two.post();
        assert_eq!(two.told(), [kind::ENTRY]);
        let _ = two.say(2, &Message::Leave { slot: 0 });
        two.sleep_until(2000);
        two.handle_timeout();
        assert_eq!(two.told(), NOTHING);
        assert_eq!(two.lone.hub.counters().resent, 0);
    });
}

#[test]
fn an_entry_that_no_datagram_carries_is_a_gap_whatever_the_device_takes() {
    // [F-DGRAM-2]
    with_two(|two| {
        // Its author has a name of 7 bytes; there is room for one of 32.
        for (seq, len, told) in [(1, 1225, kind::ENTRY), (2, 1226, kind::GAP)] {
            let message = post(seq, &[0; 1226][..len]);
            two.lone.say(two.author, &message).unwrap();
            two.lone.hub.commit_in_memory();
            assert_eq!(two.told(), [told], "{len} bytes");
        }
    });
}
