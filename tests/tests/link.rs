//! The link over a pipe, with the sizes of the examples.

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use halloo_core::chat::client::{Cause, Client, Config, Event, From, PostError, outbox_bytes};
use halloo_core::frame::{Framing, Length32};
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Code, Lineage, Message, Welcome};
use halloo_std::testkit::{HubMemory, PipeError, pipe};

type Sensor = Client<1, { outbox_bytes(4, 64) }>;
type Uart = Link<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(64) }>;

fn at(seconds: u64) -> Instant {
    Instant::from_ticks(seconds * 1_000_000)
}

fn ms(ms: u64) -> Instant {
    Instant::from_ticks(ms * 1000)
}

#[test]
fn a_device_as_in_the_readme_gets_past_an_entry_above_its_buffer() {
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let mut author =
        Client::<1, { outbox_bytes(4, 512) }>::new(Config::new([2; 16], "bob").unwrap());
    let mut author_link =
        Link::<Length32, { rx_bytes::<Length32>(512) }, { tx_bytes::<Length32>(512) }>::new(
            Length32::new(1024),
        );
    let mut client = Sensor::new(Config::new([1; 16], "ann").unwrap());
    let mut link = Uart::new(Length32::new(256));
    let lab = author.join("lab", From::Latest).unwrap();
    client.join("lab", From::Earliest).unwrap();
    let (mut board, end) = pipe(1024);
    hub.attach(at(0), end);
    author_link.connect(&mut author, at(0), 1);
    let (mut io, mut sessions, mut posted) = (None, 0, 0);
    for turn in 0..2000 {
        let now = ms(turn);
        hub.turn(now);
        if posted < 2
            && author
                .post(lab, if posted == 0 { &[7; 300] } else { b"small" })
                .is_ok()
        {
            posted += 1;
        }
        let _ = author_link.poll(&mut board, &mut author, now);
        let pipe = io.get_or_insert_with(|| {
            let (near, far) = pipe(1024);
            hub.attach(now, far);
            sessions += 1;
            link.connect(&mut client, now, 100 + sessions);
            near
        });
        match link.poll(pipe, &mut client, now) {
            Ok(Output::Event(Event::Closed { .. })) | Err(nb::Error::Other(_)) => {
                client.handle_disconnected(now);
                io = None;
            }
            _ => {}
        }
    }
    assert_eq!(hub.head("lab"), Some(2));
    assert_eq!(client.cursor(0), Some(2), "after {sessions} sessions");
}

#[test]
fn a_post_that_is_taken_gets_a_verdict() {
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let (mut board, end) = pipe(1024);
    hub.attach(at(0), end);
    let mut client = Sensor::new(Config::new([1; 16], "ann").unwrap());
    let mut link = Uart::new(Length32::new(256));
    let lab = client.join("lab", From::Latest).unwrap();
    link.connect(&mut client, at(0), 1);
    let mut taken = None;
    // Ten minutes: past every deadline that there is.
    for turn in 0..6000 {
        let now = ms(turn * 100);
        hub.turn(now);
        if taken.is_none() {
            match client.post(lab, &[7; 170]) {
                Err(PostError::TooLarge) => return,
                Err(_) => {}
                Ok(seq) => taken = Some(seq),
            }
        }
        match link.poll(&mut board, &mut client, now) {
            Ok(Output::Event(Event::Acked { .. } | Event::Rejected { .. })) => return,
            Ok(Output::Event(Event::Closed { .. })) => return,
            _ => {}
        }
    }
    panic!("post {taken:?} still waits: {}", client.unacknowledged());
}

/// A pipe that holds what is written until it is flushed, as `embedded_io::Write` allows.
#[derive(Default)]
struct Buffered {
    held: Vec<u8>,
    gone: Vec<u8>,
}

impl ErrorType for Buffered {
    type Error = PipeError;
}
impl Read for Buffered {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, PipeError> {
        Err(PipeError::WouldBlock)
    }
}
impl ReadReady for Buffered {
    fn read_ready(&mut self) -> Result<bool, PipeError> {
        Ok(false)
    }
}
impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, PipeError> {
        self.held.extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<(), PipeError> {
        self.gone.append(&mut self.held);
        Ok(())
    }
}
impl WriteReady for Buffered {
    fn write_ready(&mut self) -> Result<bool, PipeError> {
        Ok(true)
    }
}

#[test]
fn hello_leaves_a_pipe_that_buffers() {
    let mut client = Sensor::new(Config::new([1; 16], "ann").unwrap());
    let mut link = Uart::new(Length32::new(256));
    link.connect(&mut client, at(0), 1);
    let mut io = Buffered::default();
    let _ = link.poll(&mut io, &mut client, at(0));
    assert!(!io.gone.is_empty(), "{} bytes are held", io.held.len());
}

/// A pipe that gives its bytes one a call and takes so many.
struct Scripted {
    inward: Vec<u8>,
    takes: usize,
    taken: Vec<u8>,
}

