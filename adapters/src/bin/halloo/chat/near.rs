//! The near end of a chat, whatever is spoken at the far one: what is typed or piped, what is shown,
//! and the signals.

use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use halloo_std::socket::Interest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::screen::{self, Screen};
use super::signals::Signals;
use super::{Args, MAX_LINE};
use crate::failure::Failure;
use crate::input::{Input, Typed};
use crate::output::count;

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
    pub(super) patience: Duration,
}

impl Ways {
    pub(super) fn new(args: &Args) -> Self {
        let is_person = io::stdin().is_terminal();
        Self {
            is_person,
            takes_commands: is_person || args.commands,
            stays: args.follow && !is_person,
            patience: Duration::from_secs(args.timeout.max(1).into()),
        }
    }
}

pub(super) struct Near {
    pub(super) ways: Ways,
    input: Input,
    pub(super) screen: Screen,
    signals: Signals,
    /// A line whose time has not come; no other is taken before it.
    pub(super) waiting: Option<Vec<u8>>,
    pub(super) is_quitting: bool,
    /// How many signals came.
    pub(super) interrupts: usize,
    /// Lines that are not posted and will not be.
    pub(super) unposted: usize,
}

/// What stands before a line that is typed.
pub(super) fn prompt(room: Option<&str>) -> String {
    format!("{}> ", room.unwrap_or(""))
}

impl Near {
    pub(super) fn new(ways: Ways, room: Option<&str>) -> Result<Self, Failure> {
        let signals = Signals::new()?;
        let editor = if ways.is_person && io::stdout().is_terminal() {
            screen::editor(prompt(room))?
        } else {
            None
        };
        let (input, screen) = match editor {
            Some(editor) => editor,
            None => (Input::stdin(MAX_LINE)?, Screen::plain()),
        };
        Ok(Self {
            ways,
            input,
            screen,
            signals,
            waiting: None,
            is_quitting: false,
            interrupts: 0,
            unposted: 0,
        })
    }

    /// Whether no more lines are taken.
    pub(super) fn is_leaving(&self) -> bool {
        let stays = self.ways.stays && !self.screen.is_unread();
        self.is_quitting || (self.input.has_ended() && !stays)
    }

    /// Blocks until the far end, the input or a signal has something, or `timeout` is over.
    pub(super) fn wait(
        &self,
        far: Option<(BorrowedFd<'_>, Interest)>,
        timeout: Option<Duration>,
    ) -> Result<(), Failure> {
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        let mut fds = vec![PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN)];
        if let Some((fd, interest)) = far {
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

    /// Reads once if there is something to read.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
        if self.wants_input() && self.is_input_ready()? {
            self.input.read()?;
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

    /// The next line that was read, unless one waits.
    pub(super) fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        while self.waiting.is_none() && !self.is_quitting {
            match self.input.next() {
                Some(Typed::Line(mut line)) => {
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    return Ok(Some(line));
                }
                Some(Typed::TooLong) => self.refuse("it is longer than any hub takes")?,
                None => break,
            }
        }
        Ok(None)
    }

    /// The line that was taken is done with: the next may be typed, if it may.
    pub(super) fn ask(&mut self, room: Option<&str>) {
        if self.is_quitting {
            self.screen.ask_no_more();
        } else {
            self.screen.ask(prompt(room));
        }
    }

    /// A line is not posted.
    pub(super) fn refuse(&mut self, why: &str) -> Result<(), Failure> {
        self.unposted += 1;
        self.screen
            .remark(&format!("the line is not posted: {why}"))
    }

    /// Whether the first signal came, of those that ask for the end.
    pub(super) fn take_signals(&mut self) -> bool {
        let came = self.signals.take();
        if came == 0 {
            return false;
        }
        let is_first = self.interrupts == 0;
        self.interrupts += came;
        self.is_quitting = true;
        self.screen.ask_no_more();
        is_first
    }

    /// How it went, apart from what the far end has to do with.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
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
}
