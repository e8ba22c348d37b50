//! A chat with a server that speaks the tutorial's JSON: our own hub's, or a beginner's in Python.
//!
//! One loop waits for the input, the server and the signals together. The dialect has no
//! acknowledgements and nothing to resume by, and this says so wherever it matters. What can be known is
//! known from the end: a server that closes after we have closed our side has read all there was, or
//! the system would have reset the connection. One that went by itself in that moment looks the same.

mod answer;
mod member;
mod object;
mod show;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use embedded_io::{Read, ReadReady, Write, WriteReady};
use halloo_std::socket::{
    Carrier, Interest, Options, Shutdown, Socket, SocketError, TcpStream, UnixStream,
};
use halloo_std::url::{Endpoint, Transport};
use socket2::SockRef;

use super::Args;
use super::command::{self, Line};
use super::near::{NO_ROOM, Near, Ways};
use crate::failure::Failure;
use crate::output::{count, harmless};
use member::Member;

/// How much is read, or written, at once.
const CHUNK: usize = 16 * 1024;

/// How long a server may take to close when nobody waits for what it has read.
const BYE: Duration = Duration::from_secs(2);

const HELP: &[&str] = &[
    "/join ROOM   join a room and post there; it leaves this one",
    "/leave       leave the room, on servers that know how",
    "/quit        leave; so does Ctrl-D",
    "//TEXT       post a line that starts with /",
    "no server tells what became of a line: there are no acknowledgements",
];

pub(super) fn run(args: &Args, endpoint: &Endpoint) -> Result<(), Failure> {
    if args.history.is_some_and(|posts| posts > 0) {
        let text = "servers that speak JSON keep no history: leave --history out";
        return Err(Failure::Start(text.into()));
    }
    let ways = Ways::new(args);
    let options = endpoint.socket_options(&Options {
        connect_timeout: Some(ways.patience),
        ..Options::default()
    });
    match &endpoint.transport {
        Transport::Tcp { host, port } => {
            let socket = TcpStream::connect((&**host, *port), &options)?;
            Session::new(args, ways)?.run(socket)
        }
        Transport::Unix(path) => {
            let socket = UnixStream::connect(path, &options)?;
            Session::new(args, ways)?.run(socket)
        }
        Transport::Udp { .. } | Transport::CobsTcp { .. } | Transport::Serial(_) => {
            let text = "JSON goes over json+tcp:// and json+unix: alone";
            Err(Failure::Start(text.into()))
        }
    }
}

struct Session<'a> {
    args: &'a Args,
    near: Near,
    member: Member,
    /// A line that is being written, and its room.
    open: Option<(String, String)>,
    sent: usize,
    was_inside: bool,
    /// How many errors the server told.
    errors: usize,
    /// Our side is closed.
    is_closed: bool,
}

impl<'a> Session<'a> {
    fn new(args: &'a Args, ways: Ways) -> Result<Self, Failure> {
        Ok(Self {
            args,
            near: Near::new(ways, Some(&args.room))?,
            member: Member::new(&args.name, &args.room, Instant::now()),
            open: None,
            sent: 0,
            was_inside: false,
            errors: 0,
            is_closed: false,
        })
    }

    /// Runs until the input has ended and the server has closed, too.
    fn run<S: Carrier>(mut self, mut socket: Socket<S>) -> Result<(), Failure> {
        let mut deadline = None;
        if self.near.ways.is_person {
            let text = "lines are shown as they are sent, not as they arrive; /help lists more";
            self.near.screen.remark(text)?;
        }
        loop {
            let has_ended = self.read(&mut socket)?;
            self.show_news()?;
            if has_ended {
                return self.peer_ended();
            }
            self.take_lines()?;
            if let Err(broken) = self.write(&mut socket) {
                // What it said before it broke off may say why.
                let _ = self.read(&mut socket);
                self.show_news()?;
                return Err(self.lost(broken));
            }
            self.take_signals()?;
            if self.near.is_leaving() {
                let patience = self.near.ways.patience;
                let is_settled = self.member.is_settled() && self.near.waiting.is_none();
                if is_settled && !self.is_closed {
                    self.close(&socket)?;
                    deadline = Some(Instant::now() + self.patience_to_close());
                }
                let deadline = *deadline.get_or_insert(Instant::now() + patience);
                if self.near.interrupts > 1 || deadline <= Instant::now() {
                    return self.give_up();
                }
            }
            self.wait(&socket, deadline)?;
        }
    }

    /// Reads once if there is something; whether the server has closed.
    fn read<S: Carrier>(&mut self, socket: &mut Socket<S>) -> Result<bool, Failure> {
        let mut bytes = vec![0; CHUNK];
        let read = match socket.read_ready() {
            Ok(false) => return Ok(false),
            Ok(true) => Read::read(socket, &mut bytes),
            Err(error) => Err(error),
        };
        match read {
            Ok(0) => {
                self.member.handle_end();
                Ok(true)
            }
            Ok(n) => {
                self.member.handle_received(&bytes[..n]);
                Ok(false)
            }
            Err(_) if self.is_closed && self.is_hurried() => Ok(true),
            Err(error) => {
                self.member.handle_end();
                self.show_news()?;
                Err(self.lost(error.into()))
            }
        }
    }

    fn write<S: Carrier>(&mut self, socket: &mut Socket<S>) -> Result<(), Failure> {
        while !self.member.unsent().is_empty() && socket.write_ready()? {
            let piece = self.member.unsent();
            let n = Write::write(socket, &piece[..piece.len().min(CHUNK)])?;
            self.member.handle_sent(n, Instant::now());
        }
        if self.member.unsent().is_empty()
            && let Some((room, line)) = self.open.take()
        {
            self.sent += 1;
            let line = harmless(line.as_bytes());
            self.near.screen.sent(&room, &self.args.name, &line)?;
        }
        Ok(())
    }

