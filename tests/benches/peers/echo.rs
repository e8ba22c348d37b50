//! Echo: each connection sends 64 bytes, waits until they are back, and sends the next.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::PATIENCE;
use crate::measure::{Sample, Span};
use crate::server::Server;

const BYTES: usize = 64;

struct Client {
    stream: TcpStream,
    sent: [u8; BYTES],
    back: usize,
}

impl Client {
    fn send(&mut self, mark: u64) {
        self.sent[..8].copy_from_slice(&mark.to_be_bytes());
        self.back = 0;
        let written = self.stream.write(&self.sent).expect("the server reads");
        assert_eq!(written, BYTES, "it fits into a socket");
    }

    /// Whether all that was sent is back.
    fn read(&mut self) -> bool {
        let mut room = [0; 4 * BYTES];
        match self.stream.read(&mut room) {
            Ok(0) => panic!("the server closed a connection"),
            Ok(n) => {
                assert_eq!(room[..n], self.sent[self.back..][..n], "not what was sent");
                self.back += n;
                self.back == BYTES
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => false,
            Err(e) => panic!("reading: {e}"),
        }
    }
}

/// Runs against a server that has just started; what was counted are round trips.
pub(crate) fn run(server: &Server, connections: usize, seconds: f64) -> Sample {
    let mut poll = Poll::new().expect("an event queue");
    let mut clients: Vec<Client> = (0..connections)
        .map(|nth| {
            let stream = std::net::TcpStream::connect(server.address).expect("it listens");
            stream.set_nodelay(true).expect("a TCP option");
            stream.set_nonblocking(true).expect("a TCP option");
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(nth), Interest::READABLE)
                .expect("a place in the queue");
            let sent = [nth as u8; BYTES];
            Client {
                stream,
                sent,
                back: 0,
            }
        })
        .collect();
    clients.iter_mut().for_each(|client| client.send(0));
    let mut events = Events::with_capacity(1024);
    let (mut count, length) = (0_u64, Duration::from_secs_f64(seconds));
    let mut run_for = |length: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < length {
            poll.poll(&mut events, Some(PATIENCE)).expect("a queue");
            assert!(!events.is_empty(), "echoes were lost: nothing more comes");
            for event in &events {
                let client = &mut clients[event.token().0];
                if client.read() {
                    count += 1;
                    client.send(count);
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
