//! Taking connections: as many as there is room for, and no more than a share of a turn.

use std::io;

use halloo_core::echo::Mode;
use halloo_core::time::{Duration, Instant, after, earliest, millis, secs, since};
use mio::{Registry, Token};
use rustix::io::Errno;

use super::listeners::{Listener, Service};
use super::socket::Socket;
use crate::url::Endpoint;

/// How many connections one listener hands over per turn.
const SHARE: usize = 64;

/// How long a listener rests after it could not accept.
const PAUSE: Duration = millis(100);

/// How often that is logged.
const LOG_PACE: Duration = secs(1);

/// All listeners of streams.
#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    most: usize,
    logged: Option<Instant>,
    pub(super) pauses: u64,
}

impl Acceptor {
    pub(super) const fn new(listeners: Vec<Listener>, most: usize) -> Self {
        Self {
            listeners,
            most,
            logged: None,
            pauses: 0,
        }
    }

    /// The listeners have the tokens from 1 on.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (token, listener) in (1..).zip(&mut self.listeners) {
            listener.register(registry, Token(token))?;
        }
        Ok(())
    }

    pub(super) fn note(&mut self, token: Token) {
        if let Some(listener) = self.listeners.get_mut(token.0 - 1) {
            listener.ready = true;
        }
    }

    pub(super) fn mode(&self, listener: usize) -> Option<Mode<'_>> {
        self.listeners.get(listener)?.service.mode()
    }

    /// Whether a listener's connections are serial lines.
    pub(super) fn is_line(&self, listener: usize) -> bool {
        let listener = self.listeners.get(listener);
        listener.is_some_and(|listener| matches!(listener.service, Service::Line))
    }

    /// Whether a listener's connections speak the tutorial's JSON.
    pub(super) fn is_tutorial(&self, listener: usize) -> bool {
        let listener = self.listeners.get(listener);
        listener.is_some_and(|listener| matches!(listener.service, Service::Tutorial))
    }

    pub(super) fn endpoint(&self, listener: usize) -> &Endpoint {
        &self.listeners[listener].endpoint
    }

    /// Whether whoever waits goes on waiting, in the system's backlog.
    pub(super) const fn is_full(&self, connections: usize) -> bool {
        connections >= self.most
    }

    /// A new turn: every listener has its share again.
    pub(super) fn start_turn(&mut self) {
        for listener in &mut self.listeners {
            listener.share = SHARE;
        }
    }

    /// The next connection of this turn, and the number of its listener.
    pub(super) fn accept(&mut self, now: Instant, connections: usize) -> Option<(usize, Socket)> {
        if self.is_full(connections) {
            return None;
        }
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            if listener.paused_until.is_some_and(|until| until <= now) {
                listener.paused_until = None;
            }
            while listener.ready && listener.paused_until.is_none() && listener.share > 0 {
                listener.share -= 1;
                let error = match listener.accept() {
                    Ok(socket) => return Some((number, socket)),
                    Err(error) => error,
                };
                match error.kind() {
                    io::ErrorKind::WouldBlock => listener.ready = false,
                    // It was gone before it was taken.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        listener.paused_until = Some(after(now, PAUSE));
                        self.pauses += 1;
                        if self.logged.is_none_or(|at| since(now, at) >= LOG_PACE) {
                            self.logged = Some(now);
                            let full = matches!(
                                Errno::from_io_error(&error),
                                Some(Errno::MFILE | Errno::NFILE)
                            );
                            let hint = if full {
                                "; raise the limit (ulimit -n)"
                            } else {
                                ""
                            };
                            tracing::warn!(endpoint = %listener.endpoint, "accept: {error}{hint}");
                        }
                    }
                }
            }
        }
        None
    }

    /// When the next connection may be taken; `None` until the system tells of one.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.listeners
            .iter()
            .filter(|listener| listener.ready)
            .map(|listener| Some(listener.paused_until.unwrap_or(now)))
            .fold(None, earliest)
    }
}
