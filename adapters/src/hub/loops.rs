//! Which datagrams get no answer, so that two servers that answer everything do not talk for ever.
//!
//! A datagram names its sender and proves nothing: a stranger can let one server seem to ask
//! another. So there is no answer
//! 1. to ports below 1,024, where services such as echo, chargen and DNS answer by themselves;
//! 2. to the socket's own address;
//! 3. to what begins with the prefix or is the greeting: that is an answer already;
//! 4. to a datagram that came from that source before, once a burst of the same is used up; all that
//!    have the prefix somewhere count as the same.
//!
//! The fourth is for what the others cannot see, such as verbatim echo at both ends: there a loop and
//! a client that repeats itself look the same. One answer left out ends a loop, and costs that client
//! no more than a datagram lost. It is counted for each source and payload by itself, so neither other
//! clients nor several datagrams of one loop hide or spend it. Where verbatim echo meets a prefix,
//! datagrams grow until they fit no more. The memory is a fixed table, whose most used stay.

use std::cmp::Reverse;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use halloo_core::echo::Reply;
use halloo_core::time::{Duration, Instant, secs, since};
use siphasher::sip::SipHasher13;

/// The first port that is nobody's by right.
const FIRST_FREE_PORT: u16 = 1024;

/// How often the same is answered at once: more than the round trips of a client that counts them
/// with one payload, and on loopback the work of a moment.
const BURST: u16 = 1024;

/// How often one more is.
const PACE: Duration = secs(1);

/// Sets of slots, each of which a datagram can be in any slot of.
const SETS: usize = 1024;
const WAYS: usize = 4;

/// What was heard at one socket.
#[derive(Debug)]
pub(super) struct Loops {
    own: Option<SocketAddr>,
    key: [u8; 16],
    sets: Box<[[Slot; WAYS]]>,
}

/// One datagram of one source.
#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u64,
    left: u16,
    /// When `left` grew last.
    grew: Instant,
    /// The log has it.
    is_told: bool,
}

/// Where a datagram came from.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum Source<'s> {
    Ip(SocketAddr),
    /// The name of a Unix socket.
    Name(&'s [u8]),
}

impl Loops {
    /// For a socket at the address `own`, with a random key.
    pub(super) fn new(own: Option<SocketAddr>, key: [u8; 16]) -> Self {
        let free = Slot {
            tag: 0,
            left: BURST,
            grew: Instant::from_ticks(0),
            is_told: false,
        };
        Self {
            own,
            key,
            sets: vec![[free; WAYS]; SETS].into_boxed_slice(),
        }
    }

    /// Whether `datagram` gets this reply. Work: its bytes times those of the prefix.
    pub(super) fn admits(
        &mut self,
        now: Instant,
        from: Source<'_>,
        datagram: &[u8],
        reply: &Reply<'_>,
    ) -> bool {
        if let Source::Ip(from) = from
            && (from.port() < FIRST_FREE_PORT || self.is_own(from))
        {
            return false;
        }
        if is_ours(datagram, reply) {
            return false;
        }
        let mut hasher = SipHasher13::new_with_key(&self.key);
        from.hash(&mut hasher);
        // One that the other end has put its own prefix before differs each time.
        let comes_back = has(datagram, reply.prefix);
        hasher.write(if comes_back { reply.prefix } else { datagram });
        let slot = self.slot(hasher.finish(), now);
        if slot.left == 1 && !std::mem::replace(&mut slot.is_told, true) {
            let source = from.to_string();
            tracing::warn!(
                source,
                "the same datagram again and again: one answer a second (?guard=off answers all)"
            );
        }
        let admits = slot.left > 0;
        slot.left = slot.left.saturating_sub(1);
        admits
    }

    /// Whether an address is the socket's. One that is bound to all addresses of this machine has each.
    fn is_own(&self, from: SocketAddr) -> bool {
        let Some(own) = self.own.filter(|own| own.port() == from.port()) else {
            return false;
        };
        own.ip() == from.ip() || own.ip().is_unspecified() && is_local(from.ip())
    }

