//! A device that measures echo: the core's probe over UDP or TCP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use embedded_io::{Read, ReadReady, Write};
use halloo_core::chat::Backoff;
use halloo_core::echo::{Probe, ProbeConfig, ProbeError, ProbeEvent, Report, Transport};
use halloo_core::time::{Duration, Instant, after, earliest, secs};
use mio::event::Event as Readiness;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::device::Turn;
use super::pipe::{Pipe, Target};
use super::shared::Phase;

/// The bytes of a probe's payload.
const SIZE: usize = 32;

/// How long after its send a reply counts as lost.
const TIMEOUT: Duration = secs(2);

/// How many reads a turn has.
const TURN: usize = 64;

/// Where a prober sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EchoTarget {
    Stream(Target),
    Datagrams(SocketAddr),
}

#[derive(Debug)]
enum Carrier {
    Pipe(Box<Pipe>),
    Socket { socket: UdpSocket, readable: bool },
    None,
}

#[derive(Debug)]
pub(crate) struct Prober {
    token: Token,
    target: EchoTarget,
    carrier: Carrier,
    probe: Probe<'static, 4>,
    backoff: Backoff,
    connect_at: Option<Instant>,
    is_posting: bool,
    rng: fastrand::Rng,
}

impl Prober {
    pub(crate) fn new(
        target: EchoTarget,
        token: Token,
        interval: Duration,
        seed: u64,
    ) -> Result<Self, ProbeError> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut probe = Probe::new(ProbeConfig {
            transport: match target {
                EchoTarget::Stream(_) => Transport::Stream,
                EchoTarget::Datagrams(_) => Transport::Datagram,
            },
            size: SIZE,
            count: u32::MAX,
            interval,
            timeout: TIMEOUT,
            prefix: b"",
            seed: rng.u32(..),
        })?;
        probe.handle_disconnected();
        Ok(Self {
            token,
            target,
            carrier: Carrier::None,
            probe,
            backoff: Backoff::new(),
            connect_at: None,
            is_posting: false,
            rng,
        })
    }

    pub(crate) const fn report(&self) -> Report {
        self.probe.report()
    }

    pub(crate) const fn is_datagram(&self) -> bool {
        matches!(self.target, EchoTarget::Datagrams(_))
    }

    /// Whether no probe is on the way.
    pub(crate) const fn is_settled(&self) -> bool {
        let report = self.probe.report();
        report.received.saturating_add(report.lost) >= report.sent
    }

    pub(crate) const fn start(&mut self, now: Instant) {
        self.connect_at = Some(now);
    }

    pub(crate) fn handle_readiness(&mut self, event: &Readiness) {
        match &mut self.carrier {
            Carrier::Pipe(pipe) => pipe.handle_event(event),
            Carrier::Socket { readable, .. } => {
                *readable |= event.is_readable() || event.is_error()
            }
            Carrier::None => {}
        }
    }

    pub(crate) fn handle_phase(&mut self, phase: Phase) {
        self.is_posting = phase == Phase::Posting;
        if phase == Phase::Leaving {
            self.connect_at = None;
            self.carrier = Carrier::None;
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let probe = self
            .probe
            .poll_timeout()
            .filter(|_| self.is_posting || !self.is_settled());
        earliest(self.connect_at, probe)
    }

    /// Does what there is to do; true when there is more.
    pub(crate) fn run(&mut self, turn: &mut Turn<'_>) -> bool {
        self.probe.handle_timeout(turn.now);
        if self.connect_at.is_some_and(|at| at <= turn.now) {
            self.connect_at = None;
            if let Err(error) = self.connect(turn.registry) {
                self.disconnect(turn, &error.to_string());
            }
        }
        let worked = self.work(turn);
        while let Some(event) = self.probe.poll_event() {
            if let ProbeEvent::RoundTrip { time, .. } = event {
                turn.tally.record_echo(time);
            }
        }
        match worked {
            Ok(has_more) => has_more,
            Err(error) => {
                self.disconnect(turn, &error);
                false
            }
        }
    }

    fn work(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        let has_more = self.receive(turn.now)?;
        // A stream that owes a reply past its deadline is of no more use.
        if self.probe.is_down() && self.is_open() {
            return Err("a reply did not come in time".into());
        }
        if turn.shared.phase() == Phase::Posting {
            self.send(turn.now)?;
        }
        Ok(has_more)
    }

    fn connect(&mut self, registry: &Registry) -> io::Result<()> {
        match &self.target {
            EchoTarget::Stream(target) => {
                let pipe = Pipe::connect(target, registry, self.token)?;
                self.carrier = Carrier::Pipe(Box::new(pipe));
            }
            EchoTarget::Datagrams(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let mut socket = UdpSocket::bind(any)?;
                socket.connect(*address)?;
                registry.register(&mut socket, self.token, Interest::READABLE)?;
                let readable = false;
                self.carrier = Carrier::Socket { socket, readable };
                self.probe.handle_connected();
            }
        }
        Ok(())
    }

    fn is_open(&mut self) -> bool {
        match &mut self.carrier {
            Carrier::Pipe(pipe) => matches!(pipe.poll_connected(), Ok(true)),
            Carrier::Socket { .. } => true,
            Carrier::None => false,
        }
    }

    fn receive(&mut self, now: Instant) -> Result<bool, String> {
        let mut bytes = [0; 2 * SIZE];
        for _ in 0..TURN {
            match &mut self.carrier {
                Carrier::None => return Ok(false),
                Carrier::Pipe(pipe) => {
                    let was_connected = pipe.is_connected();
                    if !pipe.poll_connected().map_err(|e| e.to_string())? {
                        return Ok(false);
                    }
                    if !was_connected {
                        self.probe.handle_connected();
                    }
                    if !pipe.read_ready().map_err(|e| e.to_string())? {
                        return Ok(false);
                    }
                    let n = pipe.read(&mut bytes).map_err(|e| e.to_string())?;
                    if n == 0 {
                        return Err("the hub closed the connection".into());
                    }
                    self.probe.handle_bytes(now, &bytes[..n]);
                }
                Carrier::Socket {
                    readable: false, ..
                } => return Ok(false),
                Carrier::Socket { socket, readable } => match socket.recv(&mut bytes) {
                    Ok(n) => self.probe.handle_bytes(now, &bytes[..n]),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => *readable = false,
                    // Word of a datagram that nobody took: its probe is lost by time-out.
                    Err(error) => tracing::debug!(%error, "a datagram socket has an error"),
                },
            }
        }
        Ok(true)
    }

    fn send(&mut self, now: Instant) -> Result<(), String> {
        let mut bytes = [0; SIZE];
        match &mut self.carrier {
            Carrier::None => {}
            Carrier::Socket { socket, .. } => {
                while let Some(n) = self.probe.poll_transmit(now, &mut bytes) {
                    if let Err(error) = socket.send(&bytes[..n]) {
                        tracing::debug!(%error, "a datagram was not sent");
                    }
                }
            }
            Carrier::Pipe(pipe) => {
                // Four probes are on the way at most, and the pipe has room for them.
                while let Some(n) = self.probe.poll_transmit(now, &mut bytes) {
                    pipe.write_all(&bytes[..n]).map_err(|e| e.to_string())?;
                }
                pipe.flush_ready().map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    fn disconnect(&mut self, turn: &mut Turn<'_>, why: &str) {
        tracing::debug!(why, "an echo connection is gone");
        self.carrier = Carrier::None;
        self.probe.handle_disconnected();
        if turn.shared.phase() < Phase::Leaving {
            let wait = self.backoff.next_wait(self.rng.u32(..), secs(0));
            self.connect_at = Some(after(turn.now, wait));
        }
    }
}
