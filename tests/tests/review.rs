//! What a review found: each test says how things should be, and fails as they are.

#![allow(dead_code, unused_imports)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use halloo_core::chat::client::{Client, Config, Event, From, outbox_bytes};
use halloo_core::frame::{Framing, Length32};
use halloo_core::link::{Link, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Entry, Joined, Message, Notice, NoticeKind, Welcome};
use halloo_std::testkit::PipeError;

fn at(seconds: u64) -> Instant {
    Instant::from_ticks(seconds * 1_000_000)
}

// The device, message by message.

type Device = Client<2, { outbox_bytes(4, 200) }>;

fn device() -> Device {
    Device::new(Config::new([1; 16], "ann").unwrap())
}

/// Everything that a device says now, by its debug text.
fn said(client: &mut Device, now: Instant) -> Vec<String> {
    let mut out = [0; 512];
    let mut all = Vec::new();
    while let Some(len) = client.poll_transmit(now, &mut out) {
        let message = wire::binary::decode(&out[..len]).unwrap().message;
        all.push(format!("{message:?}"));
    }
    all
}

fn events(client: &mut Device) -> Vec<Event> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

fn welcome(nonce: u64, store: u64) -> Welcome<'static> {
    Welcome {
        version: 1,
        suite: 0,
        flags: 0,
        nonce,
        session: 5,
        store,
        generation: 1,
        keepalive: 60,
        max_body: 1000,
        window: 32,
        proof: &[],
    }
}

fn joined(slot: u8, up_seq: u32) -> Joined {
    Joined {
        slot,
        room: u32::from(slot) + 7,
        up_seq,
        rejects: 0,
        start: 0,
        head: 0,
        members: 1,
        presence: 1,
    }
}

fn hear(client: &mut Device, now: Instant, message: Message<'_>) {
    let _ = client.handle_message(now, &message);
}

/// A device in rooms `a` and `b`, with no events left.
fn serving(store: u64, now: Instant) -> Device {
    let mut client = device();
    client.join("a", From::Earliest).unwrap();
    client.join("b", From::Earliest).unwrap();
    reconnect(&mut client, store, now);
    hear(&mut client, now, Message::Joined(joined(0, 0)));
    hear(&mut client, now, Message::Joined(joined(1, 0)));
    events(&mut client);
    client
}

/// A new session up to the joins, which are sent.
fn reconnect(client: &mut Device, store: u64, now: Instant) {
    client.handle_connected(now, 3);
    said(client, now);
    hear(client, now, Message::Welcome(welcome(3, store)));
    said(client, now);
}

// The link, over a pipe, with the sizes of the examples.

type Sensor = Client<1, { outbox_bytes(4, 64) }>;
type Uart = Link<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(64) }>;

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
#[ignore = "shows: the blocking link never flushes, so that nothing leaves a pipe that buffers"]
fn hello_leaves_a_pipe_that_buffers() {
    let mut client = Sensor::new(Config::new([1; 16], "ann").unwrap());
    let mut link = Uart::new(Length32::new(256));
    link.connect(&mut client, at(0), 1);
    let mut io = Buffered::default();
    let _ = link.poll(&mut io, &mut client, at(0));
    assert!(!io.gone.is_empty(), "{} bytes are held", io.held.len());
}

/// Bytes that wait to be read, and a writer that takes nothing.
struct Jammed(RefCell<VecDeque<u8>>);

impl ErrorType for &Jammed {
    type Error = PipeError;
}
impl embedded_io_async::Read for &Jammed {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, PipeError> {
        if self.0.borrow().is_empty() {
            std::future::pending::<()>().await;
        }
        let n = buf.len().min(self.0.borrow().len());
        for (to, from) in buf.iter_mut().zip(self.0.borrow_mut().drain(..n)) {
            *to = from;
        }
        Ok(n)
    }
}
/// Takes the handshake and then nothing more.
struct Narrow(usize);
impl ErrorType for Narrow {
    type Error = PipeError;
}
impl embedded_io_async::Write for Narrow {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, PipeError> {
        let n = bytes.len().min(self.0);
        if n == 0 {
            std::future::pending::<()>().await;
        }
        self.0 -= n;
        Ok(n)
    }
    async fn flush(&mut self) -> Result<(), PipeError> {
        Ok(())
    }
}

fn frame(message: Message<'_>) -> Vec<u8> {
    let mut buf = [0; 512];
    let len = wire::binary::encode(&message, &mut buf[4..]).unwrap();
    let sealed = Length32::new(508).seal(&mut buf, len).unwrap();
    buf[..sealed].to_vec()
}

#[test]
#[ignore = "shows: the asynchronous link reads nothing while its writer waits, so two full pipes wait for each other"]
fn an_asynchronous_link_reads_on_while_its_writer_waits() {
    let mut client = Sensor::new(Config::new([1; 16], "ann").unwrap());
    let mut link = Uart::new(Length32::new(256));
    client.join("lab", From::Earliest).unwrap();
    link.connect(&mut client, at(0), 3);
    let inward = Jammed(RefCell::new(VecDeque::new()));
    let mut told = Vec::new();
    // Hello takes 50 bytes, the join 30; then the pipe is full.
    let mut writer = Narrow(50 + 4);
    let mut poll = |client: &mut Sensor, writer: &mut Narrow, message: Option<Message<'_>>| {
        if let Some(message) = message {
            inward.0.borrow_mut().extend(frame(message));
        }
        let mut reader = &inward;
        let next = link.next(
            &mut reader,
            writer,
            client,
            at(0),
            std::future::pending::<()>(),
        );
        let mut next = pin!(next);
        if let Poll::Ready(Ok(Some(output))) =
            next.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            told.push(format!("{output:?}"));
        }
    };
    poll(
        &mut client,
        &mut writer,
        Some(Message::Welcome(welcome(3, 1))),
    );
    poll(&mut client, &mut writer, None);
    // The join is on its way, but stuck; the hub says something all the same.
    let notice = Message::Notice(Notice {
        slot: 0,
        version: 9,
        kind: NoticeKind::Left,
        members: 4,
        who: "bob",
    });
    poll(&mut client, &mut writer, Some(notice));
    assert!(inward.0.borrow().is_empty(), "unread; told: {told:?}");
}