    /// The slot of a datagram; that of the least used one if it has none yet.
    fn slot(&mut self, tag: u64, now: Instant) -> &mut Slot {
        let set = &mut self.sets[(tag % SETS as u64) as usize];
        set.iter_mut().for_each(|slot| slot.refill(now));
        let known = set.iter().position(|slot| slot.tag == tag);
        let nth = known.unwrap_or_else(|| {
            let least = (0..WAYS).min_by_key(|&nth| (Reverse(set[nth].left), set[nth].grew));
            let nth = least.unwrap_or(0);
            set[nth] = Slot {
                tag,
                left: BURST,
                grew: now,
                is_told: false,
            };
            nth
        });
        &mut set[nth]
    }
}

impl Slot {
    fn refill(&mut self, now: Instant) {
        let more = since(now, self.grew).as_ticks() / PACE.as_ticks();
        if more > 0 {
            let more = u16::try_from(more).unwrap_or(BURST);
            self.left = self.left.saturating_add(more).min(BURST);
            self.grew = now;
        }
    }
}

impl std::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name) => String::from_utf8_lossy(name).escape_debug().fmt(f),
        }
    }
}

/// Whether an address is one of this machine: nobody can bind another's.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

fn has(datagram: &[u8], prefix: &[u8]) -> bool {
    !prefix.is_empty() && datagram.windows(prefix.len()).any(|piece| piece == prefix)
}

