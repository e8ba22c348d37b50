//! The generator's connections: those that post, and those that read.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

use crate::dialect::{Dialect, Part, Shape, Template};
use crate::inbox::{Inbox, Read};
use crate::server::Server;

/// How long nothing may come before it counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The receive buffer of a slow member.
const NARROW: usize = 32 * 1024;

/// One connection that has joined a room.
pub(crate) struct Client {
    stream: TcpStream,
    shape: Shape,
    template: Template,
    inbox: Inbox,
    credited: u64,
    posted: u64,
    pending: Vec<u8>,
}

impl Client {
    pub(crate) fn attach(
        server: &Server,
        dialect: &dyn Dialect,
        nth: usize,
        room: &str,
        part: Part,
    ) -> Self {
        let stream = std::net::TcpStream::connect(server.address).expect("the server listens");
        Self::join(stream, dialect, nth, room, part)
    }

    /// The same over a socket that holds little that was not read.
    pub(crate) fn attach_narrow(
        server: &Server,
        dialect: &dyn Dialect,
        nth: usize,
        room: &str,
    ) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // Before it connects, so that the window never grows.
        let narrow = socket.set_recv_buffer_size(NARROW);
        narrow
            .and_then(|()| socket.connect(&server.address.into()))
            .expect("it listens");
        Self::join(socket.into(), dialect, nth, room, Part::Member)
    }

    /// Joins over a connection that stands.
    fn join(
        mut stream: std::net::TcpStream,
        dialect: &dyn Dialect,
        nth: usize,
        room: &str,
        part: Part,
    ) -> Self {
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut shape = dialect.attach(&mut stream, nth, room, part);
        if !part.reads() {
            // No delivery begins so: none comes here.
            shape.head = vec![0xff; 8];
        }
        stream.set_nonblocking(true).expect("a TCP option");
        Self {
            stream: TcpStream::from_std(stream),
            shape,
            template: dialect.template(nth, room),
            inbox: Inbox::default(),
            credited: 0,
            posted: 0,
            pending: Vec::new(),
        }
    }

    /// The same where others post to the room too.
    pub(crate) fn crowded(mut self) -> Self {
        self.shape = self.shape.crowded();
        self
    }

    pub(crate) fn register(&mut self, registry: &Registry, nth: usize) {
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry
            .register(&mut self.stream, Token(nth), interest)
            .expect("a place in the queue");
    }

    pub(crate) const fn deliveries(&self) -> u64 {
        self.inbox.deliveries
    }

    pub(crate) const fn confirmed(&self) -> u64 {
        self.inbox.confirmed
    }

    /// The same for who counts what comes and minds no holes.
    pub(crate) fn uncounted(mut self) -> Self {
        self.shape = self.shape.uncounted();
        self
    }

    /// Reads all that is there, and grants what comes next.
    pub(crate) fn read(
        &mut self,
        dialect: &dyn Dialect,
        room: &mut [u8],
        mut each: impl FnMut(u64),
    ) {
        let Self {
            inbox,
            stream,
            shape,
            ..
        } = self;
        inbox.drain(stream, room, dialect, shape, |delivery| {
            each(shape.mark(delivery))
        });
        self.grant(dialect);
    }

    /// Reads once, and does not mind the end.
    pub(crate) fn read_once(&mut self, dialect: &dyn Dialect, room: &mut [u8]) -> Read {
        let Self {
            inbox,
            stream,
            shape,
            ..
        } = self;
        let read = inbox.read(stream, room, dialect, shape, |_| {});
        self.grant(dialect);
        read
    }

    fn grant(&mut self, dialect: &dyn Dialect) {
        let deliveries = self.inbox.deliveries;
        if deliveries - self.credited >= dialect.credit_every() {
            self.credited = deliveries;
            self.pending.extend(dialect.credit(deliveries));
            self.flush();
        }
    }

    /// Whether the protocol allows so many posts more.
    pub(crate) fn may_post(&self, posts: usize, window: Option<usize>) -> bool {
        let waiting = self.posted - self.inbox.confirmed;
        window.is_none_or(|window| waiting + posts as u64 <= window as u64)
    }

    /// Has `posts` posts ready, the first of that mark.
    pub(crate) fn post(&mut self, dialect: &dyn Dialect, posts: usize, mark: u64) {
        let seq = self.posted + 1;
        dialect.add_posts(&self.template, &mut self.pending, posts, mark, seq);
        self.posted += posts as u64;
    }

    /// Writes what is ready, as far as the system takes it.
    pub(crate) fn flush(&mut self) {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(n) => drop(self.pending.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => panic!("posting: {e}"),
            }
        }
    }
}
