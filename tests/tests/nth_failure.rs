//! Every call of the pipe fails once, in turn: whatever the device was doing, nothing is lost or
//! doubled, and the failure is told.

use halloo_core::chat::client::{Cause, Client, Config, Delivery, Event, From, outbox_bytes};
use halloo_core::frame::Length32;
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_std::testkit::{End, HubMemory, LocalHub, PipeError, pipe};

const POSTS: u8 = 5;
const RX: usize = rx_bytes::<Length32>(256);
const TX: usize = tx_bytes::<Length32>(32);

/// One device on the test's thread, with everything that its application was told.
struct Device {
    client: Client<1, { outbox_bytes(2, 32) }>,
    link: Link<Length32, RX, TX>,
    end: End,
    lab: u8,
    connects: u64,
    posted: u8,
    to_post: u8,
    acked: u32,
    seen: Vec<(u64, Vec<u8>)>,
    lost: u32,
}

impl Device {
    fn new(name: &str, id: u8, to_post: u8, hub: &mut LocalHub<'_>) -> Self {
        let config = Config::new([id; 16], name).unwrap();
        let mut client = Client::new(config);
        let lab = client.join("lab", From::Earliest).unwrap();
        let (end, far) = pipe(48);
        hub.attach(at(0), far);
        let mut device = Self {
            client,
            link: Link::new(Length32::new(256)),
            end,
            lab,
            connects: 0,
            posted: 0,
            to_post,
            acked: 0,
            seen: Vec::new(),
            lost: 0,
        };
        device.connect(at(0));
        device
    }

    fn connect(&mut self, now: Instant) {
        self.connects += 1;
        let nonce = u64::from(self.to_post) << 32 | self.connects;
        self.link.connect(&mut self.client, now, nonce);
    }

    fn turn(&mut self, hub: &mut LocalHub<'_>, now: Instant) -> Result<(), LinkError<PipeError>> {
        while self.posted < self.to_post && self.client.post(self.lab, &[b'#', self.posted]).is_ok()
        {
            self.posted += 1;
        }
        match self.link.poll(&mut self.end, &mut self.client, now) {
            Ok(Output::Delivery(Delivery::Entry { offset, body, .. })) => {
                self.seen.push((offset, body.to_vec()));
            }
            Ok(Output::Delivery(Delivery::Own { offset, .. })) => {
                self.seen.push((offset, b"own".to_vec()));
            }
            Ok(Output::Event(Event::Acked { .. })) => self.acked += 1,
            Ok(Output::Event(Event::Closed { cause })) => {
                assert_eq!(cause, Cause::Lost);
                self.lost += 1;
            }
            Ok(Output::Event(Event::Rejected { .. } | Event::StoreChanged { .. })) => {
                panic!("no post is bad and the store stays")
            }
            Ok(_) | Err(nb::Error::WouldBlock) => {}
            Err(nb::Error::Other(error)) => {
                while let Some(event) = self.client.poll_event() {
                    match event {
                        Event::Acked { .. } => self.acked += 1,
                        Event::Closed { .. } => self.lost += 1,
                        _ => {}
                    }
                }
                let (end, far) = pipe(48);
                hub.attach(now, far);
                self.end = end;
                self.connect(now);
                return Err(error);
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.acked == u32::from(self.to_post) && self.seen.len() == usize::from(POSTS)
    }
}

fn at(ms: u64) -> Instant {
    Instant::from_ticks(ms * 1000)
}

/// Runs the scenario with the `n`th call failing; whether it came to that call.
fn run(n: u64, most: usize) -> bool {
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let mut poster = Device::new("poster", 1, POSTS, &mut hub);
    let mut reader = Device::new("reader", 2, 0, &mut hub);
    poster.end.set_most(most);
    poster.end.fail_at(n);
    let mut failures = Vec::new();
    for ms in 0..5_000 {
        hub.turn(at(ms));
        failures.extend(poster.turn(&mut hub, at(ms)).err());
        reader.turn(&mut hub, at(ms)).expect("nothing fails here");
        if poster.is_done() && reader.is_done() {
            break;
        }
    }
    assert_eq!(hub.head("lab"), Some(u64::from(POSTS)), "call {n}: the log");
    let expected: Vec<_> = (0..POSTS)
        .map(|i| (u64::from(i) + 1, vec![b'#', i]))
        .collect();
    assert_eq!(reader.seen, expected, "call {n}: the reader");
    let own: Vec<_> = (1..=u64::from(POSTS))
        .map(|o| (o, b"own".to_vec()))
        .collect();
    assert_eq!(poster.seen, own, "call {n}: the poster");
    assert_eq!(poster.acked, u32::from(POSTS), "call {n}: the verdicts");
    let told = failures
        .iter()
        .filter(|e| **e == LinkError::Io(PipeError::Told));
    assert_eq!(told.count(), failures.len(), "call {n}: {failures:?}");
    assert_eq!(poster.lost as usize, failures.len(), "call {n}: told once");
    !failures.is_empty()
}

#[test]
fn any_call_of_the_pipe_may_fail_and_nothing_is_lost_or_doubled() {
    for most in [1, 7, usize::MAX] {
        let mut n = 0;
        while run(n, most) {
            n += 1;
        }
        assert!(n > 20, "only {n} calls were tried");
    }
}