/// Whether a datagram begins as every echo does, or is the greeting, which is all prefix; verbatim
/// echo has no such beginning.
fn is_ours(datagram: &[u8], reply: &Reply<'_>) -> bool {
    let rest = datagram.strip_prefix(reply.prefix);
    !reply.prefix.is_empty() && rest.is_some_and(|rest| rest.is_empty() || !reply.body.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use halloo_core::echo::{Mode, Responder};
    use halloo_core::time::after;

    const START: Instant = Instant::from_ticks(1);

    fn loops() -> Loops {
        Loops::new(Some(at(9000)), [7; 16])
    }

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// What a server in this mode answers.
    fn answer(
        loops: &mut Loops,
        mode: Mode<'_>,
        now: Instant,
        port: u16,
        datagram: &[u8],
    ) -> Option<Vec<u8>> {
        let reply = Responder::new(mode).handle_bytes(datagram).unwrap();
        let admits = loops.admits(now, Source::Ip(at(port)), datagram, &reply);
        admits.then(|| [reply.prefix, reply.body].concat())
    }

    #[test]
    fn services_and_the_own_address_get_no_answer() {
        for (port, answers) in [
            (0, false),
            (7, false),
            (1023, false),
            (1024, true),
            (9000, false),
            (65535, true),
        ] {
            let reply = answer(&mut loops(), Mode::Verbatim, START, port, b"hi");
            assert_eq!(reply.is_some(), answers, "{port}");
        }
    }

    #[test]
    fn what_begins_as_an_answer_gets_none() {
        let ours = |mode, datagram| answer(&mut loops(), mode, START, 5000, datagram).is_none();
        assert!(ours(Mode::Prefixed(b"UDP Echo: "), b"UDP Echo: hi"));
        assert!(!ours(Mode::Prefixed(b"UDP Echo: "), b"UDP Echo"));
        assert!(ours(Mode::Greeting(b"Hello"), b"Hello"));
        assert!(!ours(Mode::Greeting(b"Hello"), b"Hell"));
        assert!(!ours(Mode::Greeting(b"Hello"), b"Hello, server"));
        assert!(!ours(Mode::Verbatim, b"Hello"));
    }

    /// What a socket takes at most, so that growing datagrams end here as they do above 64 KiB.
    const LARGEST: usize = 2000;

    /// More than any loop of three datagrams may last.
    const ROUNDS: usize = 3 * (2 * BURST as usize + LARGEST);

    const MODES: [Mode<'_>; 5] = [
        Mode::Verbatim,
        Mode::Prefixed(b"A: "),
        Mode::Prefixed(b"Bee: "),
        Mode::Greeting(b"Hello from A"),
        Mode::Greeting(b"Hi"),
    ];

    /// Sends three datagrams round through a server and what is at the other end, until none is left.
    fn go_round(mode: Mode<'_>, mut other: impl FnMut(Vec<u8>) -> Option<Vec<u8>>, what: &str) {
        for first in [&b""[..], b"x", b"Hi there"] {
            let mut loops = loops();
            let mut on_their_way = VecDeque::from([first.to_vec(), b"y".to_vec(), b"z".to_vec()]);
            let mut rounds = 0;
            while let Some(datagram) = on_their_way.pop_front() {
                let back = answer(&mut loops, mode, START, 5001, &datagram);
                let back = back.filter(|back| back.len() <= LARGEST);
                on_their_way.extend(back.and_then(&mut other));
                rounds += 1;
                assert!(rounds < ROUNDS, "{mode:?} and {what} go on");
            }
        }
    }

    #[test]
    fn any_two_servers_end_what_a_stranger_began() {
        for one in MODES {
            for other in MODES {
                let mut loops = loops();
                let answers = |datagram: Vec<u8>| answer(&mut loops, other, START, 5002, &datagram);
                go_round(one, answers, &format!("{other:?}"));
            }
        }
    }

    #[test]
    fn a_server_alone_ends_a_loop_with_one_that_answers_everything() {
        for mode in MODES {
            for theirs in MODES {
                // It may take the beginning of a datagram for the whole.
                for largest in [100, LARGEST] {
                    let answers = |datagram: Vec<u8>| {
                        let read = &datagram[..datagram.len().min(largest)];
                        let reply = Responder::new(theirs).handle_bytes(read).unwrap();
                        Some([reply.prefix, reply.body].concat())
                    };
                    go_round(mode, answers, &format!("{theirs:?} that takes {largest}"));
                }
            }
        }
    }

    #[test]
    fn others_that_say_the_same_take_nothing_from_a_client() {
        let mut loops = loops();
        for round in 0..u32::from(BURST) {
            for port in 5000..5400 {
                let datagram = format!("round {}", round % 8);
                let admits = answer(&mut loops, Mode::Verbatim, START, port, datagram.as_bytes());
                assert!(admits.is_some(), "{port} in round {round}");
            }
        }
    }

    #[test]
    fn a_loop_ends_though_others_say_something_new_all_the_while() {
        let (mut loops, mut news) = (loops(), 0_u32);
        let rounds = (0..4 * u32::from(BURST)).find(|_| {
            for _ in 0..50 {
                news += 1;
                let _ = answer(&mut loops, Mode::Verbatim, START, 6000, &news.to_be_bytes());
            }
            answer(&mut loops, Mode::Verbatim, START, 5000, b"again").is_none()
        });
        assert!(rounds.is_some());
    }

    #[test]
    fn a_socket_at_all_addresses_does_not_answer_itself() {
        for (own, from, answers) in [
            ("0.0.0.0:9000", "127.0.0.1:9000", false),
            ("0.0.0.0:9000", "127.0.0.9:9000", false),
            ("0.0.0.0:9000", "127.0.0.1:9001", true),
            ("0.0.0.0:9000", "192.0.2.1:9000", true),
            ("[::]:9000", "[::1]:9000", false),
            ("[::]:9000", "[::ffff:127.0.0.9]:9000", false),
            ("[::]:9000", "[2001:db8::1]:9000", true),
            ("127.0.0.2:9000", "127.0.0.1:9000", true),
        ] {
            let mut loops = Loops::new(Some(own.parse().unwrap()), [7; 16]);
            let reply = Responder::new(Mode::Verbatim).handle_bytes(b"hi").unwrap();
            let source = Source::Ip(from.parse().unwrap());
            let admits = loops.admits(START, source, b"hi", &reply);
            assert_eq!(admits, answers, "{own} from {from}");
        }
    }

    #[test]
    fn a_client_that_says_something_new_each_time_is_always_answered() {
        let mut loops = loops();
        for n in 0..1000_u32 {
            let datagram = format!("probe {n}");
            let reply = answer(&mut loops, Mode::Verbatim, START, 5000, datagram.as_bytes());
            assert_eq!(reply, Some(datagram.into_bytes()));
        }
    }

    #[test]
    fn a_client_that_repeats_itself_once_a_second_is_always_answered() {
        let mut loops = loops();
        let mut now = START;
        for _ in 0..1000 {
            assert!(answer(&mut loops, Mode::Verbatim, now, 5000, b"ping").is_some());
            now = after(now, PACE);
        }
        let mut at_once = || answer(&mut loops, Mode::Verbatim, now, 5000, b"ping").is_some();
        let answered = (0..2 * BURST).filter(|_| at_once()).count();
        assert_eq!(answered, usize::from(BURST));
    }
}
