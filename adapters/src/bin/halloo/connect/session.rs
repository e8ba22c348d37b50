//! Both ways at once: the input to the socket, and the socket to the output.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use embedded_io::ReadReady;
use halloo_std::socket::{Carrier, Shutdown, Socket, SocketError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::SockRef;

use super::life::Life;
use super::show::Show;
use super::typed::{Next, Source};
use super::{Args, Limits};
use crate::failure::Failure;
use crate::output::complain;

/// More than the largest message: Unix sockets take what their send buffer holds, 208 KiB on Linux.
const MAX_READ: usize = 1 << 18;

/// How much a stream is given at once: it takes so much without a wait when it is ready.
const CHUNK: usize = 4096;

/// How long an answer may take after `quit`, and after the end of the input where the other end is not
/// told of that.
const QUIT_IDLE: Duration = Duration::from_secs(1);

/// A session with the other end, apart from the socket under it.
pub(super) struct Session<'l> {
    source: Option<Source>,
    show: Show,
    limits: Limits,
    life: &'l mut Life,
    args: &'l Args,
    /// What is left of what is being sent; an empty datagram is something.
    unsent: Option<Vec<u8>>,
    /// When something came last, or the connection stood.
    heard_at: Instant,
    /// When the input ended.
    ended_at: Option<Instant>,
    /// When the other end closed its side, though it may take what is sent still.
    peer_ended_at: Option<Instant>,
    /// When something was sent last.
    sent_at: Instant,
}

/// What a deadline means when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    All,
    Silent,
    Idle,
}

impl<'l> Session<'l> {
    pub(super) fn new(args: &'l Args, limits: Limits, life: &'l mut Life) -> Self {
        Self {
            source: None,
            show: Show::new(args.hex),
            limits,
            life,
            args,
            unsent: None,
            heard_at: Instant::now(),
            ended_at: None,
            peer_ended_at: None,
            sent_at: Instant::now(),
        }
    }

    /// Sends and shows until both ends have closed, or a time-out is over.
    pub(super) fn over<S: Carrier>(mut self, socket: Socket<S>) -> Result<(), Failure> {
        self.source = Some(Source::stdin(self.args, S::MESSAGES, S::DATAGRAM)?);
        if !S::HALF_CLOSES {
            self.limits.idle = self.limits.idle.or(Some(QUIT_IDLE));
        }
        let outcome = self.exchange(socket);
        self.show.end()?;
        outcome
    }

    fn exchange<S: Carrier>(&mut self, mut socket: Socket<S>) -> Result<(), Failure> {
        let mut bytes = vec![0; MAX_READ];
        loop {
            if self.unsent.is_none()
                && let Some(source) = &mut self.source
            {
                match source.next()? {
                    Next::Send(more) => {
                        // Elsewhere it would be nothing, or read as the end.
                        self.unsent = Some(more).filter(|m| S::DATAGRAM || !m.is_empty());
                        continue;
                    }
                    Next::Wait => {}
                    Next::Quit => self.quit(&socket)?,
                    Next::End => self.end_input(&socket)?,
                }
            }
            if self.is_done() {
                return Ok(());
            }
            let ready = self.wait(&socket)?;
            if let Some(over) = ready.over {
                return self.give_up(over);
            }
            if ready.socket_in && self.peer_ended_at.is_some() {
                return self.broken_off(&socket);
            }
            if ready.socket_in {
                match socket.recv(&mut bytes)? {
                    0 if !S::DATAGRAM => self.peer_ended::<S>()?,
                    n => {
                        self.heard_at = Instant::now();
                        self.heard::<S>(&bytes[..n])?;
                    }
                }
            }
            if ready.socket_out
                && let Err(broken) = self.send(&socket)
            {
                self.read_rest(&mut socket, &mut bytes)?;
                return Err(self.peer_ended_at.map_or(broken, |_| cut_off()));
            }
            if ready.input
                && let Some(source) = &mut self.source
            {
                source.read()?;
            }
        }
    }

    fn send<S: Carrier>(&mut self, socket: &Socket<S>) -> Result<(), Failure> {
        let Some(unsent) = &mut self.unsent else {
            return Ok(());
        };
        let most = if S::MESSAGES { unsent.len() } else { CHUNK };
        let n = socket.send(&unsent[..unsent.len().min(most)])?;
        self.life.sent(n);
        self.sent_at = Instant::now();
        unsent.drain(..n);
        if unsent.is_empty() {
            self.unsent = None;
        }
        Ok(())
    }

    fn heard<S: Carrier>(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.life.received(bytes.len());
        if bytes.is_empty() {
            return self.show.empty();
        }
        self.show.bytes(bytes, S::MESSAGES)
    }

    /// What the other end had said before it broke off is there to be read still.
    fn read_rest<S: Carrier>(
        &mut self,
        socket: &mut Socket<S>,
        bytes: &mut [u8],
    ) -> Result<(), Failure> {
        while socket.read_ready().unwrap_or(false) {
            match socket.recv(bytes) {
                Ok(0) | Err(_) => break,
                Ok(n) => self.heard::<S>(&bytes[..n])?,
            }
        }
        Ok(())
    }

