//! The life of a socket, told on stderr to those who ask for it.

use std::fmt;
use std::net::SocketAddr;

use crate::output::complain;

/// Where a socket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not there yet.
    None,
    Bound,
    Listening,
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
    pub(super) fn connecting_tcp(&mut self, local: SocketAddr, peer: SocketAddr, is_chosen: bool) {
        if self.state == State::Connecting {
            self.tell("closed", &"that address did not answer; the next one");
        }
        self.created(&format_args!("a TCP socket, {}", family(peer)));
        let why = if is_chosen { "--bind" } else { "connecting" };
        self.bound(&format_args!("{local}, by {why}"));
        self.connecting(&peer);
    }

    pub(super) fn created(&self, what: &dyn fmt::Display) {
        self.tell("created", what);
    }

    pub(super) fn bound(&mut self, to: &dyn fmt::Display) {
        self.tell("bound", &format_args!("to {to}"));
        self.state = State::Bound;
    }

    pub(super) fn connecting(&mut self, peer: &dyn fmt::Display) {
        self.tell("connecting", &format_args!("to {peer}"));
        self.state = State::Connecting;
    }

    pub(super) fn listening(&mut self, at: &dyn fmt::Display) {
        self.tell("listening", &format_args!("at {at}, for one connection"));
        self.state = State::Listening;
    }

    /// A datagram socket has its peer.
    pub(super) fn connected(&mut self, peer: &dyn fmt::Display) {
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

    pub(super) const fn has_sent(&self) -> bool {
        self.sent > 0
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    pub(super) fn closed(&mut self) {
        match self.state {
            State::None | State::Closed => {}
            State::Listening => self.tell("closed", &"nobody connected"),
            State::Bound | State::Connecting => self.tell("closed", &"never connected"),
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

pub(super) const fn family(of: SocketAddr) -> &'static str {
    match of {
        SocketAddr::V4(_) => "IPv4",
        SocketAddr::V6(_) => "IPv6",
    }
}
