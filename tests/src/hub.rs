//! A hub in a thread, and peers over plain sockets that speak to it frame by frame.

use std::io::{Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use halloo_core::wire::binary::{decode, encode};
use halloo_core::wire::{
    ByeReason, Code, Entry, GapReason, Hello, Join, MAX_BODY, Message, NoticeKind, VERSION,
};
use halloo_std::hub::{HubConfig, HubError, HubStats, Server, Shutdown, Summary};
use halloo_std::url::{Endpoint, Transport};
use socket2::{Domain, Socket, Type};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hub in a thread of its own; stopped when dropped.
#[derive(Debug)]
pub struct RunningHub {
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Its numbers.
    pub stats: HubStats,
    shutdown: Shutdown,
    thread: Option<JoinHandle<Result<Summary, HubError>>>,
}

/// A configuration that takes little memory.
#[must_use]
pub fn small() -> HubConfig {
    HubConfig {
        max_connections: 64,
        rooms: 8,
        members: 128,
        seed: Some(7),
        ..HubConfig::default()
    }
}

/// The number of shards that `HALLOO_TEST_SHARDS` wants a hub to have whose test names none: the same
/// rules hold whatever it is.
#[must_use]
pub fn shards() -> Option<usize> {
    let wanted = std::env::var("HALLOO_TEST_SHARDS").ok()?;
    Some(wanted.parse().expect("HALLOO_TEST_SHARDS is a number"))
}

impl RunningHub {
    /// Starts a hub; `before` runs first in its thread.
    pub fn start_with(
        urls: &[&str],
        config: HubConfig,
        before: impl FnOnce() + Send + 'static,
    ) -> Self {
        let endpoints: Vec<Endpoint> = urls.iter().map(|url| url.parse().unwrap()).collect();
        let config = match shards() {
            // The members of each room are spread over all of them.
            Some(shards) if config.shards == 1 => HubConfig {
                shards,
                shard_block: 1,
                ..config
            },
            _ => config,
        };
        let server = Server::bind(&endpoints, config).unwrap();
        let endpoints = server.endpoints().to_vec();
        let stats = server.stats();
        let shutdown = Shutdown::new();
        let handle = shutdown.clone();
        let thread = std::thread::spawn(move || {
            before();
            server.run(&handle)
        });
        Self {
            endpoints,
            stats,
            shutdown,
            thread: Some(thread),
        }
    }

    /// Starts a hub.
    pub fn start(urls: &[&str], config: HubConfig) -> Self {
        Self::start_with(urls, config, || {})
    }

    /// Starts a hub that serves chat over TCP.
    pub fn chat(config: HubConfig) -> Self {
        Self::start(&["chat+tcp://127.0.0.1:0"], config)
    }

    /// Triggers the shutdown and does not wait.
    pub fn trigger(&self) {
        self.shutdown.trigger();
    }

    /// Stops the hub and waits for it.
    pub fn stop(mut self) -> Summary {
        self.shutdown.trigger();
        let thread = self.thread.take().unwrap();
        thread.join().unwrap().unwrap()
    }

    /// The TCP or UDP address of the endpoint of that number.
    #[must_use]
    pub fn address(&self, number: usize) -> (String, u16) {
        match &self.endpoints[number].transport {
            Transport::Tcp { host, port }
            | Transport::CobsTcp { host, port }
            | Transport::Udp { host, port } => (host.clone(), *port),
            Transport::Unix(path) | Transport::Serial(path) => {
                panic!("{} has no port", path.display())
            }
        }
    }

    /// A TCP stream to the endpoint of that number.
    #[must_use]
    pub fn tcp(&self, number: usize) -> TcpStream {
        let (host, port) = self.address(number);
        let stream = TcpStream::connect((host.as_str(), port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A member whose socket holds little that it has not read.
    #[must_use]
    pub fn narrow_member(&self, device: u8, room: &str) -> Peer<TcpStream> {
        let (host, port) = self.address(0);
        let address: SocketAddr = format!("{host}:{port}").parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Before it connects, so that the window never grows.
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Peer::new(stream);
        peer.hello(device);
        peer.join(0, room, &format!("dev{device}"), Join::LATEST);
        peer
    }

    /// A UDP socket whose peer is the endpoint of that number.
    #[must_use]
    pub fn udp(&self, number: usize) -> UdpSocket {
        let (host, port) = self.address(number);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect((host.as_str(), port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// A peer on the first endpoint.
    #[must_use]
    pub fn peer(&self) -> Peer<TcpStream> {
        Peer::new(self.tcp(0))
    }

    /// A peer on the first endpoint that has a session and is in `room`, from its end on.
    #[must_use]
    pub fn member(&self, device: u8, room: &str) -> Peer<TcpStream> {
        let mut peer = self.peer();
        peer.hello(device);
        peer.join(0, room, &format!("dev{device}"), Join::LATEST);
        peer
    }
}

impl Drop for RunningHub {
    fn drop(&mut self) {
        self.shutdown.trigger();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

/// A message from the hub, without its borrows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Got {
    Welcome {
        max_body: u16,
        window: u16,
    },
    Joined {
        slot: u8,
        up_seq: u32,
        head: u64,
    },
    Ack {
        up_seq: u32,
    },
    Reject {
        seq: u32,
        code: Code,
    },
    Entry {
        offset: u64,
        from: String,
        body: Vec<u8>,
    },
    Own {
        offset: u64,
    },
    Gap {
        from: u64,
        to: u64,
        reason: GapReason,
    },
    Notice {
        kind: NoticeKind,
        members: u32,
    },
    Roster {
        names: Vec<String>,
    },
    Ping {
        token: u32,
    },
    Pong {
        token: u32,
    },
    EchoReply {
        bytes: Vec<u8>,
    },
    Error(Code),
    Bye(ByeReason),
    End,
}

/// A halves-closable stream.
pub trait Stream: Read + Write {
    /// Ends the writing side.
    fn end_writing(&self);
}

impl Stream for TcpStream {
    fn end_writing(&self) {
        self.shutdown(Half::Write).unwrap();
    }
}

impl Stream for UnixStream {
    fn end_writing(&self) {
        self.shutdown(Half::Write).unwrap();
    }
}

/// One end of a stream that speaks frames.
#[derive(Debug)]
pub struct Peer<S> {
    /// The stream.
    pub stream: S,
    seq: u32,
    buffer: Vec<u8>,
    at: usize,
}

/// The frame of a message.
#[must_use]
pub fn framed(message: &Message<'_>) -> Vec<u8> {
    let mut out = vec![0; MAX_BODY + 512];
    let len = encode(message, &mut out[4..]).unwrap();
    out[..4].copy_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
    out.truncate(4 + len);
    out
}

/// The frame of a `Hello`.
#[must_use]
pub fn hello(device: u8) -> Vec<u8> {
    framed(&Message::Hello(Hello {
        version_min: VERSION,
        version_max: VERSION,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce: 1,
        device: [device; 16],
        max_frame: 100_000,
        credit: u16::MAX,
        keepalive: 0,
        proof: &[],
        cookie: None,
    }))
}

/// The frame of a `Post` in slot 0.
#[must_use]
pub fn post(seq: u32, body: &[u8]) -> Vec<u8> {
    framed(&Message::Post { slot: 0, seq, body })
}

impl<S: Stream> Peer<S> {
    /// A peer that has said nothing yet.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            seq: 0,
            buffer: vec![0; 128 * 1024],
            at: 0,
        }
    }

    /// Writes bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes a message.
    pub fn send(&mut self, message: &Message<'_>) {
        self.send_raw(&framed(message));
    }

    /// Opens a session.
    pub fn hello(&mut self, device: u8) {
        self.send_raw(&hello(device));
        let got = self.recv();
        assert!(matches!(got, Got::Welcome { .. }), "{got:?}");
    }

    /// Joins a room, without notices, and gives back the last sequence with a verdict and the head.
    pub fn join(&mut self, slot: u8, room: &str, name: &str, cursor: u64) -> (u32, u64) {
        self.send(&Message::Join(Join {
            slot,
            flags: Join::NO_PRESENCE,
            cursor,
            history: u32::MAX,
            room: room.as_bytes(),
            name: name.as_bytes(),
        }));
        match self.recv() {
            Got::Joined { up_seq, head, .. } => {
                self.seq = up_seq;
                (up_seq, head)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Posts in slot 0, with the next sequence number.
    pub fn post(&mut self, body: &[u8]) {
        self.seq += 1;
        let frame = post(self.seq, body);
        self.send_raw(&frame);
    }

    /// Posts and waits for the acknowledgement and the marker.
    pub fn post_and_wait(&mut self, body: &[u8]) {
        self.post(body);
        let (mut acked, mut marked) = (false, false);
        while !(acked && marked) {
            match self.recv() {
                Got::Ack { up_seq } => acked |= up_seq == self.seq,
                Got::Own { .. } => marked = true,
                Got::Entry { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads one frame into a buffer of its own; allocates nothing after that. `None` at the end.
    pub fn recv_frame(&mut self) -> Option<&[u8]> {
        if !self.fill(0, 4) {
            return None;
        }
        let len = u32::from_be_bytes(self.buffer[..4].try_into().unwrap()) as usize;
        assert!(self.fill(4, len), "the stream ends inside a frame");
        Some(&self.buffer[4..4 + len])
    }

    fn fill(&mut self, at: usize, len: usize) -> bool {
        self.at = 0;
        while self.at < len {
            let room = &mut self.buffer[at + self.at..at + len];
            match self.stream.read(room) {
                Ok(0) if self.at == 0 => return false,
                Ok(0) => panic!("the stream ends inside a frame"),
                Ok(n) => self.at += n,
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return false,
                Err(e) => panic!("{e}"),
            }
        }
        true
    }

    /// The next message.
    pub fn recv(&mut self) -> Got {
        let Some(frame) = self.recv_frame() else {
            return Got::End;
        };
        match decode(frame).unwrap().message {
            Message::Welcome(w) => Got::Welcome {
                max_body: w.max_body,
                window: w.window,
            },
            Message::Joined(j) => Got::Joined {
                slot: j.slot,
                up_seq: j.up_seq,
                head: j.head,
            },
            Message::Ack { up_seq, .. } => Got::Ack { up_seq },
            Message::Reject { seq, code, .. } => Got::Reject { seq, code },
            Message::Entry(e) if e.flags & Entry::OWN != 0 => Got::Own { offset: e.offset },
            Message::Entry(e) => Got::Entry {
                offset: e.offset,
                from: e.from.into(),
                body: e.body.into(),
            },
            Message::Gap(g) => Got::Gap {
                from: g.from,
                to: g.to,
                reason: g.reason,
            },
            Message::Notice(n) => Got::Notice {
                kind: n.kind,
                members: n.members,
            },
            Message::Roster(r) => Got::Roster {
                names: r.names.iter().map(String::from).collect(),
            },
            Message::Ping { token } => Got::Ping { token },
            Message::Pong { token } => Got::Pong { token },
            Message::EchoReply { bytes, .. } => Got::EchoReply {
                bytes: bytes.into(),
            },
            Message::Error(e) => Got::Error(e.code),
            Message::Bye(b) => Got::Bye(b.reason),
            other => panic!("{other:?}"),
        }
    }

    /// The next entry of the log, with a marker's body empty; anything but an `Ack` is a failure.
    pub fn entry(&mut self) -> (u64, Vec<u8>) {
        loop {
            match self.recv() {
                Got::Entry { offset, body, .. } => return (offset, body),
                Got::Own { offset } => return (offset, Vec::new()),
                Got::Ack { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
