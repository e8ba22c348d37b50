//! The link over `embedded-io-async`: it waits for its pipe, ends at its timer, and may be dropped.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_io::{ErrorType, ReadReady, WriteReady};
use halloo_core::chat::client::{Client, Config, Delivery, Event, From, outbox_bytes};
use halloo_core::frame::{Framing, Length32};
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Lineage, Message, Notice, NoticeKind, Welcome};
use halloo_std::testkit::{End, HubMemory, PipeError, pipe};

type Device = Client<1, { outbox_bytes(2, 32) }>;
type DeviceLink = Link<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(32) }>;

/// One side of a pipe's end, pending where the pipe is not ready.
struct Side<'e>(&'e RefCell<End>);

impl embedded_io::ErrorType for Side<'_> {
    type Error = PipeError;
}

impl embedded_io_async::Read for Side<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, PipeError> {
        poll_fn(|_| {
            let ready = self.0.borrow_mut().read_ready();
            match ready {
                Ok(true) => Poll::Ready(embedded_io::Read::read(&mut *self.0.borrow_mut(), buf)),
                Ok(false) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
}

impl embedded_io_async::Write for Side<'_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, PipeError> {
        poll_fn(|_| {
            let ready = self.0.borrow_mut().write_ready();
            match ready {
                Ok(true) => Poll::Ready(embedded_io::Write::write(&mut *self.0.borrow_mut(), buf)),
                Ok(false) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
    async fn flush(&mut self) -> Result<(), PipeError> {
        Ok(())
    }
}

fn at(ms: u64) -> Instant {
    Instant::from_ticks(ms * 1000)
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a device that posts three times; each future is polled `patience` times and then dropped.
fn run(patience: u32) -> (Vec<u32>, Vec<u64>) {
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let (end, far) = pipe(16);
    hub.attach(at(0), far);
    let end = RefCell::new(end);
    let (mut reader, mut writer) = (Side(&end), Side(&end));
    let mut client = Device::new(Config::new([3; 16], "ann").unwrap());
    let mut link = DeviceLink::new(Length32::new(256));
    let lab = client.join("lab", From::Earliest).unwrap();
    link.connect(&mut client, at(0), 9);
    let (mut acked, mut seen, mut posted) = (Vec::new(), Vec::new(), 0_u8);
    for ms in 0..10_000 {
        while posted < 3 && client.post(lab, &[posted]).is_ok() {
            posted += 1;
        }
        let mut polls = 0;
        let timer = poll_fn(|_| {
            polls += 1;
            if polls > patience {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let next = link.next(&mut reader, &mut writer, &mut client, at(ms), timer);
        let mut next = pin!(next);
        let output = loop {
            hub.turn(at(ms));
            if let Poll::Ready(output) = poll_once(next.as_mut()) {
                break output.expect("the pipe is good");
            }
        };
        match output {
            Some(Output::Event(Event::Acked { seq, .. })) => acked.push(seq),
            Some(Output::Delivery(Delivery::Own { offset, .. })) => seen.push(offset),
            Some(_) | None => {}
        }
        if acked.len() == 3 && seen.len() == 3 {
            break;
        }
    }
    (acked, seen)
}

#[test]
fn a_device_posts_and_reads_however_often_its_wait_is_cut_short() {
    for patience in [0, 1, 2, 100] {
        assert_eq!(run(patience), (vec![1, 2, 3], vec![1, 2, 3]), "{patience}");
    }
}

#[test]
fn the_timer_ends_a_wait_and_the_end_of_the_stream_is_told() {
    let (end, far) = pipe(256);
    let end = RefCell::new(end);
    let (mut reader, mut writer) = (Side(&end), Side(&end));
    let mut client = Device::new(Config::new([3; 16], "ann").unwrap());
    let mut link = DeviceLink::new(Length32::new(256));
    link.connect(&mut client, at(0), 9);
    {
        let idle = link.next(&mut reader, &mut writer, &mut client, at(0), async {});
        assert_eq!(poll_once(pin!(idle)), Poll::Ready(Ok(None)));
    }
    drop(far);
    let forever = std::future::pending();
    let over = link.next(&mut reader, &mut writer, &mut client, at(1), forever);
    assert_eq!(poll_once(pin!(over)), Poll::Ready(Err(LinkError::Closed)));
    assert!(matches!(client.poll_event(), Some(Event::Closed { .. })));
}

const WELCOME: Welcome<'_> = Welcome {
    version: 1,
    suite: 0,
    flags: 0,
    nonce: 3,
    session: 5,
    store: 1,
    generation: 1,
    keepalive: 0,
    max_body: 1000,
    window: 32,
    proof: &[],
    lineage: Lineage::NONE,
};

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
fn an_asynchronous_link_reads_on_while_its_writer_waits() {
    let mut client = Device::new(Config::new([1; 16], "ann").unwrap());
    let mut link = DeviceLink::new(Length32::new(256));
    client.join("lab", From::Earliest).unwrap();
    link.connect(&mut client, at(0), 3);
    let inward = Jammed(RefCell::new(VecDeque::new()));
    let mut told = Vec::new();
    // Hello takes 50 bytes, the join 30; then the pipe is full.
    let mut writer = Narrow(50 + 4);
    let mut poll = |client: &mut Device, writer: &mut Narrow, message: Option<Message<'_>>| {
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
    poll(&mut client, &mut writer, Some(Message::Welcome(WELCOME)));
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

#[test]
fn the_last_word_is_out_before_the_end_is_told() {
    let mut client = Device::new(Config::new([3; 16], "ann").unwrap());
    let mut link = DeviceLink::new(Length32::new(256));
    link.connect(&mut client, at(0), 3);
    let inward = Jammed(RefCell::new(frame(Message::Welcome(WELCOME)).into()));
    let mut poll = |client: &mut Device, writer: &mut Narrow| {
        let never = std::future::pending::<()>();
        let mut reader = &inward;
        let next = link.next(&mut reader, writer, client, at(0), never);
        match poll_once(pin!(next)) {
            Poll::Ready(Ok(Some(output))) => Some(format!("{output:?}")),
            Poll::Ready(Ok(None)) | Poll::Pending => None,
            Poll::Ready(Err(error)) => panic!("{error}"),
        }
    };
    let mut writer = Narrow(1000);
    let welcomed = poll(&mut client, &mut writer);
    assert_eq!(welcomed.as_deref(), Some("Event(Welcomed)"));
    client.bye();
    writer.0 = 5;
    for _ in 0..4 {
        assert_eq!(poll(&mut client, &mut writer), None);
    }
    writer.0 = 5;
    let told = poll(&mut client, &mut writer);
    assert!(told.is_some_and(|told| told.contains("Closed")));
    assert_eq!(writer.0, 0);
}

/// Asks the link when it is due, and calls it then, until it says what is wrong.
fn wait_out(
    link: &mut DeviceLink,
    client: &mut Device,
    inward: &Jammed,
    writer: &mut Narrow,
) -> (Instant, String) {
    let mut now = at(100_000);
    for _ in 0..20 {
        let mut reader = inward;
        let due = link.poll_timeout(client).expect("there is a deadline");
        now = now.max(due);
        let next = link.next(&mut reader, writer, client, now, async {});
        match poll_once(pin!(next)) {
            Poll::Ready(Ok(None)) | Poll::Pending => {}
            told => return (now, format!("{told:?}")),
        }
    }
    panic!("it waits for ever");
}

/// A session without keepalive, so that no other deadline is there.
fn quiet(inward: &Jammed) -> (DeviceLink, Device) {
    let mut client = Device::new(Config::new([3; 16], "ann").unwrap());
    let mut link = DeviceLink::new(Length32::new(256));
    link.connect(&mut client, at(0), 3);
    inward
        .0
        .borrow_mut()
        .extend(frame(Message::Welcome(WELCOME)));
    let mut reader = inward;
    let mut writer = Narrow(1000);
    let next = link.next(&mut reader, &mut writer, &mut client, at(0), async {});
    assert!(matches!(poll_once(pin!(next)), Poll::Ready(Ok(Some(_)))));
    assert_eq!(link.poll_timeout(&client), None);
    (link, client)
}

#[test]
fn the_rest_of_a_frame_is_awaited_for_10_s_from_when_it_was_seen() {
    let inward = Jammed(RefCell::default());
    let (mut link, mut client) = quiet(&inward);
    inward.0.borrow_mut().extend([0, 0]);
    // The wait began long ago, and its time is not that of the bytes.
    let mut reader = &inward;
    let mut writer = Narrow(1000);
    let next = link.next(&mut reader, &mut writer, &mut client, at(1), async {});
    assert_eq!(poll_once(pin!(next)), Poll::Ready(Ok(None)));
    let (end, told) = wait_out(&mut link, &mut client, &inward, &mut writer);
    assert_eq!(end, at(110_000));
    assert!(told.contains("Violation(Timeout)"), "{told}");
    assert_eq!(writer.0, 1000 - 11, "the error was not said");
}

#[test]
fn a_pipe_that_takes_nothing_for_30_s_is_given_up() {
    let inward = Jammed(RefCell::default());
    let (mut link, mut client) = quiet(&inward);
    client.echo(1, b"x");
    let mut writer = Narrow(3);
    let mut reader = &inward;
    let next = link.next(&mut reader, &mut writer, &mut client, at(1), async {});
    assert_eq!(poll_once(pin!(next)), Poll::Ready(Ok(None)));
    let (end, told) = wait_out(&mut link, &mut client, &inward, &mut writer);
    assert_eq!((end, &*told), (at(130_000), "Ready(Err(Stalled))"));
}
