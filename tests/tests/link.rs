//! The link over a pipe, with the sizes of the examples.

use halloo_core::chat::client::{Client, Config, Event, From, PostError, outbox_bytes};
use halloo_core::frame::Length32;
use halloo_core::link::{Link, Output, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_std::testkit::{HubMemory, pipe};

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
