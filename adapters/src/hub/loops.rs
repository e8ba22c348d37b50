//! Which datagrams get no answer, so that two servers that answer everything do not talk for ever.
//!
//! A datagram names its sender and proves nothing: a stranger can let one server seem to ask
//! another. So there is no answer
//! 1. to ports below 1,024, where services such as echo, chargen and DNS answer by themselves;
//! 2. to the socket's own address;
//! 3. to what begins with the prefix or is the greeting: that is an answer already;
//! 4. to one source's datagrams that look like an answer coming back, once a burst of them is used
//!    up: each is the same as the one before it, or ends in what that source was answered last.
//!
//! The fourth is for what the others cannot see, such as verbatim echo at both ends: there a loop and
//! a client that repeats itself look the same. One answer left out ends a loop, and costs that client
//! no more than a datagram lost. The memory is a fixed table; sources that share a slot share its burst.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

use halloo_core::echo::Reply;
use halloo_core::time::{Duration, Instant, secs, since};
use siphasher::sip::SipHasher13;

/// The first port that is nobody's by right.
const FIRST_FREE_PORT: u16 = 1024;

/// How many suspects of one source are answered at once: more than the round trips of a client that
/// counts them with one payload, and on loopback the work of a moment.
const BURST: u16 = 1024;

/// How often one more is.
const PACE: Duration = secs(1);

/// How many sources are told apart.
const SLOTS: usize = 256;

/// What was heard and said at one socket.
#[derive(Debug)]
pub(super) struct Loops {
    own: Option<SocketAddr>,
    key: [u8; 16],
    slots: Box<[Slot; SLOTS]>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    heard: u64,
    said: Option<(u64, usize)>,
    left: u16,
    /// When `left` grew last.
    grew: Instant,
}

/// Where a datagram came from.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum Source<'s> {
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Path(&'s [u8]),
}

impl Loops {
    /// For a socket at the address `own`, with a random key.
    pub(super) fn new(own: Option<SocketAddr>, key: [u8; 16]) -> Self {
        let slot = Slot {
            heard: 0,
            said: None,
            left: BURST,
            grew: Instant::from_ticks(0),
        };
        Self {
            own,
            key,
            slots: Box::new([slot; SLOTS]),
        }
    }

    /// Whether `datagram` gets this reply. Work: linear in the bytes of both.
    pub(super) fn admits(
        &mut self,
        now: Instant,
        from: Source<'_>,
        datagram: &[u8],
        reply: &Reply<'_>,
    ) -> bool {
        if let Source::Ip(from) = from
            && (from.port() < FIRST_FREE_PORT || self.own == Some(from))
        {
            return false;
        }
        if is_ours(datagram, reply) {
            return false;
        }
        let mut source = self.hasher();
        from.hash(&mut source);
        let heard = self.hash(&[datagram]);
        let said = (self.hash(&[reply.prefix, reply.body]), reply.len());
        let index = (source.finish() % SLOTS as u64) as usize;
        let old = self.slots[index];
        let ends_in_ours = old.said.is_some_and(|(hash, len)| {
            // Any datagram ends in an empty answer.
            let counts = len > 0 || datagram.is_empty();
            let at = datagram.len().checked_sub(len).filter(|_| counts);
            at.is_some_and(|at| self.hash(&[&datagram[at..]]) == hash)
        });
        let slot = &mut self.slots[index];
        slot.refill(now);
        let is_suspect = old.said.is_some() && heard == old.heard || ends_in_ours;
        (slot.heard, slot.said) = (heard, Some(said));
        if !is_suspect {
            return true;
        }
        let admits = slot.left > 0;
        slot.left = slot.left.saturating_sub(1);
        admits
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }

    fn hash(&self, pieces: &[&[u8]]) -> u64 {
        let mut hasher = self.hasher();
        for piece in pieces {
            hasher.write(piece);
        }
        hasher.finish()
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

/// Whether a datagram begins as every echo does, or is the greeting, which is all prefix; verbatim
/// echo has no such beginning.
fn is_ours(datagram: &[u8], reply: &Reply<'_>) -> bool {
    let rest = datagram.strip_prefix(reply.prefix);
    !reply.prefix.is_empty() && rest.is_some_and(|rest| rest.is_empty() || !reply.body.is_empty())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn any_two_servers_end_what_a_stranger_began() {
        const ROUNDS: usize = 4 * BURST as usize;
        let modes = [
            Mode::Verbatim,
            Mode::Prefixed(b"A: "),
            Mode::Prefixed(b"Bee: "),
            Mode::Greeting(b"Hello from A"),
            Mode::Greeting(b"Hi"),
        ];
        for one in modes {
            for other in modes {
                for first in [&b""[..], b"x", b"Hi there"] {
                    let (mut a, mut b) = (loops(), loops());
                    let mut datagram = first.to_vec();
                    let mut rounds = 0;
                    while let Some(back) = answer(&mut a, one, START, 5001, &datagram) {
                        let Some(back) = answer(&mut b, other, START, 5002, &back) else {
                            break;
                        };
                        datagram = back;
                        rounds += 1;
                        assert!(rounds < ROUNDS, "{one:?} and {other:?} go on");
                    }
                }
            }
        }
    }

    #[test]
    fn a_server_alone_ends_a_loop_with_one_that_answers_everything() {
        let modes = [
            Mode::Verbatim,
            Mode::Prefixed(b"A: "),
            Mode::Greeting(b"Hi"),
        ];
        for mode in modes {
            for theirs in [
                Mode::Verbatim,
                Mode::Prefixed(b"theirs: "),
                Mode::Greeting(b"theirs"),
            ] {
                let mut loops = loops();
                let mut datagram = b"x".to_vec();
                let ends = (0..4 * usize::from(BURST)).any(|_| {
                    let Some(back) = answer(&mut loops, mode, START, 5000, &datagram) else {
                        return true;
                    };
                    let reply = Responder::new(theirs).handle_bytes(&back).unwrap();
                    datagram = [reply.prefix, reply.body].concat();
                    false
                });
                assert!(ends, "{mode:?} with {theirs:?}");
            }
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