impl ErrorType for Scripted {
    type Error = PipeError;
}
impl Read for Scripted {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, PipeError> {
        buf[0] = self.inward.remove(0);
        Ok(1)
    }
}
impl ReadReady for Scripted {
    fn read_ready(&mut self) -> Result<bool, PipeError> {
        Ok(!self.inward.is_empty())
    }
}
impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, PipeError> {
        let n = bytes.len().min(self.takes);
        self.takes -= n;
        self.taken.extend(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> Result<(), PipeError> {
        Ok(())
    }
}
impl WriteReady for Scripted {
    fn write_ready(&mut self) -> Result<bool, PipeError> {
        Ok(self.takes > 0)
    }
}

/// A link that waits for its Welcome.
fn greeting(takes: usize) -> (Uart, Sensor, Scripted) {
    let mut client = Sensor::new(Config::new([1; 16], "ann").unwrap());
    let mut link = Uart::new(Length32::new(256));
    link.connect(&mut client, at(0), 1);
    let io = Scripted {
        inward: Vec::new(),
        takes,
        taken: Vec::new(),
    };
    (link, client, io)
}

#[test]
fn what_came_is_told_while_the_pipe_takes_nothing() {
    let (mut link, mut client, mut io) = greeting(1);
    io.inward = welcome_frame();
    let welcomed = Ok(Output::Event(Event::Welcomed));
    assert!((0..9).any(|_| link.poll(&mut io, &mut client, at(0)) == welcomed));
}

#[test]
fn the_rest_of_a_frame_is_awaited_for_10_s_and_then_the_hub_is_told() {
    let (mut link, mut client, mut io) = greeting(1000);
    let now = Instant::from_ticks(4_000_000);
    io.inward = vec![0, 0, 0];
    assert_eq!(
        link.poll(&mut io, &mut client, at(0)),
        Err(nb::Error::WouldBlock)
    );
    // The handshake's own deadline is as late, so it is met first.
    assert_eq!(link.poll_timeout(&client), Some(at(10)));
    let (mut link, mut client, mut io) = greeting(1000);
    io.inward = welcome_frame();
    while link.poll(&mut io, &mut client, now) != Ok(Output::Event(Event::Welcomed)) {}
    io.inward = vec![0, 0, 0];
    assert_eq!(
        link.poll(&mut io, &mut client, now),
        Err(nb::Error::WouldBlock)
    );
    assert_eq!(link.poll_timeout(&client), Some(at(14)));
    // A byte more does not put it off.
    io.inward = vec![9];
    assert_eq!(
        link.poll(&mut io, &mut client, at(13)),
        Err(nb::Error::WouldBlock)
    );
    assert_eq!(link.poll_timeout(&client), Some(at(14)));
    let told = link.poll(&mut io, &mut client, at(14));
    let cause = Cause::Violation(Code::Timeout);
    assert_eq!(told, Ok(Output::Event(Event::Closed { cause })));
    assert_eq!(io.taken[io.taken.len() - 7..][..2], [0x92, 6]);
}

#[test]
fn a_pipe_that_takes_nothing_for_30_s_is_given_up() {
    let (mut link, mut client, mut io) = greeting(1000);
    io.inward = welcome_frame();
    while link.poll(&mut io, &mut client, at(0)) != Ok(Output::Event(Event::Welcomed)) {}
    client.echo(1, b"x");
    io.takes = 1;
    assert_eq!(
        link.poll(&mut io, &mut client, at(1)),
        Err(nb::Error::WouldBlock)
    );
    assert_eq!(link.poll_timeout(&client), Some(at(31)));
    // It goes on, and so there are 30 s again.
    io.takes = 1;
    assert_eq!(
        link.poll(&mut io, &mut client, at(31)),
        Err(nb::Error::WouldBlock)
    );
    assert_eq!(link.poll_timeout(&client), Some(at(61)));
    let over = link.poll(&mut io, &mut client, at(61));
    assert_eq!(over, Err(nb::Error::Other(LinkError::Stalled)));
}

/// A Welcome without keepalive, so that no other deadline is there.
fn welcome_frame() -> Vec<u8> {
    let welcome = Message::Welcome(Welcome {
        version: 1,
        suite: 0,
        flags: 0,
        nonce: 1,
        session: 5,
        store: 1,
        generation: 1,
        keepalive: 0,
        max_body: 1000,
        window: 32,
        proof: &[],
        lineage: Lineage::NONE,
    });
    let mut buf = [0; 128];
    let len = wire::binary::encode(&welcome, &mut buf[4..]).unwrap();
    let sealed = Length32::new(124).seal(&mut buf, len).unwrap();
    buf[..sealed].to_vec()
}

#[test]
fn the_last_word_is_out_before_the_end_is_told() {
    let (mut link, mut client, mut io) = greeting(1000);
    io.inward = welcome_frame();
    while link.poll(&mut io, &mut client, at(0)) != Ok(Output::Event(Event::Welcomed)) {}
    client.bye();
    io.takes = 3;
    let waits = Err(nb::Error::WouldBlock);
    assert_eq!(link.poll(&mut io, &mut client, at(0)), waits);
    io.takes = 1000;
    let cause = Cause::Done;
    let told = link.poll(&mut io, &mut client, at(0));
    assert_eq!(told, Ok(Output::Event(Event::Closed { cause })));
    assert!(!link.is_writing());
}

#[test]
fn a_link_without_a_connection_waits_for_nothing() {
    let (mut link, mut client, mut io) = greeting(3);
    let waits = Err(nb::Error::WouldBlock);
    assert_eq!(link.poll(&mut io, &mut client, at(0)), waits);
    assert!(link.is_writing(), "of the Hello");
    assert_eq!(link.poll(&mut io, &mut client, at(1)), waits);
    client.handle_disconnected(at(2));
    assert_eq!(link.poll_timeout(&client), None);
}
