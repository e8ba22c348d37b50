//! The connection under a device: dialling, serving, and the wait between two attempts.
//!
//! Invariant: a turn never waits, and a wait never lasts longer than the caller's deadline.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use embedded_io::Read;
use halloo_core::chat::Backoff;
use halloo_core::chat::client::{Cause, Event, SlotId};
use halloo_core::link::{LinkError, Output};
use halloo_core::time;

use super::pipe::Pipe;
use super::{ClientError, Device, Ended, Happening, Last, ROOMS, Told, translate};
use crate::socket::{
    self, BAUD, Interest, Options, SerialPort, SocketError, TcpConnect, UdpSocket, UnixStream,
};
use crate::url::Transport;

/// A Unix listener takes a connection at once unless too many wait.
const UNIX_PATIENCE: Duration = Duration::from_millis(100);

/// What carries the session, and the memory of what carried it before.
#[derive(Debug)]
pub(super) struct Line {
    /// The core's clock starts here.
    epoch: Instant,
    state: State,
    backoff: Backoff,
    /// Attempts in a row that ended without a session.
    failures: u32,
    /// Attempts that ended without a session: where a name has several addresses, which is the next.
    failed: usize,
    /// A session was open once.
    has_served: bool,
    is_serving: bool,
    /// What is known of the end that is about to be told.
    last: Last,
}

#[derive(Debug)]
enum State {
    Down {
        retry_at: Instant,
    },
    Dialling(Box<TcpConnect>),
    Up {
        pipe: Pipe,
        welcome_by: Instant,
    },
    /// The connection is gone; the machine's last events are still to be told.
    Lost,
    /// The bye is said.
    Parted(Pipe),
    Over(Ended),
}

