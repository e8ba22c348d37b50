//! The link over `embedded-io-async`: it waits for its pipe, ends at its timer, and may be dropped.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_io::{ReadReady, WriteReady};
use halloo_core::chat::client::{Client, Config, Delivery, Event, From, outbox_bytes};
use halloo_core::frame::Length32;
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
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
