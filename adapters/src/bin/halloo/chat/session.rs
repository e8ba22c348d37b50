//! A chat from the first line to the last acknowledgement.
//!
//! One loop waits for the input, the hub and the signals together. Input that the outbox has no
//! place for is left where it is, so that a long file takes no more memory than a short one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use halloo_std::client::{ClientError, Device, From, JoinError, PostError};
use halloo_std::socket::Interest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Args;
use super::command::{self, HELP, Line};
use super::ledger::Ledger;
use super::screen::Screen;
use super::signals::Signals;
use crate::failure::Failure;
use crate::input::{Input, Typed};
use crate::output::{count, harmless};

/// How long the hub has to close after the bye.
const BYE: Duration = Duration::from_secs(2);

/// How many happenings are shown before the input has its turn.
const BATCH: usize = 64;

pub(super) const NO_ROOM: &str = "you are in no room: /join ROOM first";

/// How this chat behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ways {
    /// Somebody types.
    pub(super) is_person: bool,
    /// Lines that start with a slash are commands.
    pub(super) takes_commands: bool,
    /// It goes on after the end of the input.
    pub(super) stays: bool,
    pub(super) history: u32,
    pub(super) patience: Duration,
}

pub(super) struct Session<'a> {
    pub(super) args: &'a Args,
    pub(super) ways: Ways,
    pub(super) device: Device,
    input: Input,
    pub(super) screen: Screen,
    signals: Signals,
    /// Where lines are posted.
    pub(super) room: Option<String>,
    /// The last offset of each room when it was joined.
    pub(super) heads: HashMap<String, u64>,
    pub(super) ledger: Ledger,
    /// A line that waits for place in the outbox, or for the room to be joined.
    waiting: Option<Vec<u8>>,
    is_quitting: bool,
    /// How many signals came.
    interrupts: usize,
    /// Lines that are not posted and will not be.
    pub(super) unposted: usize,
    /// Since when there is no connection, and why.
    pub(super) lost: Option<(Instant, Failure)>,
}

/// What stands before a line that is typed.
pub(super) fn prompt(room: Option<&str>) -> String {
    format!("{}> ", room.unwrap_or(""))
}

impl<'a> Session<'a> {
    pub(super) fn new(
        args: &'a Args,
        ways: Ways,
        device: Device,
        input: Input,
        screen: Screen,
        signals: Signals,
    ) -> Self {
        Self {
            args,
            ways,
            device,
            input,
            screen,
            signals,
            room: Some(args.room.clone()),
            heads: HashMap::new(),
            ledger: Ledger::default(),
            waiting: None,
            is_quitting: false,
            interrupts: 0,
            unposted: 0,
            lost: None,
        }
    }