impl Line {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            epoch: now,
            state: State::Down { retry_at: now },
            backoff: Backoff::new(),
            failures: 0,
            failed: 0,
            has_served: false,
            is_serving: false,
            last: Last::Nothing,
        }
    }

    pub(super) fn poll_fd(&self, is_writing: bool) -> Option<(BorrowedFd<'_>, Interest)> {
        match &self.state {
            State::Dialling(connecting) => Some((connecting.as_fd(), Interest::Write)),
            State::Up { pipe, .. } => Some((pipe.as_fd(), interest(is_writing))),
            State::Down { .. } | State::Lost | State::Parted(_) | State::Over(_) => None,
        }
    }

    fn now(&self) -> time::Instant {
        let micros = self.epoch.elapsed().as_micros();
        time::Instant::from_ticks(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn at(&self, instant: time::Instant) -> Instant {
        self.epoch + Duration::from_micros(instant.as_ticks())
    }
}

impl Device {
    /// Turns and waits until something happened.
    pub(super) fn step(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Happening>, ClientError> {
        loop {
            if let Some(happening) = self.turn()? {
                return Ok(Some(happening));
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                return Err(ClientError::TimedOut);
            }
            self.wait_until(deadline)?;
        }
    }

    /// Moves what can be moved without a wait, until something happened.
    pub(super) fn turn(&mut self) -> Result<Option<Happening>, ClientError> {
        self.is_asked = false;
        loop {
            let told = match &mut self.line.state {
                State::Over(ended) => return Err(ClientError::Ended(ended.clone())),
                State::Parted(_) => return Err(ClientError::Ended(Ended::Done)),
                State::Down { retry_at } => {
                    let is_due = *retry_at <= Instant::now();
                    match self.client.poll_event() {
                        Some(event) => self.tell(event),
                        None if is_due => match self.dial()? {
                            Some(happening) => return Ok(Some(happening)),
                            None => continue,
                        },
                        None => return Ok(None),
                    }
                }
                State::Dialling(connecting) => match connecting.poll() {
                    Ok(None) => return Ok(None),
                    Ok(Some(stream)) => {
                        self.connected(Pipe::tcp(stream))?;
                        continue;
                    }
                    Err(error) => return self.ended(ended_by(error)).map(Some),
                },
                State::Up { .. } => match self.exchange()? {
                    Some(told) => told,
                    None => return Ok(None),
                },
                State::Lost => match self.client.poll_event() {
                    Some(event) => self.tell(event),
                    None => Told::Closed(Cause::Lost),
                },
            };
            match told {
                Told::Nothing => {}
                Told::Happening(happening) => return Ok(Some(happening)),
                Told::Text(text) => self.line.last = Last::Text(text),
                Told::Welcomed => return Ok(Some(self.welcomed())),
                Told::Closed(cause) => {
                    let last = std::mem::take(&mut self.line.last);
                    return self.ended(Ended::new(cause, last)).map(Some);
                }
            }
        }
    }

    /// When a turn is due, though no descriptor is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = || self.link.poll_timeout(&self.client);
        let machine = || due().map(|at| self.line.at(at));
        match &self.line.state {
            State::Down { retry_at } => Some(*retry_at),
            State::Dialling(connecting) => connecting.deadline(),
            State::Up { .. } if self.line.is_serving => machine(),
            State::Up { welcome_by, .. } => {
                Some(machine().map_or(*welcome_by, |at| at.min(*welcome_by)))
            }
            State::Lost | State::Parted(_) | State::Over(_) => Some(Instant::now()),
        }
    }

    /// Waits until a turn is due, or until `deadline`.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> Result<(), ClientError> {
        // A wait without any deadline is cut into hours, which nobody notices.
        let mut timeout = Duration::from_secs(3600);
        for at in [deadline, self.deadline()].into_iter().flatten() {
            timeout = timeout.min(at.saturating_duration_since(Instant::now()));
        }
        let waited = match &self.line.state {
            State::Down { .. } => {
                thread::sleep(timeout);
                return Ok(());
            }
            State::Dialling(connecting) => connecting.wait(timeout),
            State::Up { pipe, .. } => pipe.wait(interest(self.link.is_writing()), timeout),
            State::Lost | State::Parted(_) | State::Over(_) => return Ok(()),
        };
        match waited {
            Ok(_) => Ok(()),
            Err(source) => {
                let error = SocketError::from_io(&self.endpoint.transport.to_string(), source);
                Err(ClientError::Ended(ended_by(error)))
            }
        }
    }

    pub(super) fn leave_all(&mut self, deadline: Option<Instant>) -> Result<(), ClientError> {
        for slot in 0..ROOMS as SlotId {
            self.client.leave(slot);
        }
        while (0..ROOMS as SlotId).any(|slot| self.client.room(slot).is_some()) {
            match self.step(deadline) {
                Ok(_) if self.is_connected() => {}
                // The rest goes without being left.
                Ok(_) | Err(ClientError::TimedOut) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn say_bye(&mut self, deadline: Option<Instant>) -> Result<(), ClientError> {
        self.client.bye();
        while self.client.is_serving() || matches!(self.line.state, State::Up { .. }) {
            match self.step(deadline) {
                Ok(_) => {}
                Err(ClientError::Ended(Ended::Done)) => break,
                Err(error) => return Err(error),
            }
        }
        let State::Parted(pipe) = &mut self.line.state else {
            return Ok(());
        };
        // To close with bytes unread would reset the connection, and take the bye along.
        let mut sink = [0; 4096];
        let mut is_open = pipe.finish_writing();
        while is_open {
            let left = deadline.map_or(UNIX_PATIENCE, |at| {
                at.saturating_duration_since(Instant::now())
            });
            match pipe.wait(Interest::Read, left) {
                Ok(ready) if ready.readable => {
                    is_open = pipe.read(&mut sink).is_ok_and(|n| n > 0);
                }
                Ok(_) => return Err(ClientError::TimedOut),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Starts an attempt to connect; tells if it failed at once.
    fn dial(&mut self) -> Result<Option<Happening>, ClientError> {
        let base = Options {
            connect_timeout: Some(self.settings.connect_timeout),
            ..self.settings.socket.clone()
        };
        let options = self.endpoint.socket_options(&base);
        tracing::debug!(hub = %self.endpoint, "connecting");
        let failed = match &self.endpoint.transport {
            Transport::Tcp { host, port } | Transport::CobsTcp { host, port } => {
                match TcpConnect::start((&**host, *port), &options) {
                    Ok(connecting) => {
                        self.line.state = State::Dialling(Box::new(connecting));
                        return Ok(None);
                    }
                    Err(error) => error,
                }
            }
            Transport::Serial(path) => {
                match SerialPort::open(path, self.endpoint.options.baud.unwrap_or(BAUD)) {
                    Ok(port) => return self.connected(Pipe::serial(port)).map(|()| None),
                    Err(error) => error,
                }
            }
            Transport::Unix(path) => {
                let options = Options {
                    connect_timeout: Some(self.settings.connect_timeout.min(UNIX_PATIENCE)),
                    ..options
                };
                match UnixStream::connect(path, &options) {
                    Ok(stream) => return self.connected(Pipe::unix(stream)).map(|()| None),
                    Err(error) => error,
                }
            }
            Transport::Udp { host, port } => {
                let socket = socket::resolve(host, *port).and_then(|mut addresses| {
                    turn_to(&mut addresses, self.line.failed);
                    UdpSocket::connect(&addresses[..], &options)
                });
                match socket {
                    Ok(socket) => return self.connected(Pipe::udp(socket)).map(|()| None),
                    Err(error) => error,
                }
            }
        };
        self.ended(ended_by(failed)).map(Some)
    }

    fn connected(&mut self, pipe: Pipe) -> Result<(), ClientError> {
        let nonce = getrandom::u64()?;
        let now = self.line.now();
        self.link.connect(&mut self.client, now, nonce);
        self.line.state = State::Up {
            pipe,
            welcome_by: Instant::now() + self.settings.handshake_timeout,
        };
        Ok(())
    }

    /// Lets the link work; `None` when it has nothing more.
    fn exchange(&mut self) -> Result<Option<Told>, ClientError> {
        let now = self.line.now();
        let State::Up { pipe, welcome_by } = &mut self.line.state else {
            return Ok(None);
        };
        if !self.line.is_serving && *welcome_by <= Instant::now() {
            self.lose(Ended::NoWelcome);
            return Ok(Some(Told::Nothing));
        }
        let output = match self.link.poll(pipe, &mut self.client, now) {
            Ok(output) => output,
            Err(nb::Error::WouldBlock) => return Ok(None),
            Err(nb::Error::Other(error)) => {
                let ended = match error {
                    LinkError::Io(error) => ended_by(error),
                    _ => Ended::Closed,
                };
                self.lose(ended);
                return Ok(Some(Told::Nothing));
            }
        };
        if let Output::Event(event) = output {
            return Ok(Some(self.tell(event)));
        }
        Ok(Some(translate::output(
            output,
            &self.rooms,
            &mut self.tracks,
        )))
    }

    fn tell(&mut self, event: Event) -> Told {
        translate::event(event, &self.rooms, &mut self.tracks)
    }

    fn lose(&mut self, ended: Ended) {
        self.client.handle_disconnected(self.line.now());
        self.line.last = Last::Link(ended);
        self.line.state = State::Lost;
    }

    fn welcomed(&mut self) -> Happening {
        let line = &mut self.line;
        line.backoff.handle_service(line.now());
        line.failures = 0;
        line.is_serving = true;
        tracing::debug!(hub = %self.endpoint, "in session");
        if std::mem::replace(&mut line.has_served, true) {
            Happening::Reconnected
        } else {
            Happening::Connected
        }
    }

    /// A connection or an attempt is over; decides what comes next.
    fn ended(&mut self, cause: Ended) -> Result<Happening, ClientError> {
        let now = self.line.now();
        self.client.handle_disconnected(now);
        let line = &mut self.line;
        line.backoff.handle_disconnected(now);
        let was_serving = std::mem::replace(&mut line.is_serving, false);
        if !was_serving {
            line.failures = line.failures.saturating_add(1);
            line.failed = line.failed.wrapping_add(1);
        }
        let retry_in = if !cause.is_final() && self.settings.reconnect.allows(line.failures) {
            let jittered = line.backoff.next_wait(getrandom::u32()?, time::secs(0));
            let asked = self.client.retry_after();
            let jittered = Duration::from_micros(jittered.as_ticks());
            let longest = self.settings.longest_wait;
            let wait = if jittered <= longest {
                jittered
            } else {
                // As random as one that was drawn below that limit.
                longest.mul_f64(f64::from(getrandom::u32()?) / f64::from(u32::MAX))
            };
            Some(wait + Duration::from_micros(asked.as_ticks()))
        } else {
            None
        };
        tracing::debug!(%cause, ?retry_in, "not connected");
        let next = match retry_in {
            Some(wait) => State::Down {
                retry_at: Instant::now() + wait,
            },
            None => State::Over(cause.clone()),
        };
        if let State::Up { pipe, .. } = std::mem::replace(&mut line.state, next)
            && matches!(cause, Ended::Done)
        {
            line.state = State::Parted(pipe);
        }
        Ok(if was_serving {
            Happening::Disconnected { cause, retry_in }
        } else {
            Happening::NotConnected { cause, retry_in }
        })
    }
}

const fn interest(is_writing: bool) -> Interest {
    if is_writing {
        Interest::Both
    } else {
        Interest::Read
    }
}

fn ended_by(error: SocketError) -> Ended {
    Ended::Socket(Arc::new(error))
}

/// Where nothing tells whether a peer is there before it answers, each attempt begins with the
/// address after the one that failed.
fn turn_to(addresses: &mut [SocketAddr], failed: usize) {
    if let Some(next) = failed.checked_rem(addresses.len()) {
        addresses.rotate_left(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_udp_each_attempt_begins_with_the_next_address() {
        let all: Vec<SocketAddr> = (1..4).map(|port| ([127, 0, 0, 1], port).into()).collect();
        for (failed, first) in [(0, 1), (1, 2), (2, 3), (3, 1), (7, 2)] {
            let mut turned = all.clone();
            turn_to(&mut turned, failed);
            assert_eq!((turned.len(), turned[0].port()), (3, first));
        }
        turn_to(&mut [], 5);
    }
}
