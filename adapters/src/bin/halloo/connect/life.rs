//! The life of a socket, told on stderr to those who ask for it.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use crate::output::complain;

/// Where a client's socket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not there yet.
    None,
    Connecting,
    /// A connection stands, or a datagram socket has its peer.
    Open,
    /// Nothing more is sent; the other end may speak on.
    HalfClosed,
    Closed,
}

/// Tells each state once.
#[derive(Debug)]
pub(super) struct Life {
    is_told: bool,
    state: State,
    sent: u64,
    received: u64,
}

impl Life {
    pub(super) const fn new(is_told: bool) -> Self {
        Self {
            is_told,
            state: State::None,
            sent: 0,
            received: 0,
        }
    }

    /// An attempt over TCP has begun; the one before it, if there was one, has failed.
    pub(super) fn connecting(&mut self, local: SocketAddr, peer: SocketAddr) {
        if self.state == State::Connecting {
            self.tell("closed", &"that address did not answer; the next one");
        }
        self.tell("created", &format_args!("a TCP socket, {}", family(peer)));
        self.tell("bound", &format_args!("to {local}, by connecting"));
        self.tell("connecting", &format_args!("to {peer}"));
        self.state = State::Connecting;
    }

    pub(super) fn connecting_unix(&mut self, path: &Path) {
        self.tell("created", &"a Unix stream socket");
        self.tell("connecting", &format_args!("to {}", path.display()));
        self.state = State::Connecting;
    }

    pub(super) fn datagrams(&mut self, local: SocketAddr, peer: SocketAddr) {
        self.tell("created", &format_args!("a UDP socket, {}", family(peer)));
        self.tell("bound", &format_args!("to {local}"));
        self.tell(
            "connected",
            &format_args!("to {peer}, which knows nothing of it until something is sent"),
        );
        self.state = State::Open;
    }

    pub(super) fn established(&mut self, local: &dyn fmt::Display, peer: &dyn fmt::Display) {
        self.tell("established", &format_args!("from {local} to {peer}"));
        self.state = State::Open;
    }

    /// The sending side is closed.
    pub(super) fn half_closed(&mut self) {
        self.tell(
            "half-closed",
            &"the input has ended, and nothing more is sent",
        );
        self.state = State::HalfClosed;
    }

    /// The other end has closed its sending side.
    pub(super) fn peer_ended(&self) {
        self.tell("half-closed", &"the other end sends nothing more");
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    pub(super) fn closed(&mut self) {
        match self.state {
            State::None | State::Closed => {}
            State::Connecting => self.tell("closed", &"never connected"),
            State::Open | State::HalfClosed => self.tell(
                "closed",
                &format_args!("{} bytes sent, {} received", self.sent, self.received),
            ),
        }
        self.state = State::Closed;
    }

    fn tell(&self, state: &str, more: &dyn fmt::Display) {
        if self.is_told {
            complain(&format!("* {state}: {more}"));
        }
    }
}

const fn family(of: SocketAddr) -> &'static str {
    match of {
        SocketAddr::V4(_) => "IPv4",
        SocketAddr::V6(_) => "IPv6",
    }
}