    /// Runs until the input has ended, then for a while until all is acknowledged.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut deadline = None;
        loop {
            self.show_news()?;
            self.take_lines()?;
            self.show_late()?;
            self.take_signals()?;
            if self.is_leaving() {
                let deadline = *deadline.get_or_insert(Instant::now() + self.ways.patience);
                if self.is_done() || deadline <= Instant::now() {
                    break;
                }
            }
            self.check_patience()?;
            self.wait(deadline)?;
        }
        if self.device.is_connected() {
            // What counts is acknowledged or not already.
            let _ = self.device.bye(BYE);
        }
        let open = self.ledger.len() + usize::from(self.waiting.is_some());
        if open > 0 {
            let posts = count(open, "post was", "posts were");
            return Err(Failure::Job(if self.interrupts > 0 {
                format!("{posts} not acknowledged before the interrupt")
            } else {
                format!(
                    "{posts} not acknowledged in time: check the hub, or allow more by --timeout"
                )
            }));
        }
        if self.unposted > 0 && !self.ways.is_person {
            let lines = count(self.unposted, "line was", "lines were");
            return Err(Failure::Job(format!("{lines} not posted: see above why")));
        }
        if self.interrupts > 0 && !self.ways.is_person && !self.input.has_ended() {
            let text = "interrupted before the input ended: the rest is not posted";
            return Err(Failure::Job(text.into()));
        }
        Ok(())
    }

    /// Whether no more lines are taken.
    fn is_leaving(&self) -> bool {
        let stays = self.ways.stays && !self.screen.is_unread();
        self.is_quitting || (self.input.has_ended() && !stays)
    }

    fn is_done(&self) -> bool {
        let is_shown =
            |(room, &head): (&String, &u64)| self.device.cursor(room).is_none_or(|at| at >= head);
        let is_settled = self.ledger.is_empty() && self.waiting.is_none();
        // Who quits need not see the rest of the history.
        let is_seen = self.ways.is_person || self.is_quitting || self.heads.iter().all(is_shown);
        self.interrupts > 1 || (is_settled && is_seen)
    }

    /// A pipe that is posted waits only so long for its hub.
    fn check_patience(&mut self) -> Result<(), Failure> {
        let is_bound = !self.ways.is_person && !self.ways.stays;
        match self.lost.take() {
            Some((since, why)) if is_bound && since.elapsed() >= self.ways.patience => {
                Err(self.with_open(why))
            }
            lost => {
                self.lost = lost;
                Ok(())
            }
        }
    }

    /// Blocks until the hub, the input, a signal or the clock has something.
    fn wait(&self, deadline: Option<Instant>) -> Result<(), Failure> {
        let mut timeout = self.device.poll_timeout();
        let gives_up = self.lost.as_ref().map(|(at, _)| *at + self.ways.patience);
        let gives_up = gives_up.filter(|_| !self.ways.is_person && !self.ways.stays);
        for at in [deadline, gives_up, self.ledger.next_late()]
            .into_iter()
            .flatten()
        {
            let left = at.saturating_duration_since(Instant::now());
            timeout = Some(timeout.map_or(left, |now| now.min(left)));
        }
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        let mut fds = vec![PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN)];
        if let Some((fd, interest)) = self.device.poll_fd() {
            let flags = match interest {
                Interest::Read => PollFlags::IN,
                Interest::Write => PollFlags::OUT,
                Interest::Both => PollFlags::IN | PollFlags::OUT,
            };
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        if self.wants_input() {
            fds.push(PollFd::from_borrowed_fd(self.input.fd(), PollFlags::IN));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(Failure::from_stdio(&error.into())),
        }
    }

    fn wants_input(&self) -> bool {
        self.waiting.is_none() && !self.input.has_ended() && !self.is_quitting
    }

    fn take_signals(&mut self) -> Result<(), Failure> {
        let came = self.signals.take();
        if came == 0 {
            return Ok(());
        }
        let is_first = self.interrupts == 0;
        self.interrupts += came;
        self.is_quitting = true;
        self.screen.ask_no_more();
        let open = self.ledger.len() + usize::from(self.waiting.is_some());
        if is_first && open > 0 {
            let posts = count(open, "post waits", "posts wait");
            let text = format!("{posts} to be acknowledged; interrupt again to leave at once");
            self.screen.remark(&text)?;
        }
        Ok(())
    }

    fn take_lines(&mut self) -> Result<(), Failure> {
        if let Some(line) = self.waiting.take() {
            self.post(line)?;
        }
        if self.wants_input() && self.is_input_ready()? {
            self.input.read()?;
        }
        while self.waiting.is_none() && !self.is_quitting {
            match self.input.next() {
                Some(Typed::Line(line)) => {
                    self.obey(line)?;
                    if self.is_quitting {
                        self.screen.ask_no_more();
                    } else {
                        self.screen.ask(prompt(self.room.as_deref()));
                    }
                }
                Some(Typed::TooLong) => self.refuse("it is longer than any hub takes")?,
                None => break,
            }
        }
        Ok(())
    }

    fn is_input_ready(&self) -> Result<bool, Failure> {
        let mut fds = [PollFd::from_borrowed_fd(self.input.fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec::default())) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(Failure::from_stdio(&error.into())),
        }
    }

    fn obey(&mut self, mut line: Vec<u8>) -> Result<(), Failure> {
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if !self.ways.takes_commands {
            return self.post(line);
        }
        match command::parse(&line) {
            Line::Post(body) => {
                let body = body.to_vec();
                self.post(body)
            }
            Line::Join(room) => self.join(room),
            Line::Leave(room) => match room.map(String::from).or_else(|| self.room.clone()) {
                Some(room) => self.leave(&room),
                None => self.screen.remark("you are in no room"),
            },
            Line::Who => match &self.room {
                Some(room) => {
                    self.device.who(room, 0);
                    Ok(())
                }
                None => self.screen.remark(NO_ROOM),
            },
            Line::Quit => {
                self.is_quitting = true;
                Ok(())
            }
            Line::Help => HELP.iter().try_for_each(|line| self.screen.remark(line)),
            Line::Nothing => Ok(()),
            Line::Wrong(line) => {
                let text = format!("{} is no command: /help lists them", harmless(line));
                self.screen.remark(&text)
            }
        }
    }

    fn join(&mut self, room: &str) -> Result<(), Failure> {
        match self.device.join(room, From::Last(self.ways.history)) {
            Ok(()) => self.room = Some(room.into()),
            Err(ClientError::Join {
                source: JoinError::Again,
                ..
            }) => {
                self.room = Some(room.into());
                self.screen.remark(&format!("you post in {room} now"))?;
            }
            Err(error) => self
                .screen
                .remark(&harmless(error.to_string().as_bytes()))?,
        }
        Ok(())
    }

    fn leave(&mut self, room: &str) -> Result<(), Failure> {
        if self.device.cursor(room).is_none() && !self.heads.contains_key(room) {
            let text = format!("you are not in {}", harmless(room.as_bytes()));
            return self.screen.remark(&text);
        }
        self.device.leave(room);
        self.gone_from(room)
    }

    fn post(&mut self, body: Vec<u8>) -> Result<(), Failure> {
        let Some(room) = self.room.clone() else {
            return self.refuse(NO_ROOM);
        };
        match self.device.post(&room, &body) {
            Ok(id) => self.ledger.add(id, room, body),
            Err(PostError::OutboxFull) => self.waiting = Some(body),
            // The answer to the join is on its way.
            Err(PostError::NotJoined) if !self.heads.contains_key(&room) => {
                self.waiting = Some(body);
            }
            Err(PostError::TooLarge) => {
                let text = format!("it has {} bytes, more than the hub takes", body.len());
                self.refuse(&text)?;
            }
            Err(error) => self.refuse(&error.to_string())?,
        }
        Ok(())
    }

    /// A line is not posted.
    pub(super) fn refuse(&mut self, why: &str) -> Result<(), Failure> {
        self.unposted += 1;
        self.screen
            .remark(&format!("the line is not posted: {why}"))
    }

    pub(super) fn gone_from(&mut self, room: &str) -> Result<(), Failure> {
        self.heads.remove(room);
        if self.room.as_deref() == Some(room) {
            self.room = self.heads.keys().min().cloned();
        }
        // A line that waited for the room has nowhere to go.
        if self.room.is_none() && self.waiting.take().is_some() {
            self.refuse(NO_ROOM)?;
        }
        Ok(())
    }

    fn show_news(&mut self) -> Result<(), Failure> {
        for _ in 0..BATCH {
            match self.device.next(Duration::ZERO) {
                Ok(Some(happening)) => self.show(happening)?,
                Ok(None) => break,
                Err(error) => return Err(self.with_open(error.into())),
            }
        }
        Ok(())
    }

    fn with_open(&self, failure: Failure) -> Failure {
        match self.ledger.len() + usize::from(self.waiting.is_some()) {
            0 => failure,
            open => {
                let posts = count(open, "post was", "posts were");
                failure.and(&format!("{posts} not acknowledged"))
            }
        }
    }
}
