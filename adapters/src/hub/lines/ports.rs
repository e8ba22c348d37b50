//! Lines that the hub opens itself, and opens again: devices, and serial servers that it connects to.
//!
//! Knows when to try. A cable that is pulled, a board that is flashed and a server that restarts are
//! all the same: the line is gone, and will be back.

use std::net::SocketAddr;

use halloo_core::time::{Duration, Instant, after, earliest, millis, secs};

use super::super::socket::Socket;
use crate::socket::{DeviceProblem, Options, SerialPort, SocketError, TcpConnect};
use crate::url::Endpoint;

/// The wait before a line is opened again: the first, and the most that it doubles to.
const FIRST_WAIT: Duration = millis(250);
const MOST_WAIT: Duration = secs(8);

/// How often a connection on its way is looked at.
const LOOK: Duration = millis(10);

/// A line that the hub opens.
#[derive(Debug)]
pub(in crate::hub) struct Port {
    endpoint: Endpoint,
    start: Start,
    state: State,
    wait: Duration,
    /// That it is away was said.
    is_told: bool,
}

/// How a line is opened.
#[derive(Debug)]
pub(in crate::hub) enum Start {
    /// A device at a path.
    Device { baud: u32 },
    /// A connection to one of these. The name was looked up at the start: to do it later would hold up
    /// everybody else.
    Connect {
        addresses: Vec<SocketAddr>,
        options: Box<Options>,
    },
}

#[derive(Debug)]
enum State {
    Closed {
        retry_at: Instant,
    },
    Connecting(Box<TcpConnect>, Instant),
    /// Opened before the loop ran.
    Ready(SerialPort),
    Open,
}

impl Port {
    /// A connection that the loop makes.
    pub(in crate::hub) fn connect(
        endpoint: Endpoint,
        addresses: Vec<SocketAddr>,
        options: Options,
    ) -> Self {
        let start = Start::Connect {
            addresses,
            options: Box::new(options),
        };
        Self::new(endpoint, start, State::CLOSED)
    }

    /// Opens a device. One that is not there is waited for; all else that is wrong with it is told.
    pub(in crate::hub) fn device(
        endpoint: Endpoint,
        path: &std::path::Path,
    ) -> Result<Self, SocketError> {
        let baud = endpoint.options.baud.unwrap_or(crate::socket::BAUD);
        let start = Start::Device { baud };
        match SerialPort::open(path, baud) {
            Ok(port) => Ok(Self::new(endpoint, start, State::Ready(port))),
            Err(
                error @ SocketError::Device {
                    problem: DeviceProblem::Absent,
                    ..
                },
            ) => {
                tracing::warn!("{error}; the hub waits for it");
                let mut port = Self::new(endpoint, start, State::CLOSED);
                port.is_told = true;
                Ok(port)
            }
            Err(error) => Err(error),
        }
    }

    const fn new(endpoint: Endpoint, start: Start, state: State) -> Self {
        Self {
            endpoint,
            start,
            state,
            wait: FIRST_WAIT,
            is_told: false,
        }
    }

    const fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Closed { retry_at } => Some(*retry_at),
            State::Connecting(_, look_at) => Some(*look_at),
            State::Ready(_) => Some(Instant::from_ticks(0)),
            State::Open => None,
        }
    }

    /// Tries what is due; the line, once it is there.
    fn advance(&mut self, now: Instant) -> Option<Socket> {
        let opened = match (std::mem::replace(&mut self.state, State::Open), &self.start) {
            (State::Ready(port), _) => Ok(Some(Socket::Serial(port))),
            (State::Closed { .. }, Start::Device { baud }) => {
                let path = match &self.endpoint.transport {
                    crate::url::Transport::Serial(path) => path,
                    _ => return None,
                };
                SerialPort::open(path, *baud).map(|port| Some(Socket::Serial(port)))
            }
            (State::Closed { .. }, Start::Connect { addresses, options }) => {
                TcpConnect::start(&addresses[..], options).map(|connecting| {
                    self.state = State::Connecting(Box::new(connecting), after(now, LOOK));
                    None
                })
            }
            (State::Connecting(mut connecting, _), _) => match connecting.poll() {
                Ok(None) => {
                    self.state = State::Connecting(connecting, after(now, LOOK));
                    Ok(None)
                }
                Ok(Some(stream)) => stream.set_nonblocking(true).map(|()| {
                    let stream = mio::net::TcpStream::from_std(stream.into_std());
                    Some(Socket::Tcp(stream))
                }),
                Err(error) => Err(error),
            },
            (State::Open, _) => Ok(None),
        };
        match opened {
            Ok(socket) => {
                self.is_told &= socket.is_none();
                socket
            }
            Err(error) => {
                // The first time it is news; later it would fill the log.
                match std::mem::replace(&mut self.is_told, true) {
                    false => tracing::warn!("{error}; the hub tries again"),
                    true => tracing::debug!("{error}"),
                }
                self.rest(now);
                None
            }
        }
    }

    fn rest(&mut self, now: Instant) {
        self.state = State::Closed {
            retry_at: after(now, self.wait),
        };
        let doubled = Duration::from_ticks(self.wait.as_ticks().saturating_mul(2));
        self.wait = doubled.min(MOST_WAIT);
    }
}

impl State {
    const CLOSED: Self = Self::Closed {
        retry_at: Instant::from_ticks(0),
    };
}

/// All of them.
#[derive(Debug)]
pub(super) struct Ports(Vec<Port>);

impl Ports {
    pub(super) const fn new(ports: Vec<Port>) -> Self {
        Self(ports)
    }

    pub(super) fn endpoint(&self, number: usize) -> &Endpoint {
        &self.0[number].endpoint
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(Port::due).fold(None, earliest)
    }

    /// The next line that is open by now.
    pub(super) fn next(&mut self, now: Instant) -> Option<(usize, Socket)> {
        for (number, port) in self.0.iter_mut().enumerate() {
            if port.due().is_some_and(|due| due <= now)
                && let Some(socket) = port.advance(now)
            {
                return Some((number, socket));
            }
        }
        None
    }

    /// The line is gone. One that `was_good` is back soon.
    pub(super) fn lost(&mut self, number: usize, now: Instant, was_good: bool) {
        let Some(port) = self.0.get_mut(number) else {
            return;
        };
        if was_good {
            port.wait = FIRST_WAIT;
        }
        tracing::info!(endpoint = %port.endpoint, "serial line lost; the hub opens it again");
        port.rest(now);
    }
}