    /// Tells the server that no more comes.
    fn close<S: Carrier>(&mut self, socket: &Socket<S>) -> Result<(), Failure> {
        self.is_closed = true;
        match SockRef::from(socket).shutdown(Shutdown::Write) {
            Ok(()) => Ok(()),
            // It has closed already: reading tells how.
            Err(e) if e.kind() == std::io::ErrorKind::NotConnected => Ok(()),
            Err(e) => Err(SocketError::from_io(&self.args.url, e).into()),
        }
    }

    /// Whether nobody waits to know what the server has read.
    fn is_hurried(&self) -> bool {
        self.near.ways.is_person || self.near.interrupts > 0
    }

    fn patience_to_close(&self) -> Duration {
        if self.is_hurried() {
            BYE
        } else {
            self.near.ways.patience
        }
    }

    fn wait<S: Carrier>(
        &self,
        socket: &Socket<S>,
        deadline: Option<Instant>,
    ) -> Result<(), Failure> {
        let due = [deadline, self.member.poll_timeout()].into_iter().flatten();
        let due = due.min();
        let mut timeout = due.map(|at| at.saturating_duration_since(Instant::now()));
        if self.near.waiting.is_some() && self.member.is_ready() {
            timeout = Some(Duration::ZERO);
        }
        let interest = if self.member.unsent().is_empty() {
            Interest::Read
        } else {
            Interest::Both
        };
        let far = (socket.as_fd(), interest);
        self.near.wait(Some(far), timeout)
    }

    fn take_signals(&mut self) -> Result<(), Failure> {
        if self.near.take_signals() && !self.member.unsent().is_empty() {
            let text = "a line is not written yet; interrupt again to leave at once";
            self.near.screen.remark(text)?;
        }
        Ok(())
    }

    fn take_lines(&mut self) -> Result<(), Failure> {
        if let Some(line) = self.near.waiting.take() {
            self.obey(line)?;
        }
        self.near.read()?;
        while let Some(line) = self.near.next_line()? {
            self.obey(line)?;
        }
        Ok(())
    }

    fn obey(&mut self, line: Vec<u8>) -> Result<(), Failure> {
        if !self.member.is_ready() {
            self.near.waiting = Some(line);
            return Ok(());
        }
        let now = Instant::now();
        if !self.near.ways.takes_commands {
            return self.post(&line);
        }
        match command::parse(&line) {
            Line::Post(body) => self.post(body)?,
            Line::Join(room) => self.member.join(room, now),
            Line::Leave(room) => match (self.member.room(), room) {
                (None, _) => self.near.screen.remark("you are in no room")?,
                (Some(here), Some(room)) if room != here => {
                    let text = format!("you are not in {}", harmless(room.as_bytes()));
                    self.near.screen.remark(&text)?;
                }
                (Some(_), _) => self.member.leave(now),
            },
            Line::Who => {
                let text = "servers that speak JSON do not tell who is there";
                self.near.screen.remark(text)?;
            }
            Line::Quit => self.near.is_quitting = true,
            Line::Help => HELP
                .iter()
                .try_for_each(|line| self.near.screen.remark(line))?,
            Line::Nothing => {}
            Line::Wrong(line) => self.near.screen.remark(&command::wrong(line))?,
        }
        // The answer to a wish decides what stands there.
        if !self.member.is_asking() {
            self.near.ask(self.member.room());
        }
        Ok(())
    }

    fn post(&mut self, body: &[u8]) -> Result<(), Failure> {
        let Some(room) = self.member.room() else {
            return self.near.refuse(NO_ROOM);
        };
        match std::str::from_utf8(body) {
            Ok(line) => {
                self.open = Some((harmless(room.as_bytes()), line.into()));
                self.member.chat(line, Instant::now());
                Ok(())
            }
            Err(_) => self
                .near
                .refuse("it is no UTF-8, and JSON takes nothing else"),
        }
    }

    /// The server has closed: well if we have, too.
    fn peer_ended(mut self) -> Result<(), Failure> {
        if !self.is_closed {
            let text = "the server closed the connection";
            return Err(self.lost(Failure::Lost(text.into())));
        }
        if !self.is_hurried() {
            let lines = count(self.sent, "line", "lines");
            let text = format!("the server has read {lines}; who got them, it does not say");
            self.near.screen.remark(&text)?;
        }
        self.verdict()
    }

    fn give_up(self) -> Result<(), Failure> {
        if self.is_closed && self.is_hurried() {
            return self.verdict();
        }
        let text = if self.is_closed {
            "the server did not close in time: whether it has read all is not known"
        } else {
            "not all could be sent in time"
        };
        Err(Failure::TimedOut(format!(
            "{text}: check it, or allow more by --timeout"
        )))
    }

    fn verdict(&self) -> Result<(), Failure> {
        if self.errors > 0 && !self.near.ways.is_person {
            let errors = count(self.errors, "error", "errors");
            let text = format!("the server answered with {errors}: see above");
            return Err(Failure::Job(text));
        }
        self.near.verdict()
    }

    /// A connection that is lost takes with it what nobody has told.
    fn lost(&self, failure: Failure) -> Failure {
        if self.sent == 0 {
            return failure;
        }
        failure.and("JSON has nothing to resume by, and lines sent last may be lost")
    }
}