    /// The input has ended: the other end is told, if there is a way to tell it.
    fn end_input<S: Carrier>(&mut self, socket: &Socket<S>) -> Result<(), Failure> {
        self.source = None;
        self.ended_at = Some(Instant::now());
        if !S::HALF_CLOSES {
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

    /// As the end of the input, and soon over: who quits does not mind silence.
    fn quit<S: Carrier>(&mut self, socket: &Socket<S>) -> Result<(), Failure> {
        let idle = self.limits.idle.unwrap_or(QUIT_IDLE);
        self.limits.idle = Some(idle.min(QUIT_IDLE));
        self.limits.read = None;
        self.end_input(socket)
    }

    /// The other end says nothing more. What is piped goes to it still: it may have closed one side
    /// alone. Who types sees that it is over.
    fn peer_ended<S: Carrier>(&mut self) -> Result<(), Failure> {
        self.show.end()?;
        self.life.peer_ended();
        self.peer_ended_at = Some(Instant::now());
        let is_piped = self.source.as_ref().is_some_and(|s| !s.is_typed());
        if S::HALF_CLOSES && is_piped {
            return Ok(());
        }
        self.source = None;
        if self.unsent.is_some() {
            return Err(cut_off());
        }
        Ok(())
    }

    /// Whether both ends have closed, and all was sent.
    fn is_done(&self) -> bool {
        self.peer_ended_at.is_some() && self.source.is_none() && self.unsent.is_none()
    }

    /// The other end, which had closed its side, takes nothing either.
    fn broken_off<S: Carrier>(&self, socket: &Socket<S>) -> Result<(), Failure> {
        let error = SockRef::from(socket).take_error();
        if self.unsent.is_none() && matches!(error, Ok(None)) {
            return Ok(());
        }
        Err(cut_off())
    }

    fn give_up(&self, over: Over) -> Result<(), Failure> {
        let url = &self.args.url;
        if over == Over::Idle && self.peer_ended_at.is_some_and(|at| at < self.sent_at) {
            let text = "the other end closed, and the input paused before its end: \
                        allow more with --idle";
            return Err(Failure::Lost(text.into()));
        }
        if over == Over::Idle && self.peer_ended_at.is_some() && !self.life.has_sent() {
            complain("the other end closed, and the input, still open, said nothing (--idle)");
        }
        Err(Failure::TimedOut(match over {
            Over::Idle => return Ok(()),
            Over::Silent => format!("{url} was silent for too long (--read-timeout)"),
            Over::All => format!("{url} was not done in time (--timeout)"),
        }))
    }

    /// The next deadline, and what it means.
    fn deadline(&self) -> Option<(Instant, Over)> {
        let after = |start: Instant, span: Option<Duration>| start.checked_add(span?);
        let (silent, idle) = match self.peer_ended_at {
            None => {
                let idle = self.ended_at.map(|ended_at| ended_at.max(self.heard_at));
                let idle = idle.and_then(|start| after(start, self.limits.idle));
                (after(self.heard_at, self.limits.read), idle)
            }
            // Nothing tells whether it takes more, so it is over when there is no more for a while.
            Some(_) if self.unsent.is_some() => (None, None),
            Some(ended_at) => {
                let idle = self.limits.idle.or(Some(QUIT_IDLE));
                (None, after(ended_at.max(self.sent_at), idle))
            }
        };
        let all = [
            (self.limits.end, Over::All),
            (silent, Over::Silent),
            (idle, Over::Idle),
        ];
        let all = all.into_iter().filter_map(|(at, over)| Some((at?, over)));
        all.min_by_key(|(at, _)| *at)
    }

    fn wait<S: Carrier>(&self, socket: &Socket<S>) -> Result<Ready, Failure> {
        let deadline = self.deadline();
        let left = deadline.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|span| Timespec::try_from(span).ok());
        let mut wanted = PollFlags::empty();
        // Its end would be seen again and again.
        wanted.set(PollFlags::IN, self.peer_ended_at.is_none());
        wanted.set(PollFlags::OUT, self.unsent.is_some());
        let mut fds = vec![PollFd::from_borrowed_fd(socket.as_fd(), wanted)];
        // No more is read than is on its way.
        if self.unsent.is_none()
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
            socket_out: seen(0).contains(PollFlags::OUT) && self.unsent.is_some(),
            input: !seen(1).is_empty(),
            over: over.map(|(_, over)| over),
        })
    }
}

fn cut_off() -> Failure {
    Failure::Lost("the other end closed before all of the input was sent".into())
}

/// What can be done without a wait.
#[derive(Debug, Default)]
struct Ready {
    socket_in: bool,
    socket_out: bool,
    input: bool,
    over: Option<Over>,
}
