//! Echo: each connection has so many messages of 64 bytes on their way, and sends one for each that is
//! back.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::PATIENCE;
use crate::measure::{Sample, Span};
use crate::server::Server;

const BYTES: usize = 64;

/// The most bytes of one connection that are on their way: no socket is full of them.
const MOST: usize = 16 * 1024;

/// The bytes that a connection sends repeat after so many, so that a piece out of place is seen.
const PERIOD: usize = 251;

/// What the connections do.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Messages of a connection that are on their way at once: one, if there is a prefix.
    pub(crate) window: usize,
    /// What the server puts in front of what it has read.
    pub(crate) prefix: &'static str,
    pub(crate) seconds: f64,
}

struct Client {
    stream: TcpStream,
    nth: usize,
    sent: usize,
    back: usize,
    /// How much of the next prefix is back.
    prefix: usize,
}

impl Client {
    fn send(&mut self, pattern: &[u8], messages: usize) {
        let bytes = &pattern[(self.nth + self.sent) % PERIOD..][..messages * BYTES];
        let written = self.stream.write(bytes).expect("the server reads");
        assert_eq!(written, bytes.len(), "it fits into a socket");
        self.sent += written;
    }

    /// Reads once; how many messages are back.
    fn read(&mut self, pattern: &[u8], load: &Load, room: &mut [u8]) -> usize {
        let read = match self.stream.read(room) {
            Ok(0) => panic!("the server closed a connection"),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return 0,
            Err(e) => panic!("reading: {e}"),
        };
        let (mut bytes, before) = (&room[..read], self.back / BYTES);
        while !bytes.is_empty() {
            let prefix = &load.prefix.as_bytes()[self.prefix..];
            let expected = if prefix.is_empty() {
                let message = match load.window {
                    1 => BYTES - self.back % BYTES,
                    _ => MOST,
                };
                &pattern[(self.nth + self.back) % PERIOD..][..message]
            } else {
                prefix
            };
            let here = bytes.len().min(expected.len());
            assert_eq!(bytes[..here], expected[..here], "not what was sent");
            if prefix.is_empty() {
                self.back += here;
                if load.window == 1 && self.back.is_multiple_of(BYTES) {
                    self.prefix = 0;
                }
            } else {
                self.prefix += here;
            }
            bytes = &bytes[here..];
        }
        assert!(self.back <= self.sent, "more than was sent");
        self.back / BYTES - before
    }
}

/// Runs against a server that has just started; what was counted are messages that came back.
pub(crate) fn run(server: &Server, load: &Load) -> Sample {
    assert!(load.window * BYTES <= MOST && (load.window == 1 || load.prefix.is_empty()));
    let pattern: Vec<u8> = (0..PERIOD + MOST).map(|at| (at % PERIOD) as u8).collect();
    let mut poll = Poll::new().expect("an event queue");
    let mut clients: Vec<Client> = (0..load.connections)
        .map(|nth| {
            let stream = std::net::TcpStream::connect(server.address).expect("it listens");
            stream.set_nodelay(true).expect("a TCP option");
            stream.set_nonblocking(true).expect("a TCP option");
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(nth), Interest::READABLE)
                .expect("a place in the queue");
            Client {
                stream,
                nth,
                sent: 0,
                back: 0,
                prefix: 0,
            }
        })
        .collect();
    for client in &mut clients {
        client.send(&pattern, load.window);
    }
    let mut events = Events::with_capacity(1024);
    let mut room = [0; 2 * MOST];
    let (mut count, length) = (0_u64, Duration::from_secs_f64(load.seconds));
    let mut run_for = |length: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < length {
            poll.poll(&mut events, Some(PATIENCE)).expect("a queue");
            assert!(!events.is_empty(), "echoes were lost: nothing more comes");
            for event in &events {
                let client = &mut clients[event.token().0];
                let messages = client.read(&pattern, load, &mut room);
                if messages > 0 {
                    count += messages as u64;
                    client.send(&pattern, messages);
                }
            }
        }
        count
    };
    let before = run_for(length / 4);
    let span = Span::begin(server);
    let after = run_for(length);
    span.end(after - before)
}
