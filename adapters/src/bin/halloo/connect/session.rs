//! Both ways at once: the input to the socket, and the socket to the output.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use embedded_io::{Read, ReadReady, Write};
use halloo_std::socket::{Carrier, Shutdown, Socket, SocketError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::SockRef;

use super::life::Life;
use super::show::Show;
use super::typed::{Next, Source};
use super::{Args, Limits};
use crate::failure::Failure;

/// The largest datagram, and one more.
const MAX_READ: usize = 1 << 16;

/// How much a stream is given at once: it takes so much without a wait when it is ready.
const CHUNK: usize = 4096;

/// How long an answer over UDP may take after the end of the input.
const UDP_IDLE: Duration = Duration::from_secs(1);

/// A session with the other end, apart from the socket under it.
pub(super) struct Session<'l> {
    source: Option<Source>,
    show: Show,
    limits: Limits,
    life: &'l mut Life,
    args: &'l Args,
    unsent: Vec<u8>,
    /// When something came last, or the connection stood.
    heard_at: Instant,
    /// When the input ended.
    ended_at: Option<Instant>,
}

/// What a deadline means when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    All,
    Silent,
    Idle,
}

impl<'l> Session<'l> {
    pub(super) fn new(args: &'l Args, limits: Limits, life: &'l mut Life) -> Result<Self, Failure> {
        Ok(Self {
            source: None,
            show: Show::new(args.hex),
            limits,
            life,
            args,
            unsent: Vec::new(),
            heard_at: Instant::now(),
            ended_at: None,
        })
    }

    /// Sends and shows until one of both ends closes, or a time-out is over.
    pub(super) fn over<S: Carrier>(mut self, socket: Socket<S>) -> Result<(), Failure> {
        self.source = Some(Source::stdin(self.args, S::DATAGRAM)?);
        if S::DATAGRAM {
            self.limits.idle = self.limits.idle.or(Some(UDP_IDLE));
        }
        let outcome = self.exchange(socket);
        self.show.end()?;
        outcome
    }

    fn exchange<S: Carrier>(&mut self, mut socket: Socket<S>) -> Result<(), Failure> {
        let mut bytes = vec![0; MAX_READ];
        loop {
            if self.unsent.is_empty()
                && let Some(source) = &mut self.source
            {
                match source.next()? {
                    Next::Send(more) => {
                        self.unsent = more;
                        continue;
                    }
                    Next::Wait => {}
                    Next::Quit => return Ok(()),
                    Next::End => self.end_input(&socket)?,
                }
            }
            let ready = self.wait(&socket)?;
            if let Some(over) = ready.over {
                return self.give_up(over);
            }
            if ready.socket_in {
                match Read::read(&mut socket, &mut bytes)? {
                    0 => return self.peer_ended(),
                    n => {
                        self.heard_at = Instant::now();
                        self.life.received(n);
                        self.show.bytes(&bytes[..n], S::DATAGRAM)?;
                    }
                }
            }
            if ready.socket_out
                && let Err(broken) = self.send(&mut socket)
            {
                self.read_rest(&mut socket, &mut bytes)?;
                return Err(broken);
            }
            if ready.input
                && let Some(source) = &mut self.source
            {
                source.read()?;
            }
        }
    }

    fn send<S: Carrier>(&mut self, socket: &mut Socket<S>) -> Result<(), Failure> {
        let most = if S::DATAGRAM {
            self.unsent.len()
        } else {
            CHUNK
        };
        let n = Write::write(socket, &self.unsent[..self.unsent.len().min(most)])?;
        self.life.sent(n);
        self.unsent.drain(..n);
        Ok(())
    }

    /// What the other end had said before it broke off is there to be read still.
    fn read_rest<S: Carrier>(
        &mut self,
        socket: &mut Socket<S>,
        bytes: &mut [u8],
    ) -> Result<(), Failure> {
        while socket.read_ready().unwrap_or(false) {
            match Read::read(socket, bytes) {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    self.life.received(n);
                    self.show.bytes(&bytes[..n], S::DATAGRAM)?;
                }
            }
        }
        Ok(())
    }

    /// The input has ended: the other end is told, if there is a way to tell it.
    fn end_input<S: Carrier>(&mut self, socket: &Socket<S>) -> Result<(), Failure> {
        self.source = None;
        self.ended_at = Some(Instant::now());
        if S::DATAGRAM {
            return Ok(());
        }
        match SockRef::from(socket).shutdown(Shutdown::Write) {
            Ok(()) => self.life.half_closed(),
            // What the other end had said before it broke off can be read still.
            Err(e) if e.kind() == std::io::ErrorKind::NotConnected => {}
            Err(e) => return Err(SocketError::from_io(&self.args.url, e).into()),
        }
        Ok(())
    }

    fn peer_ended(&mut self) -> Result<(), Failure> {
        self.show.end()?;
        self.life.peer_ended();
        if self.unsent.is_empty() {
            return Ok(());
        }
        Err(Failure::Lost(
            "the other end closed before all of the input was sent".into(),
        ))
    }

    fn give_up(&self, over: Over) -> Result<(), Failure> {
        let url = &self.args.url;
        Err(Failure::TimedOut(match over {
            Over::Idle => return Ok(()),
            Over::Silent => format!("{url} was silent for too long (--read-timeout)"),
            Over::All => format!("{url} was not done in time (--timeout)"),
        }))
    }

    /// The next deadline, and what it means.
    fn deadline(&self) -> Option<(Instant, Over)> {
        let after = |start: Instant, span: Option<Duration>| start.checked_add(span?);
        let idle = self.ended_at.map(|ended_at| ended_at.max(self.heard_at));
        let idle = idle.and_then(|start| after(start, self.limits.idle));
        let all = [
            (self.limits.end, Over::All),
            (after(self.heard_at, self.limits.read), Over::Silent),
            (idle, Over::Idle),
        ];
        let all = all.into_iter().filter_map(|(at, over)| Some((at?, over)));
        all.min_by_key(|(at, _)| *at)
    }

    fn wait<S: Carrier>(&self, socket: &Socket<S>) -> Result<Ready, Failure> {
        let deadline = self.deadline();
        let left = deadline.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|span| Timespec::try_from(span).ok());
        let mut wanted = PollFlags::IN;
        wanted.set(PollFlags::OUT, !self.unsent.is_empty());
        let mut fds = vec![PollFd::from_borrowed_fd(socket.as_fd(), wanted)];
        // No more is read than is on its way.
        if self.unsent.is_empty()
            && let Some(source) = &self.source
        {
            fds.push(PollFd::from_borrowed_fd(source.fd(), PollFlags::IN));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(Failure::from_stdio(&error.into())),
        }
        let seen = |at: usize| fds.get(at).map_or(PollFlags::empty(), PollFd::revents);
        let broken = PollFlags::ERR | PollFlags::HUP;
        let socket_in = seen(0).intersects(PollFlags::IN | broken);
        let over = deadline.filter(|(at, _)| *at <= Instant::now());
        // Who speaks just now is not silent.
        let over = over.filter(|(_, over)| *over == Over::All || !socket_in);
        Ok(Ready {
            socket_in,
            socket_out: seen(0).contains(PollFlags::OUT) && !self.unsent.is_empty(),
            input: !seen(1).is_empty(),
            over: over.map(|(_, over)| over),
        })
    }
}

/// What can be done without a wait.
#[derive(Debug, Default)]
struct Ready {
    socket_in: bool,
    socket_out: bool,
    input: bool,
    over: Option<Over>,
}
